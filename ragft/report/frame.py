"""The frame of a plot: its size, margins, axes, grid lines and titles, shared by all that is drawn over two axes.

Must not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup

from ragft.report.svg import Axis, drawing, tag, tick_label, tick_step


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing of `width` by `height` pixels, and the margins around the area in which values are drawn."""

    width: float
    height: float
    top: float
    right: float
    bottom: float
    left: float

    @property
    def floor(self) -> float:
        """Height of the lower end of the area, from the top of the drawing."""
        return self.height - self.bottom

    @property
    def wall(self) -> float:
        """Place of the right end of the area."""
        return self.width - self.right

    def across(self, low: float, high: float, *, log: bool = False) -> Axis:
        """Return the horizontal axis over these values."""
        return Axis(low, high, self.left, self.wall, log)

    def up(self, low: float, high: float) -> Axis:
        """Return the vertical axis over these values."""
        return Axis(low, high, self.floor, self.top)

    def levels(
        self, up: Axis, title: str = "", written: Callable[[float, float], str] = tick_label, wanted: int = 4
    ) -> list[Markup]:
        """Return grid lines at about `wanted` round values, their labels, and the title of the vertical axis if any.

        `written` turns a value and the step between two of them into a label.
        """
        step = tick_step(up.high - up.low, wanted)
        parts: list[Markup] = []
        for value in up.ticks(wanted):
            y = up.at(value)
            parts.append(tag("line", class_="grid", x1=self.left, x2=self.wall, y1=y, y2=y))
            label = written(value, step)
            parts.append(tag("text", label, class_="scale", x=self.left - 7, y=y + 4, text_anchor="end"))
        if not title:
            return parts
        middle = (self.top + self.floor) / 2
        turn = f"rotate(-90 13 {middle:.1f})"
        return [*parts, tag("text", title, class_="title", x=13, y=middle, text_anchor="middle", transform=turn)]

    def names(self, places: Iterable[tuple[float, str]], below: float = 0) -> list[Markup]:
        """Return labels under the area, each at its place, `below` pixels further down."""
        y = self.floor + 17 + below
        return [tag("text", label, class_="scale", x=x, y=y, text_anchor="middle") for x, label in places]

    def title_across(self, title: str) -> Markup:
        """Return the title of the horizontal axis."""
        middle = (self.left + self.wall) / 2
        return tag("text", title, class_="title", x=middle, y=self.height - 7, text_anchor="middle")

    def drawn(self, title: str, *parts: str, desc: str = "") -> Markup:
        """Return the drawing; `title` and `desc` say in words what it shows."""
        return drawing(title, *parts, desc=desc, class_="plot", viewBox=f"0 0 {self.width:g} {self.height:g}")


def line_through(places: Iterable[tuple[float, float]], kind: str) -> Markup:
    """Return a line through places, each (x, y) in pixels; `kind` is its CSS class."""
    return tag("polyline", class_=kind, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places))


def upright_whisker(x: float, low: float, high: float, kind: str, half: float = 4) -> list[Markup]:
    """Return the upright line of an interval with a short line at either end; all in pixels, `kind` as CSS classes."""
    ends = [tag("line", class_=f"whisker {kind}", x1=x - half, x2=x + half, y1=y, y2=y) for y in (low, high)]
    return [tag("line", class_=f"whisker {kind}", x1=x, x2=x, y1=low, y2=high), *ends]


def with_room(values: Iterable[float]) -> tuple[float, float]:
    """Return (low, high) of an axis with some room around the values; it goes below 0 only where a value does."""
    known = list(values) or [0.0]
    low, high = min(known), max(known)
    pad = 0.08 * (high - low) or 0.05
    return low - pad if low < 0 else max(0.0, low - pad), high + pad
