"""The numbers of probes as text, by the form that a chart or a column has: both reports and the screen write them so.

Must not know where the text stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import assert_never

from ragft.evaluation.probing import Form
from ragft.records import Interval
from ragft.report import formatting

MINUS = "\u2212"


def written(value: float | str | None, form: Form) -> str:
    """Return a value as its form asks, "n/a" for none; text stays as it is, whatever the form of its column."""
    if value is None:
        return formatting.NA
    if isinstance(value, str):
        return value
    match form:
        case "score" | "share":
            return formatting.score(value)
        case "signed":
            return formatting.signed(value)
        case "count":
            return formatting.count(value).replace("-", MINUS)
        case "seconds":
            return formatting.duration(value)
        case "number" | "money" | "text":
            return formatting.amount(value).replace("-", MINUS)
        case _ as unknown:
            assert_never(unknown)


def ends(interval: Interval | None, form: Form) -> str:
    """Return the ends of an interval, such as "0.380 to 0.560" or, where one is open, "0.380 or more"; "" for none."""
    return "" if interval is None else _ends(interval, lambda end: written(end, form))


def places(interval: Interval, label: str | None = None) -> str:
    """Return the ends of an interval of places, each as `place` writes it."""
    return _ends(interval, lambda end: place(end, label))


def place(x: float, label: str | None = None) -> str:
    """Return a place on a horizontal axis: three figures, or per cent where a `label` of the axis is."""
    if label is not None and label.rstrip().endswith("%"):
        return f"{x * 100:.3g} %".replace("-", MINUS)
    return (f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}").replace("-", MINUS)


def _ends(interval: Interval, said: Callable[[float], str]) -> str:
    low, high = (said(end) if is_closed(end) else None for end in (interval.low, interval.high))
    if low is None:
        return "not known" if high is None else f"{high} or less"
    return f"{low} or more" if high is None else f"{low} to {high}"


def is_closed(end: float | None) -> bool:
    """Return whether an end of an interval is a number; an open one lies beyond what was measured."""
    return end is not None and math.isfinite(end)
