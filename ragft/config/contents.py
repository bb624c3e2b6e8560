"""A tree of YAML nodes as plain values, with the place of every key and the environment variables filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from ragft.config.faults import Fault, Location, Place
from ragft.config.interpolation import Expansion, expand
from ragft.config.reading import Scalar, place_at, place_of, plain_tag, scalar_value


@dataclass(slots=True)
class Contents:
    """What a file says: its values, where each key and item stands, and which values hold environment variables."""

    values: Any = None
    places: dict[Location, Place] = field(default_factory=dict)
    expansions: dict[Location, Expansion] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    spoiled: set[Location] = field(default_factory=set)
    """Where a value could not be read at all, so that nothing more is to be said about it."""

    def place(self, location: Location) -> Place:
        """Return the place of a key, or of the nearest section around it that the file has."""
        while location and location not in self.places:
            location = location[:-1]
        return self.places[location]

    def secrets(self) -> dict[str, str]:
        """Return the values longer than 3 characters that came from the environment, each with its variable."""
        found: dict[str, str] = {}
        for expansion in self.expansions.values():
            for name, value in expansion.variables.items():
                if len(value) > 3:
                    found.setdefault(value, name)
        return found


def contents_of(root: yaml.Node, name: str, environment: Mapping[str, str]) -> Contents:
    """Return the values of the file called `name`; duplicate keys, bad keys, tags and variables are its faults."""
    contents = Contents(places={(): place_at(name, 0)})
    contents.values = _Reader(contents, environment).value(root, ())
    return contents


class _Reader:
    """Fills `contents` from nodes."""

    def __init__(self, contents: Contents, environment: Mapping[str, str]) -> None:
        self._contents = contents
        self._environment = environment
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401 - a YAML value is anything
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, location)
        if any(node is outer for outer in self._open):
            self._spoil(place_of(node), location, "refers to itself")
            return None
        self._open.append(node)
        read = self._mapping if isinstance(node, yaml.MappingNode) else self._sequence
        value = read(node, location)
        self._open.pop()
        return value

    def _mapping(self, node: yaml.Node, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, inner in node.value:
            place = place_of(key)
            if not isinstance(key, yaml.ScalarNode):
                self._fault(place, location, "a key must be text; quote a text that begins with { or [")
            elif key.value in values:
                first = self._contents.places[*location, key.value]
                self._fault(place, (*location, key.value), f"is given twice, first at {first.text}")
            else:
                self._contents.places[*location, key.value] = place
                values[key.value] = self.value(inner, (*location, key.value))
        return values

    def _sequence(self, node: yaml.Node, location: Location) -> list[Any]:
        values = []
        for number, inner in enumerate(node.value):
            self._contents.places[*location, number] = place_of(inner)
            values.append(self.value(inner, (*location, number)))
        return values

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> Scalar:
        tag, text = node.tag, str(node.value)
        place = self._contents.place(location)
        if "${" in text:
            expansion = expand(text, self._environment)
            for message in expansion.faults:
                self._spoil(place, location, message)
            text = expansion.text
            reread = expansion.whole and not expansion.faults and node.style is None
            tag = plain_tag(text) if reread else tag
            self._contents.expansions[location] = replace(expansion, whole=reread)
        try:
            return scalar_value(tag, text)
        except ValueError as error:
            self._spoil(place, location, str(error))
            return text

    def _spoil(self, place: Place, location: Location, message: str) -> None:
        self._contents.spoiled.add(location)
        self._fault(place, location, message)

    def _fault(self, place: Place, location: Location, message: str) -> None:
        self._contents.faults.append(Fault(place, location, message))
