"""YAML text as a tree of nodes that know their place, and scalars as values by the rules of YAML 1.2.

YAML 1.2's core schema, unlike PyYAML's own 1.1, reads `1e-4` as a number and `no`, `on` and dates as text.
"""

from __future__ import annotations

import re

import yaml

from ragft.config.faults import Place

FIRST_OVERRIDE_LINE = 10_000_000
"""The nodes of `--set` values carry line numbers from here on, which no file reaches."""

Scalar = str | int | float | bool | None

_NULL, _BOOL, _INT, _FLOAT, _STR = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))
_RULES = (
    (_NULL, re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    (_BOOL, re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    (_INT, re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), list("-+0123456789")),
    (
        _FLOAT,
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        list("-+.0123456789"),
    ),
)


class _Composer(yaml.SafeLoader):
    """A loader of node trees under the core schema's rules for plain scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first_characters in _RULES:
    _Composer.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern.pattern})$"), _first_characters)


def read_tree(text: str, name: str, first_line: int = 0) -> yaml.Node | None:
    """Return the tree of one YAML document, None when there is nothing in it.

    `name` is what the places of its nodes are called. Raises yaml.YAMLError.
    """
    composer = _Composer(text)
    composer.name, composer.line = name, first_line
    return composer.get_single_node()


def place_of(node: yaml.Node) -> Place:
    """Return the place of a node: `file:line`, or the `--set` that it came from."""
    return place_at(node.start_mark.name, node.start_mark.line)


def place_at(name: str, line: int) -> Place:
    """Return the place of a line, counted from 0."""
    return Place(line + 1, name if line >= FIRST_OVERRIDE_LINE else f"{name}:{line + 1}")


def scalar_value(tag: str, text: str) -> Scalar:
    """Return the value of a scalar with this YAML tag; ValueError when the text does not fit it."""
    for known, pattern, _ in _RULES:
        if tag == known and not pattern.fullmatch(text):
            raise ValueError(f"{text!r} does not fit the tag !!{tag.rpartition(':')[2]}")
    if tag == _STR:
        return text
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text.lower() == "true"
    if tag == _INT:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if tag == _FLOAT:
        return float(re.sub(r"\.(?=[iInN])", "", text))
    raise ValueError(f"the tag {tag!r} is not supported")


def plain_tag(text: str) -> str:
    """Return the YAML tag that a plain (unquoted) scalar of this text gets."""
    return next((tag for tag, pattern, _ in _RULES if pattern.fullmatch(text)), _STR)
