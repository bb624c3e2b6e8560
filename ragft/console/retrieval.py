"""Retrievers side by side on the screen: a table with intervals, the differences, and what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ragft.console.numbers import number

PREFIX = "retrieval:"
"""What the name of a retriever begins with among the arms of metrics.json."""

Rows = Sequence[Mapping[str, Any]]


def retrieval_page(rows: Rows, facts: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    """Yield the table of retrievers, their differences, what they show, and what was not measured.

    `rows` are those of metrics.json, others than retrievers' are passed over; `facts` is None for an older run.
    """
    own = [row for row in rows if str(row.get("arm")).startswith(PREFIX)]
    if not own:
        return
    yield retrieval_table(own)
    if facts is None:
        return
    differences = _differences(facts, [str(row["metric"]) for row in own])
    if differences.row_count:
        yield differences
    yield Text(str(facts["finding"]), style="bold")
    for note in facts["notes"]:
        yield Text(str(note), style="dim")


def retrieval_table(rows: Rows) -> Table:
    """Return a table with a row for each metric, grouped by what is to be found, and a column for each retriever.

    Four retrievers fit into 100 columns.
    """
    from ragft.evaluation.retrieval import by_level  # kept out of `runs list`

    names = list(dict.fromkeys(str(row["arm"]).removeprefix(PREFIX) for row in rows))
    cells = {(str(row["metric"]), str(row["arm"]).removeprefix(PREFIX)): row for row in rows}
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("to find", no_wrap=True)
    for name in names:
        table.add_column(escape(name), justify="right", overflow="fold")
    for title, metrics in by_level(str(row["metric"]) for row in rows):
        table.add_row(f"[bold]{title}", f"[dim]{_counted(cells[metrics[0][0], names[0]])}")
        for metric, short in metrics:
            table.add_row(f" {escape(short)}", *(_cell(cells.get((metric, name))) for name in names))
    return table


def _counted(row: Mapping[str, Any]) -> str:
    """Return on how many examples a level rests; retrievers are scored on the same ones."""
    aside = f", {row['n_unscored']:,} unscored" if row["n_unscored"] else ""
    return f"n = {row['n']:,}{aside}"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "" if row is None else number(None)
    interval = row["interval"]
    return number(row["value"]) + (f" \\[{interval['low']:.3f}, {interval['high']:.3f}]" if interval else "")


def _differences(facts: Mapping[str, Any], metrics: Sequence[str]) -> Table:
    """Return the declared differences: between the kinds, and between the experiment's own retriever and its kind."""
    shown = [name for name in ("recall@5", "mrr", "answer_hit@5") if name in metrics][:2]
    cells = {(item["first"], item["second"], item["metric"]): item for item in facts["contrasts"]}
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    for _ in shown:
        grid.add_column(justify="right", no_wrap=True)
    for first, second in dict.fromkeys((a, b) for (a, b, _), item in cells.items() if item["declared"]):
        name = f"{first.removeprefix(PREFIX)} − {second.removeprefix(PREFIX)}"
        grid.add_row(escape(name), *(_difference(metric, cells.get((first, second, metric))) for metric in shown))
    return grid


def _difference(metric: str, item: Mapping[str, Any] | None) -> str:
    if item is None or item["difference"] is None:
        return ""
    interval = item["interval"]
    ends = f" [dim]({interval['low']:+.3f} to {interval['high']:+.3f})[/]" if interval else ""
    return f"{metric} {_signed(item['difference'])}{ends}"


def _signed(value: float) -> str:
    return number(0.0) if round(value, 3) == 0 else f"{value:+.3f}"
