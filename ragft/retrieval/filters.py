"""Which passages may be found at all, by their metadata: one rule, as a test of a passage and as Chroma's `where`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragft.records import Passage, Scalar

Filter = Mapping[str, Scalar | tuple[Scalar, ...]]
"""Fields and the value, or the values, that pass. Every field must pass; a passage without the field does not."""


def passes(passage: Passage, filter: Filter) -> bool:
    """Return whether a passage passes: 1 equals 1.0 but not true, and text equals only the same text."""
    return all(
        field in passage.metadata and spelled(passage.metadata[field]) in _spelled_all(wanted)
        for field, wanted in filter.items()
    )


def where(filter: Filter, prefix: str) -> dict[str, Any] | None:
    """Return the same rule for Chroma over spelled values, fields behind `prefix`; None for an empty filter."""
    conditions = [_condition(f"{prefix}{field}", _spelled_all(wanted)) for field, wanted in sorted(filter.items())]
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


def _spelled_all(wanted: Scalar | tuple[Scalar, ...]) -> list[str]:
    return [spelled(value) for value in (wanted if isinstance(wanted, tuple) else (wanted,))]
