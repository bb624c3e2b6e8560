"""Tests of whether two arms differ, and the adjustment for several of them.

Sees sums of paired differences by cluster; must not know what was measured. The null is always that the two arms are
exchangeable on every cluster; identical arms give exactly p = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragft.evaluation.resampling import Floats, coin_rows, on_grid

EXACT_CLUSTERS = 14
"""Up to this many clusters with a non-zero sum all 2^14 sign patterns are enumerated."""


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


def sign_flip(sums: Floats, *, rng: np.random.Generator, resamples: int = 10_000) -> list[float]:
    """Return the two-sided p-values of the sign-flip randomisation test, one for each column of `sums`.

    `sums` are the sums of paired differences by cluster, shape (clusters, contrasts). Under the null the sign of each
    cluster's sum is a fair coin (Fisher 1935; for system comparison, Smucker, Allan and Carterette 2007). With at most
    14 non-zero clusters all sign patterns are enumerated and p is exact; otherwise p = (1 + c) / (1 + B) with c of B =
    `resamples` random patterns at least as far from 0 as the data. One set of patterns serves every column, so a column
    has the same p whatever stands beside it. Keeps its level whatever the distribution within clusters, as a test of
    exchangeable arms. It is no test of equal means alone: where a few large gains balance many small losses, arms are
    not exchangeable though their means are equal, and it says so too often to pass for one (9 % at 60 examples, in
    tests/benchmarks/statistics_simulation.py). No non-zero cluster: 1.0.
    """
    p_values = [1.0] * sums.shape[1]
    n_nonzero = np.count_nonzero(sums, axis=0)
    for column in np.flatnonzero((n_nonzero > 0) & (n_nonzero <= EXACT_CLUSTERS)):
        nonzero = sums[sums[:, column] != 0, column][:, None]
        patterns = _all_sign_patterns(len(nonzero))
        p_values[column] = int(_count_extreme(patterns, nonzero)[0]) / len(patterns)
    drawn = np.flatnonzero(n_nonzero > EXACT_CLUSTERS)
    if drawn.size:
        columns = on_grid(sums[:, drawn])
        counts = sum(_count_extreme(coins, columns) for coins in coin_rows(len(sums), resamples, rng))
        for column, count in zip(drawn, np.atleast_1d(counts), strict=True):
            p_values[column] = (1 + int(count)) / (1 + resamples)
    return p_values


def _all_sign_patterns(n: int) -> Floats:
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)


def _count_extreme(coins: Floats, sums: Floats) -> Floats:
    """Return, by column, for how many rows of 0/1 coins the signed total is as far from 0 as the data's.

    Room is left for rounding: values such as 0.1 have no exact float, and a tie must stay a tie.
    """
    whole = sums.sum(axis=0)
    reach = np.abs(whole) - 1e-9 * np.abs(sums).sum(axis=0)
    extreme: Floats = (np.abs(2.0 * (coins @ sums) - whole) >= reach).sum(axis=0).astype(np.float64)
    return extreme


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
