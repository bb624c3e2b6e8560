"""The comparison of arms: every mean with its interval, every contrast with its test, and what they do not cover.

Sees scores and cluster ids. Pairs by example id, never by position. Must not know what an arm is made of, nor which
arm should win (`ragft.verdict` decides that).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ragft.errors import DataError, NotComparableError, RagftError
from ragft.evaluation.answers import is_binary
from ragft.evaluation.intervals import (
    BootstrapMethod,
    Floats,
    are_singletons,
    count_discordant,
    difference_interval,
    mean_interval,
)
from ragft.evaluation.power import minimum_detectable_effect, n_needed
from ragft.evaluation.significance import holm, mcnemar, sign_flip
from ragft.records import ContrastResult, Estimate, Interval, Score

FEW_CLUSTERS = 20
"""Below this many clusters a cluster bootstrap is known to give intervals that are too narrow."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All means and contrasts of one experiment.

    `estimates` has one entry per arm and metric, also where nothing could be scored. `contrasts` holds, in this order:
    the declared pairs on the primary metric (Holm-adjusted), the exploratory pairs on it, the declared pairs on the
    other metrics (secondary: declared, but `p_adjusted` is None). `n_examples` and `n_clusters` count what has a
    primary score in at least one arm; every contrast has its own n. `notes` are plain sentences on what the numbers
    do not cover.
    """

    primary_metric: str
    estimates: tuple[Estimate, ...]
    contrasts: tuple[ContrastResult, ...]
    n_examples: int
    n_clusters: int
    level: float
    resamples: int
    notes: tuple[str, ...]


def compare_arms(
    scores: Sequence[Score],
    *,
    clusters: Mapping[str, str],
    arms: Sequence[str],
    metrics: Sequence[str],
    primary_metric: str,
    declared: Sequence[tuple[str, str]],
    resamples: int,
    level: float,
    seed: int,
    training_seeds: int = 1,
    min_examples: int = 10,
    method: BootstrapMethod = "percentile",
) -> Comparison:
    """Return the comparison of `arms` on `metrics`; scores of other arms and metrics are passed over.

    `clusters` maps example id to cluster id (the source document, or the example itself); `declared` are the pairs
    named before the run. Each quantity draws from a generator of its own, made from `seed`, its arms and its metric,
    so neither the order of the scores nor another arm moves a number. `training_seeds` is how many times each adapter
    was trained: 0 for no adapter at all.

    NotComparableError: no arms, an arm without primary scores, or fewer than `min_examples` paired examples between two
    arms on the primary metric. DataError: an arm scored twice on one example, a value that is not a finite number, an
    example without a cluster. RagftError: a declared pair of unknown arms or named twice, a primary metric not in
    `metrics`.
    """
    _check_request(arms, metrics, primary_metric, declared)
    table = _Table.of(scores, clusters, arms, metrics)
    settings = _Settings(resamples, level, seed, method)
    estimates = tuple(_estimate(table, arm, metric, settings) for arm in arms for metric in metrics)
    _check_comparable(table, arms, primary_metric, max(1, min_examples))

    primary = _adjusted([_contrast(table, pair, primary_metric, settings, declared=True) for pair in declared])
    named = {frozenset(pair) for pair in declared}
    other = [pair for pair in itertools.combinations(arms, 2) if frozenset(pair) not in named]
    exploratory = [_contrast(table, pair, primary_metric, settings, declared=False) for pair in other]
    secondary = [
        _contrast(table, pair, metric, settings, declared=True)
        for metric in metrics
        if metric != primary_metric
        for pair in declared
    ]
    used = sorted({id for arm in arms for id in table.values[arm, primary_metric]})
    n_clusters = len({clusters[id] for id in used})
    return Comparison(
        primary_metric=primary_metric,
        estimates=estimates,
        contrasts=(*primary, *exploratory, *secondary),
        n_examples=len(used),
        n_clusters=n_clusters,
        level=level,
        resamples=resamples,
        notes=(
            *_design_notes(len(used), n_clusters, len(primary), len(exploratory), training_seeds),
            *_data_notes(estimates, primary_metric, len(used)),
        ),
    )


def estimate_metric(
    scores: Sequence[Score],
    *,
    arm: str,
    metric: str,
    clusters: Mapping[str, str],
    resamples: int,
    level: float,
    seed: int,
) -> Estimate:
    """Return the mean of one metric of one arm with its interval, as `compare_arms` gives it.

    For scores that are not compared between arms, such as those of a retriever.
    """
    table = _Table.of(scores, clusters, [arm], [metric])
    return _estimate(table, arm, metric, _Settings(resamples, level, seed, "percentile"))


@dataclass(frozen=True, slots=True)
class _Settings:
    """How every interval and test of one comparison is made."""

    resamples: int
    level: float
    seed: int
    method: BootstrapMethod

    def generator(self, *parts: str) -> np.random.Generator:
        """Return the generator that belongs to `parts` alone (by hash: the built-in hash() differs by process)."""
        digest = hashlib.sha256(json.dumps([self.seed, *parts]).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True, slots=True)
class _Table:
    """The scores by (arm, metric) and example id; `unscored` counts those without a value."""

    values: dict[tuple[str, str], dict[str, float]]
    unscored: dict[tuple[str, str], int]
    clusters: Mapping[str, str]

    @classmethod
    def of(
        cls, scores: Iterable[Score], clusters: Mapping[str, str], arms: Sequence[str], metrics: Sequence[str]
    ) -> _Table:
        """Return the table of the wanted scores, checked one by one."""
        wanted = set(itertools.product(arms, metrics))
        values: dict[tuple[str, str], dict[str, float]] = {key: {} for key in wanted}
        unscored = dict.fromkeys(wanted, 0)
        seen: set[tuple[str, str, str]] = set()
        for score in scores:
            key = (score.arm, score.metric)
            if key not in wanted:
                continue
            _check_score(score, clusters, seen)
            if score.value is None:
                unscored[key] += 1
            else:
                values[key][score.example_id] = score.value
        return cls(values, unscored, clusters)

    def paired(self, pair: tuple[str, str], metric: str) -> tuple[Floats, Floats, list[str]]:
        """Return the values of both arms on the examples that both have, and the clusters; in the order of the ids."""
        first, second = self.values[pair[0], metric], self.values[pair[1], metric]
        ids = sorted(first.keys() & second.keys())
        return (
            np.array([first[id] for id in ids], dtype=np.float64),
            np.array([second[id] for id in ids], dtype=np.float64),
            [self.clusters[id] for id in ids],
        )


def _check_score(score: Score, clusters: Mapping[str, str], seen: set[tuple[str, str, str]]) -> None:
    where = f"arm {score.arm!r}, example {score.example_id!r}, metric {score.metric!r}"
    key = (score.arm, score.example_id, score.metric)
    if key in seen:
        raise DataError(f"{where}: scored twice", "one answer per arm and example: score the answers again")
    seen.add(key)
    if score.value is not None and not math.isfinite(score.value):
        raise DataError(f"{where}: the value is {score.value}", "a score that cannot be judged has value None")
    if score.example_id not in clusters:
        raise DataError(f"{where}: the example has no cluster", "the scores belong to another version of the examples")


def _check_request(
    arms: Sequence[str], metrics: Sequence[str], primary_metric: str, declared: Sequence[tuple[str, str]]
) -> None:
    if not arms:
        raise NotComparableError("there are no arms to compare", "name at least two arms")
    if len(set(arms)) != len(arms):
        raise RagftError(f"an arm is named twice: {', '.join(arms)}")
    if primary_metric not in metrics:
        raise RagftError(f"the primary metric {primary_metric!r} is not measured", f"measured: {', '.join(metrics)}")
    pairs = [frozenset(pair) for pair in declared]
    for pair, names in zip(declared, pairs, strict=True):
        if len(names) != 2 or not names <= set(arms):
            raise RagftError(f"contrast {pair[0]!r} against {pair[1]!r}: not two of the arms", _known(arms))
        if pairs.count(names) > 1:
            raise RagftError(f"contrast {pair[0]!r} against {pair[1]!r} is declared twice", "declare each pair once")


def _known(arms: Sequence[str]) -> str:
    return f"arms: {', '.join(arms)}"


def _check_comparable(table: _Table, arms: Sequence[str], metric: str, min_examples: int) -> None:
    for arm in arms:
        n, unscored = len(table.values[arm, metric]), table.unscored[arm, metric]
        if n == 0:
            raise NotComparableError(
                f"arm {arm!r} has no score on the primary metric {metric!r} ({unscored} unscored)",
                f"drop arm {arm!r}, or choose a primary metric that is defined for every arm",
            )
        if n < min_examples:
            raise NotComparableError(_too_few(f"arm {arm!r} has", n, metric, min_examples), "give more eval examples")
    for first, second in itertools.combinations(arms, 2):
        n = len(table.values[first, metric].keys() & table.values[second, metric].keys())
        if n < min_examples:
            who = f"arms {first!r} and {second!r} share"
            raise NotComparableError(_too_few(who, n, metric, min_examples), "score both on the same eval examples")


def _too_few(who: str, n: int, metric: str, min_examples: int) -> str:
    return f"{who} {n} examples scored on {metric!r}; at least {min_examples} are needed"


def _estimate(table: _Table, arm: str, metric: str, settings: _Settings) -> Estimate:
    by_example = table.values[arm, metric]
    ids = sorted(by_example)
    values = np.array([by_example[id] for id in ids], dtype=np.float64)
    interval = mean_interval(
        values,
        [table.clusters[id] for id in ids],
        binary=_only_binary(metric, values),
        resamples=settings.resamples,
        level=settings.level,
        rng=settings.generator("mean", arm, metric),
        method=settings.method,
    )
    mean = float(values.mean()) if ids else None
    return Estimate(arm, metric, mean, len(ids), table.unscored[arm, metric], interval)


def _contrast(
    table: _Table, pair: tuple[str, str], metric: str, settings: _Settings, *, declared: bool
) -> ContrastResult:
    """Return the contrast, not yet adjusted; without paired examples, one that says so by n = 0."""
    first, second, clusters = table.paired(pair, metric)
    if not clusters:
        return ContrastResult(*pair, metric, None, None, 0, "none", None, None, None, None, declared)
    binary = _only_binary(metric, np.concatenate([first, second]))
    # By name order, so that the contrast the other way round draws the same clusters and mirrors this one.
    names = sorted(pair)
    interval = difference_interval(
        first,
        second,
        clusters,
        binary=binary,
        resamples=settings.resamples,
        level=settings.level,
        rng=settings.generator("difference", *names, metric),
        method=settings.method,
    )
    differences = first - second
    if binary and are_singletons(clusters):
        test, p_value = "mcnemar_exact", mcnemar(*count_discordant(differences))
    else:
        rng = settings.generator("test", *names, metric)
        test, p_value = "sign_flip", sign_flip(differences, clusters, rng=rng, resamples=settings.resamples)
    return ContrastResult(
        first=pair[0],
        second=pair[1],
        metric=metric,
        difference=float(differences.mean()),
        interval=interval,
        n=len(clusters),
        test=test,
        p_value=p_value,
        p_adjusted=None,
        minimum_detectable_effect=minimum_detectable_effect(differences, clusters),
        n_needed=n_needed(differences, clusters),
        declared=declared,
    )


def _only_binary(metric: str, values: Floats) -> bool:
    """Return whether the 0/1 methods hold: a metric may be binary and its values means over several runs."""
    return is_binary(metric) and bool(np.isin(values, (0.0, 1.0)).all())


def _adjusted(contrasts: Sequence[ContrastResult]) -> list[ContrastResult]:
    adjusted = holm([contrast.p_value for contrast in contrasts if contrast.p_value is not None])
    return [replace(contrast, p_adjusted=p) for contrast, p in zip(contrasts, adjusted, strict=True)]


def _design_notes(n: int, n_clusters: int, n_declared: int, n_exploratory: int, training_seeds: int) -> list[str]:
    notes = []
    if training_seeds == 1:
        notes.append(
            "Every adapter was trained once: the intervals cover the choice of questions, not the chance of training."
        )
    if n_clusters < n:
        notes.append(f"{n} examples stand in {n_clusters} clusters, which are resampled whole.")
    if n_clusters < FEW_CLUSTERS:
        notes.append(f"With {n_clusters} clusters (fewer than {FEW_CLUSTERS}) intervals may be too narrow.")
    if n_exploratory:
        notes.append(
            f"{n_exploratory} of {n_declared + n_exploratory} contrasts were not declared before the run: they are "
            "exploratory, and their p-values are not adjusted."
        )
    return notes


def _data_notes(estimates: Sequence[Estimate], metric: str, n: int) -> list[str]:
    """Return what is missing, primary metric or not: a mean over fewer examples must not pass for a mean over all."""
    notes = [
        f"{e.arm}: {e.n_unscored} of {e.n + e.n_unscored} answers could not be scored on {e.metric}."
        for e in estimates
        if e.n_unscored
    ]
    uneven = [e.arm for e in estimates if e.metric == metric and e.n < n]
    if uneven:
        notes.append(
            f"Not every arm has a {metric} score on all {n} examples ({', '.join(uneven)}): contrasts use the examples "
            "that both arms have, so a difference may not equal the difference of the two means shown."
        )
    return notes


def comparison_from_dict(data: Mapping[str, Any]) -> Comparison:
    """Return the comparison that `dataclasses.asdict` and JSON turned into `data`."""
    estimates = tuple(Estimate(**{**item, "interval": _interval(item["interval"])}) for item in data["estimates"])
    contrasts = tuple(ContrastResult(**{**item, "interval": _interval(item["interval"])}) for item in data["contrasts"])
    return Comparison(**{**data, "estimates": estimates, "contrasts": contrasts, "notes": tuple(data["notes"])})


def _interval(data: Mapping[str, Any] | None) -> Interval | None:
    return Interval(**data) if data is not None else None
