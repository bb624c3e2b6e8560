"""What would change the verdict: each flip is found where the arithmetic puts it, and what it says is true."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from verdict_cases import EQUAL, OPEN, WORSE, case, cases, comparison

from ragft.evaluation.comparison import Comparison
from ragft.records import Estimate, Score
from ragft.verdict import Case, Flip, Prices, Requirements, blended_scores, decide, sensitivity

TWO = {"rag": 0.7, "prompt": 0.5}
PAIR = ("rag", "prompt")


def flips(of: Case, subject: str) -> list[str]:
    return [flip.sentence for flip in sensitivity(of) if flip.subject == subject]


def test_the_margin_at_which_a_worse_arm_becomes_good_enough() -> None:
    assert flips(case(TWO, {PAIR: (0.05, 0.1873)}), "margin") == ["With a margin of 0.19 or more: ship prompt."]
    # The margin includes its end, so 0.25 itself already flips.
    assert flips(case(TWO, {PAIR: WORSE}), "margin") == ["With a margin of 0.25 or more: ship prompt."]


def test_the_margin_at_which_equal_arms_part() -> None:
    (flip,) = [f for f in sensitivity(case({"rag": 0.7, "prompt": 0.699}, {PAIR: EQUAL})) if f.subject == "margin"]
    assert (flip.direction, flip.decision, flip.arm, flip.current) == ("down", "not_decided", None, 0.02)
    assert flip.sentence == "With a margin of 0.017 or less: not decided between rag and prompt."


def test_a_range_is_named_where_the_verdict_changes_once_more() -> None:
    # Scores .60 to .80 and .40 to .60, equal within the margin: prompt ships up to .60, rag up to .80, then none.
    both = case(TWO, {PAIR: EQUAL}, compared={"half": 0.1})
    assert flips(both, "min_score") == ["With a required score of 0.61 to 0.79: ship rag."]
    strict = replace(both, requirements=Requirements(min_score=0.7))
    assert flips(strict, "min_score") == [
        "With a required score of 0.8 or more: no arm meets the requirements.",
        "With a required score of 0.6 or less: ship prompt.",
    ]


def test_a_limit_that_would_exclude_the_chosen_arm() -> None:
    facts = {"rag": {"latency_s": 2.0, "memory_gb": 8.0}, "prompt": {"latency_s": 0.8, "memory_gb": 3.0}}
    of = case(TWO, {PAIR: WORSE}, facts=facts, prices=Prices(machine_hour=10.0))
    assert flips(of, "max_latency_s") == ["With a latency limit of 0.8 to 1.9 s: ship prompt."]
    assert flips(of, "max_memory_gb") == ["With a memory limit of 3 to 7.9 GB: ship prompt."]
    # They cost 1.0005 and 1.0000 per 1000: a limit of 1.00 lets in prompt alone.
    assert flips(of, "max_cost_per_1000") == ["With a cost limit of 1 USD per 1000 queries: ship prompt."]


def test_a_limit_that_excludes_an_arm_and_could_be_relaxed() -> None:
    needs = Requirements(max_latency_s=1.0)
    of = case(TWO, {PAIR: WORSE}, facts={"rag": {"latency_s": 2.5}, "prompt": {"latency_s": 0.9}}, requirements=needs)
    assert flips(of, "max_latency_s") == [
        "With a latency limit of 2.5 s or more: ship rag.",
        "With a latency limit of 0.89 s or less: no arm meets the requirements.",
    ]


def priced(**changes: float) -> Case:
    """Two equal arms; tuned runs at half of rag's price, and takes an hour to train and 200 labels."""
    facts = {"tuned": {"seconds_per_question": 0.18}, "rag": {"index_seconds": 0.0, "seconds_per_question": 0.36}}
    prices = Prices(**{"machine_hour": 10.0, "label": 0.1, **changes})  # type: ignore[arg-type]
    return case({"rag": 0.7, "tuned": 0.699}, {("rag", "tuned"): EQUAL}, facts=facts, prices=prices)


def test_the_price_of_a_label_at_which_training_does_not_pay() -> None:
    # 0.5 + (10 + 200 label) / 365 > 0.9 x 1 per 1000, from where rag is not clearly dearer, and it has the higher mean:
    # 200 label > 136, so label >= 0.68.
    of = priced()
    assert decide(of).arm == "tuned"
    assert flips(of, "prices.label") == ["With a label at 0.68 USD or more: ship rag."]
    assert flips(priced(label=0.0), "prices.label") == ["With a label at 0.68 USD or more: ship rag."]


def test_the_volume_below_which_training_does_not_pay() -> None:
    # 0.5 + 30 / thousands > 0.9, so fewer than 75 thousand in 365 days: 205.5 a day.
    assert flips(priced(), "prices.queries_per_day") == ["With 200 queries a day or less: ship rag."]


def test_without_prices_no_price_can_flip() -> None:
    assert not [f for f in sensitivity(case(TWO, {PAIR: EQUAL})) if f.subject.startswith("prices.")]


def test_facts_that_change_at_all() -> None:
    of = case({"rag": 0.7, "prompt": 0.699}, {PAIR: EQUAL})
    assert flips(of, "facts_change_days") == ["If facts changed at all, even once in ten years: ship rag."]


def test_the_cadence_at_which_retraining_does_not_pay() -> None:
    # 0.5 + (30 + 10 x 365 / days) / 365 > 0.9 x 1, so days < 3650 / 116 = 31.5.
    assert flips(priced(), "facts_change_days") == ["If facts changed every 31 days or more often: ship rag."]
    weekly = replace(priced(), requirements=Requirements(facts_change_days=7.0))
    assert flips(weekly, "facts_change_days") == ["If facts changed every 32 days or less often: ship tuned."]


def test_nothing_flips_where_nothing_can_be_compared() -> None:
    assert sensitivity(case(TWO, facts={"rag": {"truncated_share": 0.9}})) == ()


def check(of: Case, flip: Flip, value: float) -> None:
    """The verdict at `value` is the one that the flip names."""
    group, _, name = flip.subject.rpartition(".")
    if group == "prices":
        turned = replace(of, prices=replace(of.prices, **{name: value}))
    else:
        turned = replace(of, requirements=replace(of.requirements, **{flip.subject: value}))
    found = decide(turned)
    assert (found.decision, found.arm) == (flip.decision, flip.arm)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(of=cases())
def test_every_flip_is_true_at_its_value_and_at_the_end_of_its_range(of: Case) -> None:
    now = decide(of)
    found = sensitivity(of)
    assert len({(flip.subject, flip.direction) for flip in found}) == len(found)
    for flip in found:
        assert (flip.decision, flip.arm) != (now.decision, now.arm)
        check(of, flip, flip.value)
        if flip.until is not None:
            check(of, flip, flip.until)
            check(of, flip, (flip.value + flip.until) / 2)
        if flip.current is not None:
            assert (flip.value > flip.current) is (flip.direction == "up")


def weighed() -> Case:
    """Return a case with a metric on every answer, one that is no quality, and one that is not on every answer."""
    of = case(TWO, {PAIR: WORSE})
    others = [
        Estimate(arm, metric, 0.5, 100, unscored, None)
        for arm in TWO
        for metric, unscored in (("token_f1", 0), ("abstained", 0), ("k_precision", 3))
    ]
    return replace(of, comparison=replace(of.comparison, estimates=(*of.comparison.estimates, *others)))


@pytest.mark.parametrize(
    ("flips_from", "value", "sentence"),
    [
        (0.33, 0.35, "With token_f1 as 35 % of the score beside exact_match, or alone: ship prompt."),
        (0.35, 0.35, "With token_f1 as 35 % of the score beside exact_match, or alone: ship prompt."),
        (0.96, 1.0, "Judged by token_f1 alone: ship prompt."),
    ],
)
def test_the_weight_at_which_another_metric_decides_otherwise(flips_from: float, value: float, sentence: str) -> None:
    calls: list[tuple[str, float]] = []

    def at(metric: str, weight: float) -> Comparison:
        calls.append((metric, weight))
        return comparison(TWO, {PAIR: WORSE if weight < flips_from else EQUAL})

    of = weighed()
    (flip,) = [f for f in sensitivity(of, at) if f.subject.startswith("weight")]
    assert (flip.subject, flip.value, flip.sentence, flip.arm) == ("weight of token_f1", value, sentence, "prompt")
    # More abstention is not better, and a metric that is not defined on every answer ranks nobody.
    assert {metric for metric, _ in calls} == {"token_f1"}
    assert len(calls) <= 6


def test_a_weight_with_one_verdict_in_between_and_another_alone() -> None:
    def at(metric: str, weight: float) -> Comparison:
        return comparison(TWO, {PAIR: WORSE if weight < 0.2 else OPEN if weight < 0.9 else EQUAL})

    (flip,) = [f for f in sensitivity(weighed(), at) if f.subject.startswith("weight")]
    assert flip.sentence == (
        "With token_f1 as 20 % of the score beside exact_match: not decided between rag and prompt. Judged by token_f1 "
        "alone: ship prompt."
    )


def test_a_metric_that_agrees_says_nothing() -> None:
    found = sensitivity(weighed(), lambda metric, weight: comparison(TWO, {PAIR: WORSE}))
    assert not [f for f in found if f.subject.startswith("weight")]


def test_a_least_score_is_asked_of_the_primary_metric_alone() -> None:
    of = replace(weighed(), requirements=Requirements(min_score=0.6))
    low = comparison({"rag": 0.3, "prompt": 0.2}, {PAIR: WORSE})  # below 0.6, but on a blend with another metric
    assert not [f for f in sensitivity(of, lambda metric, weight: low) if f.subject.startswith("weight")]


def test_a_blend_is_paired_by_answer_and_by_training_seed() -> None:
    scores = [
        Score("tuned", "q1", "exact_match", 1.0, seed=1),
        Score("tuned", "q1", "exact_match", 0.0, seed=2),
        Score("tuned", "q2", "exact_match", 1.0, seed=1),
        Score("tuned", "q1", "token_f1", 0.5, seed=2),
        Score("tuned", "q1", "token_f1", 0.6, seed=1),
        Score("tuned", "q2", "token_f1", None, "no references", seed=1),
        Score("tuned", "q1", "contains", 1.0, seed=1),
    ]
    assert blended_scores(scores, "exact_match", "token_f1", 0.25) == [
        Score("tuned", "q1", "exact_match", pytest.approx(0.9), seed=1),  # 0.75 x 1 + 0.25 x 0.6
        Score("tuned", "q1", "exact_match", 0.125, seed=2),
        Score("tuned", "q2", "exact_match", None, "no references", seed=1),
    ]
