"""Forest plots: differences between two arms with their intervals, one row for each contrast, on one shared axis."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from ragft.records import ContrastResult, Interval
from ragft.report import formatting
from ragft.report.bars import interval_words, whisker
from ragft.report.svg import Axis, drawing, tag, tick_label, tick_step


def difference_axis(contrasts: Iterable[ContrastResult], margin: float | None) -> Axis:
    """Return the axis that a whole forest plot shares: all intervals, the margin, and room on both sides of zero."""
    values = [-(margin or 0.0), margin or 0.0]
    for contrast in contrasts:
        values.append(contrast.difference or 0.0)
        if contrast.interval is not None:
            values += [contrast.interval.low, contrast.interval.high]
    width = (max(values) - min(values)) or 1.0
    return Axis(min(min(values) - 0.06 * width, -0.2 * width), max(max(values) + 0.06 * width, 0.2 * width), 2, 98)


def forest_axis(axis: Axis) -> Markup:
    """Return the head of a forest plot: tick labels over the rows."""
    step = tick_step(axis.high - axis.low, 5)
    parts: list[Markup] = []
    for value in axis.ticks(5):
        label = tick_label(value, step)
        shown = f"+{label}" if value > 0 else label
        parts.append(tag("text", shown, x=axis.percent(value), y="60%", text_anchor=_anchor(axis, value)))
        parts.append(tag("line", class_="tick", x1=axis.percent(value), x2=axis.percent(value), y1="78%", y2="100%"))
    low, high = (formatting.signed(end) for end in (axis.low, axis.high))
    return drawing(f"scale of the difference, from {low} to {high}", *parts, class_="forest axis")


def _anchor(axis: Axis, value: float) -> str:
    share = (value - axis.low) / (axis.high - axis.low)
    return "start" if share < 0.08 else "end" if share > 0.92 else "middle"


def forest_row(contrast: ContrastResult, axis: Axis, margin: float | None) -> Markup:
    """Return one row of a forest plot: zero line, ticks, margin band, the difference and its interval."""
    parts: list[Markup] = [
        tag("line", class_="grid", x1=axis.percent(value), x2=axis.percent(value), y1="0", y2="100%")
        for value in axis.ticks(5)
    ]
    if margin:
        left, right = axis.at(-margin), axis.at(margin)
        parts.append(tag("rect", class_="margin", x=f"{left:.2f}%", width=f"{right - left:.2f}%", y="0", height="100%"))
    zero = axis.percent(0.0)
    parts.append(tag("line", class_="zero", x1=zero, x2=zero, y1="0", y2="100%"))
    name = f"{contrast.first} minus {contrast.second}"
    if contrast.difference is None:
        return drawing(f"{name}: no difference could be measured", *parts, class_="forest")
    kind = _clear(contrast.interval)
    if contrast.interval is not None:
        parts += whisker(axis, contrast.interval, f"whisker {kind}", low_y=38, high_y=62)
    parts.append(tag("circle", class_=f"dot {kind}", cx=axis.percent(contrast.difference), cy="50%", r=4.5))
    words = interval_words(contrast.interval, formatting.signed_span(contrast.interval))
    return drawing(f"{name}: {formatting.signed(contrast.difference)}, {words}", *parts, class_="forest")


def _clear(interval: Interval | None) -> str:
    return "clear" if interval is not None and (interval.low > 0 or interval.high < 0) else "open"
