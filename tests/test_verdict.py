"""The verdict: a truth table over synthetic comparisons, then the properties that no comparison may break."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import NotComparableError, RagftError
from ragft.evaluation.comparison import Comparison
from ragft.records import ContrastResult, Estimate, Interval
from ragft.verdict import Requirements, Verdict, decide

CALM = settings(deadline=None)  # a busy machine is no fault of the code
Gap = tuple[float, float]
WORSE, OPEN, EQUAL, SLIGHT = (0.05, 0.25), (-0.05, 0.15), (-0.015, 0.018), (0.001, 0.015)
COMPLEXITY = {"prompt": 0, "few_shot": 0, "rag": 1, "tuned": 1, "both": 2}


def contrast(
    first: str, second: str, gap: Gap | None, p_adjusted: float | None = 0.001, **changes: object
) -> ContrastResult:
    values: dict[str, Any] = {
        "first": first,
        "second": second,
        "metric": "exact_match",
        "difference": None if gap is None else sum(gap) / 2,
        "interval": None if gap is None else Interval(*gap, 0.95, "tango"),
        "n": 100,
        "test": "mcnemar_exact",
        "p_value": 0.001,
        "p_adjusted": p_adjusted,
        "minimum_detectable_effect": 0.10,
        "n_needed": 400,
        "declared": p_adjusted is not None,
    }
    return ContrastResult(**{**values, **changes})


def comparison(
    means: Mapping[str, float],
    gaps: Mapping[tuple[str, str], Gap],
    *,
    p_adjusted: float | None = 0.001,
    half: float = 0.08,
    n_clusters: int = 100,
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Return a comparison with these means; a pair without a gap is far apart in the direction of the means."""
    estimates = tuple(
        Estimate(arm, "exact_match", mean, 100, 0, Interval(mean - half, mean + half, 0.95, "wilson"))
        for arm, mean in means.items()
    )
    contrasts = []
    for first, second in itertools.combinations(means, 2):
        if (second, first) in gaps:
            contrasts.append(contrast(second, first, gaps[second, first], p_adjusted))
        else:
            away = means[first] - means[second]
            gap = gaps.get((first, second), (away - 0.01, away + 0.01))
            contrasts.append(contrast(first, second, gap, p_adjusted))
    # The same pairs on another metric say the opposite, and must not be read.
    decoys = [contrast(c.second, c.first, (0.5, 0.6), 0.001, metric="token_f1") for c in contrasts]
    return Comparison("exact_match", estimates, (*decoys, *contrasts), 100, n_clusters, 0.95, 1000, notes)


def verdict(
    compared: Comparison,
    candidates: Sequence[str] | None = None,
    latency_s: Mapping[str, float] | None = None,
    **requirements: float,
) -> Verdict:
    arms = [e.arm for e in compared.estimates]
    timed = dict.fromkeys(arms, 1.0) if latency_s is None else latency_s
    return decide(
        compared,
        candidates=arms if candidates is None else candidates,
        latency_s=timed,
        complexity=COMPLEXITY,
        requirements=Requirements(**requirements),
    )


@pytest.mark.parametrize(
    ("means", "gap", "latency_s", "decision", "arm"),
    [
        # best, other: what the interval of best - other says; seconds; then what follows
        ({"rag": 0.7, "prompt": 0.5}, WORSE, (1.0, 1.0), "ship", "rag"),
        ({"rag": 0.7, "prompt": 0.65}, OPEN, (1.0, 1.0), "not_decided", None),  # simpler blocks
        ({"rag": 0.7, "prompt": 0.699}, EQUAL, (1.0, 1.0), "ship", "prompt"),  # as good and simpler
        ({"rag": 0.7, "prompt": 0.692}, SLIGHT, (1.0, 1.0), "ship", "prompt"),  # worse, but within the margin
        ({"prompt": 0.7, "rag": 0.65}, OPEN, (1.0, 1.0), "ship", "prompt"),  # more complex does not block
        ({"prompt": 0.7, "rag": 0.65}, OPEN, (1.0, 0.5), "not_decided", None),  # faster blocks
        ({"prompt": 0.7, "rag": 0.65}, OPEN, (1.0, 0.95), "ship", "prompt"),  # 5 % faster may be noise
        ({"rag": 0.7, "tuned": 0.65}, OPEN, (1.0, 0.5), "not_decided", None),
        ({"rag": 0.7, "tuned": 0.65}, OPEN, (0.5, 1.0), "ship", "rag"),
        ({"rag": 0.7, "tuned": 0.699}, EQUAL, (1.0, 0.5), "ship", "tuned"),  # as good, as complex, faster
        ({"both": 0.7, "rag": 0.6}, WORSE, (1.0, 0.1), "ship", "both"),
        ({"rag": 0.7, "prompt": 0.7}, OPEN, (1.0, 1.0), "ship", "prompt"),  # a tie goes to the simpler
        ({"rag": 0.7, "tuned": 0.7}, OPEN, (2.0, 1.0), "ship", "tuned"),  # then to the faster
    ],
)
def test_truth_table_of_two_arms(
    means: dict[str, float], gap: Gap, latency_s: tuple[float, float], decision: str, arm: str | None
) -> None:
    best, other = means
    seconds = dict(zip(means, latency_s, strict=True))
    found = verdict(comparison(means, {(best, other): gap}), latency_s=seconds)
    assert (found.decision, found.arm) == (decision, arm)
    # The contrast recorded the other way round says the same.
    turned = comparison(means, {(other, best): (-gap[1], -gap[0])})
    again = verdict(turned, latency_s=seconds)
    assert (again.decision, again.arm, again.reasons) == (found.decision, found.arm, found.reasons)


def test_a_clear_declared_winner_is_high_confidence_and_says_the_numbers() -> None:
    found = verdict(comparison({"rag": 0.7, "prompt": 0.5}, {("rag", "prompt"): WORSE}))
    assert found.confidence == "high"
    assert found.headline == "Ship rag: exact_match 0.700 (95 % interval 0.620 to 0.780)."
    assert found.reasons == (
        "rag has the highest mean exact_match: 0.700.",
        "prompt is worse than rag by 0.150 (95 % interval 0.050 to 0.250).",
    )
    assert (found.caveats, found.next_steps, found.excluded, found.candidates) == ((), (), (), ("rag",))


def test_a_wider_margin_turns_worse_into_equivalent() -> None:
    compared = comparison({"rag": 0.7, "prompt": 0.6}, {("rag", "prompt"): (0.05, 0.15)})
    assert verdict(compared).arm == "rag"
    found = verdict(compared, margin=0.15)
    assert found.arm == "prompt"
    assert "prompt is as good within the margin, and simpler or faster" in found.reasons[1]


def test_not_decided_names_both_and_how_many_more_examples() -> None:
    found = verdict(comparison({"rag": 0.7, "prompt": 0.65}, {("rag", "prompt"): OPEN}))
    assert (found.decision, found.arm, found.confidence) == ("not_decided", None, "low")
    assert found.candidates == ("rag", "prompt")
    assert found.headline == "Not decided between rag and prompt: prompt is simpler, and may be as good."
    # 400 needed, 100 there; the measured .05 is above the margin, so equivalence is no shorter way.
    assert found.next_steps == ("About 300 more examples (400 in all) would decide between rag and prompt.",)
    assert any("rag is not distinguishably better than prompt, which only prompts" in c for c in found.caveats)


def test_not_decided_where_no_number_would_help() -> None:
    compared = comparison({"rag": 0.7, "prompt": 0.65}, {})
    blank = contrast("rag", "prompt", OPEN, minimum_detectable_effect=None, n_needed=None)
    found = verdict(Comparison("exact_match", compared.estimates, (blank,), 100, 100, 0.95, 1000, ()))
    assert "No number of examples can be named" in found.next_steps[0]


def test_a_contrast_without_interval_decides_nothing() -> None:
    compared = comparison({"rag": 0.7, "prompt": 0.5}, {})
    blind = contrast("rag", "prompt", (0.2, 0.2), interval=None)
    found = verdict(Comparison("exact_match", compared.estimates, (blind,), 100, 100, 0.95, 1000, ()))
    assert found.decision == "not_decided"
    assert "no interval" in found.reasons[-1]


def test_an_open_arm_that_is_worse_than_the_chosen_one_does_not_block() -> None:
    means = {"both": 0.72, "tuned": 0.71, "prompt": 0.6}
    gaps = {("both", "tuned"): EQUAL, ("both", "prompt"): OPEN}
    assert verdict(comparison(means, {**gaps, ("tuned", "prompt"): OPEN})).decision == "not_decided"
    assert verdict(comparison(means, {**gaps, ("tuned", "prompt"): WORSE})).arm == "tuned"


def test_of_several_blocking_arms_the_simplest_is_named_and_the_rest_is_a_caveat() -> None:
    means = {"both": 0.7, "rag": 0.68, "prompt": 0.66}
    gaps = {("both", "rag"): OPEN, ("both", "prompt"): OPEN, ("rag", "prompt"): OPEN}
    found = verdict(comparison(means, gaps))
    assert found.candidates == ("both", "prompt")
    assert any(caveat.startswith("rag could be as good as both") for caveat in found.caveats)


def test_an_open_arm_that_does_not_block_is_a_caveat_with_a_next_step() -> None:
    found = verdict(comparison({"prompt": 0.7, "rag": 0.65}, {("prompt", "rag"): OPEN}))
    assert (found.arm, found.confidence) == ("prompt", "moderate")
    assert found.caveats == ("rag could be as good as prompt (prompt leads by 0.050 (95 % interval -0.050 to 0.150)).",)
    assert "would decide between prompt and rag" in found.next_steps[0]


def test_a_score_requirement_excludes_only_what_certainly_fails() -> None:
    means = {"rag": 0.7, "prompt": 0.5}
    compared = comparison(means, {("rag", "prompt"): WORSE})
    # Intervals: rag .62 to .78, prompt .42 to .58.
    sure = verdict(compared, min_score=0.6)
    assert sure.excluded == (("prompt", "its score 0.500 (95 % interval 0.420 to 0.580) is below the required 0.600"),)
    assert (sure.arm, sure.caveats[:1]) == (
        "rag",
        ("rag was the only arm left to choose: nothing says that another would do worse.",),
    )
    unsure = verdict(compared, min_score=0.75)
    assert (unsure.decision, unsure.arm, unsure.confidence) == ("ship", "rag", "low")
    assert "rag may miss the required score of 0.750" in unsure.caveats[0]
    assert "requirement in doubt" in unsure.next_steps[0]
    none = verdict(compared, min_score=0.9)
    assert (none.decision, none.arm, none.candidates, none.confidence) == ("none_qualifies", None, (), "high")
    assert [arm for arm, _ in none.excluded] == ["rag", "prompt"]
    assert len(none.reasons) == 2


def test_a_latency_requirement_excludes_the_slow_and_doubts_the_unmeasured() -> None:
    compared = comparison({"rag": 0.7, "prompt": 0.5}, {("rag", "prompt"): WORSE})
    slow = verdict(compared, latency_s={"rag": 3.0, "prompt": 1.0}, max_latency_s=2.0)
    assert slow.arm == "prompt"
    assert slow.excluded == (("rag", "its latency 3.00 s is above the allowed 2.00 s"),)
    exactly = verdict(compared, latency_s={"rag": 2.0, "prompt": 1.0}, max_latency_s=2.0)
    assert exactly.arm == "rag"
    unknown = verdict(compared, latency_s={"prompt": 1.0}, max_latency_s=2.0)
    assert (unknown.arm, unknown.confidence) == ("rag", "low")
    assert unknown.caveats == ("The latency of rag was not measured, and at most 2.00 s are allowed.",)


def test_missing_latencies_neither_block_nor_win() -> None:
    compared = comparison({"rag": 0.7, "tuned": 0.65}, {("rag", "tuned"): OPEN})
    assert verdict(compared, latency_s={}).arm == "rag"
    assert verdict(compared, latency_s={"tuned": 0.1}).arm == "rag"
    equal = comparison({"rag": 0.7, "tuned": 0.699}, {("rag", "tuned"): EQUAL})
    assert verdict(equal, latency_s={}).arm == "rag"  # same effort as far as is known: the higher mean


def test_confidence_falls_with_what_was_not_declared_or_does_not_hold() -> None:
    means, gaps = {"rag": 0.7, "prompt": 0.5}, {("rag", "prompt"): WORSE}
    exploratory = verdict(comparison(means, gaps, p_adjusted=None))
    assert exploratory.confidence == "moderate"
    assert "exploratory" in exploratory.caveats[0]
    assert exploratory.next_steps == ("Declare rag against prompt before the next run, on fresh questions.",)
    adjusted_away = verdict(comparison(means, gaps, p_adjusted=0.08))
    assert adjusted_away.confidence == "moderate"
    assert "(p = 0.080)" in adjusted_away.caveats[0]
    few = verdict(comparison(means, gaps, n_clusters=29))
    assert few.confidence == "low"
    assert "29 independent clusters" in few.caveats[0]


def test_notes_of_the_comparison_become_caveats() -> None:
    note = "Every adapter was trained once."
    compared = comparison({"rag": 0.7, "prompt": 0.5}, {("rag", "prompt"): WORSE}, notes=(note,))
    assert verdict(compared).caveats == (note,)
    assert note in verdict(compared, min_score=0.95).caveats


def test_the_prompt_only_caveat_also_counts_an_excluded_arm() -> None:
    compared = comparison({"rag": 0.7, "prompt": 0.68}, {("rag", "prompt"): OPEN})
    found = verdict(compared, latency_s={"rag": 1.0, "prompt": 9.0}, max_latency_s=2.0)
    assert found.arm == "rag"
    assert found.caveats[0].startswith("rag is not distinguishably better than prompt")


def test_arms_that_cannot_be_shipped_are_not_chosen() -> None:
    compared = comparison({"oracle": 0.9, "rag": 0.7, "prompt": 0.5}, {("rag", "prompt"): WORSE})
    assert verdict(compared, candidates=["rag", "prompt"]).arm == "rag"


def test_one_candidate_is_shipped_with_modesty() -> None:
    found = verdict(comparison({"rag": 0.7}, {}))
    assert (found.decision, found.arm, found.confidence) == ("ship", "rag", "moderate")
    assert "only arm left" in found.caveats[0]


@pytest.mark.parametrize(
    ("candidates", "error", "message"),
    [
        ([], RagftError, "no candidates"),
        (["rag", "rag"], RagftError, "named twice"),
        (["rag", "mystery"], RagftError, "'mystery' has no complexity"),
        (["rag", "both"], NotComparableError, "'both' has no mean"),
    ],
)
def test_misuse_is_refused(candidates: list[str], error: type[RagftError], message: str) -> None:
    compared = comparison({"rag": 0.7, "prompt": 0.5}, {})
    with pytest.raises(error, match=message):
        verdict(compared, candidates=candidates)


def test_a_missing_contrast_is_an_error_not_a_guess() -> None:
    estimates = comparison({"rag": 0.7, "prompt": 0.5}, {}).estimates
    with pytest.raises(NotComparableError, match="no contrast between arms 'rag' and 'prompt'"):
        verdict(Comparison("exact_match", estimates, (), 100, 100, 0.95, 1000, ()))


ARMS = list(COMPLEXITY)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Comparison, dict[str, float], dict[str, Any]]:
    arms = draw(st.lists(st.sampled_from(ARMS), min_size=1, max_size=5, unique=True))
    means = {arm: draw(st.integers(0, 20)) / 20 for arm in arms}
    gaps = {}
    for first, second in itertools.combinations(arms, 2):
        away, half = means[first] - means[second], draw(st.sampled_from([0.005, 0.05, 0.2]))
        gaps[first, second] = (away - half, away + half)
    compared = comparison(means, gaps, p_adjusted=draw(st.sampled_from([None, 0.001, 0.2])))
    timed = {arm: draw(st.sampled_from([0.5, 1.0, 2.0])) for arm in arms if draw(st.booleans())}
    needs = {"min_score": draw(st.sampled_from([0.0, 0.5, 0.9])), "max_latency_s": draw(st.sampled_from([0.7, 5.0]))}
    return compared, timed, needs


@CALM
@given(situation=situations())
def test_properties_of_every_verdict(situation: tuple[Comparison, dict[str, float], dict[str, Any]]) -> None:
    compared, timed, needs = situation
    arms = [e.arm for e in compared.estimates]
    found = verdict(compared, latency_s=timed, **needs)
    excluded = {arm for arm, _ in found.excluded}
    assert (found.arm is not None) == (found.decision == "ship")
    assert (found.decision == "none_qualifies") == (excluded == set(arms))
    assert not excluded & set(found.candidates)
    assert len(found.candidates) == {"ship": 1, "not_decided": 2, "none_qualifies": 0}[found.decision]
    assert found.decision != "not_decided" or (found.confidence == "low" and found.next_steps)
    assert all(
        sentence.endswith(".") for sentence in (found.headline, *found.reasons, *found.caveats, *found.next_steps)
    )
    # The best arm that meets the requirements is passed over only for one that is as good within the margin.
    left = [e for e in compared.estimates if e.arm not in excluded]
    highest = max((e.mean or 0.0 for e in left), default=0.0)
    shipped = [e for e in left if e.arm == found.arm and (e.mean or 0.0) < highest]
    for estimate in shipped:
        assert highest - (estimate.mean or 0.0) <= Requirements().margin


@CALM
@given(situation=situations(), data=st.data())
def test_the_order_of_candidates_moves_nothing_where_effort_differs(
    situation: tuple[Comparison, dict[str, float], dict[str, Any]], data: st.DataObject
) -> None:
    compared, _, needs = situation
    arms = [e.arm for e in compared.estimates]
    timed = {arm: 1.0 + i / 100 for i, arm in enumerate(arms)}
    shuffled = data.draw(st.permutations(arms))
    one = verdict(compared, latency_s=timed, **needs)
    two = verdict(compared, candidates=shuffled, latency_s=timed, **needs)
    assert (one.decision, one.arm, one.candidates, one.confidence) == (
        two.decision,
        two.arm,
        two.candidates,
        two.confidence,
    )
