"""The tables of a probe as text: those that it has, and its curves as rows.

Both reports and the screen use them, so that they cannot differ. Must not know how a table looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragft.evaluation.probing import Cell, Chart, Curve, Form, Point, Table
from ragft.records import Interval
from ragft.report import formatting
from ragft.report.probe_forms import ends, written

Spelled = Callable[[Interval | None, Form], str]
"""How an interval becomes text."""

SMALL = 3
"""Columns of numbers that a small table has at most."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The text of a cell, and what stands under it: the ends of its interval, and how many items it rests on."""

    text: str
    interval: str = ""
    counts: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What stands under the text, as far as there is anything."""
        return tuple(part for part in (self.interval, self.counts) if part)


@dataclass(frozen=True, slots=True)
class ProbeTable:
    """A table; `first` stands over the names of its rows, `words` says which of the columns hold text.

    `note` says what stands below the values, and on how many items they rest where that is the same for all.
    """

    title: str
    first: str
    columns: tuple[str, ...]
    words: tuple[bool, ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    note: str = ""

    @property
    def is_small(self) -> bool:
        """Whether it is narrow enough to stand beside a chart."""
        return len(self.columns) <= SMALL and not any(self.words)


def probe_table(table: Table, spelled: Spelled = ends) -> ProbeTable:
    """Return a table of a probe as text, with intervals as they are `spelled`."""
    values = [cell for row in table.rows for cell in row.cells]
    shared = _shared_n(values)
    forms = [column.form for column in table.columns]
    rows = tuple(
        (row.name, tuple(_shown(cell, form, spelled, shared) for cell, form in zip(row.cells, forms, strict=True)))
        for row in table.rows
    )
    return ProbeTable(
        title=table.title,
        first=table.first,
        columns=tuple(column.title for column in table.columns),
        words=tuple(form == "text" for form in forms),
        rows=rows,
        note=_note(table.note, values, shared),
    )


def chart_table(chart: Chart, spelled: Spelled = ends) -> ProbeTable:
    """Return the measured curves of a chart as a table: a row for each curve, a column for each place on the axis."""
    curves, places = measured(chart), tick_labels(chart)
    values = [_value(point) for curve in curves for point in curve.points]
    shared = _shared_n(values)
    rows = []
    for curve in curves:
        points = {point.x: point for point in curve.points}
        rows.append((curve.name, tuple(_point_shown(points.get(x), chart.form, spelled, shared) for x in places)))
    return ProbeTable(
        title=chart.title,
        first=chart.x_label,
        columns=tuple(places.values()),
        words=(False,) * len(places),
        rows=tuple(rows),
        note=_note("", values, shared),
    )


def measured(chart: Chart) -> list[Curve]:
    """Return the curves that are no fits."""
    return [curve for curve in chart.curves if curve.kind != "fit"]


def tick_labels(chart: Chart) -> Mapping[float, str]:
    """Return what each place on the axis is called, from left to right; fitted curves have no say in it."""
    found = {point.x: point.label for curve in measured(chart) for point in curve.points}
    return dict(sorted(found.items()))


def _value(point: Point) -> Cell:
    return Cell(point.value, point.interval, point.n)


def _point_shown(point: Point | None, form: Form, spelled: Spelled, shared: int | None) -> Shown:
    if point is None:
        return Shown(formatting.NA)
    unscored = f"{formatting.count(point.n_unscored)} unscored" if point.n_unscored else ""
    return _shown(_value(point), form, spelled, shared, unscored)


def _shown(cell: Cell, form: Form, spelled: Spelled, shared: int | None, unscored: str = "") -> Shown:
    n = f"n = {formatting.count(cell.n)}" if cell.n is not None and cell.n != shared else ""
    counts = ", ".join(part for part in (n, unscored) if part)
    return Shown(written(cell.value, form), spelled(cell.interval, form), counts)


def _shared_n(cells: Iterable[Cell]) -> int | None:
    """Return the number of items behind every value that says one, None where they differ."""
    found = {cell.n for cell in cells if cell.n is not None and cell.value is not None}
    return found.pop() if len(found) == 1 else None


def _note(note: str, cells: Sequence[Cell], shared: int | None) -> str:
    levels = {cell.interval.level for cell in cells if cell.interval is not None}
    said = [f"{formatting.percent(level)} intervals" for level in levels if len(levels) == 1]
    if shared is not None:
        said.append(f"n = {formatting.count(shared)}" + (" throughout" if len(cells) > 1 else ""))
    return " ".join(part for part in (note, f"{'; '.join(said)}." if said else "") if part)
