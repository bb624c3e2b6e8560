"""Plain words for what a key may hold and for what it held instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ragft.config.sections import NAME_PATTERN

_BOUNDS = (
    ("minimum", "of at least"),
    ("maximum", "of at most"),
    ("exclusiveMinimum", "above"),
    ("exclusiveMaximum", "below"),
)
_LONGEST_VALUE = 60


def expected(branches: Iterable[Mapping[str, Any]]) -> str:
    """Return what a key may hold, given the variants of its JSON Schema: `a whole number of at least 1`."""
    return " or ".join(dict.fromkeys(map(_expected_of, branches)))


def choices(branches: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the words that a key may hold, none where it is free."""
    return list(dict.fromkeys(choice for branch in branches for choice in _choices_of(branch)))


def kinds(branches: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what the `kind` of a section may be, given the section's variants."""
    return choices(branch.get("properties", {}).get("kind", {}) for branch in branches)


def _choices_of(branch: Mapping[str, Any]) -> list[str]:
    return [branch["const"]] if "const" in branch else list(branch.get("enum", []))


def _expected_of(branch: Mapping[str, Any]) -> str:
    if words := _choices_of(branch):
        return listed(words)
    match branch.get("type"):
        case "integer" | "number":
            return _number(branch)
        case "boolean":
            return "true or false"
        case "array":
            return _list(branch)
        case "object":
            return "a section of named entries" if "patternProperties" in branch else "a section"
        case _:
            return _text(branch)


def _number(branch: Mapping[str, Any]) -> str:
    kind = "a whole number" if branch["type"] == "integer" else "a number"
    if "minimum" in branch and "maximum" in branch:
        return f"{kind} from {branch['minimum']} to {branch['maximum']}"
    bounds = " and ".join(f"{words} {branch[bound]:g}" for bound, words in _BOUNDS if bound in branch)
    return f"{kind} {bounds}".rstrip()


def _list(branch: Mapping[str, Any]) -> str:
    least, most = branch.get("minItems"), branch.get("maxItems")
    if least is None:
        return "a list"
    return f"a list of {least}" if least == most else f"a list of at least {least}"


def _text(branch: Mapping[str, Any]) -> str:
    if branch.get("format") == "path":
        return "a path"
    if branch.get("pattern") == NAME_PATTERN:
        return "a name of at most 64 lower-case letters, digits, '-' and '_' that begins with a letter or digit"
    if "pattern" in branch:
        return f"text that matches {branch['pattern']}"
    return "text"


def listed(words: Iterable[str]) -> str:
    """Return `a`, or `one of a, b, c`."""
    known = list(words)
    return known[0] if len(known) == 1 else f"one of {', '.join(known)}"


def found(value: object) -> str:
    """Return what a key held, in YAML's spelling where that is short."""
    match value:
        case None | "":
            return "empty"
        case bool():
            return str(value).lower()
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a section"
        case str() if len(value) > _LONGEST_VALUE:
            return repr(value[:_LONGEST_VALUE] + "...")
        case _:
            return repr(value)


def nearest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known word that looks most like this one, None when none does."""
    return next(iter(get_close_matches(str(word), list(known), 1, cutoff)), None)
