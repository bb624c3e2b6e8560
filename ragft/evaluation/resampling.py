"""The random part of every interval and test: clusters drawn with replacement, and coins thrown by cluster.

Sees sums by cluster; must not know what was measured. All quantities of a comparison are columns of one matrix, so one
draw serves them all: what is paired in the data stays paired in every resample. The draws depend on the generator and
on the number of clusters alone, and the products below are exact, so no column moves another by a single bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CELLS = 1 << 17  # of a block of weights: 1 MB, which stays in a core's own cache


def cluster_totals(values: ArrayLike, clusters: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the sum of `values` and the number of them in every cluster, clusters in the order of their names."""
    place = {name: i for i, name in enumerate(sorted(set(clusters)))}
    codes = np.array([place[name] for name in clusters], dtype=np.int64)
    return totals(values, codes, len(place))


def totals(values: ArrayLike, codes: Integers, n_clusters: int) -> tuple[Floats, Floats]:
    """Return the sum of `values` and the number of them in each of `n_clusters` clusters, numbered from 0.

    A cluster may be empty. A sum such as 0.1 + 0.2 - 0.3, which is zero but for rounding, is returned as 0. ValueError
    unless there is one code for every value.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != codes.shape:
        raise ValueError(f"{numbers.shape} values for {len(codes)} cluster labels")
    sizes = np.bincount(codes, minlength=n_clusters).astype(np.float64)
    sums: Floats = np.bincount(codes, weights=numbers, minlength=n_clusters).astype(np.float64)
    sums[np.abs(sums) <= 1e-12 * float(np.abs(numbers).sum())] = 0.0
    return sums, sizes


def clustered_variance(sums: Floats, sizes: Floats) -> float:
    """Return the variance of the mean that clusters with these sums and sizes give, 0.0 with fewer than two.

    The linearised variance of a ratio estimate, C / (C - 1) sum (s_c - m n_c)^2 / N^2 (Cochran 1977, 6.3), over the C
    clusters that are not empty.
    """
    n_clusters, n = np.count_nonzero(sizes), sizes.sum()
    if n_clusters < 2:
        return 0.0
    residuals = sums - sums.sum() / n * sizes
    return float(n_clusters / (n_clusters - 1) * (residuals**2).sum() / n**2)


def resampled_means(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the means in `resamples` draws of whole clusters with replacement, shape (resamples, columns).

    `sums` and `sizes` have the shape (clusters, columns). A mean is the ratio of the drawn sums to the drawn sizes,
    since clusters differ in size (Davison and Hinkley 1997, 3.8); it is nan where a column has no example in the
    clusters drawn, which happens only to a column with few clusters of its own, or with none.
    """
    if not len(sums):
        return np.full((resamples, sums.shape[1]), np.nan)
    # Most columns share their sizes: every arm has been asked the same questions.
    distinct, which = np.unique(sizes, axis=1, return_inverse=True)
    columns = np.concatenate([on_grid(sums), distinct], axis=1)
    n_columns, drawn = sums.shape[1], np.empty((resamples, columns.shape[1]))
    start = 0
    for weights in _cluster_weights(len(sums), resamples, rng):
        drawn[start : start + len(weights)] = weights @ columns
        start += len(weights)
    weight = drawn[:, n_columns:]
    weight[weight == 0] = np.nan
    means: Floats = drawn[:, :n_columns] / weight[:, which.reshape(-1)]
    return means


def _cluster_weights(n_clusters: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield blocks of rows that say how often each cluster is drawn; every row adds up to `n_clusters`.

    Counting drawn indices is several times as fast as numpy's multinomial, and the same distribution.
    """
    rows = max(1, _CELLS // n_clusters)
    for start in range(0, resamples, rows):
        n = min(rows, resamples - start)
        drawn = rng.integers(0, n_clusters, size=(n, n_clusters), dtype=np.int64)
        drawn += n_clusters * np.arange(n)[:, None]
        yield np.bincount(drawn.ravel(), minlength=n * n_clusters).reshape(n, n_clusters).astype(np.float64)


def coin_rows(n_clusters: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield blocks of rows of fair coins, 0.0 or 1.0, one per cluster; `resamples` rows in all."""
    rows, n_bytes = max(1, _CELLS // n_clusters), -(-n_clusters // 8)
    for start in range(0, resamples, rows):
        thrown = rng.integers(0, 256, size=(min(rows, resamples - start), n_bytes), dtype=np.uint8)
        yield np.unpackbits(thrown, axis=1)[:, :n_clusters].astype(np.float64)


def on_grid(columns: Floats) -> Floats:
    """Return the columns rounded to multiples of a power of two, so that every sum of drawn rows is exact.

    A sum takes as many rows as there are, repeats counted, so it lies below rows * max|column|; multiples of 2^-52 of
    that need no more than the 53 bits of a float. Without this a product with one column and one with twenty may differ
    in the last bit (the linear algebra library sums in another order), and a tie would hang on it.
    """
    _, exponent = np.frexp(np.abs(columns).max(axis=0, initial=0.0) * max(1, len(columns)))
    grid = np.ldexp(1.0, exponent - 52)
    rounded: Floats = np.round(columns / grid) * grid
    return rounded
