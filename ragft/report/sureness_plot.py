"""Whether an arm knows when it is wrong: its mean over the answers of which it was surest, drawn and in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ragft.evaluation.selective import SelectivePoint
from ragft.report import formatting
from ragft.report.arm_rows import Cell, arm_kind, arm_rows
from ragft.report.contents import ReportData, Sureness
from ragft.report.frame import Frame, line_through
from ragft.report.svg import Axis, tag

FRAME = Frame(width=300, height=190, top=12, right=22, bottom=40, left=46)


@dataclass(frozen=True, slots=True)
class SurenessRow:
    """One arm; `half` is its mean over the surer half of its answers, `best` the least area that they allow."""

    arm: str
    kind: str
    plot: Markup
    all: Cell
    half: Cell
    gain: Cell
    area: str
    best: str
    left_out: str


def sureness_rows(data: ReportData) -> list[SurenessRow]:
    """Return a row for each arm that has a curve, in the order of the first table, all on the same scale."""
    by_name = {arm.name: arm for arm in data.arms}
    arms = [by_name[row.name] for row in arm_rows(data)]
    found = [(arm, arm.sureness) for arm in arms if arm.sureness is not None and arm.sureness.curve.points]
    up = _mean_axis([point for _, one in found for point in one.curve.points])
    return [_row(arm.name, arm_kind(data, arm), one, up) for arm, one in found]


def without_sureness(data: ReportData) -> list[str]:
    """Return the arms that have no curve, because too few of their answers came with a log-probability."""
    return [arm.name for arm in data.arms if arm.sureness is None or not arm.sureness.curve.points]


def _row(arm: str, kind: str, one: Sureness, up: Axis) -> SurenessRow:
    curve, gain = one.curve, one.gain
    every = next((point for point in curve.points if point.target == 1.0), curve.points[0])
    half = next((point for point in curve.points if point.target == 0.5), None)
    return SurenessRow(
        arm=arm,
        kind=kind,
        plot=sureness_curve(arm, kind, curve.metric, curve.points, up),
        all=Cell(formatting.score(every.mean), f"n = {formatting.count(curve.n)}"),
        half=Cell(formatting.score(half.mean if half else None), f"{_percent(half.coverage)} kept" if half else ""),
        gain=Cell(formatting.NA)
        if gain is None
        else Cell(formatting.signed(gain.difference), formatting.signed_span(gain.interval)),
        area=formatting.score(curve.aurc),
        best=formatting.score(curve.aurc_best),
        left_out=formatting.count(curve.n_left_out),
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _mean_axis(points: Sequence[SelectivePoint]) -> Axis:
    means = [point.mean for point in points] or [0.0]
    low, high = min(means), max(means)
    pad = 0.1 * (high - low) or 0.05
    floor = 0.0 if 0 <= low < 0.5 * high else low - pad
    return FRAME.up(max(0.0, floor) if low >= 0 else floor, high + pad)


def sureness_curve(arm: str, kind: str, metric: str, points: Sequence[SelectivePoint], up: Axis) -> Markup:
    """Return the mean of `metric` over the share of the answers that is kept, with a dashed line at that of all."""
    across = FRAME.across(0.0, 1.0)
    every = max(points, key=lambda point: point.coverage)
    places = sorted({(across.at(point.coverage), up.at(point.mean)) for point in points})
    y = up.at(every.mean)
    parts = [*FRAME.levels(up, metric), FRAME.title_across("answers kept")]
    parts += FRAME.names((across.at(share), _percent(share)) for share in (0.25, 0.5, 0.75, 1.0))
    parts.append(tag("line", class_="best", x1=FRAME.left, x2=FRAME.wall, y1=y, y2=y))
    parts.append(line_through(places, f"curve {kind}"))
    parts += [tag("circle", class_=f"curve {kind}", cx=x, cy=y, r=2.5) for x, y in places]
    said = "; ".join(f"{_percent(point.coverage)} kept: {formatting.score(point.mean)}" for point in points)
    return FRAME.drawn(f"{metric} of {arm} over its surest answers", *parts, desc=said)
