"""Intervals, tests and resampling: by hand, by property, and by quick simulations of their promises."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from ragft.evaluation.intervals import (
    BootstrapMethod,
    bootstrap_interval,
    difference_interval,
    mean_interval,
    tango_interval,
    wilson_interval,
)
from ragft.evaluation.resampling import Floats, cluster_totals, on_grid, resampled_means
from ragft.evaluation.significance import holm, mcnemar
from ragft.evaluation.significance import sign_flip as sign_flip_columns
from ragft.records import Interval

CALM = settings(deadline=None)  # a busy machine is no fault of the code
Z = 1.959963984540054  # normal quantile at 0.975
METHODS: list[BootstrapMethod] = ["percentile", "bca"]


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def singletons(n: int) -> list[str]:
    return [f"c{i}" for i in range(n)]


def grouped(n: int, size: int) -> list[str]:
    return [f"c{i // size}" for i in range(n)]


def resampled(values: ArrayLike, clusters: Sequence[str], resamples: int, draw: np.random.Generator) -> Floats:
    sums, sizes = cluster_totals(values, clusters)
    if not sums.size:
        return np.full(resamples, np.nan)
    return resampled_means(sums[:, None], sizes[:, None], resamples, draw)[:, 0]


def bootstrap(
    values: ArrayLike, clusters: Sequence[str], *, resamples: int, level: float, rng: np.random.Generator, **how: Any
) -> Interval | None:
    return bootstrap_interval(values, clusters, means=resampled(values, clusters, resamples, rng), level=level, **how)


def sign_flip(
    differences: ArrayLike, clusters: Sequence[str], *, rng: np.random.Generator, resamples: int = 10_000
) -> float:
    sums, _ = cluster_totals(differences, clusters)
    return sign_flip_columns(sums[:, None], rng=rng, resamples=resamples)[0]


def test_cluster_totals_by_hand() -> None:
    sums, sizes = cluster_totals([1.0, 2.0, 4.0, 8.0], ["b", "a", "b", "b"])
    assert sums.tolist() == [2.0, 13.0]
    assert sizes.tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match="cluster labels"):
        cluster_totals([1.0], ["a", "b"])


def test_bootstrap_of_clusters_agrees_with_enumeration() -> None:
    # Three clusters of unequal size: all 27 equally likely resamples are known, and so are their ratio estimates.
    sums, sizes = [3.0, 1.0, 8.0], [1, 2, 4]
    values = [3.0, 0.5, 0.5, 2.0, 2.0, 2.0, 2.0]
    clusters = ["a", "b", "b", "c", "c", "c", "c"]
    every = [
        sum(sums[i] for i in drawn) / sum(sizes[i] for i in drawn) for drawn in itertools.product(range(3), repeat=3)
    ]
    ours = bootstrap(values, clusters, resamples=40_000, level=0.8, rng=rng(), expanded=False)
    assert ours is not None
    # 10 % of 27 lies between the 2nd and 3rd smallest, away from a jump.
    assert ours.low == pytest.approx(sorted(every)[2])
    assert ours.high == pytest.approx(sorted(every)[24])


def test_bootstrap_of_clusters_is_wider_where_clusters_agree_within() -> None:
    values = np.repeat(rng(5).integers(0, 2, size=40), 5).astype(float)
    whole = bootstrap(values, grouped(200, 5), resamples=4000, level=0.95, rng=rng())
    naive = bootstrap(values, singletons(200), resamples=4000, level=0.95, rng=rng())
    assert whole is not None
    assert naive is not None
    # Five equal values carry the information of one: sqrt(5) = 2.24 times as wide.
    assert (whole.high - whole.low) / (naive.high - naive.low) == pytest.approx(math.sqrt(5), rel=0.08)


def test_bootstrap_edge_cases() -> None:
    flat = bootstrap([0.3, 0.3, 0.3], singletons(3), resamples=100, level=0.95, rng=rng())
    assert flat is not None
    assert (flat.low, flat.high) == (0.3, 0.3)
    assert bootstrap([0.1, 0.9], ["a", "a"], resamples=100, level=0.95, rng=rng()) is None
    assert bootstrap([], [], resamples=100, level=0.95, rng=rng()) is None


@settings(CALM, max_examples=40)
@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=30), size=st.integers(1, 4), method=st.sampled_from(METHODS)
)
def test_bootstrap_stays_within_the_data(values: list[float], size: int, method: BootstrapMethod) -> None:
    found = bootstrap(values, grouped(len(values), size), resamples=200, level=0.9, rng=rng(), method=method)
    if found is not None:
        assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says() -> None:
    draw, hits, trials = rng(11), 0, 1000
    for _ in range(trials):
        cluster_effects = draw.normal(size=50)
        values = np.repeat(cluster_effects, 3) + draw.normal(size=150)
        found = bootstrap(values, grouped(150, 3), resamples=800, level=0.95, rng=draw)
        hits += found is not None and found.low <= 0.0 <= found.high
    # Standard error sqrt(.95 * .05 / 1000) = 0.007; the percentile method runs slightly low.
    assert 0.92 <= hits / trials <= 0.98


def test_tango_by_hand_where_it_has_a_closed_form() -> None:
    z2 = Z * Z
    none = tango_interval(0, 0, 40, 0.95)
    assert (none.low, none.high) == pytest.approx((-z2 / (40 + z2), z2 / (40 + z2)))
    # Every pair discordant one way: it solves n (1 - d) / (1 + d) = z^2.
    every = tango_interval(40, 0, 40, 0.95)
    assert [every.low, every.high] == pytest.approx([(40 - z2) / (40 + z2), 1.0])


@CALM
@given(first=st.integers(0, 40), second=st.integers(0, 40), same=st.integers(0, 200))
def test_tango_mirrors_and_excludes_zero_as_the_uncorrected_mcnemar_test(first: int, second: int, same: int) -> None:
    n = first + second + same
    if n == 0:
        return
    found, mirrored = tango_interval(first, second, n, 0.95), tango_interval(second, first, n, 0.95)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)
    assert -1.0 <= found.low <= (first - second) / n <= found.high <= 1.0
    if first + second:
        chi = abs(first - second) / math.sqrt(first + second)
        if abs(chi - Z) > 1e-6:
            assert (chi > Z) == (found.low > 0 or found.high < 0)


def test_tango_covers_the_true_difference() -> None:
    draw = rng(3)
    # 40 pairs, right in the first alone with probability .15, in the second alone .05: the true difference is .10.
    tables = draw.multinomial(40, [0.15, 0.05, 0.80], size=2000)
    found = [tango_interval(int(b), int(c), 40, 0.95) for b, c, _ in tables]
    assert 0.93 <= np.mean([f.low <= 0.10 <= f.high for f in found]) <= 0.98


@pytest.mark.parametrize(
    ("binary", "n", "size", "expected"),
    [
        (True, 40, 1, "wilson"),
        (True, 300, 1, "cluster bootstrap (expanded percentile)"),
        (True, 40, 2, "cluster bootstrap (expanded percentile)"),
        (False, 40, 1, "cluster bootstrap (expanded percentile)"),
    ],
)
def test_which_method_gives_the_interval(binary: bool, n: int, size: int, expected: str) -> None:
    values = rng().integers(0, 2, size=n).astype(float)
    clusters, other = grouped(n, size), values - values[::-1]
    means = resampled(values, clusters, 200, rng())
    mean = mean_interval(values, clusters, binary=binary, means=means, level=0.95)
    assert mean is not None
    assert mean.method == expected
    means = resampled(other, clusters, 200, rng())
    difference = difference_interval(other, clusters, binary=binary, means=means, level=0.95)
    assert difference is not None
    assert difference.method == expected.replace("wilson", "tango")


@pytest.mark.parametrize("size", [1, 5])
def test_all_right_is_never_certainty(size: int) -> None:
    ones, zeros, clusters = np.ones(400), np.zeros(400), grouped(400, size)
    kwargs: dict[str, Any] = {"binary": True, "means": np.ones(100), "level": 0.95}
    right = mean_interval(ones, clusters, **kwargs)
    wrong = mean_interval(zeros, clusters, **kwargs)
    n_clusters = 400 // size
    assert right == wilson_interval(n_clusters, n_clusters, 0.95)
    assert wrong == wilson_interval(0, n_clusters, 0.95)
    same = difference_interval(ones - ones, clusters, **kwargs)
    assert same == tango_interval(0, 0, n_clusters, 0.95)
    apart = difference_interval(zeros - ones, clusters, **kwargs)
    assert apart == tango_interval(0, n_clusters, n_clusters, 0.95)


def test_interval_of_nothing_is_none() -> None:
    assert mean_interval([], [], binary=True, means=np.ones(10), level=0.95) is None
    assert difference_interval([], [], binary=False, means=np.ones(10), level=0.95) is None


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    # 1 against 5 of 6: 2 (1 + 6) / 64.
    assert mcnemar(1, 5) == mcnemar(5, 1) == 14 / 64
    # Mid-p leaves out one of the two halves of the observed split: (14 - 6) / 64.
    assert mcnemar(1, 5, mid_p=True) == 8 / 64
    assert mcnemar(4, 4, mid_p=True) == 1.0


def test_mcnemar_of_many_pairs_neither_overflows_nor_rounds_to_nonsense() -> None:
    assert 0.0 <= mcnemar(1500, 4500) < 1e-300
    assert mcnemar(5000, 5000) == 1.0


def test_sign_flip_by_hand() -> None:
    # Sums 1, 2, 3: of the 8 sign patterns only +++ and --- reach 6.
    assert sign_flip([1.0, 2.0, 3.0], singletons(3), rng=rng()) == 2 / 8
    # By cluster: sums 3 and 3, two of four patterns.
    assert sign_flip([1.0, 2.0, 3.0], ["a", "a", "b"], rng=rng()) == 2 / 4
    # Ties in floating point still count: 0.1 + 0.2 and 0.3 are the same cluster sum.
    assert sign_flip([0.1, 0.2, -0.3], ["a", "a", "b"], rng=rng()) == 1.0
    assert sign_flip([0.1, 0.2, -0.3], ["a", "a", "a"], rng=rng()) == 1.0


def test_sign_flip_counts_ties_that_rounding_would_break() -> None:
    # In tenths 1, 1, -3, 2: every choice of signs gives an odd total, so none is nearer to 0 than the 1 observed.
    assert sign_flip([0.1, 0.1, -0.3, 0.2], singletons(4), rng=rng()) == 1.0


@CALM
@given(values=st.lists(st.floats(0, 1), max_size=40))
def test_identical_arms_give_exactly_one(values: list[float]) -> None:
    differences = np.array(values) - np.array(values)
    assert sign_flip(differences, singletons(len(values)), rng=rng()) == 1.0


def test_sign_flip_by_chance_is_near_the_enumeration_and_never_zero() -> None:
    sums = rng(4).normal(0.5, 1.0, size=16)
    patterns = np.array(list(itertools.product([-1.0, 1.0], repeat=16)))
    exact = float(np.mean(np.abs(patterns @ sums) >= abs(sums.sum()) - 1e-9))
    assert sign_flip(sums, singletons(16), rng=rng()) == pytest.approx(exact, abs=0.015)
    assert sign_flip(np.ones(60), singletons(60), rng=rng(), resamples=999) == 1 / 1000


def test_tests_find_too_much_no_more_often_than_they_say_under_the_null() -> None:
    draw, trials = rng(21), 400
    by_cluster, naive, binary = 0, 0, 0
    for _ in range(trials):
        differences = np.repeat(draw.normal(size=20), 5) + 0.3 * draw.normal(size=100)
        by_cluster += sign_flip(differences, grouped(100, 5), rng=draw, resamples=499) <= 0.05
        naive += sign_flip(differences, singletons(100), rng=draw, resamples=499) <= 0.05
        discordant = draw.binomial(100, 0.3)
        first = int(draw.binomial(discordant, 0.5))
        binary += mcnemar(first, int(discordant) - first) <= 0.05
    assert by_cluster / trials <= 0.08
    assert binary / trials <= 0.07
    assert naive / trials > 0.2  # what ignoring the clusters would have done


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, which may not fall: .04 .06 .06 .06.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@CALM
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for raw, held in zip(p_values, adjusted, strict=True):
        assert raw <= held <= min(1.0, len(p_values) * raw) or held == raw
    assert sorted(adjusted) == [held for _, held in sorted(zip(p_values, adjusted, strict=True))]


def test_resampled_means_are_exact_whatever_stands_beside_them() -> None:
    values = rng(4).random((300, 7))
    sizes = np.ones((300, 7))
    together = resampled_means(values, sizes, 500, rng(5))
    for column in range(7):
        alone = resampled_means(values[:, [column]], sizes[:, [column]], 500, rng(5))
        assert np.array_equal(alone[:, 0], together[:, column])
    # Paired: what is a difference in the data is one in every resample.
    difference = resampled_means(values[:, [0]] - values[:, [1]], sizes[:, [0]], 500, rng(5))[:, 0]
    assert difference == pytest.approx(together[:, 0] - together[:, 1], abs=1e-12)


def test_resampled_means_spread_as_theory_says() -> None:
    values = rng(6).normal(size=(200, 1))
    means = resampled_means(values, np.ones((200, 1)), 20_000, rng(7))[:, 0]
    assert means.mean() == pytest.approx(values.mean(), abs=0.003)
    assert means.std() == pytest.approx(values.std() / math.sqrt(200), rel=0.02)


def test_a_resample_without_any_example_is_passed_over() -> None:
    # Two of forty clusters hold the metric: about e^-2 of the resamples draw neither.
    sums, sizes = np.zeros((40, 1)), np.zeros((40, 1))
    sums[:2, 0], sizes[:2, 0] = [0.25, 0.75], 1.0
    means = resampled_means(sums, sizes, 4000, rng())[:, 0]
    assert np.isnan(means).mean() == pytest.approx((38 / 40) ** 40, abs=0.02)
    found = bootstrap_interval([0.25, 0.75], ["a", "b"], means=means, level=0.95)
    assert found is not None
    assert (found.low, found.high) == (0.25, 0.75)


def test_on_grid_makes_sums_exact_and_changes_next_to_nothing() -> None:
    columns = rng(8).normal(size=(1000, 2)) * [1.0, 1e-6]
    rounded = on_grid(columns)
    assert np.abs(rounded - columns).max(axis=0) / np.abs(columns).max(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert rounded.sum(axis=0).tolist() == [math.fsum(rounded[:, 0]), math.fsum(rounded[:, 1])]
    assert on_grid(np.zeros((3, 1))).tolist() == [[0.0]] * 3


def test_sign_flip_of_a_column_does_not_hang_on_the_others() -> None:
    sums = rng(9).normal(size=(50, 4))
    sums[:, 1] = 0.0
    sums[5:, 2] = 0.0  # five clusters: enumerated
    together = sign_flip_columns(sums, rng=rng(1), resamples=2000)
    assert together[1] == 1.0
    assert [sign_flip_columns(sums[:, [i]], rng=rng(1), resamples=2000)[0] for i in range(4)] == together
    mirrored = sign_flip_columns(-sums, rng=rng(1), resamples=2000)
    assert mirrored == together


@pytest.mark.parametrize(("n", "reach"), [(10, 2.3844), (1000, 1.9634)])
def test_the_expanded_interval_reaches_as_far_as_the_t_interval(n: int, reach: float) -> None:
    # sqrt(n / (n - 1)) t: 2.262 * 1.0541 = 2.3844 and 1.9623 * 1.0005 = 1.9634 spreads of a normal resample.
    means = rng(10).normal(size=400_000)
    found = bootstrap_interval(np.linspace(-1, 1, n), singletons(n), means=means, level=0.95)
    assert found is not None
    assert (-found.low, found.high) == pytest.approx((reach, reach), abs=0.03)
