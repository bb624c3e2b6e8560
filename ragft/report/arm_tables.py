"""The wide tables of arms, as text: every metric, how the answers came about, and what they cost.

A column in which no arm has a number, nor a reason for having none, is left out. Must not know how a table looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragft.report import formatting
from ragft.report.arm_rows import Cell, arm_rows, n_cell, other_cell, other_metrics
from ragft.report.contents import ArmFacts, Cost, ReportData
from ragft.report.families import Family, by_family
from ragft.report.measurements import ABSTENTION_SHARES


@dataclass(frozen=True, slots=True)
class ArmTable:
    """A table with a row for each arm; `rows` pairs its name with the cells under `columns`; `note` explains it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    note: str = ""


Column = tuple[str, Callable[[ArmFacts], Cell]]


def _table(data: ReportData, title: str, columns: Sequence[Column], note: str = "") -> ArmTable | None:
    """Return the table without its empty columns, None if all are; arms in the order of the first table."""
    by_name = {arm.name: arm for arm in data.arms}
    arms = [by_name[row.name] for row in arm_rows(data)]
    made = [(label, [cell(arm) for arm in arms]) for label, cell in columns]
    kept = [(label, cells) for label, cells in made if any(cell.text != formatting.NA or cell.note for cell in cells)]
    if not kept:
        return None
    rows = tuple((arm.name, tuple(cells[i] for _, cells in kept)) for i, arm in enumerate(arms))
    return ArmTable(title, tuple(label for label, _ in kept), rows, note)


def metric_tables(data: ReportData) -> list[ArmTable]:
    """Return every answer metric of every arm with its interval, a table for each family of metrics.

    The family of the primary metric also says on how many answers that rests.
    """
    families = by_family([data.primary_metric, *other_metrics(data)])
    found = (_family_table(data, family, metrics) for family, metrics in families)
    return [table for table in found if table is not None]


def _family_table(data: ReportData, family: Family, metrics: Sequence[str]) -> ArmTable | None:
    def column(metric: str) -> Column:
        return metric, lambda arm: other_cell(data, arm, metric)

    columns = [column(metric) for metric in metrics]
    if data.primary_metric in metrics:
        columns.append((f"n of {data.primary_metric}", lambda arm: n_cell(data, arm.name)))
    return _table(data, family.title, columns, family.note)


def answer_table(data: ReportData) -> ArmTable | None:
    """Return how the answers of every arm came about: shares of all answers, tokens and seconds."""
    return _table(
        data,
        "Answers",
        [
            ("truncated", lambda arm: Cell(formatting.score(arm.truncated_share))),
            ("declined", lambda arm: Cell(formatting.score(arm.abstained_share))),
            ("failed", lambda arm: Cell(formatting.score(arm.failed_share))),
            ("citing", lambda arm: Cell(formatting.score(arm.citing_share))),
            ("prompt tokens", lambda arm: Cell(formatting.count(arm.prompt_tokens_mean))),
            ("output tokens", lambda arm: Cell(formatting.count(arm.output_tokens_mean))),
            ("seconds each, in batches", lambda arm: Cell(formatting.seconds(arm.seconds_per_question))),
            ("retrieval p50", lambda arm: Cell(formatting.seconds(arm.retrieval_seconds_p50))),
            ("data leave the machine", lambda arm: Cell("yes" if arm.leaves_machine else formatting.NA)),
        ],
    )


def error_rows(data: ReportData) -> list[tuple[str, str, int]]:
    """Return (arm, reason, how many answers could not be got for it), arms in the order of the first table."""
    by_name = {arm.name: arm for arm in data.arms}
    return [(row.name, reason, count) for row in arm_rows(data) for reason, count in by_name[row.name].errors]


def abstention_table(data: ReportData) -> ArmTable | None:
    """Return how every arm declined: a share of answers and on how many it rests."""

    def column(label: str, share: str) -> Column:
        return label, lambda arm: _share(arm, share)

    labels = (
        "coverage",
        f"{data.primary_metric} where it answered",
        "answered, though unanswerable",
        "declined, though answerable",
    )
    return _table(data, "Declining to answer", [column(*pair) for pair in zip(labels, ABSTENTION_SHARES, strict=True)])


def _share(arm: ArmFacts, name: str) -> Cell:
    if arm.abstention is None:
        return Cell(formatting.NA)
    share = arm.abstention[name]
    return Cell(formatting.score(share.value), f"n = {formatting.count(share.n)}")


def cost_table(data: ReportData) -> ArmTable | None:
    """Return what every arm takes: money at the user's prices, memory, labels and seconds of building."""

    def money(label: str, part: Callable[[Cost], float | None]) -> Column:
        return label, lambda arm: Cell(formatting.amount(None if arm.cost is None else part(arm.cost)))

    unit = currency(data)
    return _table(
        data,
        "What it takes",
        [
            money(f"{unit} per 1,000 queries, all in", lambda cost: cost.per_1000),
            money("of it running", lambda cost: cost.running_per_1000),
            money(f"{unit} paid once", lambda cost: cost.one_off),
            ("refreshes", _refreshes),
            money(f"{unit} per correct answer", lambda cost: cost.per_correct),
            ("memory", lambda arm: Cell(formatting.gigabytes(arm.memory_gb))),
            ("labels", lambda arm: Cell(formatting.count(arm.labels))),
            ("training", lambda arm: Cell(formatting.duration(arm.training_seconds))),
            ("indexing", lambda arm: Cell(formatting.duration(arm.index_seconds))),
        ],
    )


def currency(data: ReportData) -> str:
    """Return the currency in which the run counts, "" for a run without prices."""
    return next((arm.cost.currency for arm in data.arms if arm.cost is not None), "")


def _refreshes(arm: ArmFacts) -> Cell:
    if arm.cost is None or not arm.cost.refreshes_per_horizon:
        return Cell(formatting.NA)
    each = formatting.amount(arm.cost.refresh_each)
    return Cell(formatting.count(arm.cost.refreshes_per_horizon), f"{each} each")
