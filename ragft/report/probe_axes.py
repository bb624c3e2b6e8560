"""The axes of a probe's chart: how far they reach, and what stands along them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ragft.evaluation.probing import Chart, Form, Point
from ragft.report.frame import Frame, with_room
from ragft.report.svg import Axis, tick_label

LETTER, LINE = 6.5, 14.0
"""Width of a letter, on the wide side, and height of a line of text, in pixels."""

MOST_LINES = 4
"""Lines into which the name of a place on the axis is broken at most."""

ONE_LINE = 6
"""Letters of a name that is never broken."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The middle of a name along the horizontal axis in pixels, and its lines."""

    x: float
    lines: tuple[str, ...]

    @property
    def width(self) -> float:
        """Pixels that the name takes."""
        return LETTER * max(map(len, self.lines), default=0)

    def covers(self, other: Tick) -> bool:
        """Return whether the names of two places would touch."""
        return abs(self.x - other.x) < (self.width + other.width) / 2 + LETTER


def across(chart: Chart, frame: Frame) -> Axis:
    """Return the horizontal axis with room at both ends; linear where a place has no logarithm."""
    xs = [point.x for curve in chart.curves for point in curve.points] + [mark.x for mark in chart.marks]
    low, high = min(xs), max(xs)
    if chart.log_x and low > 0:
        room = (high / low) ** 0.07 if high > low else 2.0
        return frame.across(low / room, high * room, log=True)
    room = 0.07 * (high - low) or 1.0
    return frame.across(low - room, high + room)


def reach(chart: Chart) -> tuple[float, float]:
    """Return the ends of the vertical axis: around all values and intervals, down to zero where that is near.

    That of differences always holds zero; that of scores goes no further beyond 1 than a point needs.
    """
    values = [value for curve in chart.curves for point in curve.points for value in extent(point)]
    low, high = with_room(values)
    if chart.form == "signed":
        return min(low, 0.0), max(high, 0.0)
    if 0 <= low < 0.35 * high:
        low = 0.0
    if chart.form in ("score", "share") and max(values) <= 1:
        high = min(high, 1.03)
    return low, high


def extent(point: Point) -> list[float]:
    """Return the value of a point and the ends of its interval, as far as it has them."""
    known = [] if point.value is None else [point.value]
    return known if point.interval is None else [*known, point.interval.low, point.interval.high]


def level_label(form: Form) -> Callable[[float, float], str]:
    """Return how values along the vertical axis are written: thousands with a comma, differences with a sign."""

    def written(value: float, step: float) -> str:
        label = f"{value:,.0f}".replace("-", "\u2212") if step >= 1 else tick_label(value, step)
        return f"+{label}" if form == "signed" and value > 0 else label

    return written


def ticks(labels: Mapping[float, str], axis: Axis, frame: Frame) -> list[Tick]:
    """Return the named places along the horizontal axis, without those whose names would cover another.

    Both ends come first, then the others from the left.
    """
    xs = [axis.at(x) for x in labels]
    made = [_within(Tick(xs[i], _broken(label, _room(xs, i, frame))), frame) for i, label in enumerate(labels.values())]
    kept: list[Tick] = []
    for tick in [*made[:1], *made[:0:-1][:1], *made[1:-1]]:
        if not any(tick.covers(other) for other in kept):
            kept.append(tick)
    return sorted(kept, key=lambda tick: tick.x)


def _within(tick: Tick, frame: Frame) -> Tick:
    """Return a place whose name lies within the drawing: at an edge the name moves, the place does not."""
    half = tick.width / 2 + 2
    return Tick(max(half, min(tick.x, frame.width - half)), tick.lines)


def _room(xs: Sequence[float], i: int, frame: Frame) -> float:
    """Return the pixels that the name of the i-th place may take: up to its neighbours, and to the edge beside it."""
    gaps = [abs(xs[i] - xs[j]) for j in (i - 1, i + 1) if 0 <= j < len(xs)]
    edge = min(xs[i], frame.width - xs[i])
    half = min(gaps, default=frame.width) / 2
    return half + min(edge, half)


def _broken(label: str, pixels: float) -> tuple[str, ...]:
    """Return a name in lines that fit; a word that is too long, and what goes beyond the last line, is cut."""
    width = max(ONE_LINE, math.floor(pixels / LETTER) - 1)
    whole = " ".join(label.split()).replace(" %", "\u00a0%")
    lines = textwrap.wrap(whole, width, break_long_words=False, max_lines=MOST_LINES, placeholder=" …")
    return tuple(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines)


def narrowest(labels: Mapping[float, str], axis: Axis) -> float:
    """Return the least pixels between two places, those between the ends of the axis for a single one."""
    xs = [axis.at(x) for x in labels]
    return min((b - a for a, b in zip(xs, xs[1:], strict=False)), default=axis.end - axis.start)
