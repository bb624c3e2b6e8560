"""The rows of metrics.json: every number of a comparison that a report or a program reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ragft.arms.bench import Bench
from ragft.arms.measures import corpus_metrics, task_metrics
from ragft.arms.measuring import arm_row, built_for, metric_rows, retrieval_hits, task_row
from ragft.arms.retrieval_quality import RetrievalQuality, quality_facts, quality_rows
from ragft.arms.round import Trained
from ragft.compare.made import Made
from ragft.compare.unaided import Unaided, unaided_finding, unaided_row
from ragft.data.checks import DataFinding
from ragft.evaluation.clustering import clusters
from ragft.evaluation.comparison import Comparison
from ragft.evaluation.corpus import corpus_estimates
from ragft.evaluation.sacre import signature
from ragft.records import Estimate, Score
from ragft.runs import SCHEMA_VERSION


def metrics_rows(
    bench: Bench,
    made: Made,
    scores: Sequence[Score],
    comparison: Comparison,
    quality: RetrievalQuality | None,
    beside: Unaided | None,
) -> dict[str, Any]:
    """Return everything that metrics.json holds but what the arms cost, which the verdict works out."""
    settings, primary = bench.experiment.compare, comparison.primary_metric
    return {
        "schema_version": SCHEMA_VERSION,
        "primary_metric": primary,
        "metrics": [
            *metric_rows([*comparison.estimates, *_corpus(bench, made)]),
            *(quality_rows(quality) if quality else ()),
        ],
        "arms": {
            arm.name: arm_row(
                bench, arm, made.asked[arm.name], scores, primary, built_for(arm, made.round.adapters, made.index)
            )
            for arm in made.arms
        },
        "task": {**task_row(bench), "unaided": unaided_row(beside)},
        "signatures": _signatures(bench),
        "retrieval": _retrieval_row(bench, made, scores, primary),
        "retrievers": None if quality is None else quality_facts(quality),
        "adapters": {item.title: _adapter_row(made, item) for item in made.trained},
        "data": _data_row(bench, made, unaided_finding(beside)),
        "reused": _reused(made),
        "requirements": settings.requirements.model_dump(),
        "prices": settings.prices.model_dump(),
        "limits": settings.limits.model_dump(),
    }


def _retrieval_row(bench: Bench, made: Made, scores: Sequence[Score], primary: str) -> dict[str, Any] | None:
    if made.index is None:
        return None
    settings = bench.experiment.retrieval
    return {
        "kind": settings.kind,
        "top_k": settings.top_k,
        "documents": made.index.documents,
        "passages": made.index.passages,
        "hits": retrieval_hits(made.arms, made.asked, scores, primary),
    }


def _adapter_row(made: Made, item: Trained) -> dict[str, Any]:
    record = made.round.adapters.record(item.name, item.seed)
    return {"recipe": record["recipe"], "seed": item.seed, **record["training"], "reused": not item.now}


def _signatures(bench: Bench) -> dict[str, str]:
    """Return how sacrebleu computed each of its metrics, as it is quoted in papers."""
    references = [example.references for example in bench.splits.eval if example.references]
    names = [*task_metrics(bench)[1], *corpus_metrics(bench)]
    found = {name: signature(name, references) for name in names}
    return {name: text for name, text in found.items() if text is not None}


def _corpus(bench: Bench, made: Made) -> list[Estimate]:
    """Return the metrics of all answers of an arm together."""
    settings = bench.experiment.compare
    return corpus_estimates(
        [answer for asked in made.asked.values() for answer in asked.answers],
        {example.id: example for example in bench.splits.eval},
        clusters(bench.splits.eval),
        metrics=corpus_metrics(bench),
        labels=bench.labels,
        resamples=settings.resamples,
        level=settings.confidence,
        seed=bench.experiment.seed,
    )


def _data_row(bench: Bench, made: Made, beside: DataFinding | None) -> dict[str, Any]:
    splits = bench.splits
    return {
        "documents": len(bench.documents),
        "passages": made.index.passages if made.index else 0,
        "train": len(splits.train),
        "dev": len(splits.dev),
        "eval": len(splits.eval),
        "set_aside": len(bench.reading.set_aside) if bench.experiment.data.documents else 0,
        "unanswerable": sum(not example.answerable for example in splits.eval),
        "findings": [asdict(finding) for finding in (*made.checked.findings, *([beside] if beside else ()))],
        "checks": [asdict(check) for check in made.checked.checks],
    }


def _reused(made: Made) -> list[str]:
    """Return one line for each thing that did not have to be made again."""
    lines = []
    if made.sweep is not None:
        again = sum(trial.reused for trial in made.sweep.trials)
        lines += [f"sweep: {again} of {len(made.sweep.trials)} trials"] if again else []
    if made.index is not None and made.index.report is None:
        lines.append(f"index: {made.index.passages} passages unchanged")
    elif made.index is not None and made.index.report is not None and made.index.report.unchanged:
        report = made.index.report
        made_now = report.added + report.changed
        lines.append(f"index: {report.unchanged} passages unchanged, {made_now} embedded, {report.removed} removed")
    lines += [f"adapter {item.title}: trained before" for item in made.trained if not item.now]
    for name, asked in made.asked.items():
        if asked.reused:
            lines.append(f"arm {name}: {asked.reused} of {len(asked.answers)} answers")
    return lines
