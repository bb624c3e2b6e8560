"""The rules of the verdict: a truth table over synthetic cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from verdict_cases import EQUAL, FACTS, OPEN, PRICES, SLIGHT, WORSE, Gap, case, contrast

from ragft.config.comparing import LimitsConfig, RequirementsConfig
from ragft.errors import NotComparableError, RagftError
from ragft.verdict import Case, Finding, Limits, Requirements, decide

TWO = {"rag": 0.7, "prompt": 0.5}
PAIR = ("rag", "prompt")


def outcome(of: Case) -> tuple[str, str | None, str]:
    found = decide(of)
    return found.decision, found.arm, found.confidence


def pick(of: Case) -> tuple[str, str | None]:
    return outcome(of)[:2]


@pytest.mark.parametrize(
    ("means", "gap", "seconds", "decision", "arm"),
    [
        pytest.param(TWO, WORSE, (1, 1), "ship", "rag", id="the better arm ships"),
        pytest.param({"rag": 0.7, "prompt": 0.65}, OPEN, (1, 1), "not_decided", None, id="an open simpler arm blocks"),
        pytest.param({"rag": 0.7, "prompt": 0.699}, EQUAL, (1, 1), "ship", "prompt", id="of two equals the simpler"),
        pytest.param({"rag": 0.7, "prompt": 0.692}, SLIGHT, (1, 1), "ship", "prompt", id="worse within the margin"),
        pytest.param(
            {"prompt": 0.7, "rag": 0.65}, OPEN, (1, 1), "ship", "prompt", id="an open dearer arm does not block"
        ),
        pytest.param(
            {"prompt": 0.7, "rag": 0.65}, OPEN, (1, 0.89), "not_decided", None, id="an open faster arm blocks"
        ),
        pytest.param({"prompt": 0.7, "rag": 0.65}, OPEN, (1, 0.9), "ship", "prompt", id="ten percent may be the clock"),
        pytest.param(
            {"rag": 0.7, "tuned": 0.65}, OPEN, (1, 0.5), "not_decided", None, id="as complex and faster blocks"
        ),
        pytest.param({"rag": 0.7, "tuned": 0.65}, OPEN, (0.5, 1), "ship", "rag", id="as complex and slower does not"),
        pytest.param({"rag": 0.7, "tuned": 0.699}, EQUAL, (1, 0.5), "ship", "tuned", id="of two equals the faster"),
        pytest.param({"rag": 0.7, "tuned": 0.699}, EQUAL, (1, 0.95), "ship", "rag", id="a little faster is no reason"),
        pytest.param({"both": 0.7, "rag": 0.6}, WORSE, (1, 0.1), "ship", "both", id="worse stays worse, however fast"),
        pytest.param({"rag": 0.7, "prompt": 0.7}, OPEN, (1, 1), "ship", "prompt", id="a tie goes to the simpler"),
        pytest.param({"rag": 0.7, "tuned": 0.7}, OPEN, (2, 1), "ship", "tuned", id="a tie goes to the faster"),
        pytest.param({"rag": 0.7, "tuned": 0.7}, OPEN, (None, 1), "ship", "tuned", id="a tie goes to the timed"),
        pytest.param({"rag": 0.7, "tuned": 0.65}, OPEN, (None, 0.1), "ship", "rag", id="an untimed arm is not slower"),
        pytest.param({"rag": 0.7, "tuned": 0.699}, EQUAL, (None, None), "ship", "rag", id="untimed equals: the higher"),
    ],
)
def test_two_arms_without_prices(
    means: dict[str, float], gap: Gap, seconds: tuple[float | None, ...], decision: str, arm: str | None
) -> None:
    best, other = means
    facts = {name: {"latency_s": latency} for name, latency in zip(means, seconds, strict=True)}
    assert pick(case(means, {(best, other): gap}, facts=facts)) == (decision, arm)
    # The contrast recorded the other way round says the same.
    turned = case(means, {(other, best): (-gap[1], -gap[0])}, facts=facts)
    assert decide(turned) == decide(case(means, {(best, other): gap}, facts=facts))


@pytest.mark.parametrize(
    ("gap", "seconds", "decision", "arm"),
    [
        # rag leads prompt; seconds are those of a batched question, so its running cost
        pytest.param(EQUAL, (0.10, 0.36), "ship", "rag", id="of two equals the cheaper, though less simple"),
        pytest.param(EQUAL, (0.36, 0.10), "ship", "prompt", id="of two equals the cheaper, and simpler"),
        pytest.param(EQUAL, (0.34, 0.36), "ship", "prompt", id="less than ten percent cheaper: the simpler"),
        pytest.param(OPEN, (0.36, 0.10), "not_decided", None, id="an open cheaper arm blocks"),
        pytest.param(OPEN, (0.36, 0.34), "ship", "rag", id="an open arm less than ten percent cheaper does not"),
        pytest.param(OPEN, (0.10, 0.36), "ship", "rag", id="an open dearer arm does not block, though simpler"),
        pytest.param(OPEN, (0.36, None), "not_decided", None, id="a cost that is not known: simplicity decides"),
        pytest.param(WORSE, (0.36, None), "ship", "rag", id="an unknown cost of a worse arm moves nothing"),
    ],
)
def test_two_arms_with_prices(gap: Gap, seconds: tuple[float | None, ...], decision: str, arm: str | None) -> None:
    facts = {name: {"seconds_per_question": one, "index_seconds": 0.0} for name, one in zip(PAIR, seconds, strict=True)}
    assert pick(case({"rag": 0.7, "prompt": 0.65}, {PAIR: gap}, facts=facts, prices=PRICES)) == (decision, arm)


def test_what_is_paid_once_counts_by_the_queries_it_is_spread_over() -> None:
    # Per 1000, tuned runs at 0.56 against 1.00, and its training costs 10: 0.03 over 365,000 queries, 27 over 365.
    facts = {"tuned": {"seconds_per_question": 0.2}, "rag": {"index_seconds": 0.0}}
    equal = {("rag", "tuned"): EQUAL}
    much = case({"rag": 0.7, "tuned": 0.699}, equal, facts=facts, prices=PRICES)
    little = replace(much, prices=replace(PRICES, queries_per_day=1.0))
    assert (decide(much).arm, decide(little).arm) == ("tuned", "rag")


@pytest.mark.parametrize(
    ("requirement", "facts", "sentence"),
    [
        pytest.param({"min_score": 0.58}, {}, None, id="the interval reaches the score"),
        pytest.param(
            {"min_score": 0.581},
            {},
            "the score 0.500 (95 % interval 0.420 to 0.580) is below the required 0.581 (min_score)",
            id="the whole interval is below the score",
        ),
        pytest.param({"max_latency_s": 2.0}, {"latency_s": 2.0}, None, id="just fast enough"),
        pytest.param(
            {"max_latency_s": 2.0},
            {"latency_s": 2.01},
            "the latency 2.01 s is above the allowed 2.00 s (max_latency_s)",
            id="too slow",
        ),
        pytest.param({"max_memory_gb": 4.0}, {"memory_gb": 4.0}, None, id="just small enough"),
        pytest.param(
            {"max_memory_gb": 4.0},
            {"memory_gb": 4.5},
            "the memory 4.50 GB is above the allowed 4.00 GB (max_memory_gb)",
            id="too large",
        ),
        pytest.param({"max_cost_per_1000": 1.0}, {}, None, id="just cheap enough"),
        pytest.param(
            {"max_cost_per_1000": 0.99},
            {},
            "the costs of 1.00 USD per 1000 queries are above the allowed 0.99 (max_cost_per_1000)",
            id="too dear",
        ),
        pytest.param({"labels": 3}, {"labels": 3}, None, id="as many labels as can be had"),
        pytest.param(
            {"labels": 3},
            {"labels": 4},
            "4 labelled examples were used, and 3 can be had (labels)",
            id="more labels than can be had",
        ),
        pytest.param(
            {"citations": True},
            {},
            "nothing is retrieved, so there is no source to name (citations)",
            id="nothing to cite",
        ),
        pytest.param({"citations": True}, {"retrieval": "index", "citing_share": 0.5}, None, id="cites in half"),
        pytest.param(
            {"citations": True},
            {"retrieval": "index", "citing_share": 0.49},
            "49 % of the answers name a source, and at least 50 % must (citations)",
            id="cites in fewer than half",
        ),
        pytest.param(
            {"facts_change_days": 7.0},
            {},
            "with neither retrieval nor an adapter it cannot follow facts that change every 7 days (facts_change_days)",
            id="a prompt cannot follow",
        ),
        pytest.param({"facts_change_days": 7.0}, {"retrieval": "index"}, None, id="retrieval follows"),
        pytest.param(
            {"facts_change_days": 1.0}, {"adapter": "a", "training_seconds": 86_400.0}, None, id="trained just in time"
        ),
        pytest.param(
            {"facts_change_days": 1.0},
            {"adapter": "a", "training_seconds": 172_800.0},
            "training again takes 2 days, and without retrieval it must follow facts that change every day "
            "(facts_change_days)",
            id="trained too slowly",
        ),
        pytest.param(
            {"facts_change_days": 1.0},
            {"adapter": "a", "retrieval": "index", "training_seconds": 172_800.0},
            None,
            id="slow training does not matter where retrieval follows",
        ),
        pytest.param({"local_only": True}, {}, None, id="stays on the machine"),
        pytest.param(
            {"local_only": True},
            {"leaves_machine": True},
            "questions leave this machine (local_only)",
            id="leaves the machine",
        ),
        pytest.param({}, {"leaves_machine": True, "latency_s": 99.0, "labels": 9999}, None, id="nothing is required"),
    ],
)
def test_a_requirement_excludes_what_certainly_fails_it(
    requirement: dict[str, Any], facts: dict[str, Any], sentence: str | None
) -> None:
    retrieving = {"index_seconds": 0.0, "latency_s": 0.1, "memory_gb": 1.0, "seconds_per_question": 0.1}
    rag = {**retrieving, "training_seconds": 0.0}
    of = case(TWO, facts={"prompt": facts, "rag": rag}, requirements=Requirements(**requirement), prices=PRICES)
    assert dict(decide(of).excluded).get("prompt") == sentence
    assert decide(of).arm == "rag"


@pytest.mark.parametrize(
    ("requirement", "unknown", "sentence"),
    [
        (
            {"max_latency_s": 2.0},
            {"latency_s": None},
            "The latency of rag was not measured, and at most 2.00 s are allowed.",
        ),
        ({"max_memory_gb": 2.0}, {}, "The memory of rag was not measured, and at most 2.00 GB are allowed."),
        (
            {"max_cost_per_1000": 2.0},
            {},
            "Nothing has a price, so whether rag costs at most 2.00 per 1000 queries is not known.",
        ),
        (
            {"citations": True},
            {"citing_share": None},
            "How often rag names a source was not measured, and answers must name theirs.",
        ),
        ({"min_score": 0.75}, {}, "rag may miss the required score of 0.750: it has exact_match 0.700 (95 % interval"),
    ],
)
def test_what_is_not_known_excludes_nothing_and_lowers_the_confidence(
    requirement: dict[str, Any], unknown: dict[str, Any], sentence: str
) -> None:
    of = case(TWO, facts={"rag": unknown}, requirements=Requirements(**requirement))
    assert outcome(of) == ("ship", "rag", "low")
    assert any(caveat.startswith(sentence) for caveat in decide(of).caveats)
    assert decide(of).next_steps[0].startswith(f"Settle first whether rag meets {next(iter(requirement))}: ")


def test_an_untimed_training_leaves_a_doubt_whether_it_can_follow() -> None:
    needs = Requirements(facts_change_days=2.0)
    of = case({"tuned": 0.7, "prompt": 0.5}, facts={"tuned": {"training_seconds": None}}, requirements=needs)
    assert outcome(of) == ("ship", "tuned", "low")
    assert decide(of).caveats[0] == "How long tuned takes to train was not measured, and facts change every 2 days."


def test_a_cost_that_was_not_measured_is_not_a_missing_price() -> None:
    needs = Requirements(max_cost_per_1000=2.0)
    of = case(TWO, facts={"rag": {"index_seconds": None}}, requirements=needs, prices=PRICES)
    assert outcome(of) == ("ship", "rag", "low")
    assert decide(of).caveats[0].startswith("Not everything that rag takes was measured, so whether it costs at most")


def test_an_arm_that_gets_nothing_right_is_never_shipped() -> None:
    nothing = case({"rag": 0.0, "prompt": 0.0})
    assert outcome(nothing) == ("none_qualifies", None, "high")
    assert decide(nothing).reasons == ("rag and prompt: nothing was right: the exact_match is 0.000.",)


def test_every_requirement_that_fails_is_named_and_no_other() -> None:
    needs = Requirements(min_score=0.9, max_latency_s=0.5, labels=300)
    (_, why), *_ = decide(case(TWO, requirements=needs)).excluded
    assert [name in why for name in ("min_score", "max_latency_s", "labels")] == [True, True, False]


@pytest.mark.parametrize(
    ("share", "limit", "sentence"),
    [
        (
            "truncated_share",
            0.5,
            "51 % of the answers were cut off at the cap, above the limit of 50 %: raise generation.max_new_tokens",
        ),
        (
            "abstained_share",
            0.9,
            "91 % of the answerable questions were not answered, above the limit of 90 %: read the answers",
        ),
        (
            "failed_share",
            0.05,
            "6 % of the answers could not be got or scored, above the limit of 5 %: see the log of the run",
        ),
    ],
)
def test_a_share_above_its_limit_makes_an_arm_not_comparable(share: str, limit: float, sentence: str) -> None:
    means = {"both": 0.9, "rag": 0.7, "prompt": 0.5, "oracle": 0.95}
    at_limit = {arm: {share: limit} for arm in means}
    assert decide(case(means, facts=at_limit)).not_comparable == ()
    above = {"both": {share: limit + 0.01}, "oracle": {share: limit + 0.01}}
    found = decide(case(means, facts=above))
    assert found.not_comparable == (("both", sentence), ("oracle", sentence))
    # The best mean of all is left out of the choice, and so it is not known whether it would have won.
    assert (found.decision, found.arm, found.confidence) == ("ship", "rag", "moderate")
    assert found.caveats == ("both could not be compared, so nothing is known of whether rag is better.",)
    lenient = Limits(**{**LimitsConfig().model_dump(), share: 1.0})
    assert decide(case(means, facts=above, limits=lenient)).arm == "both"


@pytest.mark.parametrize(
    ("barred", "decision", "headline"),
    [
        pytest.param((), "ship", "Ship rag: ", id="both comparable"),
        pytest.param(
            ("prompt",), "not_comparable", "No verdict: only rag of 2 candidates can be compared.", id="one left"
        ),
        pytest.param(PAIR, "not_comparable", "No verdict: none of 2 candidates can be compared.", id="none left"),
        pytest.param(("oracle",), "ship", "Ship rag: ", id="a control does not count"),
    ],
)
def test_fewer_than_two_comparable_arms_are_no_comparison(
    barred: tuple[str, ...], decision: str, headline: str
) -> None:
    facts = {arm: {"truncated_share": 0.6} for arm in barred}
    found = decide(case({**TWO, "oracle": 0.9}, facts=facts))
    assert (found.decision, found.headline.startswith(headline)) == (decision, True)
    if decision == "not_comparable":
        assert (found.arm, found.confidence, found.candidates) == (None, "low", ())
        assert found.next_steps[0].startswith("Raise generation.max_new_tokens: answers were cut off with ")


def test_a_single_candidate_that_was_asked_for_ships_with_modesty_but_not_past_a_guard() -> None:
    assert outcome(case({"rag": 0.7})) == ("ship", "rag", "moderate")
    assert pick(case({"rag": 0.7}, facts={"rag": {"failed_share": 0.5}})) == ("not_comparable", None)


def test_when_no_arm_qualifies_one_that_could_not_be_compared_lowers_the_confidence() -> None:
    needs = Requirements(min_score=0.95)
    means = {"both": 0.9, "rag": 0.7, "prompt": 0.5}
    found = decide(case(means, facts={"both": {"truncated_share": 0.6}}, requirements=needs))
    assert (found.decision, found.confidence) == ("none_qualifies", "moderate")
    assert found.caveats == ("both could not be compared, and might meet the requirements.",)


@pytest.mark.parametrize(
    ("changes", "confidence"),
    [
        pytest.param({}, "high", id="declared, adjusted, enough clusters"),
        pytest.param({"compared": {"p_adjusted": None}}, "moderate", id="not declared"),
        pytest.param({"compared": {"p_adjusted": 0.05}}, "high", id="holds at the level"),
        pytest.param({"compared": {"p_adjusted": 0.051}}, "moderate", id="does not hold after adjustment"),
        pytest.param({"compared": {"n_clusters": 30}}, "high", id="just enough clusters"),
        pytest.param({"compared": {"n_clusters": 29}}, "low", id="too few clusters"),
        pytest.param({"findings": [Finding("repeats", "3 inputs stand twice")]}, "moderate", id="a finding"),
        pytest.param({"findings": [Finding("leakage", "3 inputs stand in train")]}, "low", id="leakage"),
        pytest.param({"compared": {"notes": ("A note.",)}}, "high", id="a note of the comparison"),
    ],
)
def test_confidence(changes: dict[str, Any], confidence: str) -> None:
    assert outcome(case(TWO, {PAIR: WORSE}, **changes)) == ("ship", "rag", confidence)


@pytest.mark.parametrize(
    ("means", "known"),
    [
        pytest.param({"rag": 0.7, "prompt": 0.55}, False, id="far below the best"),
        pytest.param({"rag": 0.7, "prompt": 0.57}, True, id="more than four fifths of the best"),
        pytest.param({"rag": 0.99, "prompt": 0.8}, True, id="right in four fifths of the cases"),
        pytest.param({"prompt": 0.7, "rag": 0.5}, True, id="the best itself"),
        pytest.param({"rag": 0.7, "few_shot": 0.69}, False, id="examples in the prompt are not the base model"),
        pytest.param({"few_shot": 0.7, "prompt": 0.69}, False, id="nothing retrieves or is tuned"),
    ],
)
def test_a_base_model_that_knows_the_answers(means: dict[str, float], known: bool) -> None:
    found = decide(case(means, {tuple(means): WORSE}))  # type: ignore[dict-item]
    assert any("the model with nothing added" in caveat for caveat in found.caveats) is known
    assert (found.confidence == "moderate") is known


def test_a_base_model_that_copies_as_well_as_any_arm_knows_nothing() -> None:
    """A translation that is the input has four fifths of the best chrF, and no knowledge."""
    copied = Finding("unaided", "copying the input has chrf 0.48 without any model; worse: base")
    of = replace(case({"tuned": 0.5, "prompt": 0.45}, {("tuned", "prompt"): WORSE}), findings=[copied])
    assert not any("the model with nothing added" in caveat for caveat in decide(of).caveats)
    assert decide(of).caveats[0] == "Copying the input has chrf 0.48 without any model; worse: base."


def test_citing_in_some_answers_only_is_an_open_point() -> None:
    needs = Requirements(citations=True)
    of = case({"rag": 0.7, "both": 0.5}, facts={"rag": {"citing_share": 0.8}}, requirements=needs)
    assert outcome(of) == ("ship", "rag", "moderate")
    assert decide(of).caveats == ("rag names a source in 80 % of its answers: the rest name none.",)


def test_an_open_arm_that_is_worse_than_the_chosen_one_does_not_block() -> None:
    means = {"both": 0.72, "tuned": 0.71, "prompt": 0.5}
    gaps = {("both", "tuned"): EQUAL, ("both", "prompt"): OPEN}
    assert pick(case(means, {**gaps, ("tuned", "prompt"): OPEN})) == ("not_decided", None)
    assert pick(case(means, {**gaps, ("tuned", "prompt"): WORSE})) == ("ship", "tuned")


def test_of_several_blocking_arms_the_simplest_is_named() -> None:
    means = {"both": 0.7, "rag": 0.68, "prompt": 0.66}
    gaps = {("both", "rag"): OPEN, ("both", "prompt"): OPEN, ("rag", "prompt"): OPEN}
    assert decide(case(means, gaps)).candidates == ("both", "prompt")


def test_a_contrast_without_interval_decides_nothing() -> None:
    of = case(TWO)
    blind = contrast("rag", "prompt", (0.2, 0.2), interval=None)
    assert pick(replace(of, comparison=replace(of.comparison, contrasts=(blind,)))) == ("not_decided", None)


def test_a_score_without_interval_leaves_a_doubt_about_the_least_score() -> None:
    of = case(TWO, requirements=Requirements(min_score=0.6))
    bare = tuple(replace(estimate, interval=None) for estimate in of.comparison.estimates)
    assert outcome(replace(of, comparison=replace(of.comparison, estimates=bare)))[2] == "low"
    assert decide(replace(of, comparison=replace(of.comparison, estimates=bare))).excluded == ()


def test_misuse_is_refused() -> None:
    of = case(TWO)
    with pytest.raises(RagftError, match="no candidates"):
        decide(replace(of, arms={}))
    with pytest.raises(NotComparableError, match="'both' has no mean"):
        decide(replace(of, arms={**of.arms, "both": FACTS["both"]}))
    with pytest.raises(NotComparableError, match="no contrast between arms 'rag' and 'prompt'"):
        decide(replace(of, comparison=replace(of.comparison, contrasts=())))


def test_the_requirements_and_limits_of_the_experiment_file_are_these() -> None:
    assert Requirements(**RequirementsConfig().model_dump()) == Requirements()
    assert Limits(**LimitsConfig().model_dump()) == Limits()
