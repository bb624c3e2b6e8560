"""What a probe found, as frozen records: curves, tables, excerpts and sentences. They stand in `probes/NAME.json`.

Sees numbers and names. Must not know how anything was measured, nor how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ragft.records import ContrastResult, Estimate, Interval

Form = Literal["score", "signed", "share", "count", "seconds", "number", "money", "text"]
"""How a number is written: a score or share with three decimals, a difference with its sign, and so on."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve: `x` on the axis, `label` what it is called; `value` is None where nothing was scored."""

    x: float
    label: str
    value: float | None
    interval: Interval | None = None
    n: int = 0
    n_unscored: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one arm, by growing `x`; `kind` "fit" is a fitted line and "control" an arm that cannot ship."""

    name: str
    points: tuple[Point, ...]
    kind: Literal["arm", "control", "fit"] = "arm"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the axis of a chart, such as where two curves cross; `interval` says how sure it is."""

    x: float
    label: str
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over one axis; `key` names it within the probe. With `log_x` every x must be above 0."""

    key: str
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...] = ()
    note: str = ""
    log_x: bool = False
    form: Form = "score"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its title, and how its numbers are written."""

    title: str
    form: Form = "score"


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table with its interval and the number of items behind it; None was not measured."""

    value: float | str | None
    interval: Interval | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, a cell for each column."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `first` is the title over the names of its rows."""

    key: str
    title: str
    first: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a row that has not a cell for every column."""
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"table {self.key!r}: row {row.name!r} has {len(row.cells)} cells")


@dataclass(frozen=True, slots=True)
class MarkedPassage:
    """A passage with the (start, end) of what in it supports an answer; `cited` says whether the answer names it."""

    title: str
    text: str
    spans: tuple[tuple[int, int], ...]
    cited: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One answer of one arm with the passages that stood before it."""

    arm: str
    example_id: str
    question: str
    answer: str
    score: float | None
    passages: tuple[MarkedPassage, ...]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """All that a probe found.

    `status` is "skipped" where it could not be run: `reason` then says why and `hint` what to add, and there is no
    curve and no table. `asks` is the question that it answers, `findings` the answer in sentences, the first of them
    the shortest; `notes` say what the numbers do not cover, `measured_on` what they were measured on. `n_examples` of
    `n_available` were asked. `values` holds numbers by name for programs. `seconds` is the wall time of this run.
    """

    probe: str
    title: str
    asks: str
    status: Literal["measured", "skipped"]
    reason: str = ""
    hint: str = ""
    findings: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    notes: tuple[str, ...] = ()
    measured_on: str = ""
    arms: tuple[str, ...] = ()
    metric: str = ""
    n_examples: int = 0
    n_available: int = 0
    seconds: float = 0.0
    values: Mapping[str, Any] = field(default_factory=dict)


def point(x: float, label: str, estimate: Estimate) -> Point:
    """Return the point of a curve that an estimate makes."""
    return Point(x, label, estimate.mean, estimate.interval, estimate.n, estimate.n_unscored)


def cell(estimate: Estimate) -> Cell:
    """Return the cell of a table that an estimate makes."""
    return Cell(estimate.mean, estimate.interval, estimate.n)


def difference_cell(contrasts: Sequence[ContrastResult]) -> Cell:
    """Return the cell that the first of some contrasts makes; an empty one where there is none."""
    if not contrasts:
        return Cell(None)
    return Cell(contrasts[0].difference, contrasts[0].interval, contrasts[0].n)


def probe_from_dict(data: Mapping[str, Any]) -> ProbeResult:
    """Return the result that `dataclasses.asdict` and JSON turned into `data`.

    KeyError, TypeError or ValueError for what is none.
    """
    return ProbeResult(
        **{
            **data,
            "findings": tuple(data["findings"]),
            "notes": tuple(data["notes"]),
            "arms": tuple(data["arms"]),
            "charts": tuple(_chart(item) for item in data["charts"]),
            "tables": tuple(_table(item) for item in data["tables"]),
            "excerpts": tuple(_excerpt(item) for item in data["excerpts"]),
        }
    )


def _interval(data: Mapping[str, Any] | None) -> Interval | None:
    return None if data is None else Interval(**data)


def _chart(data: Mapping[str, Any]) -> Chart:
    curves = tuple(Curve(**{**curve, "points": _points(curve["points"])}) for curve in data["curves"])
    marks = tuple(Mark(**{**mark, "interval": _interval(mark["interval"])}) for mark in data["marks"])
    return Chart(**{**data, "curves": curves, "marks": marks})


def _points(data: Sequence[Mapping[str, Any]]) -> tuple[Point, ...]:
    return tuple(Point(**{**item, "interval": _interval(item["interval"])}) for item in data)


def _table(data: Mapping[str, Any]) -> Table:
    rows = tuple(Row(row["name"], tuple(_cell(one) for one in row["cells"])) for row in data["rows"])
    return Table(**{**data, "columns": tuple(Column(**column) for column in data["columns"]), "rows": rows})


def _cell(data: Mapping[str, Any]) -> Cell:
    return Cell(**{**data, "interval": _interval(data["interval"])})


def _excerpt(data: Mapping[str, Any]) -> Excerpt:
    passages = (
        MarkedPassage(**{**one, "spans": tuple((start, end) for start, end in one["spans"])})
        for one in data["passages"]
    )
    return Excerpt(**{**data, "passages": tuple(passages)})
