"""Intervals, tests and power: by hand, against scipy, by property, and by simulation of their promises."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.evaluation.intervals import (
    BootstrapMethod,
    bootstrap_interval,
    cluster_totals,
    difference_interval,
    mean_interval,
    tango_interval,
    wilson_interval,
)
from ragft.evaluation.power import design_effect, examples_to_decide, mde_binary, minimum_detectable_effect, n_needed
from ragft.evaluation.significance import holm, mcnemar, sign_flip
from ragft.records import ContrastResult, Interval

CALM = settings(deadline=None)  # a busy machine is no fault of the code
Z = 1.959963984540054  # normal quantile at 0.975
METHODS: list[BootstrapMethod] = ["percentile", "bca"]


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def singletons(n: int) -> list[str]:
    return [f"c{i}" for i in range(n)]


def grouped(n: int, size: int) -> list[str]:
    return [f"c{i // size}" for i in range(n)]


def test_cluster_totals_by_hand() -> None:
    sums, sizes = cluster_totals([1.0, 2.0, 4.0, 8.0], ["b", "a", "b", "b"])
    assert sums.tolist() == [2.0, 13.0]
    assert sizes.tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match="cluster labels"):
        cluster_totals([1.0], ["a", "b"])


@pytest.mark.parametrize("method", METHODS)
def test_bootstrap_agrees_with_scipy_without_clusters(method: BootstrapMethod) -> None:
    stats = pytest.importorskip("scipy.stats")
    values = rng(1).exponential(size=60)
    ours = bootstrap_interval(values, singletons(60), resamples=20_000, level=0.95, rng=rng(2), method=method)
    name = "BCa" if method == "bca" else "percentile"
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method=name, rng=rng(3)).confidence_interval
    assert ours is not None
    assert ours.method == f"cluster bootstrap ({method})"
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_bootstrap_of_clusters_agrees_with_enumeration() -> None:
    # Three clusters of unequal size: all 27 equally likely resamples are known, and so are their ratio estimates.
    sums, sizes = [3.0, 1.0, 8.0], [1, 2, 4]
    values = [3.0, 0.5, 0.5, 2.0, 2.0, 2.0, 2.0]
    clusters = ["a", "b", "b", "c", "c", "c", "c"]
    every = [
        sum(sums[i] for i in drawn) / sum(sizes[i] for i in drawn) for drawn in itertools.product(range(3), repeat=3)
    ]
    ours = bootstrap_interval(values, clusters, resamples=40_000, level=0.8, rng=rng())
    assert ours is not None
    # 10 % of 27 lies between the 2nd and 3rd smallest, away from a jump.
    assert ours.low == pytest.approx(sorted(every)[2])
    assert ours.high == pytest.approx(sorted(every)[24])


def test_bootstrap_of_clusters_is_wider_where_clusters_agree_within() -> None:
    values = np.repeat(rng(5).integers(0, 2, size=40), 5).astype(float)
    whole = bootstrap_interval(values, grouped(200, 5), resamples=4000, level=0.95, rng=rng())
    naive = bootstrap_interval(values, singletons(200), resamples=4000, level=0.95, rng=rng())
    assert whole is not None
    assert naive is not None
    # Five equal values carry the information of one: sqrt(5) = 2.24 times as wide.
    assert (whole.high - whole.low) / (naive.high - naive.low) == pytest.approx(math.sqrt(5), rel=0.08)


def test_bootstrap_edge_cases() -> None:
    flat = bootstrap_interval([0.3, 0.3, 0.3], singletons(3), resamples=100, level=0.95, rng=rng())
    assert flat is not None
    assert (flat.low, flat.high) == (0.3, 0.3)
    assert bootstrap_interval([0.1, 0.9], ["a", "a"], resamples=100, level=0.95, rng=rng()) is None
    assert bootstrap_interval([], [], resamples=100, level=0.95, rng=rng()) is None


@settings(CALM, max_examples=40)
@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=30), size=st.integers(1, 4), method=st.sampled_from(METHODS)
)
def test_bootstrap_stays_within_the_data(values: list[float], size: int, method: BootstrapMethod) -> None:
    found = bootstrap_interval(values, grouped(len(values), size), resamples=200, level=0.9, rng=rng(), method=method)
    if found is not None:
        assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_bootstrap_of_a_thousand_examples_is_fast() -> None:
    values = rng().random(1000)
    started = time.perf_counter()
    bootstrap_interval(values, singletons(1000), resamples=10_000, level=0.95, rng=rng())
    assert time.perf_counter() - started < 2.0  # about 0.1 s alone; room for a busy machine


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says() -> None:
    draw, hits, trials = rng(11), 0, 1000
    for _ in range(trials):
        cluster_effects = draw.normal(size=50)
        values = np.repeat(cluster_effects, 3) + draw.normal(size=150)
        found = bootstrap_interval(values, grouped(150, 3), resamples=800, level=0.95, rng=draw)
        hits += found is not None and found.low <= 0.0 <= found.high
    # Standard error sqrt(.95 * .05 / 1000) = 0.007; the percentile method runs slightly low.
    assert 0.92 <= hits / trials <= 0.98


@CALM
@given(n=st.integers(1, 400), data=st.data())
def test_wilson_agrees_with_scipy(n: int, data: st.DataObject) -> None:
    stats = pytest.importorskip("scipy.stats")
    k = data.draw(st.integers(0, n))
    ours = wilson_interval(k, n, 0.95)
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


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
        (True, 300, 1, "cluster bootstrap (percentile)"),
        (True, 40, 2, "cluster bootstrap (percentile)"),
        (False, 40, 1, "cluster bootstrap (percentile)"),
    ],
)
def test_which_method_gives_the_interval(binary: bool, n: int, size: int, expected: str) -> None:
    values = rng().integers(0, 2, size=n).astype(float)
    mean = mean_interval(values, grouped(n, size), binary=binary, resamples=200, level=0.95, rng=rng())
    assert mean is not None
    assert mean.method == expected
    difference = difference_interval(
        values, values[::-1], grouped(n, size), binary=binary, resamples=200, level=0.95, rng=rng()
    )
    assert difference is not None
    assert difference.method == expected.replace("wilson", "tango")


@pytest.mark.parametrize("size", [1, 5])
def test_all_right_is_never_certainty(size: int) -> None:
    ones, zeros, clusters = np.ones(400), np.zeros(400), grouped(400, size)
    kwargs: dict[str, Any] = {"binary": True, "resamples": 100, "level": 0.95}
    right = mean_interval(ones, clusters, rng=rng(), **kwargs)
    wrong = mean_interval(zeros, clusters, rng=rng(), **kwargs)
    n_clusters = 400 // size
    assert right == wilson_interval(n_clusters, n_clusters, 0.95)
    assert wrong == wilson_interval(0, n_clusters, 0.95)
    same = difference_interval(ones, ones, clusters, rng=rng(), **kwargs)
    assert same == tango_interval(0, 0, n_clusters, 0.95)
    apart = difference_interval(zeros, ones, clusters, rng=rng(), **kwargs)
    assert apart == tango_interval(0, n_clusters, n_clusters, 0.95)


def test_interval_of_nothing_is_none() -> None:
    assert mean_interval([], [], binary=True, resamples=10, level=0.95, rng=rng()) is None
    assert difference_interval([], [], [], binary=False, resamples=10, level=0.95, rng=rng()) is None


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    # 1 against 5 of 6: 2 (1 + 6) / 64.
    assert mcnemar(1, 5) == mcnemar(5, 1) == 14 / 64
    # Mid-p leaves out one of the two halves of the observed split: (14 - 6) / 64.
    assert mcnemar(1, 5, mid_p=True) == 8 / 64
    assert mcnemar(4, 4, mid_p=True) == 1.0


@CALM
@given(first=st.integers(0, 300), second=st.integers(0, 300))
def test_mcnemar_agrees_with_scipy(first: int, second: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    if first + second:
        assert mcnemar(first, second) == pytest.approx(stats.binomtest(first, first + second).pvalue, rel=1e-9)
        assert mcnemar(first, second, mid_p=True) <= mcnemar(first, second)


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


def test_sign_flip_agrees_with_scipy_when_enumerated() -> None:
    stats = pytest.importorskip("scipy.stats")
    differences = rng(4).normal(0.4, 1.0, size=12)
    theirs = stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(differences, singletons(12), rng=rng()) == pytest.approx(theirs.pvalue)


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


@pytest.mark.parametrize(("n", "points"), [(50, 16.5), (100, 12.1), (200, 8.7), (500, 5.6), (1000, 3.9)])
def test_mde_binary_reproduces_the_table(n: int, points: float) -> None:
    assert 100 * mde_binary(n) == pytest.approx(points, abs=0.06)


@CALM
@given(n=st.integers(1, 5000), discordant=st.floats(0.01, 1.0))
def test_mde_binary_falls_with_n_and_stays_possible(n: int, discordant: float) -> None:
    effect = mde_binary(n, discordant)
    assert 0 < effect < 1
    assert mde_binary(n + 1, discordant) < effect
    # The fixed point of the sample size formula: n d^2 = z^2 (discordant - d^2), with at least d discordant.
    share = max(discordant, effect)
    assert n * effect**2 == pytest.approx(7.848879734 * (share - effect**2), rel=1e-6)


def test_mde_binary_has_the_power_it_says() -> None:
    draw, n = rng(8), 500
    effect = mde_binary(n)
    tables = draw.multinomial(n, [(0.2 + effect) / 2, (0.2 - effect) / 2, 0.8], size=2000)
    found = np.mean([mcnemar(int(b), int(c)) <= 0.05 for b, c, _ in tables])
    assert 0.74 <= found <= 0.86


def test_mde_and_n_needed_by_hand() -> None:
    differences = [0.0, 0.2, 0.4, 0.2]  # mean .2, variance (.04 + 0 + .04 + 0) / 3 = .08 / 3
    z = Z + 0.8416212335729143
    assert minimum_detectable_effect(differences, singletons(4)) == pytest.approx(z * math.sqrt(0.08 / 3 / 4))
    assert n_needed(differences, singletons(4)) == math.ceil(z**2 * (0.08 / 3) / 0.04) == 6


def test_power_edge_cases() -> None:
    assert minimum_detectable_effect([0.0, 0.0], singletons(2)) is None
    assert minimum_detectable_effect([0.0, 1.0], ["a", "a"]) is None
    assert n_needed([0.5, -0.5], singletons(2)) is None
    assert n_needed([0.1, 0.2, -0.3], singletons(3)) is None
    assert n_needed([0.1] * 5, singletons(5)) == 2
    with pytest.raises(ValueError, match="discordant"):
        mde_binary(10, 0.0)


def test_design_effect_by_hand() -> None:
    values = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    # Mean .5; cluster residual sums +-1; clustered variance 4/3 * 4 / 64 = 1/12; naive (2/7) / 8 = 1/28.
    assert design_effect(values, grouped(8, 2)) == pytest.approx(28 / 12)
    assert design_effect(values, singletons(8)) == 1.0
    # Clusters that each hold one 0 and one 1 balance out; the effect is held at 1.
    assert design_effect([1.0, 0.0] * 4, grouped(8, 2)) == 1.0


def test_clusters_that_repeat_one_value_make_the_minimum_detectable_effect_larger() -> None:
    differences = np.repeat(rng(6).normal(0.1, 1.0, size=100), 4)
    alone = minimum_detectable_effect(differences, singletons(400))
    whole = minimum_detectable_effect(differences, grouped(400, 4))
    assert alone is not None
    assert whole is not None
    # Four equal values carry the information of one: twice the standard error.
    assert whole / alone == pytest.approx(2.0, rel=0.01)


def test_n_needed_is_near_the_minimum_detectable_effect() -> None:
    differences = rng(6).normal(0.1, 1.0, size=400)
    mde = minimum_detectable_effect(differences, grouped(400, 4))
    needed = n_needed(differences, grouped(400, 4))
    assert mde is not None
    assert needed is not None
    # n = z^2 w^2 / d^2 either way: needed / 400 = (mde / d)^2.
    assert needed / 400 == pytest.approx((mde / differences.mean()) ** 2, rel=0.01)


def test_examples_to_decide_takes_the_shorter_way() -> None:
    def contrast(difference: float, needed: int | None) -> ContrastResult:
        interval = Interval(-0.05, 0.06, 0.95, "tango")
        return ContrastResult("a", "b", "em", difference, interval, 100, "t", 0.9, None, 0.08, needed, declared=True)

    # To show at most .02 where .00 was measured: 100 (.08 / .02)^2 = 1600.
    assert examples_to_decide(contrast(0.0, None), 0.02) == 1600
    # Where .01 was measured the room is .01: 100 (.08 / .01)^2 = 6400, or 6400 to find the difference.
    assert examples_to_decide(contrast(0.01, 6400), 0.02) == 6400
    assert examples_to_decide(contrast(0.03, 711), 0.02) == 711
    assert examples_to_decide(contrast(0.0, None), 0.0) is None
