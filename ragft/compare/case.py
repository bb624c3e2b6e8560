"""From measured rows to the case that the verdict decides, and to its sensitivity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ragft.arms.bench import Bench
from ragft.compare.made import Made
from ragft.evaluation.comparison import Comparison
from ragft.records import Score
from ragft.verdict import ArmFacts, Case, Finding, Limits, Prices, Requirements, RetrievalFacts, blended_scores

BLEND_RESAMPLES = 2_000
"""Resamples of a comparison on two metrics blended, of which the sensitivity makes several."""


def case_of(bench: Bench, made: Made, comparison: Comparison, rows: Mapping[str, Any]) -> Case:
    """Return what the verdict rests on, from the rows of metrics.json."""
    settings = bench.experiment.compare
    facts = {arm.name: _facts(rows["arms"][arm.name]) for arm in made.arms}
    controls = {arm.name for arm in made.arms if arm.is_control}
    return Case(
        comparison=comparison,
        arms={name: fact for name, fact in facts.items() if name not in controls},
        controls={name: fact for name, fact in facts.items() if name in controls},
        requirements=Requirements(**settings.requirements.model_dump()),
        limits=Limits(**settings.limits.model_dump()),
        prices=Prices(**settings.prices.model_dump()),
        findings=[*(Finding(row["check"], row["message"]) for row in rows["data"]["findings"]), *_training(rows)],
        retrieval=_retrieval(bench, made, rows),
    )


def _facts(row: Mapping[str, Any]) -> ArmFacts:
    """Return the facts of one arm; its latency is called after its quantile in the row."""
    named = {field.name for field in fields(ArmFacts)} & row.keys()
    return ArmFacts(**{name: row[name] for name in named}, latency_s=row["latency_s_p50"])


def _training(rows: Mapping[str, Any]) -> list[Finding]:
    """Return the signs of trouble in the trainings as findings: an arm may be poor because its adapter is."""
    return [Finding("training", f"{title}: {sign}") for title, row in rows["adapters"].items() for sign in row["signs"]]


def _retrieval(bench: Bench, made: Made, rows: Mapping[str, Any]) -> RetrievalFacts | None:
    if rows["retrieval"] is None or not rows["retrieval"]["hits"]:
        return None
    hits: Mapping[str, Any] = rows["retrieval"]["hits"]
    first = next(iter(hits.values()))
    asked = first["hit"]["n"] + first["miss"]["n"]
    return RetrievalFacts(
        top_k=bench.experiment.retrieval.top_k,
        hit_share=first["hit"]["n"] / asked if asked else None,
        score_given_hit={arm: row["hit"]["mean"] for arm, row in hits.items() if row["hit"]["mean"] is not None},
    )


def blending(
    scores: Sequence[Score], primary: str, compare: Callable[[Sequence[Score], int], Comparison]
) -> Callable[[str, float], Comparison]:
    """Return the comparison on (1 - weight) x primary + weight x metric, as a function of both."""

    def comparison_at(metric: str, weight: float) -> Comparison:
        return compare(blended_scores(scores, primary, metric, weight), BLEND_RESAMPLES)

    return comparison_at
