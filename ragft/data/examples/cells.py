"""One row of examples: its values by name, as text, as a list of texts, as true or false, with its place in faults."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from ragft.data.examples.layout import HINT
from ragft.data.sources.found import clean
from ragft.data.sources.rows import NotPlainError, id_text, listed, scalar, value_at
from ragft.errors import DataError
from ragft.records import Scalar

_ABSENT = object()
SHOWN_VALUE = 60


@dataclass(frozen=True, slots=True)
class Cells:
    """One row and the place where it stands, as `file:line` or `file: row N`.

    `textual` says that every value is text, as in CSV: an empty cell is then no value, `true` and `false` are truths,
    and a cell may hold a list as JSON.
    """

    where: str
    values: Mapping[str, Any]
    textual: bool = False

    def has(self, name: str) -> bool:
        """Return whether the row has something of this name, be it null."""
        return value_at(self.values, name, _ABSENT) is not _ABSENT

    def value(self, name: str) -> Any:  # noqa: ANN401 - whatever the row holds
        """Return what stands under a name, None where nothing does."""
        value = value_at(self.values, name)
        return None if self.textual and value == "" else value

    def id(self, name: str) -> str | None:
        """Return an id, None where the row has none; raises DataError for what cannot be one (true, 1.5, a list)."""
        value = self.value(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        text = id_text(value)
        if not text:
            raise self.fault(f"{name!r} must be a text or a whole number, not {_shown(value)}")
        return text

    def truth(self, name: str) -> bool | None:
        """Return true or false, None where the row says neither."""
        value = self.value(name)
        if self.textual and isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        if not isinstance(value, bool | None):
            raise self.fault(f"{name!r} must be true or false, not {_shown(value)}")
        return value

    def text(self, name: str) -> str | None:
        """Return one value as text, None where there is none."""
        try:
            return _text(self.value(name)) or None
        except NotPlainError:
            raise self.fault(f"{name!r} must be one text, not {_shown(self.value(name))}") from None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, or one as a list of one; blank ones and nulls are left out."""
        value = self.value(name)
        items = value if isinstance(value, list) else _list_in(value) if self.textual else [value]
        try:
            texts = [_text(item) for item in items]
        except NotPlainError:
            raise self.fault(f"{name!r} must be a text or a list of texts, not {_shown(value)}") from None
        return tuple(text for text in texts if text is not None and text.strip())

    def scalar(self, name: str) -> Scalar:
        """Return a column that is carried along, the empty text for null; times as ISO 8601."""
        value = value_at(self.values, name, _ABSENT)
        if value is _ABSENT:
            raise self.missing(name, "a column that the prompt names")
        try:
            plain = scalar(value)
        except NotPlainError as error:
            raise self.fault(f"{name!r} must be a text, a number, true or false, not {error}") from None
        return "" if plain is None else plain

    def missing(self, name: str, what: str) -> DataError:
        """Return the fault of a row without a column that it must have, with the columns that it has."""
        return self.fault(f"no {name!r} ({what})", f"the row has {listed(self.values)}; {HINT}")

    def fault(self, message: str, hint: str | None = None) -> DataError:
        """Return a fault of this row."""
        return DataError(f"{self.where}: {message}", hint)


def _text(value: object) -> str | None:
    """Return a plain value as text, as JSON writes it (`true`, `0.5`), None for a missing one.

    Raises NotPlainError for lists, objects and infinities. Wider than `scalar`: a reference of 30 digits stays exact.
    """
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return clean(value)
        case int() | UUID():
            return str(value)
        case float() | Decimal() if math.isnan(value):
            return None
        case float() | Decimal() if math.isfinite(value):
            return str(value)
        case date() | time():
            return value.isoformat()
        case _:
            raise NotPlainError


def _list_in(cell: object) -> list[Any]:
    """Return the list of texts that a cell holds as JSON, else the cell as a list of one.

    A text that only looks like a list (`[sic]`, `[1]`) stays what it is.
    """
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return [cell]
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
    return [cell]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE]}…"
