"""Retrievers side by side, as text: a table for what is to be found, and the paired differences.

Both reports use it, so that they cannot differ. Must not know how a table looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragft.evaluation.retrieval import by_level
from ragft.report import formatting
from ragft.report.arm_rows import Cell
from ragft.report.contents import MetricValue, ReportData
from ragft.report.measurements import RETRIEVAL_PREFIX


@dataclass(frozen=True, slots=True)
class RetrieverTable:
    """One level; `rows` pairs a metric with a cell for each of `retrievers`, `note` says on how many examples."""

    title: str
    note: str
    retrievers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class RetrieverDifference:
    """How much more the first retriever finds than the second, by one metric."""

    first: str
    second: str
    metric: str
    cell: Cell


def retriever_tables(data: ReportData) -> list[RetrieverTable]:
    """Return a table for each level that was measured, retrievers and metrics in the order of the run."""
    values = [value for value in data.metrics if value.arm.startswith(RETRIEVAL_PREFIX)]
    names = tuple(dict.fromkeys(value.arm.removeprefix(RETRIEVAL_PREFIX) for value in values))
    found = {(value.metric, value.arm.removeprefix(RETRIEVAL_PREFIX)): value for value in values}
    return [
        RetrieverTable(
            title=title,
            note=_note([found[metric, name] for metric, _ in metrics for name in names if (metric, name) in found]),
            retrievers=names,
            rows=tuple((short, tuple(_cell(found.get((metric, name))) for name in names)) for metric, short in metrics),
        )
        for title, metrics in by_level(value.metric for value in values)
    ]


def _note(values: list[MetricValue]) -> str:
    first = values[0]
    unscored = f", {formatting.count(first.n_unscored)} unscored" if first.n_unscored else ""
    return f"n = {formatting.count(first.n)}{unscored}"


def _cell(value: MetricValue | None) -> Cell:
    if value is None:
        return Cell(formatting.NA)
    return Cell(formatting.score(value.value), "" if value.value is None else formatting.span(value.interval))


def retriever_differences(data: ReportData) -> list[RetrieverDifference]:
    """Return the declared differences on the two metrics that decide; none for a run of an older version."""
    facts = data.retrievers
    if facts is None:
        return []
    measured = dict.fromkeys(item.metric for item in facts.contrasts)
    shown = [metric for metric in ("recall@5", "mrr", "answer_hit@5") if metric in measured][:2]
    return [
        RetrieverDifference(
            item.first.removeprefix(RETRIEVAL_PREFIX),
            item.second.removeprefix(RETRIEVAL_PREFIX),
            item.metric,
            Cell(formatting.signed(item.difference), formatting.signed_span(item.interval)),
        )
        for metric in shown
        for item in facts.contrasts
        if item.metric == metric and item.declared
    ]
