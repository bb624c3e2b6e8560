"""What needs no model: the commonest label, the input copied, its first sentences. Arms are held against it.

An arm that a constant answer or a copy matches has learnt nothing worth shipping, however well it ranks among others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ragft.arms.bench import Bench
from ragft.compare.made import Made
from ragft.data.checks import DataFinding
from ragft.evaluation.clustering import clusters
from ragft.evaluation.comparison import Comparison, compare_arms
from ragft.evaluation.metrics import score_answers
from ragft.records import Answer, Example, Score
from ragft.report.unaided_words import standing

NAME = "unaided"
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Unaided:
    """What an answer without a model scores on the primary metric, and how far each arm is above it."""

    what: str
    metric: str
    comparison: Comparison

    @property
    def mean(self) -> float | None:
        """Mean of the primary metric of the answers without a model."""
        return next(e.mean for e in self.comparison.estimates if e.arm == NAME)


def unaided(bench: Bench, made: Made, scores: Sequence[Score], metric: str) -> Unaided | None:
    """Return the arms held against an answer without a model; None where the task has none or it cannot be scored."""
    found = _answers(bench)
    if found is None:
        return None
    what, answers = found
    examples = {example.id: example for example in bench.splits.eval}
    own = score_answers(answers, examples, [metric])
    arms = [arm.name for arm in made.arms]
    if not any(score.value is not None for score in own):
        return None
    comparison = compare_arms(
        [*(score for score in scores if score.metric == metric), *own],
        clusters=clusters(bench.splits.eval),
        arms=[*arms, NAME],
        metrics=[metric],
        primary_metric=metric,
        declared=[(arm, NAME) for arm in arms],
        resamples=RESAMPLES,
        level=bench.experiment.compare.confidence,
        seed=bench.experiment.seed,
        min_examples=1,
    )
    return Unaided(what, metric, comparison)


def _answers(bench: Bench) -> tuple[str, list[Answer]] | None:
    """Return (what it is, the answers that need no model)."""
    examples = bench.splits.eval
    if bench.labels:
        label, count = Counter(example.references[0] for example in examples).most_common(1)[0]
        what = f"always saying {label} ({count} of {len(examples)})"
        return what, [_answer(example, label) for example in examples]
    said = [bench.task.unaided(example) for example in examples]
    texts = [text for text in said if text is not None]
    if len(texts) < len(examples):
        return None
    copied = texts == [example.input for example in examples]
    what = "copying the input" if copied else "the beginning of the input"
    return what, [_answer(example, text) for example, text in zip(examples, texts, strict=True)]


def _answer(example: Example, text: str) -> Answer:
    return Answer(NAME, example.id, text, 0, 0, 0.0, "stop")


def unaided_finding(found: Unaided | None) -> DataFinding | None:
    """Return which arms are not better than an answer without a model, None where all are."""
    if found is None:
        return None
    stands = {one.first: standing(one) for one in found.comparison.contrasts if one.second == NAME}
    below, unsure = ([arm for arm, one in stands.items() if one == how] for how in ("worse", "unsure"))
    if not below and not unsure:
        return None
    parts = [f"worse: {', '.join(below)}"] if below else []
    parts += [f"not distinguishably better: {', '.join(unsure)}"] if unsure else []
    mean = "n/a" if found.mean is None else f"{found.mean:.3f}"
    return DataFinding(NAME, f"{found.what} has {found.metric} {mean} without any model; {'; '.join(parts)}")


def unaided_row(found: Unaided | None) -> dict[str, Any] | None:
    """Return what metrics.json says of it."""
    if found is None:
        return None
    contrasts = [asdict(one) for one in found.comparison.contrasts if one.second == NAME]
    return {"what": found.what, "metric": found.metric, "mean": found.mean, "contrasts": contrasts}
