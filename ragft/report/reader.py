"""What the arms that retrieve make of what they are given: scores with and without a gold document, and oracle - arm.

Both parts of a loss stand side by side: the retriever that misses, and the reader that does not use what was found.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragft.records import ContrastResult
from ragft.report import formatting
from ragft.report.arm_rows import Cell
from ragft.report.contents import ArmFacts, Hits, ReportData


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """One arm that retrieves; `oracle` names the arm that was given the right passages, "" where there is none."""

    arm: str
    hit: Cell
    miss: Cell
    oracle: str
    gap: Cell


def reader_rows(data: ReportData) -> list[ReaderRow]:
    """Return a row for each arm that retrieves and has at least one of the two facts."""
    hits = {one.arm: one for one in data.retrieval.hits} if data.retrieval else {}
    rows = [_row(data, arm, hits.get(arm.name)) for arm in data.arms if arm.retrieval == "index"]
    return [row for row in rows if row.arm in hits or row.oracle]


def _row(data: ReportData, arm: ArmFacts, hits: Hits | None) -> ReaderRow:
    oracle = _oracle(data, arm)
    blank = Cell(formatting.NA)
    return ReaderRow(
        arm=arm.name,
        hit=blank if hits is None else Cell(formatting.score(hits.hit.value), f"n = {formatting.count(hits.hit.n)}"),
        miss=blank if hits is None else Cell(formatting.score(hits.miss.value), f"n = {formatting.count(hits.miss.n)}"),
        oracle=oracle,
        gap=_gap(data, oracle, arm.name) if oracle else blank,
    )


def _oracle(data: ReportData, arm: ArmFacts) -> str:
    """Return the arm that differs from `arm` only in that it is given the right passages."""
    made = (arm.adapter, arm.shots)
    return next((o.name for o in data.arms if o.retrieval == "oracle" and (o.adapter, o.shots) == made), "")


def _gap(data: ReportData, oracle: str, arm: str) -> Cell:
    for contrast in data.comparison.contrasts:
        if contrast.metric == data.primary_metric and {contrast.first, contrast.second} == {oracle, arm}:
            return _oriented(contrast, turned=contrast.first == arm)
    return Cell(formatting.NA)


def _oriented(contrast: ContrastResult, *, turned: bool) -> Cell:
    sign = -1.0 if turned else 1.0
    difference = None if contrast.difference is None else sign * contrast.difference
    if contrast.interval is None:
        return Cell(formatting.signed(difference), "no interval")
    low, high = sorted((sign * contrast.interval.low, sign * contrast.interval.high))
    return Cell(formatting.signed(difference), f"{formatting.signed(low)} to {formatting.signed(high)}")
