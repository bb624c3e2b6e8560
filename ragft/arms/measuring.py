"""From answers to numbers: the rows of metrics.json, and what each arm costs in tokens and seconds."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Arm, median_seconds
from ragft.arms.bench import Bench
from ragft.arms.knowledge import IndexState
from ragft.arms.measured import LOGLIK
from ragft.arms.models import LocalModel, RemoteModel, is_elsewhere
from ragft.arms.round import Asked
from ragft.config import OpenAiModel
from ragft.evaluation.abstention import summarise_abstention
from ragft.evaluation.classification import majority_share, summarise_classification
from ragft.evaluation.clustering import clusters
from ragft.evaluation.corpus import CORPUS_METRIC_VERSION, CORPUS_METRICS
from ragft.evaluation.cost import Payer, Usage
from ragft.evaluation.metrics import ANSWER_METRICS
from ragft.evaluation.retrieval import RETRIEVAL_METRIC_VERSION
from ragft.evaluation.selective import selective_curve, selective_gain
from ragft.records import Answer, Estimate, Example, Score


@dataclass(frozen=True, slots=True)
class Built:
    """What was built for one arm: the labelled examples that its adapter saw, and seconds, None if never timed."""

    labels: int
    training_seconds: float | None
    index_seconds: float | None


def built_for(arm: Arm, adapters: Adapters, index: IndexState | None) -> Built:
    """Return what had to be built for an arm; of several training seeds one would ship, so their mean counts."""
    index_seconds = 0.0 if arm.retrieval != "index" else index.build_seconds if index else None
    if arm.adapter is None:
        return Built(0, 0.0, index_seconds)
    records = [adapters.record(arm.adapter, seed) for seed in adapters.seeds(arm.adapter)]
    labels = records[0]["examples"] + records[0]["dev_examples"]
    return Built(labels, statistics.fmean(record["training"]["seconds"] for record in records), index_seconds)


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
            "prompt_means": [list(pair) for pair in item.prompt_means],
        }
        for item in estimates
    ]


def _version(metric: str) -> int:
    if metric in CORPUS_METRICS:
        return CORPUS_METRIC_VERSION
    return ANSWER_METRICS[metric].version if metric in ANSWER_METRICS else RETRIEVAL_METRIC_VERSION


def arm_row(
    bench: Bench, arm: Arm, asked: Asked, scores: Sequence[Score], primary: str, built: Built
) -> dict[str, Any]:
    """Return what one arm is, what its answers cost, and what must be built for it."""
    examples = {example.id: example for example in bench.splits.eval}
    answers = [answer for answer in asked.answers if answer.error is None]
    waited = [answer.retrieval_seconds for answer in answers] if arm.retrieval == "index" else []
    abstention = _abstention(arm, answers, scores, examples, primary) if bench.task.can_abstain else None
    return {
        "model": arm.model,
        **usage_facts(bench, arm, asked, built),
        "retrieval": arm.retrieval,
        "shots": arm.shots,
        "shots_by": arm.shots_by,
        "prompt": arm.prompt,
        "prompts": list(arm.prompts),
        "control": arm.is_control,
        "complexity": arm.complexity,
        "truncated_share": _mean(answer.finish_reason == "length" for answer in answers),
        "failed_share": _failed_share(arm, scores, primary),
        "errors": dict(Counter(answer.error for answer in asked.answers if answer.error is not None)),
        "abstained_share": abstention["abstained_though_answerable"]["value"] if abstention else None,
        "citing_share": None if arm.retrieval == "none" else _mean(bool(a.citations) for a in answers),
        "latency_s_p50": median_seconds(asked.alone),
        "latency_n": len(asked.alone),
        "retrieval_seconds_p50": statistics.median(waited) if waited else None,
        "leaves_machine": bench.model(arm.model).leaves_machine
        or (arm.retrieval == "index" and is_elsewhere(bench.experiment.index.embedder.endpoint)),
        "abstention": abstention,
        "labels_said": _labels_said(bench, answers, examples),
        "selective": _selective(bench, arm, asked.answers, scores, examples, primary),
    }


def usage_facts(bench: Bench, arm: Arm, asked: Asked, built: Built) -> dict[str, Any]:
    """Return what one arm takes that can have a price: tokens, seconds, memory, labels, and what was built for it."""
    model = bench.model(arm.model)
    answers = [answer for answer in asked.answers if answer.error is None]
    return {
        "in_process": isinstance(model, LocalModel),
        "token_prices": _token_prices(model),
        "adapter": arm.adapter,
        "prompt_tokens_mean": _mean(answer.prompt_tokens for answer in answers),
        "output_tokens_mean": _mean(answer.output_tokens for answer in answers),
        "seconds_per_question": _mean(answer.seconds for answer in answers),
        "retrieval_seconds_mean": _mean(answer.retrieval_seconds for answer in answers),
        "memory_gb": None if asked.memory_bytes is None else asked.memory_bytes / 1e9,
        "labels": built.labels + arm.shots,
        "training_seconds": built.training_seconds,
        "index_seconds": built.index_seconds,
    }


def payer_of(arm: Arm, facts: Mapping[str, Any]) -> Payer:
    """Return what an arm takes as it is paid for, from its `usage_facts`."""
    usage = Usage(
        seconds_per_question=facts["seconds_per_question"],
        prompt_tokens_mean=facts["prompt_tokens_mean"],
        output_tokens_mean=facts["output_tokens_mean"],
        labels=facts["labels"],
        training_seconds=facts["training_seconds"],
        index_seconds=facts["index_seconds"],
        has_adapter=arm.adapter is not None,
        has_retrieval=arm.retrieval == "index",
        retrieval_seconds=facts["retrieval_seconds_mean"] or 0.0,
    )
    return Payer(usage, facts["in_process"], facts["token_prices"])


def _mean(values: Iterable[float]) -> float | None:
    """Return the mean, None of nothing."""
    found = list(values)
    return statistics.fmean(found) if found else None


def _token_prices(model: LocalModel | RemoteModel) -> tuple[float, float] | None:
    """Return what a million prompt and a million output tokens cost, where the model has prices of its own."""
    prices = model.config.prices if isinstance(model.config, OpenAiModel) else None
    return None if prices is None else (prices.million_prompt_tokens, prices.million_output_tokens)


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
    shares = {key: value for key, value in summary.items() if isinstance(value, dict)}
    return {**shares, "n_failed": summary["n_failed"]}


def _labels_said(bench: Bench, answers: Sequence[Answer], examples: Mapping[str, Example]) -> dict[str, Any] | None:
    """Return precision, recall and F1 of each label, and how many answers were none; None without labels."""
    if not bench.labels:
        return None
    expected = [examples[answer.example_id].references[0] for answer in answers]
    return asdict(summarise_classification([answer.text for answer in answers], expected, bench.labels))


def _selective(
    bench: Bench,
    arm: Arm,
    answers: Sequence[Answer],
    scores: Sequence[Score],
    examples: Mapping[str, Example],
    primary: str,
) -> dict[str, Any] | None:
    """Return how much better the surest answers of an arm are; None where too few log-probabilities are known."""
    # The risk is 1 - metric, which nats have none of.
    has_risk = primary != LOGLIK
    curve = selective_curve(arm.name, answers, scores, examples, primary) if has_risk else None
    if curve is None:
        return None
    settings = bench.experiment.compare
    gain = selective_gain(
        arm.name,
        answers,
        scores,
        examples,
        primary,
        clusters=clusters(bench.splits.eval),
        resamples=settings.resamples,
        level=settings.confidence,
        rng=np.random.default_rng(bench.experiment.seed),
    )
    return {**asdict(curve), "gain": None if gain is None else asdict(gain)}


def task_row(bench: Bench) -> dict[str, Any]:
    """Return the task, and for classification the share that always saying the commonest label would get right."""
    if bench.experiment.task.kind != "classification":
        return {"kind": bench.task.kind, "labels": [], "majority_share": None}
    share = majority_share([example.references[0] for example in bench.splits.eval])
    return {"kind": bench.task.kind, "labels": list(bench.labels), "majority_share": share}
