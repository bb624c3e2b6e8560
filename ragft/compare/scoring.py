"""Scores compared: what was measured at all, the comparison of the arms, and the retrievers side by side."""

from __future__ import annotations

from collections.abc import Sequence

from ragft.arms.bench import Bench
from ragft.arms.measures import CITING
from ragft.arms.retrieval_quality import RetrievalQuality, evaluate_retrieval
from ragft.compare.made import Made
from ragft.evaluation.clustering import clusters
from ragft.evaluation.comparison import Comparison, compare_arms
from ragft.records import Score


def measured_metrics(scores: Sequence[Score], primary: str, metrics: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics that judged any answer at all: where no answer cites, there is nothing to say of citations."""
    found = {score.metric for score in scores if score.value is not None} | {primary}
    cites = any(s.metric == "citation_precision" and s.value is not None for s in scores)
    return tuple(name for name in metrics if name in found and (cites or name not in CITING))


def compared(
    bench: Bench,
    made: Made,
    scores: Sequence[Score],
    primary: str,
    metrics: Sequence[str],
    resamples: int | None = None,
) -> Comparison:
    """Return the comparison of every arm on `metrics`; resampled as often as the experiment says, or `resamples`."""
    settings = bench.experiment.compare
    return compare_arms(
        scores,
        clusters=clusters(bench.splits.eval),
        arms=[arm.name for arm in made.arms],
        metrics=metrics,
        primary_metric=primary,
        declared=settings.contrasts,
        resamples=resamples or settings.resamples,
        level=settings.confidence,
        seed=bench.experiment.seed,
        training_seeds=1 if made.trained else 0,
        min_examples=settings.min_examples,
        margin=settings.requirements.margin,
    )


def retrieval_quality(bench: Bench, made: Made) -> RetrievalQuality | None:
    """Return the retrievers side by side, where an arm retrieves and eval examples say what is to be found."""
    knowledge = made.round.knowledge
    if knowledge is None or not any(arm.retrieval == "index" for arm in made.arms):
        return None
    return evaluate_retrieval(bench, knowledge)
