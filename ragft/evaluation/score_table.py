"""The scores of one comparison by arm, metric, example and training seed, checked one by one.

Sees scores and cluster ids. Pairs by example id, never by position. Must not know how the numbers are compared.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragft.errors import DataError
from ragft.evaluation.resampling import Floats, Integers, totals
from ragft.records import Score

_Values = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one arm on one metric, shape (examples, seeds), rows in the order of the ids.

    `seeds` are in order and empty for an arm whose scores name none. `n_unscored` examples have no value in at least
    one seed; `n_partial` were answered with some of the seeds only. Neither is among the rows.
    """

    ids: tuple[str, ...]
    by_seed: Floats
    seeds: tuple[int, ...]
    n_unscored: int
    n_partial: int

    @property
    def values(self) -> Floats:
        """Return the values averaged over seeds, shape (examples,)."""
        means: Floats = self.by_seed.mean(axis=1)
        return means

    @property
    def several(self) -> bool:
        """Return whether the arm was trained with more than one seed."""
        return len(self.seeds) > 1

    def only(self, ids: Sequence[str]) -> Series:
        """Return the rows of these ids, in their order; each must be among the rows."""
        if tuple(ids) == self.ids:
            return self
        row = {id: i for i, id in enumerate(self.ids)}
        chosen = self.by_seed[[row[id] for id in ids]] if ids else self.by_seed[:0]
        return Series(tuple(ids), chosen, self.seeds, self.n_unscored, self.n_partial)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The series by (arm, metric). `labels` are all clusters in order, those without any score included."""

    series: dict[tuple[str, str], Series]
    clusters: Mapping[str, str]
    labels: tuple[str, ...]

    @classmethod
    def of(
        cls, scores: Iterable[Score], clusters: Mapping[str, str], arms: Sequence[str], metrics: Sequence[str]
    ) -> ScoreTable:
        """Return the table of the wanted scores; other arms and metrics are passed over.

        DataError: one answer scored twice, an arm of which only some scores name a seed, a value that is not a finite
        number, an example without a cluster.
        """
        found: dict[tuple[str, str], dict[int | None, _Values]] = {key: {} for key in itertools.product(arms, metrics)}
        for score in scores:
            by_seed = found.get((score.arm, score.metric))
            if by_seed is not None:
                values = by_seed.setdefault(score.seed, {})
                _check(score, clusters, values)
                values[score.example_id] = score.value
        series = {key: _series(*key, by_seed) for key, by_seed in found.items()}
        return cls(series, clusters, tuple(sorted(set(clusters.values()))))

    def shared(self, pair: tuple[str, str], metric: str) -> tuple[Series, Series]:
        """Return the series of both arms on the examples that both have."""
        first, second = (self.series[arm, metric] for arm in pair)
        ids = first.ids if first.ids == second.ids else sorted(set(first.ids) & set(second.ids))
        return first.only(ids), second.only(ids)

    def cluster_names(self, ids: Iterable[str]) -> list[str]:
        """Return the cluster of each example."""
        return [self.clusters[id] for id in ids]

    def codes(self, ids: Iterable[str]) -> Integers:
        """Return the number of each example's cluster among `labels`."""
        place = {label: i for i, label in enumerate(self.labels)}
        return np.array([place[self.clusters[id]] for id in ids], dtype=np.int64)

    def totals(self, values: Floats, ids: Sequence[str]) -> tuple[Floats, Floats]:
        """Return sum and number of `values` in every cluster of `labels`, two arrays of shape (clusters,)."""
        return totals(values, self.codes(ids), len(self.labels))


def _check(score: Score, clusters: Mapping[str, str], values: _Values) -> None:
    where = f"arm {score.arm!r}, example {score.example_id!r}, metric {score.metric!r}"
    if score.example_id in values:
        again = "scored twice" if score.seed is None else f"scored twice with training seed {score.seed}"
        raise DataError(f"{where}: {again}", "one answer per arm, example and training seed: score the answers again")
    if score.value is not None and not math.isfinite(score.value):
        raise DataError(f"{where}: the value is {score.value}", "a score that cannot be judged has value None")
    if score.example_id not in clusters:
        raise DataError(f"{where}: the example has no cluster", "the scores belong to another version of the examples")


def _series(arm: str, metric: str, by_seed: Mapping[int | None, _Values]) -> Series:
    seeds = sorted(seed for seed in by_seed if seed is not None)
    if seeds and None in by_seed:
        raise DataError(
            f"arm {arm!r}, metric {metric!r}: some scores name a training seed and others none",
            "give every answer of an arm its training seed, or none of them",
        )
    columns = [by_seed[seed] for seed in seeds] or [by_seed.get(None, {})]
    everywhere = set(columns[0]).intersection(*columns[1:])
    rows = {}
    for id in sorted(everywhere):
        values = [column[id] for column in columns]
        numbers = [value for value in values if value is not None]
        if len(numbers) == len(values):
            rows[id] = numbers
    matrix = np.array(list(rows.values()), dtype=np.float64).reshape(len(rows), len(columns))
    n_partial = len(set().union(*columns)) - len(everywhere)
    return Series(tuple(rows), matrix, tuple(seeds), len(everywhere) - len(rows), n_partial)
