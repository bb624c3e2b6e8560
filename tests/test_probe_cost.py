"""The probe `cost`: reckoned from tokens by hand, in machine hours where nothing is priced, adapters merged once."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict
from statistics import fmean
from typing import Any

import pytest
from conftest import HARBOURS, SmallExperiment
from probe_kits import asked_kit

from ragft.config import CostProbe
from ragft.evaluation.cost import DAYS_PER_MONTH
from ragft.evaluation.probing import ProbeResult, Table, probe_from_dict
from ragft.generation.local import LocalGenerator
from ragft.jsonl import plain
from ragft.probes import Kit, Load, PlannedProbe
from ragft.probes.budget import share_of
from ragft.probes.cost import Cost


def measured(kit: Kit, **settings: Any) -> ProbeResult:
    return Cost(CostProbe(kind="cost", **settings)).measure(kit)


def table(found: ProbeResult, key: str) -> Table:
    (one,) = [one for one in found.tables if one.key == key]
    return one


@pytest.fixture
def tokens(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment with a script that reads the gold passage, paid by the token: it takes no seconds."""
    rows = [{"contains": f"When was {name} built?", "answer": year} for _, name, *_, year in HARBOURS[:6]]
    experiment.rows("script", [*rows, {"answer": "I don't know"}])
    experiment.config["model"] = {"kind": "scripted", "path": "script.jsonl"}
    experiment.config["adapters"] = {}
    arms = {"base": {}, "few_shot": {"shots": 2}, "oracle": {"retrieval": "oracle"}}
    prices = {"currency": "EUR", "label": 6.0, "million_prompt_tokens": 1000.0, "queries_per_day": 100.0}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["few_shot", "base"]], "latency_questions": 0}
    experiment.config["compare"]["prices"] = prices
    return experiment.save()


def test_tokens_by_hand(tokens: SmallExperiment) -> None:
    with asked_kit(tokens, "models={}") as kit:
        # A script is no machine of ours: by its own tokens it has a price, for all arms have one.
        prompts = {name: fmean(answer.prompt_tokens for answer in kit.asked[name].answers) for name in kit.asked}
        found = measured(kit)
    assert found.arms == ("base", "few_shot")  # nobody ships gold passages
    rows = found.values["arms"]
    # A thousand EUR for a million tokens: as many EUR for a thousand queries as a prompt has tokens.
    assert rows["base"]["running_per_1000"] == pytest.approx(prompts["base"])
    assert rows["base"]["one_off"] == 0
    # Two labels at 6 EUR, over 36.5 thousand queries in a year.
    assert rows["few_shot"]["per_1000"] == pytest.approx(prompts["few_shot"] + 12 / 36.5)
    # 8 of 12 are right: six years, and two that cannot be answered.
    assert rows["base"]["per_correct"] == pytest.approx(prompts["base"] / 1000 / (8 / 12))
    assert found.values["left_out"] == {"few_shot": "base"}
    assert found.values["queries_per_month"] == pytest.approx(100 * DAYS_PER_MONTH)
    assert [one.key for one in found.tables] == ["costs", "cheapest", "cheapest_good"]  # one is left: no pair
    assert found.findings[0].startswith("At 3,042 queries a month base is the cheapest of the arms that are not worse")
    costs = table(found, "costs").rows[0].cells
    assert costs[4].interval is not None
    assert costs[4].interval.low < rows["base"]["per_correct"] < costs[4].interval.high


def test_break_even_by_hand(tokens: SmallExperiment) -> None:
    """One example in the prompt costs a label; a passage costs tokens with every query, and holds the answer."""
    rows = [{"contains": f"built in {year}", "answer": year} for *_, year in HARBOURS]
    tokens.rows("script", [*rows, {"answer": "I don't know"}])
    tokens.config["retrieval"] = {"kind": "bm25", "top_k": 1}
    tokens.config["compare"]["arms"] = {"one_shot": {"shots": 1}, "rag": {"retrieval": "index"}}
    tokens.config["compare"] |= {"contrasts": [["rag", "one_shot"]]}
    with asked_kit(tokens) as kit:
        prompts = {name: fmean(answer.prompt_tokens for answer in kit.asked[name].answers) for name in kit.asked}
        found = measured(kit, refreshes_per_month=(0.0,))
    saved = (prompts["rag"] - prompts["one_shot"]) / 1000
    assert saved > 0
    (row,) = table(found, "break_even").rows
    assert row.name == "one_shot instead of rag"
    assert row.cells[0].value == math.ceil(6 / saved / 12)
    assert row.cells[1].value is not None
    assert row.cells[1].value < 0  # what is saved is paid for with the score
    told = f"rag is the cheapest of the arms that are not worse than the best: {prompts['rag']:.2f} EUR per thousand."
    assert found.findings[0].endswith(told)
    assert found.findings[1].startswith("one_shot is the cheapest of all")
    for curve in found.charts[0].curves:
        assert all(before.value >= after.value for before, after in itertools.pairwise(curve.points))


def test_where_facts_change_an_arm_that_cannot_follow_is_no_good_choice(tokens: SmallExperiment) -> None:
    with asked_kit(tokens) as kit:
        found = measured(kit, queries_per_month=(1000,), refreshes_per_month=(0.0, 2.0))
    assert found.values["cheapest"]["1000"] == {"0": "base", "2": "base"}
    assert found.values["cheapest_good"]["1000"] == {"0": "base", "2": None}
    assert [cell.value for cell in table(found, "cheapest_good").rows[0].cells][1] == "none"


def test_a_server_without_a_price_is_said(tokens: SmallExperiment) -> None:
    tokens.config["compare"]["prices"] = {}
    with asked_kit(tokens) as kit, pytest.raises(Exception, match="no arm has a price: their models are behind"):
        measured(kit)


def test_controls_alone_are_refused(tokens: SmallExperiment) -> None:
    with asked_kit(tokens) as kit:
        refusal = Cost(CostProbe(kind="cost", arms=("oracle",))).refusal(kit)
        assert refusal is not None
        assert "control" in refusal.reason
        assert Cost(CostProbe(kind="cost")).refusal(kit) is None


@pytest.fixture
def tuned(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment with arms of every kind."""
    arms = {
        "base": {},
        "rag": {"retrieval": "index"},
        "finetuned": {"adapter": "closed_book"},
        "raft_rag": {"adapter": "raft", "retrieval": "index"},
    }
    experiment.config["compare"]["arms"] = arms
    return experiment.save()


def test_hours_where_nothing_is_priced_and_adapters_merged_once(
    tuned: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CostProbe(kind="cost", questions=3, refreshes_per_month=(0.0, 4.0))
    with asked_kit(tuned) as kit:
        probe = Cost(settings)
        before = probe.load(kit)
        found = probe.measure(kit)
        after = probe.load(kit)
        monkeypatch.setattr(LocalGenerator, "generate", lambda *_: pytest.fail("a question was asked again"))
        again = probe.measure(kit)
    assert (before.prompts, before.answered) == (12, 0)  # three questions, two arms, both ways
    assert before.fixed_s > 0
    assert (after.prompts, after.answered, after.seconds) == (12, 12, 0)
    assert found.values["currency"] == "machine-hours"
    assert any("compare: {prices:" in note for note in found.notes)
    assert any("timed now" in note for note in found.notes)
    assert any("measured earlier" in note for note in again.notes)
    assert {**again.values} == {**found.values}
    arms = found.values["arms"]
    assert set(arms) == {"base", "rag", "finetuned", "finetuned (merged)", "raft_rag", "raft_rag (merged)"}
    # In float32 a merged adapter says what it says beside the base, in fewer products.
    merged = found.values["merged"]
    assert all(one["same"] == 3 for one in merged.values())
    for name in ("finetuned", "raft_rag"):
        answering = [answer.seconds for answer in kit.asked[name].answers]
        finding = [answer.retrieval_seconds for answer in kit.asked[name].answers]
        hours = (fmean(answering) / merged[name]["times_as_fast"] + fmean(finding)) / 3.6
        assert arms[f"{name} (merged)"]["running_per_1000"] == pytest.approx(hours)
        assert arms[f"{name} (merged)"]["one_off"] == arms[name]["one_off"] > 0
    assert [row.name for row in table(found, "merged").rows] == ["finetuned", "raft_rag"]
    assert len(found.charts) == 2
    assert "3 questions, one at a time" in found.measured_on
    assert probe_from_dict(json.loads(json.dumps(plain(asdict(found))))) == found


def test_a_limit_of_time_does_not_thin_out_what_is_there(closed_book: SmallExperiment) -> None:
    closed_book.config["compare"]["prices"] = {"machine_hour": 2.0, "label": 0.5}
    closed_book.config["compare"]["requirements"] = {"facts_change_days": 10}
    with asked_kit(closed_book, cap=2) as kit:
        found = measured(kit, questions=1)
        some = measured(kit, questions=1, examples=5)
    assert (found.n_examples, found.values["currency"]) == (12, "USD")
    assert found.values["refreshes_per_month"] == pytest.approx(DAYS_PER_MONTH / 10)
    assert [chart.key for chart in found.charts] == ["volume_0", "volume_3.04167"]
    assert some.n_examples == 5
    # 12 train and 4 dev labels at 0.50, and the training.
    assert found.values["arms"]["finetuned"]["one_off"] > 8.0


def test_weights_trained_whole_are_merged_already(closed_book: SmallExperiment) -> None:
    closed_book.config["adapters"]["closed_book"]["peft"] = {"method": "full"}
    with asked_kit(closed_book) as kit:
        found = measured(kit)
        assert Cost(CostProbe(kind="cost")).load(kit).prompts == 0
    assert set(found.values["arms"]) == {"base", "finetuned"}
    assert "merged" not in [one.key for one in found.tables]


def test_what_no_example_would_make_faster_is_run_whole_or_not_at_all() -> None:
    timing = PlannedProbe("cost", "Cost", Load(examples=5, fixed_s=10))
    asking = PlannedProbe("context", "Context", Load(examples=100, asking_s=100))
    assert share_of([timing, asking], 60) == (None, None)
    assert share_of([asking, timing], 60) == (50, None)
    cap, refusal = share_of([timing], 5)
    assert cap == 0
    assert refusal is not None
    assert "about 10 s" in refusal.reason
