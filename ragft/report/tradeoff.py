"""The plot of quality against what it takes (latency, cost, memory): one point per arm, and the front of the best."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ragft.records import Interval
from ragft.report import formatting
from ragft.report.frame import upright_whisker
from ragft.report.svg import Axis, drawing, tag, tick_label, tick_step

LETTER = 6.9
"""Width of one letter of a label in pixels, on the wide side: labels may not run into each other."""

LINE = 15.0
"""Height of a label in pixels."""

TOP, RIGHT, BOTTOM, LEFT = 14.0, 18.0, 46.0, 52.0
"""Margins around the plotting area in pixels."""


@dataclass(frozen=True, slots=True)
class Point:
    """One arm of the plot: what it takes, what it reaches; `kind` is "shipped", "arm" or "control"."""

    name: str
    effort: float
    score: float
    interval: Interval | None
    kind: str

    @property
    def low(self) -> float:
        """Lowest value that the point shows."""
        return self.score if self.interval is None else self.interval.low

    @property
    def high(self) -> float:
        """Highest value that the point shows."""
        return self.score if self.interval is None else self.interval.high


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, by its left upper corner."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """Return the area that both cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, across) * max(0.0, down)


@dataclass(frozen=True, slots=True)
class Effort:
    """What the horizontal axis measures: a short `key`, the `name` of the choice and the `title` of the axis."""

    key: str
    name: str
    title: str


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points, least effort first, that no point of a shippable arm beats in both score and effort."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.effort, -point.score)):
        if point.kind != "control" and (not front or point.score > front[-1].score):
            front.append(point)
    return front


def tradeoff_plot(points: Sequence[Point], metric: str, effort: Effort, *, width: float, height: float) -> Markup:
    """Return the plot as an SVG of the given size; needs at least one point."""
    across, up = _axes(points, width, height)
    front = pareto_front(points)
    parts = [*_grid(across, up, metric, effort, width, height), *_front_line(front, across, up)]
    parts += [_marks(point, across, up) for point in points]
    parts += _labels(points, across, up, width, height)
    desc = f"{'; '.join(map(_words, points))}. Front: {', '.join(p.name for p in front)}."
    return drawing(
        f"{metric} against {effort.title}", *parts, desc=desc, class_="plot", viewBox=f"0 0 {width:g} {height:g}"
    )


def _words(point: Point) -> str:
    span = "" if point.interval is None else f" ({formatting.span(point.interval)})"
    return f"{point.name} {formatting.score(point.score)}{span} at {formatting.amount(point.effort)}"


def _axes(points: Sequence[Point], width: float, height: float) -> tuple[Axis, Axis]:
    slowest, fastest = max(p.effort for p in points), min(p.effort for p in points)
    log = fastest > 0 and slowest / fastest >= 8
    low_x, high_x = (fastest / 1.4, slowest * 1.6) if log else (0.0, slowest * 1.2 or 1.0)
    low, high = min(p.low for p in points), max(p.high for p in points)
    pad = max(0.02, 0.08 * (high - low))
    low_y, high_y = low - pad, high + pad
    if low >= 0 and high <= 1:
        low_y, high_y = max(0.0, low_y), min(1.0, high_y)
    return Axis(low_x, high_x, LEFT, width - RIGHT, log), Axis(low_y, high_y, height - BOTTOM, TOP)


def _grid(across: Axis, up: Axis, metric: str, effort: Effort, width: float, height: float) -> list[Markup]:
    floor, step = height - BOTTOM, tick_step(up.high - up.low, 5)
    parts: list[Markup] = []
    for value in up.ticks(5):
        y = up.at(value)
        parts.append(tag("line", class_="grid", x1=LEFT, x2=width - RIGHT, y1=y, y2=y))
        parts.append(tag("text", tick_label(value, step), class_="scale", x=LEFT - 8, y=y + 4, text_anchor="end"))
    for value in across.ticks(4 if width < 450 else 6):
        x = across.at(value)
        parts.append(tag("line", class_="grid", x1=x, x2=x, y1=TOP, y2=floor))
        parts.append(tag("text", f"{value:g}", class_="scale", x=x, y=floor + 17, text_anchor="middle"))
    words = effort.title + (", logarithmic" if across.log else "")
    middle = (LEFT + width - RIGHT) / 2
    parts.append(tag("text", words, class_="title", x=middle, y=height - 8, text_anchor="middle"))
    turn = f"rotate(-90 13 {(TOP + floor) / 2:.1f})"
    parts.append(tag("text", metric, class_="title", x=13, y=(TOP + floor) / 2, text_anchor="middle", transform=turn))
    return parts


def _front_line(front: Sequence[Point], across: Axis, up: Axis) -> list[Markup]:
    if len(front) < 2:
        return []
    places = " ".join(f"{across.at(point.effort):.1f},{up.at(point.score):.1f}" for point in front)
    return [tag("polyline", class_="front", points=places)]


def _marks(point: Point, across: Axis, up: Axis) -> Markup:
    x, y = across.at(point.effort), up.at(point.score)
    dot = tag("circle", class_=f"point {point.kind}", cx=x, cy=y, r=7 if point.kind == "shipped" else 5)
    said = tag("title", _words(point))
    if point.interval is None:
        return tag("g", said, dot)
    low, high = up.at(point.interval.low), up.at(point.interval.high)
    return tag("g", said, *upright_whisker(x, low, high, point.kind), dot)


def _labels(points: Sequence[Point], across: Axis, up: Axis, width: float, height: float) -> list[Markup]:
    """Place each label at whichever spot around its point covers the least of what is drawn already."""
    frame = Box(LEFT, 0, width - LEFT - 2, height - BOTTOM)
    places = {point.name: (across.at(point.effort), up.at(point.score)) for point in points}
    taken = [box for point in points for box in _occupied(point, across, up)]
    parts: list[Markup] = []
    for point in sorted(points, key=lambda point: (-point.effort, point.name)):
        x, y = places[point.name]
        others = [Box(ox - 16, oy - 16, 32, 32) for name, (ox, oy) in places.items() if name != point.name]
        costs = [(_cost(spot, [*taken, *others], frame) + 3 * i, i) for i, spot in enumerate(_spots(point, x, y))]
        box = _spots(point, x, y)[min(costs)[1]]
        taken.append(box)
        parts += [
            *_leader(box, x, y),
            tag("text", point.name, class_=f"label {point.kind}", x=box.x + 2, y=box.y + LINE - 4),
        ]
    return parts


def _leader(box: Box, x: float, y: float) -> list[Markup]:
    """Return a thin line from a point to its label where they do not stand side by side."""
    middle = box.y + LINE / 2
    if abs(middle - y) < LINE * 1.5:
        return []
    return [tag("line", class_="leader", x1=x, y1=y, x2=box.x if box.x > x else box.x + box.width, y2=middle)]


def _occupied(point: Point, across: Axis, up: Axis) -> list[Box]:
    x, y = across.at(point.effort), up.at(point.score)
    top, bottom = up.at(point.high), up.at(point.low)
    return [Box(x - 7, y - 7, 14, 14), Box(x - 4, top, 8, bottom - top)]


def _spots(point: Point, x: float, y: float) -> list[Box]:
    """Return the places for a label, best first: beside the point, then farther up and down on either side."""
    length = LETTER * len(point.name) + 4
    sides = (x + 9, x - 9 - length)
    heights = (y - LINE / 2, y - LINE - 4, y + 4, y - 2 * LINE - 4, y + LINE + 6, y - 3 * LINE - 4, y + 2 * LINE + 6)
    return [Box(side, top, length, LINE) for top, side in itertools.product(heights, sides)]


def _cost(spot: Box, taken: Sequence[Box], frame: Box) -> float:
    outside = spot.width * spot.height - spot.overlap(frame)
    return sum(spot.overlap(box) for box in taken) + 10 * outside
