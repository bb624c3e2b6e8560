"""The small drawings that stand in table cells: a mean with its interval, a difference in a forest plot.

They are placed by percentages, so that they fill their cell at any width without scaling text or strokes.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from ragft.records import ContrastResult, Interval
from ragft.report import formatting
from ragft.report.svg import Axis, tag, tick_label, tick_step


def score_axis(values: Iterable[float]) -> Axis:
    """Return the axis that all bars of one metric share: 0 to 1, or wider where a value lies outside."""
    known = list(values)
    low, high = min([0.0, *known]), max([0.0, *known])
    return Axis(low, 1.0 if 0 < high <= 1 else high or 1.0, 1, 99)


def score_bar(value: float | None, interval: Interval | None, axis: Axis, kind: str) -> Markup:
    """Return a bar from zero to `value` with its interval as a whisker; `kind` is a CSS class that colours it."""
    if value is None:
        return tag("svg", class_="bar", role="img", aria_label="no value")
    zero, here = sorted((axis.at(0.0), axis.at(value)))
    parts = [
        tag("rect", class_="track", x="1%", y="32%", width="98%", height="36%", rx=2),
        tag("rect", class_=f"fill {kind}", x=f"{zero:.2f}%", y="32%", width=f"{here - zero:.2f}%", height="36%", rx=2),
    ]
    if interval is not None:
        parts += _whisker(axis, interval, "whisker", low_y=22, high_y=78)
    label = f"{formatting.score(value)}, {_interval_words(interval, formatting.span(interval))}"
    return tag("svg", *parts, class_="bar", role="img", aria_label=label)


def _interval_words(interval: Interval | None, span: str) -> str:
    return span if interval is None else f"{formatting.percent(interval.level)} interval {span}"


def _whisker(axis: Axis, interval: Interval, kind: str, *, low_y: int, high_y: int) -> list[Markup]:
    low, high = axis.percent(interval.low), axis.percent(interval.high)
    ends = [tag("line", class_=kind, x1=x, x2=x, y1=f"{low_y}%", y2=f"{high_y}%") for x in (low, high)]
    return [tag("line", class_=kind, x1=low, x2=high, y1="50%", y2="50%"), *ends]


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
    return tag("svg", *parts, class_="forest axis", role="img", aria_label="scale of the difference")


def _anchor(axis: Axis, value: float) -> str:
    share = (value - axis.low) / (axis.high - axis.low)
    return "start" if share < 0.08 else "end" if share > 0.92 else "middle"


def forest_row(contrast: ContrastResult, axis: Axis, margin: float | None) -> Markup:
    """Return one row of a forest plot: zero line, margin band, the difference and its interval."""
    parts: list[Markup] = []
    if margin:
        left, right = axis.at(-margin), axis.at(margin)
        parts.append(tag("rect", class_="margin", x=f"{left:.2f}%", width=f"{right - left:.2f}%", y="0", height="100%"))
    zero = axis.percent(0.0)
    parts.append(tag("line", class_="zero", x1=zero, x2=zero, y1="0", y2="100%"))
    if contrast.difference is None:
        return tag("svg", *parts, class_="forest", role="img", aria_label="no difference could be measured")
    kind = _clear(contrast.interval)
    if contrast.interval is not None:
        parts += _whisker(axis, contrast.interval, f"whisker {kind}", low_y=38, high_y=62)
    parts.append(tag("circle", class_=f"dot {kind}", cx=axis.percent(contrast.difference), cy="50%", r=4.5))
    words = _interval_words(contrast.interval, formatting.signed_span(contrast.interval))
    label = f"{contrast.first} minus {contrast.second}: {formatting.signed(contrast.difference)}, {words}"
    return tag("svg", *parts, class_="forest", role="img", aria_label=label)


def _clear(interval: Interval | None) -> str:
    return "clear" if interval is not None and (interval.low > 0 or interval.high < 0) else "open"
