"""What probes add to a verdict: only what speaks against the arm that is to be shipped."""

from __future__ import annotations

from typing import Any

import pytest

from ragft.evaluation.comparison import Comparison
from ragft.evaluation.probing import ProbeResult
from ragft.probes.caveats import REINDEXED, caveats
from ragft.probes.freshness_stages import INDEXED
from ragft.records import Estimate


def compared(**means: float) -> Comparison:
    estimates = tuple(Estimate(arm, "token_f1", mean, 50, 0, None) for arm, mean in means.items())
    return Comparison("token_f1", estimates, (), 50, 50, 0.95, 1000, ())


def result(probe: str, values: dict[str, Any], metric: str = "token_f1") -> ProbeResult:
    return ProbeResult(probe, probe, "", "measured", values=values, metric=metric)


def said(*results: ProbeResult, arm: str = "raft_rag", adapter: str | None = "raft") -> tuple[str, ...]:
    return caveats(arm, adapter, ["rag", "raft_rag"], compared(rag=0.30, raft_rag=0.33, oracle=0.9), results)


def test_a_lead_within_the_noise_is_told() -> None:
    (sentence,) = said(result("noise_floor", {"floors": {"rag": 0.01, "raft_rag": 0.04}}))
    assert sentence.startswith("raft_rag leads rag by 0.030, and one of the two differs from itself by 0.040")
    assert said(result("noise_floor", {"floors": {"rag": 0.01, "raft_rag": 0.02}})) == ()


def test_a_floor_on_another_metric_says_nothing_of_the_lead() -> None:
    assert said(result("noise_floor", {"floors": {"raft_rag": 0.9}}, metric="exact_match")) == ()


@pytest.mark.parametrize(("kept", "told"), [(0.79, True), (0.8, False), (None, False)])
def test_forgotten_facts_are_told(kept: float | None, told: bool) -> None:
    values = {"base": {"facts_known": 34}, "adapters": {"raft": {"facts_kept": kept}, "other": {"facts_kept": 0.0}}}
    found = said(result("forgetting", values))
    assert bool(found) is told
    assert not told or "kept 79 % of the 34 facts" in found[0]


def test_the_worst_training_seed_counts() -> None:
    adapters = {"raft-seed1": {"facts_kept": 0.9}, "raft-seed2": {"facts_kept": 0.5}}
    (sentence,) = said(result("forgetting", {"base": {"facts_known": 20}, "adapters": adapters}))
    assert "kept 50 %" in sentence


def test_an_arm_without_an_adapter_forgot_nothing() -> None:
    values = {"base": {"facts_known": 34}, "adapters": {"raft": {"facts_kept": 0.1}}}
    assert said(result("forgetting", values), adapter=None) == ()


def test_old_answers_after_indexing_again_are_told() -> None:
    assert REINDEXED == INDEXED
    values = {"shares": {INDEXED: {"raft_rag": {"old": 0.25}, "rag": {"old": 0.9}}}}
    assert said(result("freshness", values)) == (
        "After an update and indexing again raft_rag still gives the old answer to 25 % of the changed questions "
        "(probe freshness).",
    )
    assert said(result("freshness", {"shares": {INDEXED: {"raft_rag": {"old": 0.0}}}})) == ()


def test_a_skipped_probe_says_nothing() -> None:
    assert said(ProbeResult("forgetting", "Forgetting", "", "skipped", reason="no adapter", hint="add one")) == ()
