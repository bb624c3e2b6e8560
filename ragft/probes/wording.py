"""Numbers in the sentences of findings: one convention for every probe."""

from __future__ import annotations

from ragft.records import ContrastResult, Estimate, Interval


def scored(value: float | None) -> str:
    """Return a score with three decimals, such as `0.412`."""
    return "n/a" if value is None else _three(value)


def _three(value: float, sign: str = "") -> str:
    """Return a number with three decimals; what rounds to zero has no minus."""
    return f"{round(value, 3) + 0.0:{sign}.3f}"


def within(interval: Interval | None) -> str:
    """Return an interval such as `(95 % interval 0.31 to 0.52)`, nothing for none."""
    if interval is None:
        return ""
    return (
        f" ({interval.level:.0%}".replace("%", " %") + f" interval {_three(interval.low)} to {_three(interval.high)})"
    )


def estimated(estimate: Estimate) -> str:
    """Return a mean with its interval, such as `0.412 (95 % interval 0.31 to 0.52)`."""
    return f"{scored(estimate.mean)}{within(estimate.interval)}"


def change(contrast: ContrastResult) -> str:
    """Return a difference with its sign and interval, such as `+0.087 (95 % interval 0.02 to 0.15)`."""
    if contrast.difference is None:
        return "n/a"
    return f"{_three(contrast.difference, '+')}{within(contrast.interval)}"


def is_clear(contrast: ContrastResult) -> bool:
    """Return whether the interval of a difference leaves out 0."""
    interval = contrast.interval
    return interval is not None and (interval.low > 0 or interval.high < 0)


def doubt(contrast: ContrastResult) -> str:
    """Return what a sentence adds to a difference that may as well be nothing; nothing to a clear one."""
    return "" if is_clear(contrast) else ", not a clear difference"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Return names as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
