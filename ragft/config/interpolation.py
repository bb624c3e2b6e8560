"""`${VAR}` and `${VAR:-default}` inside text, and the way back: text in which a variable's value is hidden again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(
    r"(?P<escaped>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}|\$\{"
)


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text with its references replaced.

    `variables` maps each variable that the environment supplied to its value. `template` is the text with those
    still as `${VAR}` and with defaults filled in. `whole` says that the text was one reference and nothing else.
    """

    text: str
    template: str
    variables: Mapping[str, str]
    faults: tuple[str, ...]
    whole: bool


def expand(text: str, environment: Mapping[str, str]) -> Expansion:
    """Return the text with every reference replaced; as in a shell, `:-` also stands in for an empty variable."""
    resolved, template, variables, faults = [], [], {}, []
    position, whole = 0, False
    for match in _REFERENCE.finditer(text):
        literal = text[position : match.start()]
        position = match.end()
        piece, fault, from_environment = _value_of(match, environment)
        if fault:
            faults.append(fault)
        if from_environment:
            variables[match["name"]] = piece
        resolved += [literal, piece]
        template += [literal, f"${{{match['name']}}}" if from_environment else escape(piece)]
        whole = match.group() == text and match["name"] is not None
    rest = text[position:]
    return Expansion("".join(resolved) + rest, "".join(template) + rest, variables, tuple(faults), whole)


def _value_of(match: re.Match[str], environment: Mapping[str, str]) -> tuple[str, str | None, bool]:
    """Return (replacement, fault, whether the environment supplied it) of one reference."""
    name, default = match["name"], match["default"]
    if match["escaped"]:
        return "${", None, False
    if name is None:
        return "${", "'${' begins no ${VAR} or ${VAR:-default}; write $${ for a literal ${", False
    if name in environment and (environment[name] or default is None):
        return environment[name], None, True
    if default is not None:
        return default, None, False
    return match.group(), f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}", False


def escape(text: str) -> str:
    """Return text that reads as itself: every `${` as `$${`."""
    return text.replace("${", "$${")


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Return the text in which every value that `secrets` maps to a variable is that `${VAR}`."""
    return _replaced(text, {value: f"${{{name}}}" for value, name in secrets.items()})


def hide_and_escape(text: str, secrets: Mapping[str, str]) -> str:
    """Return text that the loader reads as this text, with the values of `secrets` hidden."""
    return _replaced(text, {"${": "$${"} | {value: f"${{{name}}}" for value, name in secrets.items()})


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    """Return the text with all replacements made in one pass, the longest first, so that none is made in another."""
    if not replacements:
        return text
    longest_first = sorted(replacements, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: replacements[match.group()], text)
