"""What the experiment file may hold at each location, in plain words; read off the schema that pydantic derives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ragft.config.faults import Location, dotted
from ragft.config.schema import Experiment
from ragft.config.sections import SHORT_FOR

Node = Mapping[str, Any]


class Expectations:
    """The derived schema of an experiment file, walked by location. Shorthands and variants are its branches."""

    def __init__(self) -> None:
        self.root = _derived_schema()

    def branches(self, node: Node, value: object = None) -> list[Node]:
        """Return the variants that a node allows, without null; only those of the `kind` that the value names."""
        flat = [branch for branch in self._flat(node) if branch.get("type") != "null"]
        kind = value.get("kind") if isinstance(value, dict) else value
        named = [b for b in flat if b.get("properties", {}).get("kind", {}).get("const", b) == kind]
        return named or flat

    def _flat(self, node: Node) -> Iterator[Node]:
        if "$ref" in node:
            yield from self._flat(self.root["$defs"][node["$ref"].rpartition("/")[2]])
        elif variants := node.get("anyOf", node.get("oneOf")):
            for variant in variants:
                yield from self._flat(variant)
        else:
            yield node

    def child(self, node: Node, part: str | int, value: object) -> Node | None:
        """Return what may stand under `part` of a node that now holds `value`, None where nothing may."""
        for branch in self.branches(node, value):
            if isinstance(part, int) and branch.get("type") == "array":
                items: Node = branch.get("items") or branch["prefixItems"][min(part, len(branch["prefixItems"]) - 1)]
                return items
            if isinstance(part, str) and branch.get("type") == "object":
                named: Node | None = branch.get("properties", {}).get(part)
                child = _entry(branch) if named is None else named
                if child is not None:
                    return child
        return None

    def short_for(self, path: Sequence[str]) -> str | None:
        """Return the key of the section at a path that a plain string there stands for, None where it is no short form.

        An item of a list is named by its number.
        """
        node: Node | None = self.root
        for part in path:
            node = node and self.child(node, int(part) if part.isdecimal() else part, None)
        return None if node is None else self._short_for(node)

    def _short_for(self, node: Node) -> str | None:
        if SHORT_FOR in node:
            return str(node[SHORT_FOR])
        return next((found for variant in node.get("anyOf", ()) if (found := self._short_for(variant))), None)

    def keys(self, node: Node, value: object) -> list[str]:
        """Return the keys that a section may have; none for a section of freely named entries."""
        return [key for branch in self.branches(node, value) for key in branch.get("properties", {})]

    def all_keys(self) -> list[str]:
        """Return every dotted key there is, with `<name>` for an entry's name."""
        return list(dict.fromkeys(dotted(location) for location in self._below(self.root, ())))

    def _below(self, node: Node, location: Location) -> Iterator[Location]:
        for branch in self.branches(node):
            entries = dict(branch.get("properties", {}))
            entry = _entry(branch)
            for key, inner in (entries if entry is None else {"<name>": entry}).items():
                yield (*location, key)
                yield from self._below(inner, (*location, key))


@cache
def _derived_schema() -> Node:
    return Experiment.model_json_schema()


def _entry(branch: Node) -> Node | None:
    """Return what an entry of a section of freely named entries may hold, None for any other section."""
    return next(iter(branch.get("patternProperties", {}).values()), None)


def inside(values: object, part: str | int) -> object:
    """Return what stands under `part` of a value, None where nothing does."""
    if isinstance(values, dict):
        return values.get(part)
    if isinstance(values, list) and isinstance(part, int) and part < len(values):
        return values[part]
    return None
