"""Tests of whether two arms differ, and the adjustment for several of them.

Sees paired differences and cluster labels; must not know what was measured. The null is always that the two arms are
exchangeable on every cluster; identical arms give exactly p = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ragft.evaluation.intervals import Floats, cluster_totals

Coins = NDArray[np.int8]

EXACT_CLUSTERS = 14
"""Up to this many clusters with a non-zero sum all 2^14 sign patterns are enumerated."""

_CELLS = 1_000_000


def mcnemar(first_only: int, second_only: int, *, mid_p: bool = False) -> float:
    """Return the two-sided exact p-value of McNemar's test for paired 0/1 values (McNemar 1947).

    `first_only` and `second_only` count the discordant pairs; under the null each falls on either side with
    probability 1/2. `mid_p` counts only half the probability of the observed split, which is less conservative
    (Fagerland, Lydersen and Laake 2013). Assumes independent pairs. No discordant pair: 1.0.
    """
    n, fewer = first_only + second_only, min(first_only, second_only)
    if fewer < 0:
        raise ValueError("counts of discordant pairs cannot be negative")
    # Whole numbers throughout: one division at the end, so no rounding however many pairs.
    ways, up_to = 1, 1
    for i in range(fewer):
        ways = ways * (n - i) // (i + 1)
        up_to += ways
    doubled = 2 * up_to - (ways if mid_p else 0)
    return min(1.0, doubled / (1 << n))


def sign_flip(
    differences: ArrayLike, clusters: Sequence[str], *, rng: np.random.Generator, resamples: int = 10_000
) -> float:
    """Return the two-sided p-value of the sign-flip randomisation test on the sums of `differences` by cluster.

    Under the null the sign of each cluster's sum is a fair coin (Fisher 1935; for system comparison, Smucker, Allan
    and Carterette 2007). With at most 14 non-zero clusters all sign patterns are enumerated and p is exact; otherwise
    p = (1 + c) / (1 + B) with c of B = `resamples` random patterns at least as far from 0 as the data. Keeps its level
    whatever the distribution within clusters. No non-zero cluster: 1.0.
    """
    sums, _ = cluster_totals(differences, clusters)
    # A sum such as 0.1 + 0.2 - 0.3 is zero but for rounding; it must not count as a cluster that differs.
    scale = float(np.abs(np.asarray(differences, dtype=np.float64)).sum())
    sums = sums[np.abs(sums) > 1e-12 * scale]
    if sums.size == 0:
        return 1.0
    if sums.size <= EXACT_CLUSTERS:
        patterns = _all_sign_patterns(sums.size)
        return _count_extreme(patterns, sums) / len(patterns)
    count, rows = 0, max(1, _CELLS // sums.size)
    for start in range(0, resamples, rows):
        coins = rng.integers(0, 2, size=(min(rows, resamples - start), sums.size), dtype=np.int8)
        count += _count_extreme(coins, sums)
    return (1 + count) / (1 + resamples)


def _all_sign_patterns(n: int) -> Coins:
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.int8)


def _count_extreme(coins: Coins, sums: Floats) -> int:
    """Return for how many rows of 0/1 coins the signed total is as far from 0 as the data, with room for rounding."""
    reach = abs(float(sums.sum())) - 1e-9 * float(np.abs(sums).sum())
    totals = (2.0 * coins.astype(np.float64) - 1.0) @ sums
    return int(np.count_nonzero(np.abs(totals) >= reach))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted by Holm's step-down method (Holm 1979), in the order given.

    Controls the chance of any false finding among them, whatever their dependence. The i-th smallest of m (from 0) is
    multiplied by m - i; the results never fall along the order and stop at 1.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for i, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - i) * p_values[place]))
        adjusted[place] = highest
    return adjusted
