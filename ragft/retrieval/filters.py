"""Which passages may be found at all, by their metadata: one rule, as a test of a passage and as Chroma's `where`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragft.records import Passage, Scalar

Filter = Mapping[str, Scalar | tuple[Scalar, ...]]
"""Fields and the value, or the values, that pass. Every field must pass; a passage without the field does not."""


def passes(passage: Passage, filter: Filter) -> bool:
    """Return whether a passage passes: 1 equals 1.0 but not true, and text equals only the same text.

    A wanted number also finds the text that writes it (1911 finds "1911" and "1911.0", 7 never finds "007"), and a
    wanted true or false the text that YAML reads so: the cells of a CSV file are text. Wanted text finds no number.
    """
    return all(
        field in passage.metadata and spelled(passage.metadata[field]) in _accepted(wanted)
        for field, wanted in filter.items()
    )


def where(filter: Filter, prefix: str) -> dict[str, Any] | None:
    """Return the same rule for Chroma over spelled values, fields behind `prefix`; None for an empty filter."""
    conditions = [_condition(f"{prefix}{field}", _accepted(wanted)) for field, wanted in sorted(filter.items())]
    if len(conditions) > 1:
        return {"$and": conditions}
    return conditions[0] if conditions else None


def spelled(value: Scalar) -> str:
    """Return a value as the text by which it is compared: JSON in ASCII, whole numbers without a point.

    Values are kept as text because Chroma compares a fraction with whole numbers after cutting it (0.5 finds 0), and
    can hold neither numbers of more than 64 bits nor text that is not UTF-8.
    """
    if isinstance(value, float) and value.is_integer():
        return json.dumps(int(value))
    return json.dumps(value)


def _condition(key: str, values: list[str]) -> dict[str, Any]:
    if not values:  # an empty list lets nothing pass, and Chroma has no word for that; no value is spelled ""
        return {key: {"$in": [""]}}
    return {key: {"$in": values}}


def _accepted(wanted: Scalar | tuple[Scalar, ...]) -> list[str]:
    """Return every spelling that passes, each once."""
    values = wanted if isinstance(wanted, tuple) else (wanted,)
    return list(dict.fromkeys(spelling for value in values for spelling in (spelled(value), *_as_text(value))))


def _as_text(value: Scalar) -> list[str]:
    """Return the spellings of the texts that write a number, or true or false, and none for a text.

    Judged here and not where a table is read: whether a column is one of numbers could change with every row that is
    added, and would then store all of its passages anew.
    """
    if isinstance(value, str):
        return []
    written = spelled(value)
    if isinstance(value, bool):
        texts = [written, written.capitalize(), written.upper()]
    else:  # spreadsheets and data frames write the whole numbers of a column with gaps as 1911.0
        texts = [written, f"{written}.0"] if written.lstrip("-").isdigit() else [written]
    return [spelled(text) for text in texts]
