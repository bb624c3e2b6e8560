"""Numbers as text, one convention for every report: scores with three decimals, seconds, counts, p-values.

A missing number is "n/a"; a minus is the sign U+2212. Must not know which number it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ragft.records import Interval

Written = Callable[[float], str]
"""How a number becomes text."""

NA = "n/a"
"""What stands where a run has no number."""


def score(value: float | None) -> str:
    """Return a score, share or difference with three decimals, such as "0.612"."""
    if value is None:
        return NA
    text = f"{value:.3f}"
    return "0.000" if text == "-0.000" else text.replace("-", "\u2212")


def signed(value: float | None) -> str:
    """Return a difference with its sign, such as "+0.041"; zero has none."""
    return f"+{score(value)}" if value is not None and round(value, 3) > 0 else score(value)


def span(interval: Interval | None) -> str:
    """Return the ends of an interval of a mean, such as "0.512 to 0.698"."""
    return "no interval" if interval is None else f"{score(interval.low)} to {score(interval.high)}"


def signed_span(interval: Interval | None) -> str:
    """Return the ends of an interval of a difference, with their signs."""
    return "no interval" if interval is None else f"{signed(interval.low)} to {signed(interval.high)}"


def seconds(value: float | None) -> str:
    """Return a short time in seconds, with two decimals or, below 0.1 s, three."""
    if value is None:
        return NA
    if 0 < value < 0.001:
        return "< 0.001 s"
    return f"{value:.3f} s" if value < 0.1 else f"{value:.2f} s"


def duration(value: float | None) -> str:
    """Return a long time as minutes and seconds, such as "3 min 12 s"."""
    if value is None or value < 60:
        return seconds(value)
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def amount(value: float | None) -> str:
    """Return an amount of money or memory with three figures, or more before the point, such as "0.0412" or "1,250"."""
    if value is None:
        return NA
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return "0" if value == 0 else f"{value:#.3g}".rstrip(".")


def money(value: float | None, currency: str) -> str:
    """Return an amount with its currency, such as "0.412 USD"."""
    return NA if value is None else f"{amount(value)} {currency}".rstrip()


def gigabytes(value: float | None) -> str:
    """Return an amount of memory, such as "0.54 GB"."""
    return NA if value is None else f"{value:.2f} GB"


def moment(iso: str) -> str:
    """Return an ISO time to the minute in UTC, such as "2026-11-23 19:27 UTC"; what is no time comes back as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when.tzinfo else iso


def count(value: float | None) -> str:
    """Return a whole number with a comma between the thousands."""
    return NA if value is None else f"{value:,.0f}"


def p_value(value: float | None) -> str:
    """Return a p-value with three decimals, or "< 0.001"."""
    if value is None:
        return NA
    return "< 0.001" if value < 0.001 else score(value)


def percent(level: float) -> str:
    """Return a confidence level, such as "95 %"."""
    return f"{level * 100:g} %"
