"""Values against the schema: pydantic's errors as faults in the user's words, at the keys that the user wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ragft.config.consistency import cross_faults
from ragft.config.contents import Contents
from ragft.config.expectations import Expectations, Node, inside
from ragft.config.faults import Fault, Location
from ragft.config.schema import Experiment
from ragft.config.suggestions import about_unknown_key
from ragft.config.wording import choices, expected, found, kinds, listed, nearest

_DEFAULT_ARMS = ("compare", "arms")


def validated(contents: Contents, folder: Path) -> tuple[Experiment | None, list[Fault]]:
    """Return the experiment with paths anchored to `folder`, or None, and every fault that the values have.

    The rules between sections are looked at only when each section is right by itself.
    """
    try:
        experiment = Experiment.model_validate(contents.values, context={"folder": folder})
    except ValidationError as error:
        return None, list(_translated(error.errors(include_url=False), contents))
    faults = [Fault(contents.place(where), where, message) for where, message in cross_faults(experiment)]
    return experiment, faults


def _translated(details: list[ErrorDetails], contents: Contents) -> Iterator[Fault]:
    """Yield a fault for each error, less those that only repeat another or stand in arms that nobody wrote."""
    translator = _Translator(contents)
    has_arms = inside(inside(contents.values, "compare"), "arms") not in (None, {})
    is_shown = has_arms or all(detail["loc"][:2] == _DEFAULT_ARMS for detail in details)
    located = [(translator.written_location(detail), detail) for detail in details]
    for location, detail in located:
        is_parent = any(other[: len(location)] == location != other for other, _ in located)
        if is_parent and detail["type"].endswith("_type"):
            continue
        if is_shown or location[:2] != _DEFAULT_ARMS:
            yield Fault(contents.place(location), location, translator.message(location, detail))


class _Translator:
    """Words for pydantic's errors, from the schema and from what the file holds."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._expectations = Expectations()
        self._all_keys = self._expectations.all_keys()

    def written_location(self, detail: ErrorDetails) -> Location:
        """Return the error's location without the tags of variants and the steps that a shorthand leaves out."""
        location: list[str | int] = []
        node, value = self._expectations.root, self._contents.values
        for part in detail["loc"]:
            child = self._expectations.child(node, part, value)
            # A key that is refused by name stands in the file; the tag of a variant, which looks alike, does not.
            is_refused = detail["type"] == "value_error" and isinstance(value, dict) and part in value
            is_unknown_key = (detail["type"] == "extra_forbidden" or is_refused) and part == detail["loc"][-1]
            if (child is None and not is_unknown_key) or part == "[key]":
                continue
            node = child or {}
            is_left_out = isinstance(value, str | dict) if isinstance(part, int) else isinstance(value, str)
            if not is_left_out or detail["type"] == "missing":
                location.append(part)
                value = inside(value, part)
        if detail["type"] == "missing" and isinstance(location[-1], int):
            location.pop()
        has_wrong_kind = detail["type"].startswith("union_tag") and isinstance(value, dict)
        return (*location, "kind") if has_wrong_kind else tuple(location)

    def message(self, location: Location, detail: ErrorDetails) -> str:
        """Return what is wrong at this location."""
        kind = detail["type"]
        if kind == "value_error":
            return str(detail["ctx"]["error"])
        if kind == "extra_forbidden":
            siblings = self._expectations.keys(*self._at(location[:-1]))
            return about_unknown_key(location, siblings, self._all_keys)
        if detail["loc"][-1] == "[key]":
            return f"must be {expected([{'type': 'string', 'pattern': detail['ctx']['pattern']}])}"
        node, value = self._at(location)
        branches = self._expectations.branches(node)
        if kind.startswith("union_tag"):
            section = location[:-1] if location[-1] == "kind" else location
            branches = [{"enum": kinds(self._expectations.branches(self._at(section)[0]))}]
        if kind in ("missing", "union_tag_not_found") and value is None:
            return _required(node, branches)
        return self._wrong(location, value, branches)

    def _at(self, location: Location) -> tuple[Node, object]:
        """Return what may stand at a location, and what does."""
        node, value = self._expectations.root, self._contents.values
        for part in location:
            node = self._expectations.child(node, part, value) or {}
            value = inside(value, part)
        return node, value

    def _wrong(self, location: Location, value: object, branches: list[Node]) -> str:
        options = choices(branches)
        near = nearest(value, options) if isinstance(value, str) else None
        expansion = self._contents.expansions.get(location)
        held = found(value)
        if expansion and expansion.variables:
            near = None  # a suggestion would tell what the value looks like
            held = f"the value of {' and '.join(f'${{{name}}}' for name in expansion.variables)}"
        must_be = listed(options) if options and isinstance(value, str) else expected(branches)
        return f"must be {must_be}, not {held}" + (f"; did you mean {near!r}?" if near else "")


def _required(node: Node, branches: list[Node]) -> str:
    """Return that a key is required, with its description where it has one, else with what it may hold."""
    description = node.get("description")
    if description is None:
        return f"is required: {expected(branches)}"
    first = description.partition(" ")[0]
    keeps_capital = len(first) > 1 and not first[1:].islower()
    return f"is required: {description if keeps_capital else description[0].lower() + description[1:]}".rstrip(".")
