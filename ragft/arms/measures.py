"""Which metrics an experiment is measured on: the task's own, those of passages, and those asked for."""

from __future__ import annotations

from ragft.arms.bench import Bench
from ragft.config import ChatTask, QaTask, SummarizationTask
from ragft.evaluation.corpus import CORPUS_METRICS
from ragft.evaluation.metrics import answer_metric

CITING = ("citation_precision", "citation_recall", "wasted_citations", "invented_citations")
GROUNDED = ("k_precision", "passage_support", *CITING)
"""How far answers keep to the passages that they were given; measured where a task answers from passages."""


def task_metrics(bench: Bench) -> tuple[str, tuple[str, ...]]:
    """Return (primary metric, all metrics of single answers): the task's, those of its passages, and those asked for.

    Metrics of all answers together (corpus metrics) are not among them.
    """
    settings, judge = bench.experiment.compare, bench.experiment.compare.judge
    primary = settings.primary_metric or bench.task.metrics[0]
    judged = [f"judge_{question}" for question in judge.asks] if judge else []
    every = dict.fromkeys((primary, *bench.task.metrics, *_grounded(bench), *settings.metrics, *judged))
    return primary, tuple(name for name in every if name not in CORPUS_METRICS)


def text_metric(bench: Bench) -> str:
    """Return the metric that asks no model: the primary one, or the task's own where that one does."""
    primary = task_metrics(bench)[0]
    return primary if answer_metric(primary).score is not None else bench.task.metrics[0]


def _grounded(bench: Bench) -> tuple[str, ...]:
    """Return the metrics of answers against passages, where arms read passages and answer from nothing else."""
    reads = any(arm.retrieval != "none" for arm in bench.experiment.compare.arms.values())
    config = bench.experiment.task
    from_passages = isinstance(config, QaTask | ChatTask) or (
        isinstance(config, SummarizationTask) and config.of == "passages"
    )
    return GROUNDED if reads and from_passages else ()


def corpus_metrics(bench: Bench) -> tuple[str, ...]:
    """Return the metrics of all answers together that go with the task's own, and those asked for."""
    goes_with = {"bleu": "corpus_bleu", "chrf": "corpus_chrf", "accuracy": "macro_f1"}
    own = [goes_with[name] for name in bench.task.metrics if name in goes_with]
    asked = [name for name in bench.experiment.compare.metrics if name in CORPUS_METRICS]
    return tuple(dict.fromkeys((*own, *asked)))
