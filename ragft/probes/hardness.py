"""How hard distractors are: how near they come to the question, and how often one is ranked above the gold document."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragft.arms.knowledge import Knowledge
from ragft.data.chunking.embedded import embedded_text
from ragft.evaluation.probing import Column, Row, Table, cell
from ragft.probes.faults import Fault
from ragft.probes.kit import Kit, Told
from ragft.probes.spoiling import Distractors
from ragft.probes.wording import estimated
from ragft.records import Estimate, Example, Passage, Score

COSINE = "cosine"
SHARE = "contains"
"""Called as a metric of 0 and 1, so that the intervals are those of proportions."""

_MEASURED = (
    ("gold", "gold, cosine", COSINE),
    ("distractor", "distractor, cosine", COSINE),
    ("other", "nearest other document, cosine", COSINE),
    ("nearer", "distractor nearer than gold", SHARE),
    ("above", "distractor ranked above gold", SHARE),
)
"""What is measured of each question: its name, its column, and its kind."""


@dataclass(frozen=True, slots=True)
class Hardness:
    """How hard the distractors of each level are: rows of a table, and the worst level in words and numbers."""

    table: Table
    finding: str
    values: Mapping[str, float | None]


def hardness(kit: Kit, fault: Fault, told: Sequence[tuple[float, Told]]) -> Hardness | None:
    """Return how hard the distractors of each level are, None where none could be asked.

    Of each question whose gold document has distractors: the cosine of the question with the nearest passage of its
    gold documents, of their distractors, and of the other documents that are ranked for it; and what the retriever
    ranks first.
    """
    made = fault.distractors
    if made is None:
        return None
    examples = [e for e in fault.examples if any(id_ in made.by_gold for id_ in e.gold_document_ids)]
    rows, worst = [], dict[str, Estimate]()
    for x, one in told:
        if x > 0 and one.round.knowledge is not None and examples:
            worst = _estimates(kit, one.round.knowledge, examples, made, int(x))
            cells = tuple(cell(worst[name]) for name, _, _ in _MEASURED)
            rows.append(Row(fault.written(x), cells))
    if not worst:
        return None
    columns = tuple(Column(title, "share" if kind == SHARE else "number") for _, title, kind in _MEASURED)
    note = (
        "The cosine is that of the question with the nearest passage of each kind, by the embedder of the index. The "
        "retriever may rank by other things than the cosine."
    )
    title = "How hard the distractors are"
    table = Table("hardness", title, "distractors", columns, tuple(rows), note)
    return Hardness(table, _finding(worst, rows[-1].name), {name: one.mean for name, one in worst.items()})


def _finding(worst: Mapping[str, Estimate], level: str) -> str:
    gold, near = worst["gold"], worst["distractor"]
    relative = ""
    if gold.mean and near.mean is not None:
        relative = f", {100 * near.mean / gold.mean:.0f} % of it"
    return (
        f"The distractors come as near to the question as a cosine of {estimated(near)}, gold passages as "
        f"{estimated(gold)}{relative}; with {level} for each gold document, one is ranked above the gold document for "
        f"{estimated(worst['above'])} of {worst['above'].n} questions."
    )


def _estimates(
    kit: Kit, knowledge: Knowledge, examples: Sequence[Example], made: Distractors, count: int
) -> dict[str, Estimate]:
    """Return the mean of each thing that is measured at one level."""
    scores: dict[str, list[Score]] = {name: [] for name, _, _ in _MEASURED}
    every, rankings = made.ids, knowledge.rankings(examples)
    for example, ranking in zip(examples, rankings, strict=True):
        ranked = [item.passage for item in ranking.passages]
        notes = [note.id for id_ in example.gold_document_ids for note in made.by_gold.get(id_, ())[:count]]
        known = {*example.gold_document_ids, *every}
        near = _Nearness(kit, example)
        gold = near.of(knowledge.passages_of(example.gold_document_ids))
        distractor = near.of(knowledge.passages_of(notes))
        other = near.of([passage for passage in ranked if passage.document_id not in known])
        above = _place(ranked, every) < _place(ranked, example.gold_document_ids)
        nearer = None if gold is None or distractor is None else float(distractor > gold)
        found = {"gold": gold, "distractor": distractor, "other": other, "nearer": nearer, "above": float(above)}
        for name, _, kind in _MEASURED:
            value = found[name]
            reason = "no such passage" if value is None else None
            scores[name].append(Score(name, example.id, kind, value, reason))
    estimates: dict[str, Estimate] = {}
    for kind in (COSINE, SHARE):
        named = {name: scores[name] for name, _, its in _MEASURED if its == kind}
        estimates |= kit.estimates(named, examples, kind)
    return estimates


@dataclass(frozen=True, slots=True)
class _Nearness:
    """How near passages are to one question."""

    kit: Kit
    example: Example

    def of(self, passages: Iterable[Passage]) -> float | None:
        """Return the highest cosine with the question, None without passages."""
        texts = [embedded_text(passage.title, passage.text) for passage in passages]
        if not texts:
            return None
        vectors = self.kit.bench.embed([self.example.input, *texts])
        return float(np.max(vectors[1:] @ vectors[0]))


def _place(ranked: Sequence[Passage], document_ids: Collection[str]) -> float:
    """Return the place of the first passage of any of these documents, infinity where none is ranked."""
    places = (place for place, passage in enumerate(ranked) if passage.document_id in document_ids)
    return next(places, math.inf)
