"""One row of a table, a query or a data set: what a name reads in it, and the document that its columns make."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from ragft.data.sources.found import Found, Item, SetAside, UnreadableError, new_document
from ragft.errors import DataError
from ragft.records import Document, Scalar

SHOWN_COLUMNS = 30
INTEGER_LIMIT = 2**63
"""Stores keep whole numbers in 64 bits."""


Row = tuple[str, Mapping[str, Any]] | SetAside
"""A row with the place where it stands, or what is none with the reason."""


class Shape(Protocol):
    """What a reader of rows must know of what is made of them."""

    @property
    def marks(self) -> Sequence[str]:
        """Names of which a JSON object that is itself a row has at least one; errors show the first."""
        ...

    def check(self, existing: Collection[str], where: str) -> None:
        """Raise DataError for columns that are needed and do not exist, before any row is read."""
        ...

    def chosen(self, existing: Sequence[str]) -> list[str]:
        """Return those of the columns that are looked at; the others need not be read from the disk."""
        ...


def column_of(name: str, existing: Collection[str]) -> str | None:
    """Return the column that a name reads: the one called so, else the one that a dotted name begins with, or None.

    A column whose own name has dots wins over the inside of another one: `a.b` before `a`.
    """
    parts = name.split(".")
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in existing), None)


def value_at(row: Mapping[str, Any], name: str, default: object = None) -> Any:  # noqa: ANN401 - whatever stands there
    """Return what a name reads in a row, or the default where there is no such thing.

    `answers.text` is the field `text` of the object `answers`; in a list of objects it is the list of their fields.
    """
    if name in row:
        return row[name]
    column = column_of(name, row)
    return default if column is None else _inside(row[column], name[len(column) + 1 :], default)


def _inside(value: object, name: str, default: object) -> object:
    match value:
        case Mapping():
            return value_at(value, name, default)
        case list():
            found = [_inside(item, name, None) for item in value]
            return [inner for item in found for inner in (item if isinstance(item, list) else [item])]
        case _:
            return default


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that make a document, and the hint that a wrong name gets."""

    id: str
    title: str | None
    text: str
    metadata: tuple[str, ...] = ()
    title_required: bool = True
    hint: str | None = None

    @property
    def required(self) -> list[str]:
        """The columns without which no row is a document."""
        title = [self.title] if self.title is not None and self.title_required else []
        return [self.id, *title, self.text, *self.metadata]

    @property
    def marks(self) -> Sequence[str]:
        """A JSON object with a text is a document, also where it holds a list of objects."""
        return (self.text,)

    def chosen(self, existing: Sequence[str]) -> list[str]:
        """Return the columns that make the document."""
        return columns_read((*self.required, self.title or self.id), existing)

    def check(self, existing: Collection[str], where: str) -> None:
        """Raise DataError for a column that does not exist, with those that do."""
        unknown = [column for column in self.required if column_of(column, existing) is None]
        if unknown:
            names = " and ".join(map(repr, dict.fromkeys(unknown)))
            raise DataError(f"{where}: no column {names}; the columns are {listed(existing)}", self.hint)

    def item(self, row: Mapping[str, Any], where: str) -> Item:
        """Return the document of a row, or the row set aside where it lacks an id or a text."""
        try:
            return Found(where, self._document(row, where))
        except UnreadableError as error:
            return SetAside(where, str(error))

    def _document(self, row: Mapping[str, Any], where: str) -> Document:
        id_, text = id_text(value_at(row, self.id)), _text(value_at(row, self.text))
        if not id_.strip():
            raise UnreadableError(f"no {self.id!r} (the document's id); {self._row_has(row)}")
        if not text.strip():
            raise UnreadableError(f"no {self.text!r} (the document's text); {self._row_has(row)}")
        title = value_at(row, self.title) if self.title is not None else None
        metadata = {name: _metadata(value_at(row, name), name, where) for name in self.metadata}
        present = {name: value for name, value in metadata.items() if value is not None}
        return new_document(id_, "" if title is None else str(title), text, present)

    def _row_has(self, row: Mapping[str, Any]) -> str:
        return f"the row has {listed(row)}" + (f"; {self.hint}" if self.hint else "")


def columns_read(names: Iterable[str], existing: Sequence[str]) -> list[str]:
    """Return the columns that names read, each once, in the order of the names; names that read none are left out."""
    return list(dict.fromkeys(column for name in names if (column := column_of(name, existing)) is not None))


def listed(names: Collection[str]) -> str:
    """Return names for a message, the first 30 of them."""
    shown = list(names)[:SHOWN_COLUMNS]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def id_text(value: object) -> str:
    """Return an id as text, empty for what is no id: true, 1.5 or a list cannot be named by an example."""
    match value:
        case bool():
            return ""
        case str() | int() | UUID():
            return str(value)
        case Decimal() if value.is_finite() and value == value.to_integral_value():
            return str(int(value))
        case _:
            return ""


def _text(value: object) -> str:
    """Return a text, empty for what is none; bytes (SQLite's loose types, PostgreSQL's bytea) must be UTF-8."""
    if isinstance(value, bytes | memoryview):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError(f"the text is not UTF-8 (byte {error.start})") from None
    return value if isinstance(value, str) else ""


def _metadata(value: object, column: str, where: str) -> Scalar | None:
    """Return a metadata value, None for a missing one; raises DataError for what no filter could be compared with."""
    try:
        return scalar(value)
    except NotPlainError as error:
        raise DataError(
            f"{where}: column {column!r} holds {error}; metadata is text, numbers and true or false",
            "leave the column out of `metadata`, or make it plain in the source",
        ) from None


class NotPlainError(ValueError):
    """A value is no text, number, truth or time; the message describes it."""


def scalar(value: object) -> Scalar | None:
    """Return a plain value, None for a missing one (NULL, NaN); times as ISO 8601, decimals as floats.

    Raises NotPlainError for anything else, infinities and whole numbers over 64 bits included.
    """
    match value:
        case None:
            return None
        case bool() | str():
            return value
        case int() if -INTEGER_LIMIT <= value < INTEGER_LIMIT:
            return value
        case float() if math.isnan(value):
            return None
        case float() if math.isfinite(value):
            return value
        case Decimal() if value.is_nan():
            return None
        case Decimal() if value.is_finite():
            return float(value)
        case date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            raise NotPlainError(described(value))


def described(value: object) -> str:
    """Return what a value is, for a message: a number itself, of anything else the type."""
    return f"the number {value}"[:60] if isinstance(value, int | float) else f"a value of type {type(value).__name__}"
