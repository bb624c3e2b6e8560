"""From the files probes/NAME.json to records, with file and key in every fault.

A run that has no probe has no such folder. Must not know how a probe looks on a page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from ragft.evaluation.probing import (
    Cell,
    Chart,
    Column,
    Curve,
    Excerpt,
    Form,
    Mark,
    MarkedPassage,
    Point,
    ProbeResult,
    Row,
    Table,
)
from ragft.records import Interval, place_of_probe
from ragft.report.reading import Node, read_interval, read_object

STATUSES = ("measured", "skipped")
CURVES = ("arm", "control", "fit")
FORMS: tuple[str, ...] = get_args(Form)

OPEN = float("inf")
"""End of an interval that goes on beyond what was measured; null in the file, for JSON has no infinity."""


def read_probes(folder: Path) -> tuple[ProbeResult, ...]:
    """Return every probe of a run in the order in which they are run, those of unknown names last; none without any.

    DataError, naming the file and the key, for one that lacks what no report can do without.
    """
    if not folder.is_dir():
        return ()
    found = [read_probe(path) for path in sorted(folder.glob("*.json"))]
    return tuple(sorted(found, key=lambda one: place_of_probe(one.probe)))


def read_probe(path: Path) -> ProbeResult:
    """Return one probe; the file is named after it."""
    node = read_object(path)
    if node.text("probe") != path.stem:
        raise node.child("probe").fault(f"{path.stem!r}, as the file is named,")
    return ProbeResult(
        probe=node.text("probe"),
        title=node.text("title"),
        asks=node.optional_text("asks") or "",
        status=_one_of(node, "status", STATUSES),
        reason=node.optional_text("reason") or "",
        hint=node.optional_text("hint") or "",
        findings=node.texts("findings"),
        charts=tuple(_chart(item) for item in node.items("charts")),
        tables=tuple(_table(item) for item in node.items("tables")),
        excerpts=tuple(_excerpt(item) for item in node.items("excerpts")),
        notes=node.texts("notes"),
        measured_on=node.optional_text("measured_on") or "",
        arms=node.texts("arms"),
        metric=node.optional_text("metric") or "",
        n_examples=node.count("n_examples") or 0,
        n_available=node.count("n_available") or 0,
        seconds=node.number("seconds") or 0.0,
        values=_values(node),
    )


def _one_of(node: Node, key: str, known: tuple[str, ...], otherwise: str | None = None) -> Any:  # noqa: ANN401
    """Return the word under `key`, one of those that are known; `otherwise` where it is absent, if that is given."""
    found = node.present(key)
    if found is None and otherwise is not None:
        return otherwise
    word = node.text(key)
    if word not in known:
        raise node.child(key).fault(f"one of {', '.join(known)}")
    return word


def _values(node: Node) -> dict[str, Any]:
    found = node.present("values")
    if found is None:
        return {}
    if not isinstance(found.value, dict):
        raise found.fault("an object")
    return found.value


def _chart(node: Node) -> Chart:
    return Chart(
        key=node.text("key"),
        title=node.text("title"),
        x_label=node.text("x_label"),
        y_label=node.text("y_label"),
        curves=tuple(_curve(item) for item in node.items("curves")),
        marks=tuple(
            Mark(item.required("x"), item.text("label"), _open_interval(item.present("interval")))
            for item in node.items("marks")
        ),
        note=node.optional_text("note") or "",
        log_x=node.flag("log_x"),
        form=_form(node),
    )


def _form(node: Node) -> Form:
    found: Form = _one_of(node, "form", FORMS, "score")
    return found


def _curve(node: Node) -> Curve:
    kind: Literal["arm", "control", "fit"] = _one_of(node, "kind", CURVES, "arm")
    points = (_point(item) for item in node.items("points"))
    return Curve(node.text("name"), tuple(sorted(points, key=lambda point: point.x)), kind)


def _point(node: Node) -> Point:
    return Point(
        x=node.required("x"),
        label=node.text("label"),
        value=node.number("value"),
        interval=read_interval(node.present("interval")),
        n=node.count("n") or 0,
        n_unscored=node.count("n_unscored") or 0,
    )


def _open_interval(node: Node | None) -> Interval | None:
    """Return the interval of a mark, in which a missing end lies beyond what was measured."""
    if node is None:
        return None
    low, high = node.number("low"), node.number("high")
    return Interval(
        -OPEN if low is None else low,
        OPEN if high is None else high,
        node.required("level"),
        node.optional_text("method") or "",
    )


def _table(node: Node) -> Table:
    columns = tuple(Column(item.text("title"), _form(item)) for item in node.items("columns"))
    return Table(
        key=node.text("key"),
        title=node.text("title"),
        first=node.text("first"),
        columns=columns,
        rows=tuple(_row(item, len(columns)) for item in node.items("rows")),
        note=node.optional_text("note") or "",
    )


def _row(node: Node, n_columns: int) -> Row:
    cells = tuple(_cell(item) for item in node.items("cells"))
    if len(cells) != n_columns:
        raise node.child("cells").fault(f"{n_columns} cells, one for each column,")
    return Row(node.text("name"), cells)


def _cell(node: Node) -> Cell:
    value = node.child("value").value
    return Cell(
        value if isinstance(value, str) else node.number("value"),
        read_interval(node.present("interval")),
        node.count("n"),
    )


def _excerpt(node: Node) -> Excerpt:
    return Excerpt(
        arm=node.text("arm"),
        example_id=node.text("example_id"),
        question=node.text("question"),
        answer=node.text("answer"),
        score=node.number("score"),
        passages=tuple(_passage(item) for item in node.items("passages")),
    )


def _passage(node: Node) -> MarkedPassage:
    spans = tuple(_span(item) for item in node.items("spans"))
    return MarkedPassage(node.optional_text("title") or "", node.text("text"), spans, node.flag("cited"))


def _span(node: Node) -> tuple[int, int]:
    match node.value:
        case [int(start), int(end)]:
            return start, end
        case _:
            raise node.fault("a pair of whole numbers")
