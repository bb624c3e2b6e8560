"""The table of arms, as text: which columns there are, and for every arm what stands in them.

Both reports use it, so that they cannot differ. Must not know how a table looks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ragft.evaluation.metrics import ANSWER_METRICS
from ragft.records import Interval
from ragft.report import formatting
from ragft.report.bars import seeds_words
from ragft.report.contents import ArmFacts, ReportData
from ragft.report.measurements import RETRIEVAL_PREFIX
from ragft.report.unaided_words import SIGNS, mark_words, standings


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, and a note that stands under it."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """A short label beside an arm; `kind` is "shipped", "candidate", "excluded" or "control"."""

    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign beside a score and its meaning in words; `kind` is "worse" or "unsure"."""

    sign: str
    words: str
    kind: str


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm as the first table shows it; `seeds` says the means by training seed, "" where there are none.

    `mark` says where the arm is no better than what needs no model.
    """

    name: str
    composition: str
    tags: tuple[Tag, ...]
    kind: str
    value: float | None
    interval: Interval | None
    seed_means: tuple[float, ...]
    seeds: str
    primary: Cell
    n: Cell
    latency: Cell
    cost: Cell
    memory: Cell
    mark: Mark | None


def other_metrics(data: ReportData) -> list[str]:
    """Return the answer metrics beside the primary one, in the order in which the run measured them."""
    names = [value.metric for value in data.metrics if not value.arm.startswith(RETRIEVAL_PREFIX)]
    extra = ["macro_f1"] if any(arm.macro_f1 is not None for arm in data.arms) else []
    return [name for name in dict.fromkeys([*names, *extra]) if name != data.primary_metric]


def arm_rows(data: ReportData) -> list[ArmRow]:
    """Return the arms, those that can be shipped first, each group from the highest primary mean to the lowest."""
    rows = [_row(data, arm) for arm in data.arms]
    return sorted(rows, key=lambda row: (row.kind == "control", row.value is None, -(row.value or 0.0)))


def _row(data: ReportData, arm: ArmFacts) -> ArmRow:
    primary = data.value(arm.name, data.primary_metric)
    seed_means = data.seed_means(arm.name)
    return ArmRow(
        name=arm.name,
        composition=composition(arm, several_models=several_models(data)),
        tags=_tags(data, arm),
        kind=arm_kind(data, arm),
        value=None if primary is None else primary.value,
        interval=None if primary is None else primary.interval,
        seed_means=seed_means,
        seeds=seeds_words(seed_means),
        primary=score_cell(data, arm.name, data.primary_metric),
        n=n_cell(data, arm.name),
        latency=_latency(arm),
        cost=Cell(formatting.amount(None if arm.cost is None else arm.cost.per_1000)),
        memory=Cell(formatting.gigabytes(arm.memory_gb)),
        mark=_mark(data, arm.name),
    )


def _mark(data: ReportData, arm: str) -> Mark | None:
    one = standings(data).get(arm)
    if data.unaided is None or one is None or one == "better":
        return None
    return Mark(SIGNS[one], mark_words(data.unaided.what, one), one)


def several_models(data: ReportData) -> bool:
    """Return whether some arm answers with a model of its own, so that a table must name them."""
    return any(arm.model is not None for arm in data.arms)


def composition(arm: ArmFacts, *, several_models: bool = False) -> str:
    """Return what an arm is made of, such as "adapter raft + retrieval, 2 examples shown"."""
    retrieval = {"none": "", "index": "retrieval", "oracle": "the right passages", "random": "random passages"}
    parts = [f"adapter {arm.adapter}" if arm.adapter else "", retrieval.get(arm.retrieval, arm.retrieval)]
    made = " + ".join(part for part in parts if part) or "prompt only"
    if several_models:
        made = f"{made}, on {'the main model' if arm.model is None else arm.model}"
    if arm.shots:
        which = ", those most like the input" if arm.shots_by == "similarity" else ""
        made = f"{made}, {arm.shots} {'example' if arm.shots == 1 else 'examples'} shown{which}"
    return f"{made}, asked with {len(arm.prompts)} prompts" if len(arm.prompts) > 1 else made


def arm_kind(data: ReportData, arm: ArmFacts) -> str:
    """Return "shipped" for the arm of the verdict, "control" for a control, else "arm"."""
    if arm.name == data.verdict.arm:
        return "shipped"
    return "control" if arm.control else "arm"


def _tags(data: ReportData, arm: ArmFacts) -> tuple[Tag, ...]:
    tags = []
    if arm.name == data.verdict.arm:
        tags.append(Tag("ship this", "shipped"))
    elif arm.name in data.verdict.candidates:
        tags.append(Tag("still open", "candidate"))
    if arm.name in dict(data.verdict.excluded):
        tags.append(Tag("excluded", "excluded"))
    if arm.name in dict(data.verdict.not_comparable):
        tags.append(Tag("not comparable", "excluded"))
    if arm.control:
        tags.append(Tag("control", "control"))
    return tuple(tags)


def score_cell(data: ReportData, arm: str, metric: str) -> Cell:
    """Return the mean with its interval as the note, and its n where some answers have no score.

    "n/a" with the reason where there is no mean.
    """
    value = data.value(arm, metric)
    if value is None:
        return Cell(formatting.NA, "not measured")
    if value.value is None:
        return Cell(formatting.NA, _why_unscored(data, arm, metric))
    n = f"; n = {formatting.count(value.n)}" if value.n_unscored and metric != data.primary_metric else ""
    return Cell(formatting.score(value.value), f"{formatting.span(value.interval)}{n}")


def _lacks_passages(data: ReportData, arm: str, metric: str) -> bool:
    known = ANSWER_METRICS.get(metric)
    made = next((one for one in data.arms if one.name == arm), None)
    return known is not None and known.needs_passages and made is not None and made.retrieval == "none"


def _why_unscored(data: ReportData, arm: str, metric: str) -> str:
    if _lacks_passages(data, arm, metric):
        return "has no passages"
    reasons = Counter(
        score.reason for score in data.scores if score.arm == arm and score.metric == metric and score.value is None
    )
    known = [(reason, n) for reason, n in reasons.most_common() if reason]
    return f"{known[0][1]} unscored: {known[0][0]}" if known else "nothing could be scored"


def other_cell(data: ReportData, arm: ArmFacts, metric: str) -> Cell:
    """Return the cell of a metric that is not the primary one."""
    if metric == "macro_f1" and data.value(arm.name, metric) is None:
        return Cell(formatting.score(arm.macro_f1), "" if arm.macro_f1 is None else "no interval")
    return score_cell(data, arm.name, metric)


def n_cell(data: ReportData, arm: str) -> Cell:
    """Return how many answers have a primary score, with those that have none as the note."""
    value = data.value(arm, data.primary_metric)
    if value is None:
        return Cell(formatting.NA)
    return Cell(formatting.count(value.n), f"{value.n_unscored:,} unscored")


def _latency(arm: ArmFacts) -> Cell:
    if arm.latency_s_p50 is None:
        return Cell(formatting.NA, "not timed")
    return Cell(formatting.seconds(arm.latency_s_p50), f"n = {arm.latency_n}" if arm.latency_n else "")
