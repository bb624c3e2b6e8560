"""How the curves of probes are told apart: one look for each name, the same in every chart of a page.

A look is a colour, the shape of the points and a dash, so that no two curves differ by their colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ragft.evaluation.probing import Chart, Curve, ProbeResult
from ragft.report.probe_tables import measured
from ragft.report.svg import drawing, tag

COLOURS = 8
"""Colours of the style sheet, `series-0` and so on; after them they begin again with another shape and dash."""

SHAPES = (
    "M-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z",
    "M-3.8 -3.8h7.6v7.6h-7.6z",
    "M0 -5.2L4.9 3.6H-4.9z",
    "M0 -5.4L5.4 0L0 5.4L-5.4 0z",
    "M0 5.2L4.9 -3.6H-4.9z",
    "M-1.7 -5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
    "M0 -5L4.8 -1.5L2.9 4.1H-2.9L-4.8 -1.5z",
    "M-5 -2.6L-2.6 -5L0 -2.4L2.6 -5L5 -2.6L2.4 0L5 2.6L2.6 5L0 2.4L-2.6 5L-5 2.6L-2.4 0z",
)
"""Circle, square, triangle, diamond, triangle upside down, plus, pentagon, cross; as paths around the origin."""

DASHES = ("solid", "dashed", "dotted")


@dataclass(frozen=True, slots=True)
class Look:
    """The look of the curves with one name; `slot` counts the names of a page."""

    slot: int

    @property
    def colour(self) -> str:
        """CSS class of the colour."""
        return f"series-{self.slot % COLOURS}"

    @property
    def dash(self) -> str:
        """CSS class of the dash."""
        return DASHES[self.slot // 4 % len(DASHES)]

    @property
    def shape(self) -> str:
        """Path of a point."""
        return SHAPES[(self.slot + self.slot // COLOURS) % len(SHAPES)]

    def marker(self, x: float, y: float, kind: str) -> Markup:
        """Return a point at a place; that of a control is hollow."""
        classes = f"marker {self.colour}{' hollow' if kind == 'control' else ''}"
        return tag("path", class_=classes, d=self.shape, transform=f"translate({x:.1f} {y:.1f})")


def looks(probes: Sequence[ProbeResult], arms: Sequence[str]) -> dict[str, Look]:
    """Return the look of every curve by its name, arms first and in their order, then the others as they come.

    A fitted curve looks as the measured one of which it bears the name.
    """
    charts = [chart for probe in probes for chart in probe.charts]
    names = dict.fromkeys(curve.name for chart in charts for curve in measured(chart))
    order = [*(arm for arm in arms if arm in names), *(name for name in names if name not in arms)]
    found = {name: Look(slot) for slot, name in enumerate(order)}
    fits = [curve.name for chart in charts for curve in chart.curves if curve.kind == "fit"]
    return found | {name: found.get(_of(name, order), Look(len(order))) for name in fits if name not in found}


def _of(fit: str, names: Sequence[str]) -> str:
    """Return the longest of the names with which that of a fit begins, "" for none."""
    return max((name for name in names if fit.startswith(name)), key=len, default="")


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: the name of a curve and how it is drawn."""

    name: str
    swatch: Markup


def legend(chart: Chart, by_name: Mapping[str, Look]) -> list[Key]:
    """Return the entries of a chart's legend, in the order of the curves at their right ends, the highest first."""
    return [Key(curve.name, _swatch(curve, by_name[curve.name])) for curve in sorted(chart.curves, key=_height)]


def _height(curve: Curve) -> float:
    known = [point.value for point in curve.points if point.value is not None]
    return -known[-1] if known else float("inf")


def _swatch(curve: Curve, look: Look) -> Markup:
    parts = [tag("line", class_=line_class(curve, look), x1=1, x2=29, y1=7, y2=7)]
    if curve.kind != "fit":
        parts.append(look.marker(15, 7, curve.kind))
    return drawing(f"how {curve.name} is drawn", *parts, class_="plot swatch", viewBox="0 0 30 14")


def line_class(curve: Curve, look: Look) -> str:
    """Return the CSS classes of a curve's line; a fit is thin and finely dotted."""
    return f"series {look.colour} {'fit' if curve.kind == 'fit' else look.dash}"
