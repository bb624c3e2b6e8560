"""Intervals, tests and sample sizes against SciPy and statsmodels, wherever they have the method."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.evaluation.intervals import BootstrapMethod, bootstrap_interval, tango_interval, wilson_interval
from ragft.evaluation.power import examples_for, minimum_detectable_effect, n_needed
from ragft.evaluation.resampling import resampled_means
from ragft.evaluation.significance import holm, mcnemar, sign_flip
from ragft.evaluation.student import t_cdf, t_quantile
from ragft.evaluation.training_seeds import SeedEffects, hierarchical_mean

stats = pytest.importorskip("scipy.stats")
CALM = settings(deadline=None)  # a busy machine is no fault of the code


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def singletons(n: int) -> list[str]:
    return [f"c{i:04d}" for i in range(n)]


@pytest.mark.parametrize(("method", "theirs"), [("percentile", "percentile"), ("bca", "BCa")])
def test_bootstrap_agrees_with_scipy(method: BootstrapMethod, theirs: str) -> None:
    values = rng(1).exponential(size=60)
    means = resampled_means(values[:, None], np.ones((60, 1)), 40_000, rng(2))[:, 0]
    ours = bootstrap_interval(values, singletons(60), means=means, level=0.95, method=method, expanded=False)
    found = stats.bootstrap((values,), np.mean, n_resamples=40_000, method=theirs, rng=rng(3)).confidence_interval
    assert ours is not None
    assert ours.method == f"cluster bootstrap ({method})"
    # The 2.5 % point of 40,000 resamples has a standard error of about 0.002 here; the two draw apart.
    assert (ours.low, ours.high) == pytest.approx((found.low, found.high), abs=0.01)


def test_paired_bootstrap_agrees_with_scipy() -> None:
    first, second = rng(4).random(80), rng(5).random(80)
    columns = np.stack([first, second, first - second], axis=1)
    means = resampled_means(columns, np.ones((80, 3)), 40_000, rng(2))
    ours = bootstrap_interval(first - second, singletons(80), means=means[:, 2], level=0.95, expanded=False)
    found = stats.bootstrap(
        (first, second),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        n_resamples=40_000,
        method="percentile",
        rng=rng(3),
    ).confidence_interval
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((found.low, found.high), abs=0.005)
    assert means[:, 2] == pytest.approx(means[:, 0] - means[:, 1], abs=1e-12)


@pytest.mark.parametrize("n", [15, 60, 400])
def test_the_expanded_interval_is_near_the_t_interval(n: int) -> None:
    values = rng(6).normal(size=n)
    means = resampled_means(values[:, None], np.ones((n, 1)), 40_000, rng(2))[:, 0]
    ours = bootstrap_interval(values, singletons(n), means=means, level=0.95)
    found = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert ours is not None
    assert (ours.high - ours.low) / (found.high - found.low) == pytest.approx(1.0, abs=0.04)


@CALM
@given(degrees=st.floats(1, 5000), probability=st.floats(0.001, 0.999))
def test_t_quantile_agrees_with_scipy(degrees: float, probability: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-6, abs=1e-9)


@CALM
@given(degrees=st.floats(1, 5000), t=st.floats(-60, 60))
def test_t_cdf_agrees_with_scipy_far_into_the_tail(degrees: float, t: float) -> None:
    # Relative for small probabilities: 1e-30 is not 0.
    assert t_cdf(t, degrees) == pytest.approx(stats.t.cdf(t, degrees), rel=1e-7, abs=1e-280)


@CALM
@given(degrees=st.floats(1, 500), probability=st.floats(0.001, 0.999))
def test_t_quantile_inverts_t_cdf(degrees: float, probability: float) -> None:
    assert t_cdf(t_quantile(probability, degrees), degrees) == pytest.approx(probability, rel=1e-9)


def test_seeds_that_answer_alike_leave_the_paired_t_test_of_scipy() -> None:
    values = rng(6).normal(0.12, 0.4, size=60)
    means = resampled_means(values[:, None], np.ones((60, 1)), 40_000, rng(2))[:, 0]
    alike = SeedEffects(np.zeros(2), 0.0, 0.0)
    ours = hierarchical_mean(values, np.ones(60), means=means, effects=[alike], shifts=[np.zeros(40_000)])
    assert ours.degrees == pytest.approx(59)
    # The spread of 40,000 resamples has a relative standard error of 0.004; this far out p moves by t^2 times that.
    assert ours.p_value() == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue, rel=0.1)


@pytest.mark.parametrize("n", [5, 12, 14])
def test_sign_flip_agrees_with_scipy_when_enumerated(n: int) -> None:
    differences = rng(4).normal(0.4, 1.0, size=n)
    theirs = stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(differences[:, None], rng=rng()) == [pytest.approx(theirs.pvalue)]


def test_sign_flip_agrees_with_scipy_when_drawn() -> None:
    differences = rng(4).normal(0.2, 1.0, size=80)
    theirs = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=20_000, vectorized=False, rng=rng(5)
    )
    (ours,) = sign_flip(differences[:, None], rng=rng(), resamples=20_000)
    # Two shares of 20,000 near 0.07: each has a standard error of 0.002.
    assert ours == pytest.approx(theirs.pvalue, abs=0.01)


@CALM
@given(first=st.integers(0, 300), second=st.integers(0, 300))
def test_mcnemar_agrees_with_scipy(first: int, second: int) -> None:
    if first + second:
        assert mcnemar(first, second) == pytest.approx(stats.binomtest(first, first + second).pvalue, rel=1e-9)
        # Mid-p leaves out half of the observed split on both sides: its whole probability once.
        lost = stats.binom.pmf(first, first + second, 0.5)
        assert mcnemar(first, second, mid_p=True) == pytest.approx(
            min(1.0, 2 * stats.binom.cdf(min(first, second), first + second, 0.5) - lost), rel=1e-9
        )


@pytest.mark.parametrize(("first", "second"), [(1, 5), (0, 9), (12, 30), (40, 41), (7, 7)])
def test_mcnemar_agrees_with_statsmodels(first: int, second: int) -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    found = tables.mcnemar([[30, first], [second, 20]], exact=True)
    assert mcnemar(first, second) == pytest.approx(found.pvalue)


@CALM
@given(n=st.integers(1, 400), level=st.sampled_from([0.8, 0.95, 0.99]), data=st.data())
def test_wilson_agrees_with_scipy_and_statsmodels(n: int, level: float, data: st.DataObject) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    k = data.draw(st.integers(0, n))
    ours = wilson_interval(k, n, level)
    theirs = stats.binomtest(k, n).proportion_ci(confidence_level=level, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    other = proportion.proportion_confint(k, n, alpha=1 - level, method="wilson")
    assert (ours.low, ours.high) == pytest.approx(other, abs=1e-12)


@CALM
@given(first=st.integers(1, 40), second=st.integers(1, 40), same=st.integers(1, 200))
def test_tango_solves_its_defining_equation(first: int, second: int, same: int) -> None:
    """Neither library has Tango's interval.

    Its ends are the differences d at which (b - c - n d)^2 = z^2 n (2 q + d (1 - d)), where q, the probability of the
    second alone being right, is the most likely one for that d. Here q is found by maximising the likelihood itself.
    """
    optimize = pytest.importorskip("scipy.optimize")
    n, z = first + second + same, stats.norm.ppf(0.975)
    found = tango_interval(first, second, n, 0.95)
    for d in (found.low, found.high):

        def unlikely(q: float, d: float = d) -> float:
            return -(first * math.log(q + d) + second * math.log(q) + same * math.log(1 - 2 * q - d))

        bounds = (max(0.0, -d) + 1e-12, (1 - d) / 2 - 1e-12)
        q = optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        reached = (first - second - n * d) / math.sqrt(n * (2 * q + d * (1 - d)))
        assert abs(reached) == pytest.approx(z, abs=1e-3)


@CALM
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=15))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1], abs=1e-12)


@pytest.mark.parametrize("effect", [0.05, 0.1, 0.3])
def test_sample_size_agrees_with_statsmodels(effect: float) -> None:
    power = pytest.importorskip("statsmodels.stats.power")
    spread = 0.4
    # One sample of paired differences: nobs2 = 0, so `ratio=0`. It also counts the far tail, which is nothing here.
    theirs = power.NormalIndPower().solve_power(effect / spread, alpha=0.05, power=0.8, ratio=0)
    assert examples_for(effect, (spread**2, 0.0, 0.0)) == math.ceil(theirs - 1e-3)
    values = np.tile([-1.0, 1.0], 50) * spread * math.sqrt(99 / 100) + effect
    assert n_needed(values, singletons(100)) == pytest.approx(theirs, abs=1.01)


@pytest.mark.parametrize("n", [15, 40, 100, 500])
def test_minimum_detectable_effect_agrees_with_statsmodels(n: int) -> None:
    power = pytest.importorskip("statsmodels.stats.power")
    values = rng(8).normal(0.1, 0.4, size=n)
    theirs = power.TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * values.std(ddof=1)
    # Theirs is by the noncentral t distribution, ours by two quantiles of the central one (Bloom 1995).
    assert minimum_detectable_effect(values, singletons(n)) == pytest.approx(theirs, rel=0.01)
