"""The resolved experiment as YAML: defaults filled in, paths absolute, and environment variables hidden again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ragft.config.databases import relative_part
from ragft.config.expectations import inside
from ragft.config.faults import Location
from ragft.config.interpolation import Expansion, hide_and_escape
from ragft.config.reading import plain_tag
from ragft.config.schema import Experiment

_SHORTHAND_KEYS = ("path", "source", "kind")
_STR_TAG, _NULL_TAG = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"


class _Reference(str):
    """A `${VAR}` that stands unquoted, so that its value is read again as a number, a boolean or text."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes text so that neither YAML 1.1 nor 1.2 takes it for something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # The line breaks of YAML 1.1 (U+0085, U+2028, U+2029) survive only where they are escaped, in double quotes.
    is_plain = plain_tag(text) == _STR_TAG and not text.startswith("${") and text.isprintable()
    return dumper.represent_scalar(_STR_TAG, text, None if is_plain else '"')


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Reference, lambda dumper, text: dumper.represent_scalar(_STR_TAG, str(text)))


def resolved_yaml(
    experiment: Experiment, expansions: Mapping[Location, Expansion], secrets: Mapping[str, str], folder: Path
) -> str:
    """Return the experiment as YAML that loads to the same experiment from any folder in the same environment.

    A value that came from `${VAR}` is written as `${VAR}`, never as the value, and a secret that stands in any other
    text is replaced there too. `secrets` maps values to variables.
    """
    plain = experiment.model_dump(mode="json")
    hidden = _hidden(plain, secrets)
    for location, expansion in expansions.items():
        if expansion.variables and not (expansion.whole and plain_tag(expansion.text) == _NULL_TAG):
            leaf, value = _leaf(plain, location)
            _put(hidden, leaf, _reference(expansion, value, hide_and_escape(str(folder), secrets)))
    return yaml.dump(hidden, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _leaf(values: Any, location: Location) -> tuple[Location, object]:  # noqa: ANN401 - a YAML value is anything
    """Return where a value of the file stands when shorthands are spelled out, and what stands there."""
    leaf: Location = ()
    for part in location:
        if isinstance(values, list) and isinstance(part, str):  # one item that stood for a list of one
            leaf, values = (*leaf, 0), values[0]
        leaf, values = (*leaf, part), inside(values, part)
    while isinstance(values, dict | list):
        key = 0 if isinstance(values, list) else next(key for key in _SHORTHAND_KEYS if key in values)
        leaf, values = (*leaf, key), inside(values, key)
    return leaf, values


def _put(values: Any, location: Location, value: str) -> None:  # noqa: ANN401 - a YAML value is anything
    for part in location[:-1]:
        values = values[part]
    values[location[-1]] = value


def _reference(expansion: Expansion, value: object, folder: str) -> str:
    """Return the text to write for a value that holds variables; one anchored to `folder` keeps that anchor.

    The address of a SQLite file whose beginning comes out of a variable, or all of it, stays as it was written: the
    anchor stands in the middle of such a value, and a value is never written.
    """
    is_anchored = isinstance(value, str) and value != expansion.text
    is_home = expansion.text.startswith("~") or Path(expansion.text).is_absolute()
    if is_anchored and not is_home:
        start = relative_part(expansion.text) or 0
        if expansion.template.startswith(expansion.text[:start]):
            path = expansion.template[start:]
            return expansion.template if path.startswith("~") else f"{expansion.text[:start]}{folder}/{path}"
    return _Reference(expansion.template) if expansion.whole else expansion.template


def _hidden(values: Any, secrets: Mapping[str, str]) -> Any:  # noqa: ANN401 - a YAML value is anything
    if isinstance(values, str):
        return hide_and_escape(values, secrets)
    if isinstance(values, list):
        return [_hidden(value, secrets) for value in values]
    if isinstance(values, dict):
        return {key: _hidden(value, secrets) for key, value in values.items()}
    return values
