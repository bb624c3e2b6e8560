"""Time a whole comparison: 6 arms, 1,000 questions, 10,000 resamples, all means and all 15 paired contrasts.

    OMP_NUM_THREADS=1 taskset -c 1 python tests/benchmarks/statistics_speed.py

Prints the median of several repeats in one process, for `compare_arms` (one draw of clusters for all quantities) and,
on the same values, for the plain way: every mean and every contrast with indices and coins of its own, gathered.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ragft.evaluation.comparison import compare_arms
from ragft.records import Score

METRIC = "token_f1"


def values(n_arms: int, n_examples: int) -> NDArray[np.float64]:
    """Return graded scores, shape (examples, arms), with a part that all arms share."""
    rng = np.random.default_rng(1)
    shared = rng.normal(0.5, 0.3, size=(n_examples, 1))
    return np.clip(shared + rng.normal(0.0, 0.25, size=(n_examples, n_arms)), 0.0, 1.0)


def joint(table: NDArray[np.float64], n_clusters: int, resamples: int, n_seeds: int = 1) -> float:
    """Return the seconds of one `compare_arms`, scores in, comparison out."""
    n_examples, n_arms = table.shape
    arms = [f"arm{i}" for i in range(n_arms)]
    ids = [f"q{i:05d}" for i in range(n_examples)]
    scores = [
        Score(arm, id, METRIC, float(table[i, j]), None, seed if n_seeds > 1 else None)
        for j, arm in enumerate(arms)
        for i, id in enumerate(ids)
        for seed in range(n_seeds)
    ]
    started = time.perf_counter()
    found = compare_arms(
        scores,
        clusters={id: f"d{i % n_clusters:05d}" for i, id in enumerate(ids)},
        arms=arms,
        metrics=[METRIC],
        primary_metric=METRIC,
        declared=[],
        resamples=resamples,
        level=0.95,
        seed=1,
    )
    seconds = time.perf_counter() - started
    assert len(found.contrasts) == n_arms * (n_arms - 1) // 2
    assert all(one.interval is not None and one.p_value is not None for one in found.contrasts)
    return seconds


def plain(table: NDArray[np.float64], n_clusters: int, resamples: int) -> float:
    """Return the seconds of the same intervals and p-values one by one."""
    rng, (n_examples, n_arms) = np.random.default_rng(1), table.shape
    codes = np.arange(n_examples) % n_clusters
    sizes = np.bincount(codes).astype(float)
    started = time.perf_counter()
    pairs = list(itertools.combinations(range(n_arms), 2))
    for column in [*table.T, *(table[:, a] - table[:, b] for a, b in pairs)]:
        sums = np.bincount(codes, weights=column)
        drawn = rng.integers(0, n_clusters, size=(resamples, n_clusters), dtype=np.int32)
        np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), (0.025, 0.975))
    for a, b in pairs:
        sums = np.bincount(codes, weights=table[:, a] - table[:, b])
        coins = rng.integers(0, 2, size=(resamples, n_clusters), dtype=np.int8)
        np.count_nonzero(np.abs((2.0 * coins - 1.0) @ sums) >= abs(sums.sum()))
    return time.perf_counter() - started


def median(run: Callable[[], float], repeats: int) -> float:
    """Return the median seconds of `repeats` runs, after one that warms up."""
    run()
    return statistics.median(run() for _ in range(repeats))


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=6)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    table = values(args.arms, args.questions)
    print(f"{args.arms} arms, {args.questions} questions, {args.resamples} resamples, median of {args.repeats}\n")
    print("| clusters | joint, s | one by one, s | times as fast |\n| ---: | ---: | ---: | ---: |")
    for n_clusters in (args.questions, args.questions // 5):
        new = median(lambda n=n_clusters: joint(table, n, args.resamples), args.repeats)
        old = median(lambda n=n_clusters: plain(table, n, args.resamples), max(1, args.repeats // 2))
        print(f"| {n_clusters} | {new:.3f} | {old:.3f} | {old / new:.1f} |")
    seeds = median(lambda: joint(table, args.questions, args.resamples, n_seeds=3), args.repeats)
    print(f"\nWith 3 training seeds in every arm, {args.questions} clusters: {seeds:.3f} s")


if __name__ == "__main__":
    main()
