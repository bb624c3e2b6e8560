"""How the arms did on each label, as text: the labels down, the arms across.

Both reports use it, so that they cannot differ. Must not know how a table looks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ragft.evaluation.classification import ClassificationSummary, LabelScores
from ragft.report import formatting
from ragft.report.arm_rows import Cell, arm_rows
from ragft.report.contents import ReportData


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label: how many eval examples have it, whether no other has more (and some have fewer), its F1 by arm."""

    label: str
    examples: Cell
    commonest: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """F1 of each label by arm; `totals` are further rows, a title with a cell for each arm."""

    arms: tuple[str, ...]
    rows: tuple[LabelRow, ...]
    totals: tuple[tuple[str, tuple[Cell, ...]], ...]


def label_table(data: ReportData) -> LabelTable | None:
    """Return the table, None for a run without labels (or of a version that did not count them)."""
    by_name = {arm.name: arm.labels_said for arm in data.arms}
    said = [(row.name, one) for row in arm_rows(data) if (one := by_name[row.name]) is not None]
    if not said:
        return None
    right = Counter(example.references[0] for example in data.examples if example.references)
    names = dict.fromkeys(one.label for _, summary in said for one in summary.labels)
    found = [summary for _, summary in said]
    return LabelTable(
        arms=tuple(name for name, _ in said),
        rows=tuple(_row(label, right, found) for label in names),
        totals=(
            ("macro F1", tuple(Cell(formatting.score(one.macro_f1)) for one in found)),
            ("no label at all", tuple(Cell(formatting.count(one.n_unparsed), f"of {one.n:,}") for one in found)),
        ),
    )


def _row(label: str, right: Counter[str], found: list[ClassificationSummary]) -> LabelRow:
    share = f"{right[label] / right.total() * 100:.1f} %" if right else ""
    scores = [next((one for one in summary.labels if one.label == label), None) for summary in found]
    return LabelRow(
        label=label,
        examples=Cell(formatting.count(right[label]), share),
        commonest=right[label] == max(right.values(), default=0) > min(right.values(), default=0),
        cells=tuple(_cell(one) for one in scores),
    )


def _cell(one: LabelScores | None) -> Cell:
    if one is None:
        return Cell(formatting.NA)
    note = f"precision {formatting.score(one.precision)}, recall {formatting.score(one.recall)}"
    return Cell(formatting.score(one.f1), note)
