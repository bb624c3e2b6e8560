"""The comparison of arms that were trained with several seeds: what covers them, what is needed, what is said."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from test_comparison import F1, IDS, SCORES, N, bits, compare, noisy, scores_of

from ragft.errors import DataError
from ragft.evaluation.comparison import comparison_from_dict
from ragft.records import Score


def seeded(arm: str, values: Mapping[int, Sequence[float | None]], metric: str = "token_f1") -> list[Score]:
    return [dataclasses.replace(score, seed=seed) for seed in values for score in scores_of(arm, values[seed], metric)]


TWICE = [*scores_of("base", noisy(1, 0.5), "token_f1"), *seeded("tuned", {7: noisy(2, 0.6), 3: noisy(3, 0.8)})]


def test_several_training_seeds_are_averaged_and_shown() -> None:
    comparison = compare(TWICE, ["base", "tuned"], **F1)
    base, tuned = comparison.estimates
    # In the order of the seeds: 3, then 7.
    assert tuned.seed_means == pytest.approx((np.mean(noisy(3, 0.8)), np.mean(noisy(2, 0.6))))
    assert tuned.mean == pytest.approx(np.mean(tuned.seed_means))
    assert (tuned.n, base.seed_means) == (N, ())
    (contrast,) = comparison.contrasts
    assert contrast.difference == pytest.approx(tuned.mean - (base.mean or 0.0))
    assert contrast.interval is not None
    assert contrast.interval.method == "hierarchical bootstrap (t)"
    assert comparison.notes[0] == (
        "Trained with several seeds: tuned (3, 7). Their intervals, p-values and minimum detectable effects cover the "
        "choice of questions and the chance of training."
    )
    assert not any("trained once" in note for note in comparison.notes)


def test_interval_test_and_detectable_effect_cover_the_seeds() -> None:
    averages = np.mean([noisy(2, 0.6), noisy(3, 0.8)], axis=0).tolist()
    once = [*scores_of("base", noisy(1, 0.5), "token_f1"), *scores_of("tuned", averages, "token_f1")]
    (apart,), (alone,) = (compare(scores, ["base", "tuned"], **F1).contrasts for scores in (TWICE, once))
    assert apart.difference == pytest.approx(alone.difference)
    assert (apart.test, alone.test) == ("hierarchical_t", "sign_flip")
    assert apart.interval is not None
    assert alone.interval is not None
    assert apart.interval.high - apart.interval.low > 5 * (alone.interval.high - alone.interval.low)
    # Sign flips over the questions would take the two seeds for given: .20 in 1 of 300 patterns.
    assert alone.p_value == pytest.approx(1 / 301)
    assert apart.p_value is not None
    assert apart.p_value > 0.2
    assert apart.minimum_detectable_effect is not None
    assert alone.minimum_detectable_effect is not None
    assert apart.minimum_detectable_effect > 5 * alone.minimum_detectable_effect
    # More questions would not narrow it, so how many it takes is not known.
    assert (apart.n_needed, apart.n_more, alone.n_more) == (None, None, 0)


@pytest.mark.parametrize("gain", [0.0, 0.02, 0.05, 0.2])
def test_a_contrast_with_seeds_is_found_exactly_where_its_interval_leaves_out_zero(gain: float) -> None:
    tuned = seeded("tuned", {1: noisy(2, 0.5 + gain), 2: noisy(3, 0.5 + gain), 3: noisy(4, 0.5 + gain)})
    (contrast,) = compare([*scores_of("base", noisy(1, 0.5), "token_f1"), *tuned], ["base", "tuned"], **F1).contrasts
    assert contrast.interval is not None
    assert contrast.p_value is not None
    assert (contrast.p_value < 0.05) == (contrast.interval.low > 0 or contrast.interval.high < 0) == (gain >= 0.05)


def test_how_many_more_examples_a_contrast_with_seeds_needs() -> None:
    # Three seeds that answer alike: what is open is left open by the questions, and more of them decide it.
    alike = seeded("tuned", {seed: noisy(2, 0.52) for seed in (1, 2, 3)})
    scores = [*scores_of("base", noisy(1, 0.5), "token_f1"), *alike]
    # Enough resamples that the spread is what the formulas say.
    (contrast,) = compare(scores, ["base", "tuned"], resamples=20_000, **F1).contrasts
    mde, difference = contrast.minimum_detectable_effect, contrast.difference
    assert mde is not None
    assert difference is not None
    assert contrast.n_needed is not None
    assert contrast.n_needed == pytest.approx(N * (mde / difference) ** 2, rel=0.03)
    assert contrast.n_more == contrast.n_needed - N
    # To show that it is within a margin takes the precision to find what is left of it: half the effect, four times N.
    (wide,) = compare(scores, ["base", "tuned"], resamples=20_000, margin=difference + 0.5 * mde, **F1).contrasts
    assert wide.n_needed == contrast.n_needed > 4.5 * N
    assert wide.n_more == pytest.approx(3 * N, rel=0.05)


def test_few_seeds_are_warned_of_and_five_are_not() -> None:
    base = scores_of("base", noisy(1, 0.5), "token_f1")
    five = seeded("tuned", {seed: noisy(seed, 0.6) for seed in range(2, 7)})
    (note,) = [n for n in compare(TWICE, ["base", "tuned"], **F1).notes if "Fewer than 5 training seeds" in n]
    assert "(tuned)" in note
    assert not any("Fewer than 5" in n for n in compare([*base, *five], ["base", "tuned"], **F1).notes)


def test_seeds_on_one_document_decide_nothing() -> None:
    comparison = compare(TWICE, ["base", "tuned"], clusters=dict.fromkeys(IDS, "d"), **F1)
    (contrast,) = comparison.contrasts
    assert (contrast.interval, contrast.p_value, contrast.p_adjusted, contrast.n_more) == (None, 1.0, 1.0, None)


def test_neither_the_order_of_scores_nor_another_arm_moves_the_seeds() -> None:
    other = seeded("other", {1: noisy(5, 0.4), 2: noisy(6, 0.5)})
    expected = compare(TWICE, ["base", "tuned"], **F1)
    mixed = [*TWICE, *other]
    random.Random(1).shuffle(mixed)
    large = compare(mixed, ["base", "other", "tuned"], **F1)
    assert [e for e in large.estimates if e.arm != "other"] == list(expected.estimates)
    assert large.contrasts[0] == expected.contrasts[0]


def test_examples_that_some_seeds_lack_are_left_out_and_named() -> None:
    first, second = noisy(2, 0.6), noisy(3, 0.8)
    unscored = [None, *second[1:]]
    scores = [*scores_of("base", noisy(1, 0.5), "token_f1"), *seeded("tuned", {1: first[:35], 2: unscored})]
    comparison = compare(scores, ["base", "tuned"], **F1)
    assert (comparison.estimates[1].n, comparison.estimates[1].n_unscored) == (34, 1)
    assert comparison.contrasts[0].n == 34
    assert "tuned: 5 examples have a token_f1 score with some training seeds only and are left out." in comparison.notes


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (seeded("tuned", {3: [0.5]}), "'q000', metric 'token_f1': scored twice with training seed 3"),
        (scores_of("tuned", [0.5], "token_f1"), "some scores name a training seed and others none"),
    ],
)
def test_seeds_that_cannot_be_told_apart_are_refused(extra: list[Score], message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare([*TWICE, *extra], ["base", "tuned"], **F1)


def test_one_named_seed_is_no_different_from_none() -> None:
    named = [dataclasses.replace(score, seed=4) if score.arm == "tuned" else score for score in SCORES]
    assert compare(named) == compare(SCORES)
    # Named, it says itself that there is an adapter.
    assert compare(named, training_seeds=0).notes[0].startswith("Every adapter was trained once")


def test_an_arm_trained_once_beside_one_trained_twice_is_named() -> None:
    scores = [*TWICE, *seeded("other", {1: noisy(5, 0.4)})]
    assert "Trained once: other." in compare(scores, ["base", "other", "tuned"], **F1).notes[1]


def test_seeds_that_agree_are_not_forced_into_mcnemar() -> None:
    scores = [*scores_of("base", bits(1, 0.3)), *seeded("tuned", {1: bits(2, 0.7), 2: bits(2, 0.7)}, "exact_match")]
    comparison = compare(scores, ["base", "tuned"], declared=[])
    assert (comparison.contrasts[0].test, comparison.contrasts[0].p_mid) == ("hierarchical_t", None)
    assert comparison.estimates[1].interval is not None
    assert comparison.estimates[1].interval.method == "hierarchical bootstrap (t)"


def test_identical_arms_with_seeds_give_exactly_one() -> None:
    values = {1: noisy(1, 0.5), 2: noisy(2, 0.6)}
    comparison = compare([*seeded("a", values), *seeded("b", values)], ["a", "b"], **{**F1, "declared": [("a", "b")]})
    (contrast,) = comparison.contrasts
    assert (contrast.difference, contrast.p_value, contrast.n_needed) == (0.0, 1.0, None)


def test_a_comparison_with_seeds_survives_json() -> None:
    comparison = compare(TWICE, ["base", "tuned"], **F1)
    data = json.loads(json.dumps(dataclasses.asdict(comparison)))
    assert comparison_from_dict(data) == comparison
