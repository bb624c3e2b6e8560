"""Durations as people type them."""

from __future__ import annotations

import re

import typer

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `10m`, `1.5h`, `1h30m` or `45`; BadParameter for another text."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.strip().lower())
    read = "".join(f"{number}{unit}" for number, unit in parts)
    if not parts or read != re.sub(r"\s+", "", text.lower()) or any(unit not in _UNITS for _, unit in parts):
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 10m or 2h", param_hint="--budget")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise typer.BadParameter("must be longer than nothing", param_hint="--budget")
    return seconds
