"""Numbers as the sentences of gates give them."""

from __future__ import annotations

from ragft.records import ContrastResult, Interval


def limit(value: float) -> str:
    """Return a limit of the experiment file: three decimals, or all it has where three would change it."""
    short = f"{value:.3f}"
    return short if float(short) == value else f"{value!r}"


def beside(value: float, bound: float) -> str:
    """Return a value beside its limit, with enough decimals that 0.2996 is not said to be below 0.300 as 0.300."""
    short = f"{value:.3f}"
    return short if float(short) != round(bound, 3) or value == bound else f"{value:.6f}"


def span(interval: Interval) -> str:
    """Return an interval with its level."""
    return f"{interval.level * 100:g} % interval {interval.low:.3f} to {interval.high:.3f}"


def change(contrast: ContrastResult) -> str:
    """Return the difference now - then with its interval."""
    words = f"{contrast.difference:+.3f}"
    return words if contrast.interval is None else f"{words} ({span(contrast.interval)})"


def p_value(p: float) -> str:
    """Return a p-value as papers give it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
