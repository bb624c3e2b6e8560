"""What a verdict says: whole sentences with their numbers, and advice only where its numbers support it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from verdict_cases import EQUAL, OPEN, WORSE, case, comparison, contrast

from ragft.records import Estimate
from ragft.verdict import Case, Finding, Prices, Requirements, RetrievalFacts, cost_rows, decide

TWO = {"rag": 0.7, "prompt": 0.5}
PAIR = ("rag", "prompt")


def steps(of: Case) -> str:
    return " ".join(decide(of).next_steps)


def test_a_clear_declared_winner() -> None:
    found = decide(case(TWO, {PAIR: WORSE}))
    assert found.headline == "Ship rag: exact_match 0.700 (95 % interval 0.620 to 0.780)."
    assert found.reasons == (
        "rag has the highest mean exact_match: 0.700.",
        "It is better than prompt by 0.150 (95 % interval 0.050 to 0.250).",
    )
    assert (found.caveats, found.next_steps, found.excluded, found.not_comparable) == ((), (), (), ())
    assert (found.candidates, found.sensitivity) == (("rag",), ())


def test_several_worse_arms_share_one_sentence_the_nearest_first() -> None:
    found = decide(case({"few_shot": 0.3, "rag": 0.7, "prompt": 0.2}, compared={"p_adjusted": None}))
    assert found.reasons[1] == (
        "It is better than few_shot by 0.400 (95 % interval 0.390 to 0.410) and prompt by 0.500 (0.490 to 0.510)."
    )
    assert found.caveats == (
        "The lead of rag over few_shot and prompt is exploratory: those contrasts were not declared before the run.",
    )
    assert found.next_steps == (
        "Declare rag against few_shot and prompt (compare.contrasts) before a next run on fresh questions.",
    )


def test_findings_that_do_not_hold_after_adjustment_name_their_p_values() -> None:
    found = decide(case(TWO, compared={"p_adjusted": 0.08}))
    assert found.caveats == (
        "The lead of rag over prompt does not hold after adjustment for several contrasts (p = 0.080).",
    )
    assert found.next_steps == ()  # it was declared: declaring it again would not help


@pytest.mark.parametrize(
    ("means", "gaps", "seconds", "reason"),
    [
        (
            {"both": 0.7, "prompt": 0.699},
            EQUAL,
            (1.0, 1.0),
            "prompt is simpler than both: a prompt alone against an adapter and retrieval.",
        ),
        (
            {"rag": 0.7, "tuned": 0.699},
            EQUAL,
            (1.0, 0.05),
            "tuned is faster than rag: 0.05 s a question against 1.00 s.",
        ),
    ],
)
def test_why_an_equal_arm_is_preferred(
    means: dict[str, float], gaps: Any, seconds: tuple[float, ...], reason: str
) -> None:
    best, other = means
    facts = {arm: {"latency_s": one} for arm, one in zip(means, seconds, strict=True)}
    found = decide(case(means, {(best, other): gaps}, facts=facts))
    assert found.reasons[0] == reason
    assert found.reasons[2] == (
        f"{other} is as good in practice: {best} leads by 0.001 (95 % interval -0.015 to 0.018), and a lead of up to "
        "0.020 makes no difference (margin)."
    )


def test_a_cheaper_arm_is_preferred_with_both_amounts() -> None:
    facts = {"rag": {"index_seconds": 0.0}, "prompt": {"seconds_per_question": 0.18}}
    found = decide(
        case({"rag": 0.7, "prompt": 0.699}, {PAIR: EQUAL}, facts=facts, prices=Prices("EUR", machine_hour=10.0))
    )
    assert found.reasons[0] == "prompt is cheaper than rag: 0.50 against 1.00 EUR per 1000 queries."


def test_not_decided_names_both_and_how_many_more_examples() -> None:
    found = decide(case({"rag": 0.7, "prompt": 0.55}, {PAIR: OPEN}))
    assert found.headline == "Not decided between rag and prompt: prompt is simpler, and may be as good."
    assert found.reasons == (
        "prompt is simpler than rag: a prompt alone against retrieval.",
        "rag has the highest mean exact_match: 0.700.",
        "Whether prompt is worse than rag is open: rag leads by 0.050 (95 % interval -0.050 to 0.150).",
    )
    # 400 needed, 100 there; the measured .05 is above the margin, so equivalence is no shorter way.
    assert found.next_steps == ("About 300 more eval examples (400 in all) would decide rag against prompt.",)
    assert found.caveats == ()  # the reasons say it already


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"n_needed": 447}, "About 350 more eval examples (450 in all) would decide rag against prompt."),
        ({"n_needed": 2345}, "About 2,300 more eval examples (2,400 in all) would decide rag against prompt."),
        (
            {"n_needed": None, "minimum_detectable_effect": None},
            "No number of examples can be named that would decide rag against prompt: widen the margin.",
        ),
        (
            {"n_needed": 80},
            "100 examples should have decided rag against prompt: what leaves it open is the chance of training or too "
            "few documents, so train with more seeds or draw from more documents.",
        ),
    ],
)
def test_how_many_more_examples_decide(changes: dict[str, Any], step: str) -> None:
    of = case({"rag": 0.7, "prompt": 0.55})
    only = contrast("rag", "prompt", OPEN, **changes)
    assert decide(replace(of, comparison=replace(of.comparison, contrasts=(only,)))).next_steps[0] == step


def test_open_arms_that_do_not_block_are_one_caveat_with_a_step_for_each() -> None:
    means = {"prompt": 0.7, "rag": 0.55, "tuned": 0.54}
    found = decide(case(means, {("prompt", "rag"): OPEN, ("prompt", "tuned"): OPEN}))
    assert found.caveats[1:] == (
        "Whether rag and tuned are worse than prompt is open: prompt leads by 0.050 (95 % interval -0.050 to 0.150) "
        "and 0.050 (-0.050 to 0.150).",
    )
    assert found.next_steps == (
        "About 300 more eval examples (400 in all) would decide prompt against rag.",
        "About 300 more eval examples (400 in all) would decide prompt against tuned.",
    )


def test_a_winner_no_better_than_prompting_says_so() -> None:
    excluded = case(
        {"rag": 0.7, "prompt": 0.55},
        {PAIR: OPEN},
        facts={"prompt": {"latency_s": 9.0}},
        requirements=Requirements(max_latency_s=2.0),
    )
    assert decide(excluded).caveats[0] == (
        "rag is not distinguishably better than prompt, which only prompts: the difference is 0.050 (95 % interval "
        "-0.050 to 0.150)."
    )


def test_none_qualifies_groups_the_arms_and_counts_what_each_requirement_excludes() -> None:
    found = decide(
        case(
            {"few_shot": 0.6, "rag": 0.5, "prompt": 0.4},
            facts={"rag": {"citing_share": 0.0}},
            requirements=Requirements(citations=True),
        )
    )
    assert found.headline == "Ship nothing yet: none of the 3 candidates meets the requirements."
    assert found.reasons == (
        "few_shot and prompt: nothing is retrieved, so there is no source to name (citations).",
        "rag: 0 % of the answers name a source, and at least 50 % must (citations).",
    )
    assert found.next_steps == (
        "Lower a requirement that fails, or add an arm that could meet it: citations (excludes 3).",
    )


def test_findings_come_first_and_notes_last() -> None:
    of = case(
        TWO, compared={"notes": ("Every adapter was trained once.",)}, findings=[Finding("leakage", "3 of 9 leak")]
    )
    assert decide(of).caveats == ("Data: 3 of 9 leak.", "Every adapter was trained once.")


def test_what_training_buys_is_said_with_its_break_even() -> None:
    means = {"tuned": 0.7, "rag": 0.69, "prompt": 0.2}
    facts = {"tuned": {"seconds_per_question": 0.18}, "rag": {"index_seconds": 720.0}}
    prices = Prices("EUR", machine_hour=10.0)
    # Tuned 0.50 to run and 10 to train, rag 1.00 and 2: 8 / 0.0005 = 16,000 queries.
    assert decide(case(means, {("tuned", "rag"): EQUAL}, facts=facts, prices=prices)).reasons[-1] == (
        "tuned costs 0.50 EUR per 1000 queries to run and 10.00 to build and refresh, rag 1.00 and 2.00: tuned is the "
        "cheaper one from about 16,000 queries in 365 days."
    )
    never = case(means, {("tuned", "rag"): EQUAL}, facts={"rag": {"index_seconds": 720.0}}, prices=prices)
    assert decide(never).reasons[-1].endswith(": no number of queries pays for training tuned.")
    assert "pays" not in " ".join(decide(case(means)).reasons)


def test_refreshing_that_weighs_is_explained() -> None:
    needs = Requirements(facts_change_days=1.0)
    of = case({"tuned": 0.7, "rag": 0.4}, requirements=needs, prices=Prices(machine_hour=10.0))
    assert decide(of).caveats == (
        "tuned is refreshed 365 times at 10.00 USD, the price of training again: labels for the new facts would come "
        "on top.",
    )
    rag = case(
        {"rag": 0.7, "tuned": 0.4},
        facts={"rag": {"index_seconds": 3600.0}},
        requirements=needs,
        prices=Prices(machine_hour=10.0),
    )
    assert (
        decide(rag)
        .caveats[0]
        .endswith("the price of indexing everything again: indexing only what changed costs less.")
    )


def test_a_cost_that_is_missing_is_named_where_it_would_have_decided() -> None:
    of = case(
        {"rag": 0.7, "prompt": 0.55},
        {PAIR: OPEN},
        facts={"prompt": {"seconds_per_question": None}},
        prices=Prices(machine_hour=1.0),
    )
    assert (
        "What prompt costs is not known: the simplest arm was preferred instead of the cheapest." in decide(of).caveats
    )


def with_oracle(
    rag: float, oracle: float, gap: tuple[float, float], hits: float | None, hit: float | None = None
) -> Case:
    means = {"rag": rag, "prompt": 0.1, "oracle": oracle}
    retrieval = RetrievalFacts(top_k=3, hit_share=hits, score_given_hit={} if hit is None else {"rag": hit})
    return case(means, {("oracle", "rag"): gap}, retrieval=retrieval)


def test_retrieval_that_misses_and_costs_score_comes_first() -> None:
    assert steps(with_oracle(0.6, 0.8, (0.1, 0.3), 0.7)) == (
        "Retrieval misses the gold documents of 30 % of the questions (top_k 3), and oracle leads rag by 0.200 "
        "(95 % interval 0.100 to 0.300): improve retrieval before tuning."
    )


@pytest.mark.parametrize(
    ("of", "step"),
    [
        pytest.param(with_oracle(0.8, 0.8, (0.1, 0.3), 0.91), "", id="finds nearly everything and reads well"),
        pytest.param(
            with_oracle(0.8, 0.81, (-0.01, 0.02), 0.7),
            "Retrieval misses the gold documents of 30 % of the questions (top_k 3), but with all of them rag would "
            "gain little: oracle leads it by 0.005 (95 % interval -0.010 to 0.020).",
            id="misses what the reader does not need",
        ),
        pytest.param(
            with_oracle(0.8, 0.81, (-0.05, 0.15), 0.7),
            "Retrieval misses the gold documents of 30 % of the questions (top_k 3); what that costs is open, for "
            "oracle leads rag by 0.050 (95 % interval -0.050 to 0.150).",
            id="what it costs is open",
        ),
        pytest.param(
            with_oracle(0.48, 0.5, (-0.01, 0.02), 0.95),
            "The reader loses 0.500 even when it is given the right passages (oracle): train it with passages (RAFT), "
            "or try a larger model.",
            id="the reader misses half of what it is given",
        ),
        pytest.param(
            with_oracle(0.48, 0.5, (-0.01, 0.02), None, 0.52),
            "Where retrieval finds what is needed, rag still scores 0.520 only: train it with passages (RAFT), or try "
            "a larger model.",
            id="the shipped reader given a hit",
        ),
        pytest.param(with_oracle(0.48, 0.5, (-0.01, 0.02), None, 0.9), "", id="the shipped reader reads well"),
    ],
)
def test_whether_retrieval_or_reading_loses_the_score(of: Case, step: str) -> None:
    assert steps(of) == step


def test_without_an_oracle_retrieval_is_judged_by_what_it_finds() -> None:
    of = case(TWO, retrieval=RetrievalFacts(3, 0.7))
    assert (
        steps(of) == "Retrieval misses the gold documents of 30 % of the questions (top_k 3): improve it before tuning."
    )
    assert steps(case({"prompt": 0.7, "few_shot": 0.2}, retrieval=RetrievalFacts(3, 0.7))) == ""  # nothing retrieves


def test_an_oracle_that_was_cut_off_diagnoses_nothing() -> None:
    of = case({**TWO, "oracle": 0.1}, facts={"oracle": {"truncated_share": 0.77}})
    assert decide(of).next_steps == (
        "Raise generation.max_new_tokens: answers were cut off with oracle (77 %).",
        "oracle is not comparable, so it cannot be told whether retrieval or reading loses the score.",
    )


def test_a_reader_that_was_trained_past_the_oracle_needs_no_training_advice() -> None:
    assert "reader loses" in steps(case({"both": 0.2, "rag": 0.2, "oracle": 0.3}))
    assert "reader loses" not in steps(case({"both": 0.6, "rag": 0.2, "oracle": 0.3}))


def test_an_adapter_trained_once_should_be_trained_again() -> None:
    once = case({"both": 0.7, "prompt": 0.2})
    assert steps(once) == "Train with three seeds or more (adapters.raft.seeds): one training may have been lucky."
    seeds = tuple(replace(e, seed_means=(0.7, 0.7)) for e in once.comparison.estimates)
    assert steps(replace(once, comparison=replace(once.comparison, estimates=seeds))) == ""


def test_few_clusters_ask_for_more_documents() -> None:
    found = decide(case(TWO, compared={"n_clusters": 12}))
    assert found.caveats == ("Only 12 independent clusters of examples were compared: little evidence.",)
    assert found.next_steps == ("Draw eval examples from at least 30 documents; these come from 12.",)


def test_the_verdict_is_plain_json() -> None:
    found = json.loads(json.dumps(asdict(decide(case(TWO)))))
    assert set(found) == {
        *("decision", "arm", "confidence", "headline", "reasons", "excluded", "caveats", "next_steps", "candidates"),
        *("not_comparable", "sensitivity"),
    }


def test_cost_rows_are_those_of_the_candidates() -> None:
    of = case({**TWO, "oracle": 0.9}, facts={"rag": {"index_seconds": None}}, prices=Prices(machine_hour=10.0))
    rows = cost_rows(of)
    assert (set(rows), rows["rag"]) == ({"rag", "prompt"}, None)
    assert rows["prompt"] is not None and rows["prompt"].per_1000 == pytest.approx(1.0)


def test_another_metric_is_never_read() -> None:
    other = Estimate("rag", "token_f1", 0.0, 100, 0, None)
    compared = comparison(TWO, {PAIR: WORSE})
    of = case(TWO, {PAIR: WORSE})
    with_other = replace(of, comparison=replace(compared, estimates=(other, *compared.estimates)))
    assert decide(with_other) == decide(of)
