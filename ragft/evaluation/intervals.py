"""Confidence intervals of a mean and of a paired difference of means, with or without clusters.

Sees numbers and cluster labels; must not know what was measured. Randomness is a generator that the caller passes.
A cluster holds examples that are not independent (questions about one document); every example in a cluster of its
own is the unclustered case. With fewer than two clusters a bootstrap has nothing to resample, and there is no interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ragft.records import Interval

Floats = NDArray[np.float64]
BootstrapMethod = Literal["percentile", "bca"]

SMALL_N = 300
"""Below this many independent 0/1 values the closed-form score intervals are used instead of the bootstrap."""

_CELLS = 1_000_000  # drawn clusters held in memory at once: 4 MB of indices and 16 MB of gathered numbers


def cluster_totals(values: ArrayLike, clusters: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the sum of `values` and the number of them in every cluster, clusters in the order of their names."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (len(clusters),):
        raise ValueError(f"{numbers.shape} values for {len(clusters)} cluster labels")
    place = {name: i for i, name in enumerate(sorted(set(clusters)))}
    codes = np.array([place[name] for name in clusters], dtype=np.int64)
    sizes = np.bincount(codes, minlength=len(place)).astype(np.float64)
    sums: Floats = np.bincount(codes, weights=numbers, minlength=len(place)).astype(np.float64)
    return sums, sizes


def are_singletons(clusters: Sequence[str]) -> bool:
    """Return whether every example has a cluster of its own."""
    return len(set(clusters)) == len(clusters)


def bootstrap_interval(
    values: ArrayLike,
    clusters: Sequence[str],
    *,
    resamples: int,
    level: float,
    rng: np.random.Generator,
    method: BootstrapMethod = "percentile",
) -> Interval | None:
    """Return the cluster bootstrap interval of the mean of `values`, None with fewer than two clusters.

    Whole clusters are drawn with replacement, as many as there are; the resampled mean is the ratio of the drawn sums
    to the drawn sizes, since clusters differ in size (Davison and Hinkley 1997). "percentile"
    takes quantiles of these means; "bca" corrects them for bias and skew (Efron 1987), with the acceleration from
    leaving out one cluster at a time. Equal values give an interval of no width. For a difference of two means pass
    the paired differences: the sizes cancel, so it is the same interval.
    """
    numbers = np.asarray(values, dtype=np.float64)
    sums, sizes = cluster_totals(numbers, clusters)
    if len(sums) < 2:
        return None
    name = f"cluster bootstrap ({method})"
    if np.ptp(numbers) == 0:
        return Interval(float(numbers[0]), float(numbers[0]), level, name)
    means = _resampled_means(sums, sizes, resamples, rng)
    tail = (1 - level) / 2
    tails = (tail, 1 - tail) if method == "percentile" else _bca_tails(means, sums, sizes, tail)
    low, high = np.quantile(means, tails)
    return Interval(float(low), float(high), level, name)


def _resampled_means(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return `resamples` ratio estimates.

    Gathering drawn indices is faster than a product with a matrix of multinomial weights, and is the same estimate.
    """
    n, equal = len(sums), bool(np.ptp(sizes) == 0)
    means = np.empty(resamples)
    rows = max(1, _CELLS // n)
    for start in range(0, resamples, rows):
        drawn = rng.integers(0, n, size=(min(rows, resamples - start), n), dtype=np.int32)
        weight = n * sizes[0] if equal else sizes[drawn].sum(axis=1)
        means[start : start + rows] = sums[drawn].sum(axis=1) / weight
    return means


def _bca_tails(means: Floats, sums: Floats, sizes: Floats, tail: float) -> tuple[float, float]:
    normal = NormalDist()
    mean = sums.sum() / sizes.sum()
    # Ties count half, and the share is kept off 0 and 1, where the normal quantile is infinite.
    below = (np.count_nonzero(means < mean) + np.count_nonzero(means == mean) / 2 + 0.5) / (len(means) + 1)
    bias = normal.inv_cdf(float(below))
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    pulls = left_out.mean() - left_out
    spread = float((pulls**2).sum())
    acceleration = float((pulls**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    def shifted(probability: float) -> float:
        z = bias + normal.inv_cdf(probability)
        return normal.cdf(bias + z / (1 - acceleration * z))

    return shifted(tail), shifted(1 - tail)


def wilson_interval(successes: float, n: int, level: float) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson 1927), for `n` independent trials.

    Keeps its coverage at small n and at proportions near 0 and 1, and is never of no width.
    """
    if n < 1:
        raise ValueError("a proportion needs at least one trial")
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * share * (1 - share) / n + z2 * z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high, level, "wilson")


def tango_interval(first_only: int, second_only: int, n: int, level: float) -> Interval:
    """Return Tango's score interval of a difference of paired proportions (Tango 1998, Statistics in Medicine 17).

    `first_only` of the `n` independent pairs are right in the first arm alone, `second_only` in the second alone. It is
    to McNemar's test what Wilson's interval is to one proportion: it excludes 0 exactly where the uncorrected
    chi-square does, and it is never of no width: with no discordant pair it is +-z^2 / (n + z^2), for ten questions
    that agree do not show that two arms are the same.
    """
    if n < 1 or min(first_only, second_only) < 0 or first_only + second_only > n:
        raise ValueError(f"{first_only} + {second_only} discordant pairs of {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    observed = (first_only - second_only) / n
    edge = 1 - 1e-12

    def statistic(difference: float) -> float:
        b = -first_only - second_only + (2 * n - first_only + second_only) * difference
        c = -second_only * difference * (1 - difference)
        second_share = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        variance = n * (2 * second_share + difference * (1 - difference))
        return (first_only - second_only - n * difference) / math.sqrt(max(variance, 1e-300))

    low = -1.0 if second_only == n else _crossing(statistic, z, -edge, min(observed, edge))
    high = 1.0 if first_only == n else _crossing(statistic, -z, max(observed, -edge), edge)
    return Interval(low, high, level, "tango")


def _crossing(falling: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Return where a falling function meets `target`, by halving until 60 bits are fixed."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > target else (low, middle)
    return (low + high) / 2


def mean_interval(
    values: ArrayLike,
    clusters: Sequence[str],
    *,
    binary: bool,
    resamples: int,
    level: float,
    rng: np.random.Generator,
    method: BootstrapMethod = "percentile",
) -> Interval | None:
    """Return the interval of a mean, by the method that suits the data; its `method` says which.

    Wilson for 0/1 values when every cluster has one example and n < 300, where the bootstrap is too narrow. Also
    Wilson, on the number of clusters, when all 0/1 values are equal, where a bootstrap would claim [1, 1]. Otherwise
    the cluster bootstrap, since Wilson assumes independence.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0:
        return None
    if binary and are_singletons(clusters) and numbers.size < SMALL_N:
        return wilson_interval(float(numbers.sum()), numbers.size, level)
    if binary and np.ptp(numbers) == 0:
        n_clusters = len(set(clusters))
        return wilson_interval(float(numbers[0]) * n_clusters, n_clusters, level)
    return bootstrap_interval(numbers, clusters, resamples=resamples, level=level, rng=rng, method=method)


def difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Sequence[str],
    *,
    binary: bool,
    resamples: int,
    level: float,
    rng: np.random.Generator,
    method: BootstrapMethod = "percentile",
) -> Interval | None:
    """Return the interval of mean(first) - mean(second), paired by position; its `method` says which kind it is.

    The counterpart of `mean_interval`: Tango for 0/1 values when every cluster has one example and n < 300; Tango on
    the number of clusters when all 0/1 differences are equal; otherwise the paired cluster bootstrap, which for graded
    values has no width when all differences are equal.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if differences.size == 0:
        return None
    if binary and are_singletons(clusters) and differences.size < SMALL_N:
        return tango_interval(*count_discordant(differences), differences.size, level)
    if binary and np.ptp(differences) == 0:
        n_clusters = len(set(clusters))
        return tango_interval(n_clusters * (differences[0] > 0), n_clusters * (differences[0] < 0), n_clusters, level)
    return bootstrap_interval(differences, clusters, resamples=resamples, level=level, rng=rng, method=method)


def count_discordant(differences: ArrayLike) -> tuple[int, int]:
    """Return how many paired 0/1 differences are positive (first right alone) and negative (second right alone)."""
    numbers = np.asarray(differences, dtype=np.float64)
    return int(np.count_nonzero(numbers > 0)), int(np.count_nonzero(numbers < 0))
