"""From answers to numbers: the rows of metrics.json, and what each arm costs in tokens and seconds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from ragft.arms.asking import Arm, median_seconds
from ragft.arms.bench import Bench
from ragft.arms.round import Asked
from ragft.evaluation.abstention import summarise_abstention
from ragft.evaluation.answers import ANSWER_METRICS
from ragft.evaluation.classification import macro_f1, majority_share
from ragft.evaluation.retrieval import RETRIEVAL_METRIC_VERSION
from ragft.records import Answer, Estimate, Example, Score


@dataclass(frozen=True, slots=True)
class Built:
    """What was built for one arm: the labelled examples that its adapter saw, and seconds, None if never timed."""

    labels: int
    training_seconds: float | None
    index_seconds: float | None


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
    bench: Bench, arm: Arm, asked: Asked, scores: Sequence[Score], primary: str, built: Built
) -> dict[str, Any]:
    """Return what one arm is, what its answers cost, and what must be built for it."""
    examples = {example.id: example for example in bench.splits.eval}
    answers = asked.answers
    waited = [answer.retrieval_seconds for answer in answers] if arm.retrieval == "index" else []
    abstention = _abstention(arm, answers, scores, examples, primary) if bench.task.kind == "qa" else None
    return {
        "adapter": arm.adapter,
        "retrieval": arm.retrieval,
        "shots": arm.shots,
        "prompt": arm.prompt,
        "control": arm.is_control,
        "complexity": arm.complexity,
        "prompt_tokens_mean": statistics.fmean(answer.prompt_tokens for answer in answers),
        "output_tokens_mean": statistics.fmean(answer.output_tokens for answer in answers),
        "truncated_share": statistics.fmean(answer.finish_reason == "length" for answer in answers),
        "failed_share": _failed_share(arm, scores, primary),
        "abstained_share": abstention["abstained_though_answerable"]["value"] if abstention else None,
        "citing_share": None if arm.retrieval == "none" else statistics.fmean(bool(a.citations) for a in answers),
        "latency_s_p50": median_seconds(asked.alone),
        "latency_n": len(asked.alone),
        "seconds_per_question": statistics.fmean(answer.seconds for answer in answers),
        "retrieval_seconds_p50": statistics.median(waited) if waited else None,
        "memory_gb": None if asked.memory_bytes is None else asked.memory_bytes / 1e9,
        "leaves_machine": arm.retrieval == "index" and _is_elsewhere(bench.experiment.index.embedder.endpoint),
        "labels": built.labels + arm.shots,
        "training_seconds": built.training_seconds,
        "index_seconds": built.index_seconds,
        "abstention": abstention,
        "macro_f1": _macro_f1(bench, answers, examples),
    }


def _is_elsewhere(endpoint: str | None) -> bool:
    """Return whether questions go to a server on another machine."""
    return endpoint is not None and urlsplit(endpoint).hostname not in ("localhost", "127.0.0.1", "::1")


def _failed_share(arm: Arm, scores: Sequence[Score], primary: str) -> float:
    """Return the share of the arm's answers that the primary metric could not judge."""
    own = [score.value for score in scores if score.arm == arm.name and score.metric == primary]
    return statistics.fmean(value is None for value in own) if own else 1.0


def retrieval_hits(
    arms: Sequence[Arm], asked: Mapping[str, Asked], scores: Sequence[Score], primary: str
) -> dict[str, Any]:
    """Return, for each arm that searches, the mean score where a gold document was among its passages and where not.

    Examples without gold documents are passed over: nothing could be hit.
    """
    return {arm.name: _hits(arm, asked[arm.name], scores, primary) for arm in arms if arm.retrieval == "index"}


def _hits(arm: Arm, asked: Asked, scores: Sequence[Score], primary: str) -> dict[str, Any]:
    found = {
        question.example.id: any(p.document_id in question.example.gold_document_ids for p in question.passages)
        for question in asked.questions
        if question.example.gold_document_ids
    }
    groups: dict[bool, list[float]] = {True: [], False: []}
    for score in scores:
        if score.arm == arm.name and score.metric == primary and score.value is not None and score.example_id in found:
            groups[found[score.example_id]].append(score.value)
    means = {hit: statistics.fmean(values) if values else None for hit, values in groups.items()}
    return {
        "hit": {"mean": means[True], "n": len(groups[True])},
        "miss": {"mean": means[False], "n": len(groups[False])},
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
