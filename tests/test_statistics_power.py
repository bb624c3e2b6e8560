"""What a number of examples can find, and how many are needed: by hand, by property, and by a quick simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.evaluation.power import (
    design_effect,
    examples_for,
    examples_more,
    examples_to_decide,
    mde_binary,
    minimum_detectable_effect,
    n_needed,
    planned_mde,
    variance_components,
)
from ragft.evaluation.significance import mcnemar
from ragft.records import ContrastResult, Interval

CALM = settings(deadline=None)  # a busy machine is no fault of the code
Z = 1.959963984540054  # normal quantile at 0.975


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def singletons(n: int) -> list[str]:
    return [f"c{i}" for i in range(n)]


def grouped(n: int, size: int) -> list[str]:
    return [f"c{i // size}" for i in range(n)]


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
    z, t = Z + 0.8416212335729143, 3.182446305284263 + 0.9784723123633045  # normal, and t with 3 degrees of freedom
    assert minimum_detectable_effect(differences, singletons(4)) == pytest.approx(t * math.sqrt(0.08 / 3 / 4))
    exact = minimum_detectable_effect(differences, singletons(4), exact_binary=True)
    assert exact == pytest.approx(t * math.sqrt(0.08 / 3 / 4) + 1 / 4)
    assert n_needed(differences, singletons(4)) == math.ceil(z**2 * (0.08 / 3) / 0.04) == 6


def test_n_needed_for_an_exact_test_leaves_room_for_one_pair() -> None:
    differences = [1.0] * 30 + [-1.0] * 10 + [0.0] * 160  # mean .1
    n = n_needed(differences, singletons(200), exact_binary=True)
    assert n is not None
    # n d - 1 = z w sqrt(n) at the first whole n.
    spread = (Z + 0.8416212335729143) * float(np.std(differences, ddof=1))
    assert n * 0.1 - 1 >= spread * math.sqrt(n)
    assert (n - 1) * 0.1 - 1 < spread * math.sqrt(n - 1)


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
    # Four equal values carry the information of one: twice the standard error, and t for 99 instead of 399 degrees.
    assert whole / alone == pytest.approx(2.0, rel=0.02)


def test_n_needed_is_near_the_minimum_detectable_effect() -> None:
    differences = rng(6).normal(0.1, 1.0, size=400)
    mde = minimum_detectable_effect(differences, grouped(400, 4))
    needed = n_needed(differences, grouped(400, 4))
    assert mde is not None
    assert needed is not None
    # n = z^2 w^2 / d^2, so needed / 400 = (mde / d)^2, but for t with 99 degrees of freedom, 2.829, in place of 2.802.
    assert needed / 400 == pytest.approx((2.802 / 2.829 * mde / differences.mean()) ** 2, rel=0.001)


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


def contrast_of(difference: float, low: float, high: float, **changes: Any) -> ContrastResult:
    values: dict[str, Any] = {
        "first": "a", "second": "b", "metric": "em", "difference": difference,
        "interval": Interval(low, high, 0.95, "tango"), "n": 100, "test": "t", "p_value": 0.9, "p_adjusted": None,
        "minimum_detectable_effect": 0.08, "n_needed": 711, "declared": True,
    }  # fmt: skip
    return ContrastResult(**{**values, **changes})


def test_examples_more_counts_what_is_missing() -> None:
    assert examples_more(contrast_of(0.03, -0.02, 0.08), 0.0) == 611
    # The other way round it is the same contrast.
    assert examples_more(contrast_of(-0.03, -0.08, 0.02), 0.0) == 611
    assert examples_more(contrast_of(0.0, -0.05, 0.05, n_needed=None), 0.02) == 1500
    assert examples_more(contrast_of(0.0, -0.05, 0.05, n_needed=None), 0.0) is None


def test_examples_more_is_nothing_where_the_contrast_is_decided() -> None:
    assert examples_more(contrast_of(0.06, 0.01, 0.11), 0.0) == 0
    assert examples_more(contrast_of(-0.06, -0.11, -0.01), 0.0) == 0
    assert examples_more(contrast_of(0.01, -0.03, 0.02), 0.02) == 0
    # At equal means neither arm is the better one: both ends must be within the margin.
    assert examples_more(contrast_of(0.0, -0.03, 0.02, n_needed=None), 0.02) == 1500


def test_examples_more_is_unknown_where_questions_are_not_what_is_missing() -> None:
    # 60 of the 100 examples would do, yet the interval holds 0: it has too few clusters.
    assert examples_more(contrast_of(0.10, -0.05, 0.25, n_needed=60), 0.0) is None
    assert examples_more(contrast_of(0.10, -0.05, 0.25, interval=None), 0.0) is None


def test_the_margin_of_a_contrast_with_seeds_is_reached_as_its_own_formula_says() -> None:
    # Not 100 (.08 / .02)^2 = 1600, which takes all of the variance to fall with the number of questions.
    seeded = contrast_of(0.0, -0.05, 0.06, n_needed=None, test="hierarchical_t")
    asked: list[float] = []

    def finds(effect: float) -> int | None:
        asked.append(effect)
        return 2500

    assert examples_more(seeded, 0.02, finds=finds) == 2400
    assert asked == [0.02]
    assert examples_more(seeded, 0.02, finds=lambda _: None) is None
    # Who has the contrast alone takes what it says: 100 + 2400, or else what finds the difference.
    assert examples_to_decide(contrast_of(0.0, -0.05, 0.06, test="hierarchical_t", n_more=2400), 0.02) == 2500
    assert examples_to_decide(contrast_of(0.03, -0.05, 0.06, test="hierarchical_t"), 0.02) == 711


def test_planned_mde() -> None:
    assert planned_mde(200, 200, "binary") == mde_binary(200)
    assert planned_mde(200, 200, "graded") == pytest.approx((Z + 0.8416212335729143) * 0.35 / math.sqrt(200))
    # 200 questions on 40 documents, correlation .2: 1 + 4 * .2 = 1.8 times the variance.
    assert planned_mde(200, 40, "graded") == pytest.approx(math.sqrt(1.8) * planned_mde(200, 200, "graded"))
    assert planned_mde(200, 40, "graded", within_cluster=1.0) == pytest.approx(planned_mde(40, 40, "graded"))
    assert planned_mde(200, 40, "binary") == mde_binary(111)
    with pytest.raises(ValueError, match="clusters"):
        planned_mde(10, 11, "graded")


def test_more_answers_per_question_save_questions() -> None:
    # w^2 = .04, s^2 = .10 each: (.04 + .2) z^2 / .1^2, and with five answers (.04 + .04) z^2 / .1^2.
    z2 = (Z + 0.8416212335729143) ** 2
    assert examples_for(0.1, (0.04, 0.10, 0.10)) == math.ceil(0.24 * z2 / 0.01)
    assert examples_for(0.1, (0.04, 0.10, 0.10), (5, 5)) == math.ceil(0.08 * z2 / 0.01)
    with pytest.raises(ValueError, match="effect"):
        examples_for(0.0, (0.04, 0.1, 0.1))


def test_variance_components_find_what_was_put_in() -> None:
    draw = rng(3)
    shared = draw.normal(size=(4000, 1))
    first = shared + 0.2 * draw.normal(size=(4000, 1)) + 0.3 * draw.normal(size=(4000, 4))
    second = shared + 0.4 * draw.normal(size=(4000, 2))
    assert variance_components(first, second) == pytest.approx((0.04, 0.09, 0.16), abs=0.012)
    # One answer: what chance gives within a question cannot be told from the rest.
    between, alone, _ = variance_components(first[:, :1], second)
    assert alone == 0.0
    assert between == pytest.approx(0.04 + 0.09, abs=0.015)
    with pytest.raises(ValueError, match="examples"):
        variance_components(first, second[:5])
