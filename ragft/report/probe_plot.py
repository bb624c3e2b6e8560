"""The plot of one chart of a probe: a curve for each arm with its intervals, and places that are marked on the axis.

Measured points have whiskers, and stand side by side where several curves have one at the same place. A fitted curve
has no points, and its intervals are a band.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup

from ragft.evaluation.probing import Chart, Curve, Form, Mark, Point
from ragft.report import formatting
from ragft.report.bars import interval_words
from ragft.report.frame import Frame, line_through, upright_whisker
from ragft.report.probe_axes import LETTER, LINE, across, level_label, narrowest, reach, ticks
from ragft.report.probe_forms import ends, place, places, written
from ragft.report.probe_series import Look, line_class
from ragft.report.probe_tables import measured, tick_labels
from ragft.report.svg import Axis, tag

SIZES = (
    ("wide", Frame(width=560, height=310, top=14, right=16, bottom=48, left=60)),
    ("narrow", Frame(width=350, height=270, top=14, right=12, bottom=48, left=54)),
)
"""A chart is drawn twice, for wide and for narrow screens, so that its text has the same size on both."""

ROW = 22.0
"""Height of the row of a mark above the area."""

APART = 5.0
"""Pixels between the points of two curves at the same place, fewer where places are close to each other."""


@dataclass(frozen=True, slots=True)
class _Plan:
    frame: Frame
    across: Axis
    up: Axis
    looks: Mapping[str, Look]
    form: Form

    def at(self, point: Point) -> tuple[float, float]:
        """Return where a point with a value lies."""
        return self.across.at(point.x), self.up.at(point.value or 0.0)


def probe_plots(chart: Chart, looks: Mapping[str, Look]) -> list[tuple[str, Markup]]:
    """Return (size, drawing) of a chart for each size of a screen; none where nothing in it was scored."""
    if not any(point.value is not None for curve in chart.curves for point in curve.points):
        return []
    return [(size, _plot(chart, looks, frame)) for size, frame in SIZES]


def _plot(chart: Chart, looks: Mapping[str, Look], frame: Frame) -> Markup:
    sideways, labels = across(chart, frame), tick_labels(chart)
    named = ticks(labels, sideways, frame)
    n_lines = max((len(tick.lines) for tick in named), default=1)
    frame = replace(frame, top=frame.top + ROW * len(chart.marks), bottom=frame.bottom + LINE * (n_lines - 1))
    plan = _Plan(frame, sideways, frame.up(*reach(chart)), looks, chart.form)
    parts = [*frame.levels(plan.up, chart.y_label, level_label(chart.form), 6), *_zero(plan)]
    for row, lines in enumerate(itertools.zip_longest(*(tick.lines for tick in named), fillvalue="")):
        parts += frame.names(((tick.x, line) for tick, line in zip(named, lines, strict=True) if line), LINE * row)
    parts.append(frame.title_across(chart.x_label + (", logarithmic" if sideways.log else "")))
    parts += [part for row, mark in enumerate(chart.marks) for part in _mark(mark, row, plan)]
    parts += [part for curve in chart.curves if curve.kind == "fit" for part in _fit(curve, plan)]
    parts += _measured(chart, plan, narrowest(labels, sideways))
    return frame.drawn(chart.title, *parts, desc=_words(chart))


def _words(chart: Chart) -> str:
    said = (
        f"{curve.name}: {', '.join(f'{point.label} {written(point.value, chart.form)}' for point in curve.points)}"
        for curve in measured(chart)
    )
    return "; ".join([*said, *(mark_words(mark, chart) for mark in chart.marks)])


def mark_words(mark: Mark, chart: Chart) -> str:
    """Return a marked place in words, such as "rag falls under tuned: 0.62, 95 % interval 0.41 or more"."""
    label = _percent_label(chart)
    here = place(mark.x, label)
    if mark.interval is None:
        return f"{mark.label}: {here}"
    return f"{mark.label}: {here}, {interval_words(mark.interval, places(mark.interval, label))}"


def _percent_label(chart: Chart) -> str | None:
    """Return a label of the axis that says its place in per cent, None where there is none."""
    return next((label for x, label in tick_labels(chart).items() if x and label == place(x, label)), None)


def _zero(plan: _Plan) -> list[Markup]:
    if not plan.up.low < 0 < plan.up.high:
        return []
    y = plan.up.at(0.0)
    return [tag("line", class_="zero", x1=plan.frame.left, x2=plan.frame.wall, y1=y, y2=y)]


def _mark(mark: Mark, row: int, plan: _Plan) -> Iterator[Markup]:
    """Yield a mark in a row of its own above the area: its name, its interval as a band, and a line down the area.

    The band goes to the edge where an end is open.
    """
    frame, x = plan.frame, plan.across.at(mark.x)
    y = frame.top - ROW * (row + 1)
    if mark.interval is not None:
        left, right = (_held(end, plan) for end in (mark.interval.low, mark.interval.high))
        yield tag("rect", class_="reach", x=left, y=y + ROW - 7, width=right - left, height=5)
    yield tag("line", class_="mark", x1=x, x2=x, y1=y + 1, y2=frame.floor)
    before = x > (frame.left + frame.wall) / 2
    name = _cut(mark.label, (x if before else frame.width - x) - 10)
    aside, anchor = (x - 5, "end") if before else (x + 5, "start")
    yield tag("text", name, class_="label", x=aside, y=y + 10, text_anchor=anchor)


def _held(value: float, plan: _Plan) -> float:
    """Return the place of a value on the horizontal axis, held within the area."""
    if plan.across.log and value <= 0 or value < plan.across.low:
        return plan.frame.left
    return plan.frame.wall if value > plan.across.high else plan.across.at(value)


def _cut(text: str, pixels: float) -> str:
    most = max(4, int(pixels / LETTER))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _fit(curve: Curve, plan: _Plan) -> Iterator[Markup]:
    look = plan.looks[curve.name]
    known = [point for point in curve.points if point.value is not None]
    bounds = [(plan.across.at(point.x), point.interval) for point in known if point.interval is not None]
    if len(bounds) > 1:
        upper = [(x, plan.up.at(interval.high)) for x, interval in bounds]
        lower = [(x, plan.up.at(interval.low)) for x, interval in reversed(bounds)]
        around = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *lower])
        yield tag("polygon", class_=f"band {look.colour}", points=around)
    yield line_through(map(plan.at, known), line_class(curve, look))


def _measured(chart: Chart, plan: _Plan, room: float) -> list[Markup]:
    """Return the measured curves, all lines below all points; `room` is that between two places on the axis."""
    curves = measured(chart)
    step = min(APART, 0.6 * room / max(1, len(curves)))
    aside = [(i - (len(curves) - 1) / 2) * step for i in range(len(curves))]
    lines = [part for curve, dx in zip(curves, aside, strict=True) for part in _line(curve, dx, plan)]
    points = [
        _point(curve, point, dx, chart, plan)
        for curve, dx in zip(curves, aside, strict=True)
        for point in curve.points
        if point.value is not None
    ]
    return [*lines, *points]


def _line(curve: Curve, aside: float, plan: _Plan) -> Iterator[Markup]:
    """Yield the line of a curve, in pieces where a value between two others is missing."""
    for known, points in itertools.groupby(curve.points, key=lambda point: point.value is not None):
        places = [(x + aside, y) for x, y in map(plan.at, points)] if known else []
        if len(places) > 1:
            yield line_through(places, line_class(curve, plan.looks[curve.name]))


def _point(curve: Curve, point: Point, aside: float, chart: Chart, plan: _Plan) -> Markup:
    look, (x, y) = plan.looks[curve.name], plan.at(point)
    parts = [tag("title", point_words(curve, point, chart))]
    if point.interval is not None:
        low, high = plan.up.at(point.interval.low), plan.up.at(point.interval.high)
        parts += upright_whisker(x + aside, low, high, look.colour, 2.5)
    return tag("g", *parts, look.marker(x + aside, y, curve.kind))


def point_words(curve: Curve, point: Point, chart: Chart) -> str:
    """Return what a point says, such as "rag, passages 3: 0.471, 95 % interval 0.380 to 0.560, n = 60"."""
    said = [f"{curve.name}, {chart.x_label} {point.label}: {written(point.value, chart.form)}"]
    if point.interval is not None:
        said.append(interval_words(point.interval, ends(point.interval, chart.form)))
    return ", ".join([*said, *([f"n = {formatting.count(point.n)}"] if point.n else [])])
