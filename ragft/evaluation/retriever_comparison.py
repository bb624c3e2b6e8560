"""Retrievers side by side: every metric with its interval, paired differences, and a sentence on what they show.

Sees scores and cluster ids. Must not know how a retriever works.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ragft.evaluation.comparison import Comparison, compare_arms
from ragft.evaluation.intervals import tango_interval, wilson_interval
from ragft.evaluation.significance import holm
from ragft.records import ContrastResult, Estimate, Score

PREFIX = "retrieval:"
"""What the name of a retriever begins with where it stands among arms."""


def compare_retrievers(
    scores: Sequence[Score],
    *,
    clusters: Mapping[str, str],
    kinds: Sequence[str],
    others: Mapping[str, str],
    metrics: Sequence[str],
    primary_metric: str,
    resamples: int,
    level: float,
    seed: int,
) -> Comparison:
    """Return the comparison of retrievers, as `compare_arms` makes it.

    The declared contrasts are the later of `kinds` against each earlier one, and each retriever of `others` against the
    kind that it is mapped to and adds something to; Holm's correction on the primary metric counts them all.

    Where a metric is 0 for every example, or 1, no resampling shows how far that may be chance, so the score intervals
    for proportions stand there, counted by cluster: Wilson's for a mean, Tango's for a difference.
    """
    declared = [*((later, earlier) for earlier, later in itertools.combinations(kinds, 2)), *others.items()]
    found = compare_arms(
        scores,
        clusters=clusters,
        arms=[*kinds, *others],
        metrics=metrics,
        primary_metric=primary_metric,
        declared=declared,
        resamples=resamples,
        level=level,
        seed=seed,
        training_seeds=0,
        min_examples=1,
    )
    values = _values(scores)
    return replace(
        found,
        estimates=tuple(_with_width(item, values, clusters, level) for item in found.estimates),
        contrasts=tuple(_difference_with_width(item, values, clusters, level) for item in found.contrasts),
    )


_Values = dict[tuple[str, str], dict[str, float]]


def _values(scores: Iterable[Score]) -> _Values:
    found: _Values = {}
    for score in scores:
        if score.value is not None:
            found.setdefault((score.arm, score.metric), {})[score.example_id] = score.value
    return found


def _with_width(item: Estimate, values: _Values, clusters: Mapping[str, str], level: float) -> Estimate:
    own = values.get((item.arm, item.metric), {})
    if set(own.values()) not in ({0.0}, {1.0}):
        return item
    n = len({clusters[id_] for id_ in own})
    return replace(item, interval=wilson_interval(next(iter(own.values())) * n, n, level))


def _difference_with_width(
    item: ContrastResult, values: _Values, clusters: Mapping[str, str], level: float
) -> ContrastResult:
    first, second = (values.get((arm, item.metric), {}) for arm in (item.first, item.second))
    shared = first.keys() & second.keys()
    binary = {first[id_] for id_ in shared} | {second[id_] for id_ in shared} <= {0.0, 1.0}
    if not shared or not binary or any(first[id_] != second[id_] for id_ in shared):
        return item
    return replace(item, interval=tango_interval(0, 0, len({clusters[id_] for id_ in shared}), level))


def finding(comparison: Comparison, kinds: Sequence[str], metrics: Sequence[str]) -> str:
    """Return one sentence: which of the kinds finds most by each of `metrics`, or that they cannot be told apart.

    A kind finds less than the one with the highest mean where the p-value of their difference, adjusted by Holm over
    all pairs of kinds on that metric, is at most 1 - level. Where nothing can be told apart by the first metric, the
    sentence ends with the difference that so many questions would have found.
    """
    said = [_said(comparison, kinds, metric) for metric in metrics]
    by_clause: dict[str, list[str]] = {}
    for metric, (clause, _) in zip(metrics, said, strict=True):
        by_clause.setdefault(clause, []).append(metric)
    sentence = "; ".join(f"by {' and '.join(names)}, {clause}" for clause, names in by_clause.items())
    n = max(item.n for item in comparison.contrasts if item.metric == metrics[0])
    power = "" if said[0][1] else _power(comparison, kinds, metrics[0])
    return f"{sentence[0].upper()}{sentence[1:]} ({n:,} question{'' if n == 1 else 's'}{power})."


def _power(comparison: Comparison, kinds: Sequence[str], metric: str) -> str:
    """Return the difference that the contrast of two kinds that needs most would find, "" where it is not known."""
    found = [item.minimum_detectable_effect for item in _between(comparison, kinds, metric)]
    detectable = [effect for effect in found if effect]
    return f"; a difference of {max(detectable):.3f} in {metric} would have been found" if detectable else ""


def _said(comparison: Comparison, kinds: Sequence[str], metric: str) -> tuple[str, bool]:
    """Return the clause on one metric, and whether any kind finds less than the best."""
    means = {item.arm: item.mean or 0.0 for item in comparison.estimates if item.metric == metric}
    best = max(kinds, key=lambda kind: means[kind])
    behind = _behind(comparison, kinds, metric, best)
    level = [kind for kind in kinds if kind not in behind]
    if not behind:
        return f"{_named(level)} cannot be told apart", False
    if len(level) == 1:
        return f"{_named(level)} finds more than {_named(behind)}", True
    verb = "finds" if len(behind) == 1 else "find"
    return f"{_named(level)} cannot be told apart, and {_named(behind)} {verb} less than {_named([best])}", True


def _behind(comparison: Comparison, kinds: Sequence[str], metric: str, best: str) -> list[str]:
    """Return the kinds that clearly find less than the best one, in their order."""
    contrasts = _between(comparison, kinds, metric)
    adjusted = holm([1.0 if item.p_value is None else item.p_value for item in contrasts])
    clear = {
        frozenset((item.first, item.second))
        for item, p_value in zip(contrasts, adjusted, strict=True)
        if p_value <= 1 - comparison.level + 1e-12
    }
    return [kind for kind in kinds if kind != best and frozenset((kind, best)) in clear]


def _between(comparison: Comparison, kinds: Sequence[str], metric: str) -> list[ContrastResult]:
    return [item for item in comparison.contrasts if item.metric == metric and {item.first, item.second} <= set(kinds)]


def _named(arms: Sequence[str]) -> str:
    """Return retrievers as a list in words, without the prefix."""
    names = [arm.removeprefix(PREFIX) for arm in arms]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
