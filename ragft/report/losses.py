"""The loss curves of one adapter: training and dev loss over the optimiser steps."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ragft.report import formatting
from ragft.report.contents import AdapterFacts
from ragft.report.frame import Frame, line_through
from ragft.report.svg import Axis, tag

FRAME = Frame(width=340, height=200, top=12, right=44, bottom=38, left=46)


def loss_curves(adapter: AdapterFacts) -> Markup | None:
    """Return the curves as an SVG, None where the training log holds no loss."""
    train = [(point.step, point.train_loss) for point in adapter.history if point.train_loss is not None]
    dev = [(point.step, point.dev_loss) for point in adapter.history if point.dev_loss is not None]
    if not train and not dev:
        return None
    across, up = _axes([*train, *dev])
    parts = [*_grid(across, up), *_best_step(adapter, across)]
    parts += [*_curve(train, across, up, "train"), *_curve(dev, across, up, "dev")]
    parts += _names(train, dev, across, up)
    return FRAME.drawn(_words(adapter.name, train, dev), *parts)


Curve = Sequence[tuple[float, float]]


def _words(name: str, train: Curve, dev: Curve) -> str:
    said = [
        f"{kind} loss from {formatting.score(curve[0][1])} to {formatting.score(curve[-1][1])}"
        for kind, curve in (("training", train), ("dev", dev))
        if curve
    ]
    return f"Loss of {name}: {'; '.join(said)}."


def _axes(points: Curve) -> tuple[Axis, Axis]:
    last = max(step for step, _ in points)
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    floor = 0.0 if low < 0.5 * high else low - 0.1 * (high - low or 1.0)
    return (
        FRAME.across(0.0, last or 1.0),
        FRAME.up(floor, high + 0.05 * (high - floor or 1.0)),
    )


def _grid(across: Axis, up: Axis) -> list[Markup]:
    names = FRAME.names((across.at(value), f"{value:g}") for value in across.ticks(4))
    return [*FRAME.levels(up), *names, FRAME.title_across("optimiser steps")]


def _best_step(adapter: AdapterFacts, across: Axis) -> list[Markup]:
    if adapter.best_step is None:
        return []
    x = across.at(adapter.best_step)
    return [tag("line", class_="best", x1=x, x2=x, y1=FRAME.top, y2=FRAME.floor)]


def _curve(points: Curve, across: Axis, up: Axis, kind: str) -> list[Markup]:
    places = [(across.at(step), up.at(loss)) for step, loss in points]
    if not places:
        return []
    dots = places if kind == "dev" or len(places) == 1 else []
    circles = (tag("circle", class_=f"curve {kind}", cx=x, cy=y, r=2.5) for x, y in dots)
    return [line_through(places, f"curve {kind}"), *circles]


def _names(train: Curve, dev: Curve, across: Axis, up: Axis) -> list[Markup]:
    """Name each curve at its right end, moved apart where they end close to each other."""
    ends = [
        (up.at(curve[-1][1]), across.at(curve[-1][0]), kind)
        for curve, kind in ((train, "train"), (dev, "dev"))
        if curve
    ]
    ends.sort()
    if len(ends) == 2 and ends[1][0] - ends[0][0] < 13:
        middle = (ends[0][0] + ends[1][0]) / 2
        ends = [(middle - 7, *ends[0][1:]), (middle + 7, *ends[1][1:])]
    return [tag("text", kind, class_=f"label {kind}", x=x + 7, y=y + 4) for y, x, kind in ends]
