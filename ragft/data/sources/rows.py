"""One row of a table, a query or a data set as a document: which columns are read, and what may stand in them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from ragft.data.sources.found import Found, Item, SetAside, UnreadableError, new_document
from ragft.errors import DataError
from ragft.records import Document, Scalar

SHOWN_COLUMNS = 30
INTEGER_LIMIT = 2**63
"""Stores keep whole numbers in 64 bits."""


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

    def check(self, existing: Collection[str], where: str) -> None:
        """Raise DataError for a column that does not exist, with those that do."""
        unknown = [column for column in self.required if column not in existing]
        if unknown:
            names = " and ".join(map(repr, dict.fromkeys(unknown)))
            raise DataError(f"{where}: no column {names}; the columns are {_listed(existing)}", self.hint)

    def item(self, row: Mapping[str, Any], where: str) -> Item:
        """Return the document of a row, or the row set aside where it lacks an id or a text."""
        try:
            return Found(where, self._document(row, where))
        except UnreadableError as error:
            return SetAside(where, str(error))

    def _document(self, row: Mapping[str, Any], where: str) -> Document:
        id_, text = _id(row.get(self.id)), _text(row.get(self.text))
        if not id_.strip():
            raise UnreadableError(f"no {self.id!r} (the document's id); {self._row_has(row)}")
        if not text.strip():
            raise UnreadableError(f"no {self.text!r} (the document's text); {self._row_has(row)}")
        title = row.get(self.title) if self.title is not None else None
        metadata = {name: _scalar(row[name], name, where) for name in self.metadata if name in row}
        present = {name: value for name, value in metadata.items() if value is not None}
        return new_document(id_, "" if title is None else str(title), text, present)

    def _row_has(self, row: Mapping[str, Any]) -> str:
        return f"the row has {_listed(row)}" + (f"; {self.hint}" if self.hint else "")


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:SHOWN_COLUMNS]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _id(value: object) -> str:
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


def _scalar(value: object, column: str, where: str) -> Scalar | None:
    """Return a metadata value, None for a missing one (NULL, NaN); times as ISO 8601, decimals as floats.

    Raises DataError for anything that a filter could not be compared with.
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
            raise DataError(
                f"{where}: column {column!r} holds {_described(value)}; metadata is text, numbers and true or false",
                "leave the column out of `metadata`, or make it plain in the source",
            )


def _described(value: object) -> str:
    return f"the number {value}"[:60] if isinstance(value, int | float) else f"a value of type {type(value).__name__}"
