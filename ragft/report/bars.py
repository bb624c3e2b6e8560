"""The bar that stands in a table cell: a mean with its interval, and the means by training seed as dots.

It is placed by percentages, so that it fills its cell at any width without scaling text or strokes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from ragft.records import Interval
from ragft.report import formatting
from ragft.report.svg import Axis, drawing, tag


def score_axis(values: Iterable[float]) -> Axis:
    """Return the axis that all bars of one metric share: 0 to 1, or wider where a value lies outside."""
    known = list(values)
    low, high = min([0.0, *known]), max([0.0, *known])
    return Axis(low, 1.0 if 0 < high <= 1 else high or 1.0, 1, 99)


def score_bar(
    name: str,
    value: float | None,
    interval: Interval | None,
    axis: Axis,
    kind: str,
    seed_means: Sequence[float] = (),
    reference: float | None = None,
) -> Markup:
    """Return a bar from zero to `value` with its interval as a whisker; `kind` is a CSS class that colours it.

    `reference` is a value that all bars are held against: an upright line.
    """
    if value is None:
        return drawing(f"{name}: no value", class_="bar")
    zero, here = sorted((axis.at(0.0), axis.at(value)))
    parts = [
        tag("rect", class_="track", x="1%", y="34%", width="98%", height="32%", rx=2),
        tag("rect", class_=f"fill {kind}", x=f"{zero:.2f}%", y="34%", width=f"{here - zero:.2f}%", height="32%", rx=2),
    ]
    if reference is not None:
        here_x = axis.percent(reference)
        parts.append(tag("line", class_="reference", x1=here_x, x2=here_x, y1="8%", y2="92%"))
    if interval is not None:
        parts += whisker(axis, interval, "whisker", low_y=24, high_y=76)
    parts += [tag("circle", class_="seed", cx=axis.percent(mean), cy="86%", r=1.9) for mean in seed_means]
    said = f"{name}: {formatting.score(value)}, {interval_words(interval, formatting.span(interval))}"
    return drawing("; ".join(part for part in (said, seeds_words(seed_means)) if part), *parts, class_="bar")


def dot_row(name: str, value: float | None, interval: Interval | None, axis: Axis, kind: str) -> Markup:
    """Return a dot at `value` with its interval as a whisker, for a row of a dot plot."""
    if value is None:
        return drawing(f"{name}: no value", class_="bar")
    parts = [tag("line", class_="rail", x1="0", x2="100%", y1="50%", y2="50%")]
    if interval is not None:
        parts += whisker(axis, interval, "whisker", low_y=34, high_y=66)
    parts.append(tag("circle", class_=f"dot {kind}", cx=axis.percent(value), cy="50%", r=4.5))
    said = f"{name}: {formatting.score(value)}, {interval_words(interval, formatting.span(interval))}"
    return drawing(said, *parts, class_="bar")


def interval_words(interval: Interval | None, span: str) -> str:
    """Return an interval in words, such as "95 % interval 0.2 to 0.4"."""
    return span if interval is None else f"{formatting.percent(interval.level)} interval {span}"


def seeds_words(means: Sequence[float]) -> str:
    """Return the means by training seed in words, "" where there are none."""
    return f"by training seed {', '.join(formatting.score(mean) for mean in means)}" if means else ""


def whisker(axis: Axis, interval: Interval, kind: str, *, low_y: int, high_y: int) -> list[Markup]:
    """Return the lines of an interval; `low_y` and `high_y` are where its end marks begin and end, in per cent."""
    low, high = axis.percent(interval.low), axis.percent(interval.high)
    ends = [tag("line", class_=kind, x1=x, x2=x, y1=f"{low_y}%", y2=f"{high_y}%") for x in (low, high)]
    return [tag("line", class_=kind, x1=low, x2=high, y1="50%", y2="50%"), *ends]
