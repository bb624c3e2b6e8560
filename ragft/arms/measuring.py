"""From answers and rankings to numbers: scores, clusters, estimates, and what each arm costs in tokens and seconds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ragft.arms.asking import Alone, Arm, median_seconds
from ragft.arms.bench import Bench
from ragft.evaluation.abstention import summarise_abstention
from ragft.evaluation.answers import ANSWER_METRICS
from ragft.evaluation.classification import macro_f1, majority_share
from ragft.evaluation.comparison import estimate_metric
from ragft.evaluation.retrieval import RETRIEVAL_METRIC_VERSION, retrieval_scores
from ragft.records import Answer, Estimate, Example, Ranking, Score

RETRIEVAL_METRICS = ("recall@1", "recall@3", "recall@5", "recall@10", "mrr", "ndcg@10", "precision@5")


def cluster_of(example: Example) -> str:
    """Return what the example is drawn with: its first gold document, else its group, else itself."""
    if example.gold_document_ids:
        return f"document:{example.gold_document_ids[0]}"
    return f"group:{example.group}" if example.group else f"example:{example.id}"


def clusters(examples: Sequence[Example]) -> dict[str, str]:
    """Return example id -> cluster; questions on one document are not independent evidence."""
    return {example.id: cluster_of(example) for example in examples}


def retrieval_estimates(bench: Bench, rankings: Sequence[Ranking]) -> tuple[Estimate, ...]:
    """Return the retrieval metrics of the experiment's retriever at document level, with intervals."""
    examples = {example.id: example for example in bench.splits.eval}
    arm = f"retrieval:{bench.experiment.retrieval.kind}"
    scores = retrieval_scores(rankings, examples, arm=arm)
    return tuple(_estimate(bench, scores, arm, metric) for metric in RETRIEVAL_METRICS)


def _estimate(bench: Bench, scores: Sequence[Score], arm: str, metric: str) -> Estimate:
    compare = bench.experiment.compare
    return estimate_metric(
        scores,
        arm=arm,
        metric=metric,
        clusters=clusters(bench.splits.eval),
        resamples=compare.resamples,
        level=compare.confidence,
        seed=bench.experiment.seed,
    )


def metric_rows(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """Return estimates as the rows of metrics.json, each with the version of its metric's definition."""
    return [
        {
            "arm": item.arm,
            "metric": item.metric,
            "version": _version(item.metric),
            "value": item.mean,
            "n": item.n,
            "n_unscored": item.n_unscored,
            "interval": asdict(item.interval) if item.interval else None,
        }
        for item in estimates
    ]


def _version(metric: str) -> int:
    return ANSWER_METRICS[metric].version if metric in ANSWER_METRICS else RETRIEVAL_METRIC_VERSION


def arm_row(
    bench: Bench, arm: Arm, answers: Sequence[Answer], alone: Sequence[Alone], scores: Sequence[Score], primary: str
) -> dict[str, Any]:
    """Return what one arm is and what its answers cost."""
    examples = {example.id: example for example in bench.splits.eval}
    waited = [answer.retrieval_seconds for answer in answers] if arm.retrieval == "index" else []
    return {
        "adapter": arm.adapter,
        "retrieval": arm.retrieval,
        "shots": arm.shots,
        "prompt": arm.prompt,
        "control": arm.is_control,
        "prompt_tokens_mean": statistics.fmean(answer.prompt_tokens for answer in answers),
        "output_tokens_mean": statistics.fmean(answer.output_tokens for answer in answers),
        "truncated_share": statistics.fmean(answer.finish_reason == "length" for answer in answers),
        "latency_s_p50": median_seconds(alone),
        "latency_n": len(alone),
        "seconds_per_question": statistics.fmean(answer.seconds for answer in answers),
        "retrieval_seconds_p50": statistics.median(waited) if waited else None,
        "abstention": _abstention(arm, answers, scores, examples, primary) if bench.task.kind == "qa" else None,
        "macro_f1": _macro_f1(bench, answers, examples),
    }


def _abstention(
    arm: Arm, answers: Sequence[Answer], scores: Sequence[Score], examples: Mapping[str, Example], primary: str
) -> dict[str, Any]:
    summary = asdict(summarise_abstention(arm.name, answers, scores, examples, primary))
    return {key: value for key, value in summary.items() if isinstance(value, dict)}


def _macro_f1(bench: Bench, answers: Sequence[Answer], examples: Mapping[str, Example]) -> float | None:
    if bench.experiment.task.kind != "classification":
        return None
    expected = [examples[answer.example_id].references[0] for answer in answers]
    return macro_f1([answer.text for answer in answers], expected, bench.experiment.task.labels)


def task_row(bench: Bench) -> dict[str, Any]:
    """Return the task, and for classification the share that always saying the commonest label would get right."""
    if bench.experiment.task.kind != "classification":
        return {"kind": bench.task.kind, "labels": [], "majority_share": None}
    share = majority_share([example.references[0] for example in bench.splits.eval])
    return {"kind": bench.task.kind, "labels": list(bench.experiment.task.labels), "majority_share": share}
