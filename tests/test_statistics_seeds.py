"""Student's t, and means over questions and training seeds: by hand and by property."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.evaluation.resampling import Floats, resampled_means, totals
from ragft.evaluation.student import t_cdf, t_quantile
from ragft.evaluation.training_seeds import HierarchicalMean, SeedEffects, hierarchical_mean, seed_effects
from ragft.records import Interval

CALM = settings(deadline=None)  # a busy machine is no fault of the code
Z = 1.959963984540054  # normal quantile at 0.975


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_t_quantile_by_hand() -> None:
    # One degree of freedom is Cauchy's distribution, two have a closed form, many are normal.
    assert t_quantile(0.975, 1) == pytest.approx(math.tan(math.pi * 0.475))
    assert t_quantile(0.9, 2) == pytest.approx(0.8 * math.sqrt(2 / (1 - 0.8**2)))
    assert t_quantile(0.975, 1e6) == pytest.approx(Z, abs=1e-5)
    assert t_quantile(0.1, 5) == -t_quantile(0.9, 5)
    with pytest.raises(ValueError, match="degrees"):
        t_quantile(0.5, 0.5)


def test_t_cdf_by_hand() -> None:
    assert t_cdf(0.0, 3) == 0.5
    assert t_cdf(-1.0, 1) == pytest.approx(0.25)
    assert t_cdf(1.0, 1) == pytest.approx(0.75)
    # Two degrees: (1 + t / sqrt(2 + t^2)) / 2.
    assert t_cdf(-3.0, 2) == pytest.approx((1 - 3 / math.sqrt(11)) / 2)
    assert t_cdf(-1e6, 1) == pytest.approx(1e-6 / math.pi)
    assert t_cdf(-math.inf, 5) == 0.0
    with pytest.raises(ValueError, match="degrees"):
        t_cdf(0.0, 0.5)


def test_seed_effects_by_hand() -> None:
    # Means .4 and .6 of two seeds that differ alike on every question: the spread is all theirs, .02 of two means.
    by_seed = np.array([[0.1, 0.3], [0.7, 0.9]])
    effects = seed_effects(by_seed, np.array([0, 1]), 2)
    assert (effects.variance, effects.interaction) == pytest.approx((0.01, 0.0))
    # Both seeds drawn twice each: +-.1 sqrt 2, so that the variance of the mean of two draws is .01 and not half of it.
    assert effects.deviations == pytest.approx([-0.1 * math.sqrt(2), 0.1 * math.sqrt(2)])
    assert effects.shifts(40_000, rng()).var() == pytest.approx(0.01, rel=0.03)


def test_seeds_that_differ_by_chance_alone_add_nothing() -> None:
    # Right on another half of the questions each: the means differ by less than that alone would make them.
    by_seed = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    effects = seed_effects(by_seed, np.arange(4), 4)
    assert effects.variance == 0.0
    # Each seed strays by +-.5 from the mean of both: 2 seeds with 4 / 3 * 4 * .25 / 16 = 1/12 each, over K = 2.
    assert effects.interaction == pytest.approx(1 / 12)
    assert effects.deviations.tolist() == [0.0, 0.0]


def test_two_seeds_that_differ_much_make_a_wide_interval() -> None:
    draw = rng(12)
    questions = draw.normal(size=(100, 1)) * 0.1
    codes, sums = np.arange(100), questions[:, 0] + 0.5
    means = resampled_means(sums[:, None], np.ones((100, 1)), 4000, rng(1))[:, 0]

    def width(by_seed: Floats) -> float:
        effects = seed_effects(by_seed, codes, 100)
        mean = hierarchical_mean(
            *totals(sums, codes, 100), means=means, effects=[effects], shifts=[effects.shifts(4000, rng(2))]
        )
        found = mean.interval(0.95)
        assert found is not None
        return found.high - found.low

    two, four = questions + [[0.4, 0.6]], questions + [[0.4, 0.4, 0.6, 0.6]]
    # One degree of freedom: t is 12.7 in place of 1.96, times the standard error .1.
    assert width(two) == pytest.approx(2 * 12.7 * 0.1, rel=0.1)
    assert width(four) < width(two) / 5
    assert width(questions + [[0.5, 0.5]]) == pytest.approx(2 * 1.984 * questions.std(ddof=1) / 10, rel=0.05)


def test_one_cluster_tells_nothing_of_a_spread() -> None:
    codes = np.array([0, 0])
    effects = seed_effects(np.array([[0.1, 0.3], [0.7, 0.9]]), codes, 1)
    found = hierarchical_mean(*totals([0.2, 0.8], codes, 1), means=np.full(9, 0.5), effects=[effects], shifts=[])
    assert (found.mean, found.spread, found.interval(0.95)) == (0.5, None, None)
    assert (found.p_value(), found.minimum_detectable_effect(), found.examples_for(0.5)) == (1.0, None, None)


def over_seeds(mean: float, spread: float, *, questions: float = 0.01, n_clusters: int = 2, **seeds: float) -> Any:
    """Return a mean over 40 examples, with K = `n_seeds` seeds that add `variance`, or none."""
    n_seeds = int(seeds.get("n_seeds", 0))
    effects = (SeedEffects(np.zeros(n_seeds), seeds["variance"], 0.0),) if n_seeds else ()
    return HierarchicalMean(mean, spread, questions, 40, n_clusters, effects)


def test_the_p_value_over_seeds_by_hand() -> None:
    # Two clusters leave one degree of freedom, Cauchy's: 2 (1/2 - atan(2) / pi) at two standard errors.
    assert over_seeds(0.2, 0.1).p_value() == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    assert over_seeds(-0.2, 0.1).p_value() == over_seeds(0.2, 0.1).p_value()
    # Satterthwaite: (.01 + .01)^2 / (.01^2 / 10 + .01^2 / 1) = 4 / 1.1.
    two = over_seeds(0.3, 0.1, n_clusters=11, variance=0.01, n_seeds=2)
    assert two.degrees == pytest.approx(4 / 1.1)
    assert two.p_value() == 2 * t_cdf(-0.3 / 0.1, two.degrees)
    assert over_seeds(0.0, 0.1).p_value() == over_seeds(0.0, 0.0).p_value() == 1.0


def test_a_difference_that_nothing_varies_about_is_below_any_level() -> None:
    sure = over_seeds(0.1, 0.0)
    assert (sure.p_value(), sure.interval(0.95)) == (0.0, Interval(0.1, 0.1, 0.95, "hierarchical bootstrap (t)"))
    # Nothing is known of what else could be found.
    assert sure.minimum_detectable_effect() is None


def test_equal_means_but_for_rounding_are_equal() -> None:
    # 0.1 + 0.2 - 0.3 is 5.6e-17, in three clusters.
    sums = np.array([0.1, 0.2, -0.3])
    means = resampled_means(sums[:, None], np.ones((3, 1)), 99, rng())[:, 0]
    assert hierarchical_mean(sums, np.ones(3), means=means, effects=[], shifts=[]).p_value() == 1.0
    # And 0.1 throughout has no spread, though its resampled means stray in the last bit.
    tenths = hierarchical_mean(np.full(3, 0.1), np.ones(3), means=0.1 + 1e-17 * sums, effects=[], shifts=[])
    assert tenths.spread == 0.0


@CALM
@given(
    mean=st.floats(-1, 1),
    spread=st.floats(0.001, 1),
    questions=st.floats(1e-6, 1),
    variance=st.floats(0, 1),
    n_seeds=st.integers(2, 6),
    level=st.sampled_from([0.8, 0.95, 0.99]),
)
def test_the_test_and_the_interval_over_seeds_never_contradict(
    mean: float, spread: float, questions: float, variance: float, n_seeds: int, level: float
) -> None:
    found = over_seeds(mean, spread, questions=questions, n_clusters=30, variance=variance, n_seeds=n_seeds)
    interval, p = found.interval(level), found.p_value()
    if abs(p - (1 - level)) > 1e-9:
        assert (p < 1 - level) == (interval.low > 0 or interval.high < 0)


def test_what_is_found_over_seeds_by_hand() -> None:
    # One degree of freedom: t of .975 and .8 are tan(.475 pi) and tan(.3 pi).
    reach = math.tan(0.475 * math.pi) + math.tan(0.3 * math.pi)
    assert over_seeds(0.2, 0.1).minimum_detectable_effect() == pytest.approx(0.1 * reach)
    # Without seeds' variance the effect that 40 examples find needs 40, and half of it four times as many.
    assert over_seeds(0.2, 0.1).examples_for(0.1 * reach) == 40
    assert over_seeds(0.2, 0.1).examples_for(0.05 * reach) == 160
    assert over_seeds(0.2, 0.1).examples_for(0.0) is None


def test_no_number_of_questions_outweighs_the_chance_of_training() -> None:
    # So many clusters and seeds that t is normal: n = z^2 .01 * 40 / (d^2 - z^2 .0025) with z = 2.8016.
    z2 = (Z + 0.8416212335729143) ** 2
    many = over_seeds(0.2, 0.11, n_clusters=10**6, variance=0.0025, n_seeds=10**6)
    assert many.examples_for(0.2) == math.ceil(z2 * 0.4 / (0.04 - z2 * 0.0025))
    # z .05 = .14008: below that nothing helps, however many.
    assert many.examples_for(0.141) > 10_000
    assert many.examples_for(0.140) is None
    # With two seeds it is the t of one degree of freedom that more questions run into, 14.08, so .2 is out of reach.
    assert over_seeds(0.2, 0.11, n_clusters=100, variance=0.0025, n_seeds=2).examples_for(0.2) is None


def test_what_finds_an_effect_over_seeds_is_the_least_that_does() -> None:
    found = over_seeds(0.2, 0.11, n_clusters=30, variance=0.001, n_seeds=4)
    n = found.examples_for(0.25)
    assert n is not None

    def mde(n: int) -> float:
        variance = 0.01 * 40 / n + 0.001
        degrees = variance**2 / ((0.01 * 40 / n) ** 2 / 29 + 0.001**2 / 3)
        return (t_quantile(0.975, degrees) + t_quantile(0.8, degrees)) * math.sqrt(variance)

    assert mde(n) <= 0.25 < mde(n - 1)
