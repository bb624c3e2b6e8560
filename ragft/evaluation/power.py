"""How small a difference a number of examples can find, and how many examples a difference needs.

Sees numbers, cluster labels and contrasts; must not know what was measured. All formulas are the normal approximation
of a two-sided test on paired differences, n = (z_a/2 + z_b)^2 w^2 / d^2 with w^2 the variance of one difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from ragft.evaluation.intervals import cluster_totals
from ragft.records import ContrastResult

ALPHA = 0.05
POWER = 0.80


def design_effect(values: ArrayLike, clusters: Sequence[str]) -> float:
    """Return how many times clustering enlarges the variance of the mean, at least 1.0 (Kish 1965).

    The linearised variance of the ratio estimate over clusters, C / (C - 1) sum (s_c - m n_c)^2 / N^2, divided by the
    variance of a mean of N independent values. Exactly 1 when every cluster has one example. Held at 1 or above: a
    lower value is far more often chance than clusters that truly balance. 1.0 where it cannot be estimated.
    """
    numbers = np.asarray(values, dtype=np.float64)
    sums, sizes = cluster_totals(numbers, clusters)
    n, n_clusters = numbers.size, sums.size
    if n_clusters < 2 or n_clusters == n or np.ptp(numbers) == 0:
        return 1.0
    residuals = sums - numbers.mean() * sizes
    clustered = n_clusters / (n_clusters - 1) * float((residuals**2).sum()) / n**2
    return max(1.0, clustered / (float(numbers.var(ddof=1)) / n))


def minimum_detectable_effect(
    differences: ArrayLike, clusters: Sequence[str], *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """Return the difference that as many examples as `differences` holds find with this power.

    w is the measured standard deviation of the paired differences, times the root of the design effect. None with
    fewer than two clusters or with no spread at all: nothing is then known of w, and 0 would claim any effect is found.
    """
    variance = _variance_per_example(differences, clusters)
    if variance is None or variance == 0:
        return None
    return _z_sum(alpha, power) * math.sqrt(variance / len(clusters))


def n_needed(
    differences: ArrayLike, clusters: Sequence[str], *, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """Return how many examples, clustered as these are, would find the measured mean difference with this power.

    None for a difference of 0, which no number of examples would find, and with fewer than two clusters. A measured
    difference is itself uncertain, so this is a rough guide and not a promise.
    """
    numbers = np.asarray(differences, dtype=np.float64)
    variance = _variance_per_example(numbers, clusters)
    # Rounding can leave 1e-18 where the differences cancel; that is no difference.
    if variance is None or abs(float(numbers.mean())) <= 1e-12 * float(np.abs(numbers).max()):
        return None
    return max(2, math.ceil(_z_sum(alpha, power) ** 2 * variance / float(numbers.mean()) ** 2))


def mde_binary(n: int, discordant: float = 0.20, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the difference of paired 0/1 scores that `n` independent examples find: the plan before a run.

    `discordant` is the share of examples on which exactly one of the two arms is right. A paired 0/1 difference with
    mean d then has the variance w^2 = discordant - d^2; put into the sample size formula of Miller 2024 ("Adding error
    bars to evals") and solved for d, with z = z_a/2 + z_b: d = sqrt(z^2 discordant / (n + z^2)). That gives 16.5, 12.1,
    8.7, 5.6, 3.9 points at n = 50, 100, 200, 500, 1000. Connor 1987 (Biometrics 43) puts the variance under the null,
    `discordant`, beside z_a/2 instead and gives 17.3 at n = 50 and the same from 500 on. No difference can exceed the
    discordant share: where d would, the share is taken to be d itself, which gives d = z^2 / (n + z^2).
    """
    if n < 1 or not 0 < discordant <= 1:
        raise ValueError(f"n = {n} must be positive and discordant = {discordant} within (0, 1]")
    z2 = _z_sum(alpha, power) ** 2
    effect = math.sqrt(z2 * discordant / (n + z2))
    return effect if effect <= discordant else z2 / (n + z2)


def examples_to_decide(contrast: ContrastResult, margin: float) -> int | None:
    """Return about how many examples would decide the contrast, if the measured difference is the true one.

    The lesser of two ways: to show that there is a difference (`n_needed`), or that it is at most `margin`, which
    needs the precision to find margin - difference: n (mde / (margin - difference))^2, from n = z^2 w^2 / d^2. None
    where neither is known.
    """
    ways = [] if contrast.n_needed is None else [contrast.n_needed]
    mde, room = contrast.minimum_detectable_effect, margin - (contrast.difference or 0.0)
    if mde is not None and contrast.difference is not None and room > 0:
        ways.append(math.ceil(contrast.n * (mde / room) ** 2))
    return min(ways, default=None)


def _z_sum(alpha: float, power: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)


def _variance_per_example(differences: ArrayLike, clusters: Sequence[str]) -> float | None:
    numbers = np.asarray(differences, dtype=np.float64)
    if len(set(clusters)) < 2:
        return None
    if np.ptp(numbers) == 0:  # var() of equal numbers such as 0.1 can come out as 1e-34
        return 0.0
    return float(numbers.var(ddof=1)) * design_effect(numbers, clusters)
