"""A JSON value with the place where it stands, so that every fault names its file and key.

Must not know what any file means.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ragft.errors import DataError
from ragft.records import Interval

HINT = "the run folder is incomplete or was written by another version: run `ragft compare` again"


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and where it stands, such as "metrics.json: arms.rag". Null and absent are the same."""

    value: object
    where: str

    def child(self, key: str) -> Node:
        """Return what stands under `key`, a Node of None if nothing does; DataError if this is no object."""
        if not isinstance(self.value, dict):
            raise self.fault("an object")
        return Node(self.value.get(key), f"{self.where}{': ' if self.where.endswith('.json') else '.'}{key}")

    def fault(self, expected: str) -> DataError:
        """Return the error that says what was expected here."""
        found = "nothing" if self.value is None else type(self.value).__name__
        return DataError(f"{self.where}: expected {expected}, found {found}", HINT)

    def present(self, key: str) -> Node | None:
        """Return what stands under `key`, None where it is null or absent."""
        node = self.child(key)
        return None if node.value is None else node

    def items(self, key: str) -> tuple[Node, ...]:
        """Return the entries of the list under `key`, none where it is null or absent."""
        node = self.child(key)
        if node.value is None:
            return ()
        if not isinstance(node.value, list | tuple):
            raise node.fault("a list")
        return tuple(Node(value, f"{node.where}[{i}]") for i, value in enumerate(node.value))

    def named(self, key: str) -> Iterator[tuple[str, Node]]:
        """Yield name and entry of the object under `key`, nothing where it is null or absent."""
        node = self.child(key)
        if node.value is None:
            return
        if not isinstance(node.value, dict):
            raise node.fault("an object")
        for name in node.value:
            yield str(name), node.child(str(name))

    def text(self, key: str) -> str:
        """Return the string under `key`; DataError if there is none."""
        node = self.child(key)
        if not isinstance(node.value, str):
            raise node.fault("a string")
        return node.value

    def optional_text(self, key: str) -> str | None:
        """Return the string or number under `key` as text, None where it is null or absent."""
        value = self.child(key).value
        return None if value is None else str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the list under `key` as strings."""
        return tuple(str(node.value) for node in self.items(key))

    def number(self, key: str) -> float | None:
        """Return the finite number under `key`, None where it is null or absent."""
        node = self.child(key)
        if node.value is None:
            return None
        if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not math.isfinite(node.value):
            raise node.fault("a finite number")
        return node.value

    def required(self, key: str) -> float:
        """Return the finite number under `key`; DataError if there is none."""
        value = self.number(key)
        if value is None:
            raise self.child(key).fault("a finite number")
        return value

    def count(self, key: str) -> int | None:
        """Return the whole number under `key`, None where it is null or absent."""
        return None if self.child(key).value is None else self.required_count(key)

    def required_count(self, key: str) -> int:
        """Return the whole number under `key`; DataError if there is none."""
        value = self.required(key)
        if value != int(value):
            raise self.child(key).fault("a whole number")
        return int(value)

    def flag(self, key: str, otherwise: bool = False) -> bool:
        """Return the truth value under `key`, `otherwise` where it is null or absent."""
        value = self.child(key).value
        return otherwise if value is None else bool(value)

    def words(self, key: str) -> tuple[str, ...]:
        """Return the list under `key`, each entry as text: a string as it is, anything else as JSON."""
        return tuple(_words(node.value) for node in self.items(key))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return the object (or list, or single value) under `key` as pairs of name and text."""
        value = self.child(key).value
        if isinstance(value, dict):
            return tuple((str(name), _words(item)) for name, item in value.items())
        if isinstance(value, list | tuple):
            return tuple((_words(item), "") for item in value)
        return () if value is None else ((key, _words(value)),)


def _words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_interval(node: Node | None) -> Interval | None:
    """Return an interval, None where there is none."""
    if node is None:
        return None
    return Interval(node.required("low"), node.required("high"), node.required("level"), node.text("method"))


def read_object(path: Path) -> Node:
    """Return the JSON object of a file as a node named after the file; DataError naming it if it cannot be read."""
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})", HINT) from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected an object, found {type(value).__name__}", HINT)
    return Node(value, str(path))


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file; DataError naming it if it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", HINT) from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({type(error).__name__})", HINT) from None
