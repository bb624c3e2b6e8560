"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with fixed digits, or n/a."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def with_interval(row: Mapping[str, Any]) -> str:
    """Return a metric's value with its interval, as `0.412 [0.31, 0.52]`."""
    interval = row.get("interval")
    if row["value"] is None or interval is None:
        return number(row["value"])
    return f"{row['value']:.3f} [{interval['low']:.2f}, {interval['high']:.2f}]"


def duration(seconds: float) -> str:
    """Return seconds as people say them: `8 s`, `4 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
