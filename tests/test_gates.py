"""Gates: each kind on both sides of its limit, and every way in which one could pass without having been compared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from gate_evidence import EXAMPLES, HALF, IDS, N, estimate, evidence, rebound

from ragft.config import DataGate, Gate, LatencyGate, MetricGate, RegressionGate, VerdictGate
from ragft.errors import GateFailedError, NotComparableError
from ragft.gates import (
    Baseline,
    Evidence,
    GateReport,
    GateResult,
    baseline_of,
    gates_json,
    judge,
    mismatch,
    needs_baseline,
)

BASELINE = baseline_of(evidence(), "baselines/main.json")
NO_LOSS = RegressionGate(kind="no_regression")


def report(gate: Gate, now: Evidence, baseline: Baseline | None = BASELINE, **settings: Any) -> GateReport:
    found = judge([gate], now, baseline, **settings)
    assert found is not None
    return found


def result(gate: Gate, now: Evidence, baseline: Baseline | None = BASELINE, **settings: Any) -> GateResult:
    (found,) = report(gate, now, baseline, **settings).results
    return found


def lost(n: int) -> tuple[float, ...]:
    """Return scores that have lost the first `n` of the twenty right answers."""
    return tuple(0.0 if i < n else value for i, value in enumerate(HALF))


# --- metric


@pytest.mark.parametrize(
    ("bounds", "status", "title"),
    [
        ({"min": 0.5}, "passed", "rag exact_match at least 0.500"),
        ({"min": 0.501}, "failed", "rag exact_match at least 0.501"),
        ({"max": 0.5}, "passed", "rag exact_match at most 0.500"),
        ({"max": 0.4996}, "failed", "rag exact_match at most 0.4996"),
        ({"min": 0.4, "max": 0.6}, "passed", "rag exact_match between 0.400 and 0.600"),
        ({"max": 0.0}, "failed", "rag exact_match at most 0.000"),
        ({"min": 0.4, "by": "interval"}, "passed", "rag exact_match interval at least 0.400"),
        ({"min": 0.45, "by": "interval"}, "failed", "rag exact_match interval at least 0.450"),
        ({"max": 0.55, "by": "interval"}, "failed", "rag exact_match interval at most 0.550"),
    ],
)
def test_a_metric_keeps_its_bounds_or_not(bounds: dict[str, Any], status: str, title: str) -> None:
    # The mean is 0.5 and its interval 0.4 to 0.6; rounding must not fail a value that is exactly the bound.
    found = result(MetricGate(kind="metric", arm="rag", **bounds), evidence())
    assert (found.status, found.title) == (status, title)


def test_the_message_of_a_metric_has_its_numbers() -> None:
    found = result(MetricGate(kind="metric", arm="rag", min=0.7), evidence())
    assert found.message == (
        "exact_match 0.500 (95 % interval 0.400 to 0.600) over 40 answers: the mean, 0.500 is below 0.700."
    )
    assert (found.details["value"], found.details["n"], found.details["min"]) == (0.5, 40, 0.7)


def test_a_near_miss_is_not_shown_as_equal_to_its_limit() -> None:
    now = evidence(estimates=[estimate("rag", 0.29996)])
    found = result(MetricGate(kind="metric", arm="rag", min=0.3), now)
    assert "0.299960 is below 0.300" in found.message


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"arm": "rag", "metric": "token_f1"}, "token_f1 was not measured (measured: exact_match)."),
        ({"arm": "oracle"}, "This run has no arm oracle."),
        ({"arm": "mute"}, "None of the 40 answers of mute could be scored on exact_match."),
    ],
)
def test_what_was_not_measured_does_not_pass(gate: dict[str, Any], message: str) -> None:
    now = evidence(estimates=[estimate("rag", 0.5), estimate("mute", None, unscored=N)])
    found = result(MetricGate(kind="metric", max=1.0, **gate), now)
    assert (found.status, found.message) == ("not_comparable", message)


def test_a_mean_over_the_few_answers_that_could_be_scored_does_not_pass() -> None:
    gate = MetricGate(kind="metric", arm="rag", min=0.3)
    # 2 of 40 are 5 %, which the default lets pass; 3 are more.
    assert result(gate, evidence(estimates=[estimate("rag", 0.9, unscored=2)])).status == "passed"
    found = result(gate, evidence(estimates=[estimate("rag", 0.9, unscored=3)]))
    assert found.status == "not_comparable"
    assert found.message.startswith("3 of 40 answers could not be scored, more than the 5 %")
    assert result(gate, evidence(estimates=[estimate("rag", 0.9, unscored=3)]), failed_share=0.1).status == "passed"


def test_an_interval_that_does_not_exist_is_not_asked() -> None:
    bare = replace(estimate("rag", 0.9), interval=None)
    gate = MetricGate(kind="metric", arm="rag", min=0.3, by="interval")
    assert result(gate, evidence(estimates=[bare])).status == "not_comparable"


# --- no_regression


def test_identical_runs_give_exactly_p_1_and_pass() -> None:
    found = report(NO_LOSS, evidence())
    assert [(r.title, r.status) for r in found.results] == [
        ("base exact_match not worse than the baseline", "passed"),
        ("rag exact_match not worse than the baseline", "passed"),
    ]
    assert all(
        (r.details["difference"], r.details["p_value"], r.details["p_adjusted"]) == (0, 1, 1) for r in found.results
    )
    assert found.results[0].message == (
        "+0.000 (95 % interval -0.088 to 0.088) on 40 paired examples, p = 1.000 after Holm over 2 arms; "
        "no score moved."
    )
    assert found.error() is None


def test_thirds_are_equal_to_themselves_after_a_round_trip_through_six_decimals() -> None:
    thirds = {"rag": tuple(1 / 3 if i % 2 else 2 / 3 for i in range(N))}
    now = rebound(evidence(thirds), metric="token_f1")
    now = replace(now, comparison=replace(now.comparison, primary_metric="token_f1"))
    found = result(NO_LOSS, now, baseline_of(now))
    # 1/3 - 0.333333 on every example would be a "significant" gain of 0.0000003.
    assert (found.details["difference"], found.details["p_value"]) == (0.0, 1.0)


def test_a_significant_loss_fails_and_says_how_much() -> None:
    # rag loses 8 of 20 and gains none: McNemar 2 / 2^8 = 0.0078; base is unchanged, so Holm doubles it to 0.0156.
    found = report(NO_LOSS, evidence({"base": HALF, "rag": lost(8)}))
    base, rag = found.results
    assert (base.status, rag.status) == ("passed", "failed")
    assert rag.details["p_value"] == 2 / 2**8
    assert rag.details["p_adjusted"] == 4 / 2**8
    assert (rag.details["difference"], rag.details["n"], rag.details["baseline_mean"]) == (-0.2, 40, 0.5)
    assert rag.message.startswith("A significant loss: -0.200 (95 % interval -0.3")
    assert rag.message.endswith("on 40 paired examples, p = 0.016 after Holm over 2 arms.")


def test_holm_covers_the_arms_that_the_gate_looks_at() -> None:
    # Losing 6 of 20: p = 2 / 2^6 = 0.03125, significant for one arm alone, not among two.
    now = evidence({"base": HALF, "rag": lost(6)})
    alone = result(RegressionGate(kind="no_regression", arms=("rag",)), now)
    assert (alone.status, alone.details["p_adjusted"]) == ("failed", 2 / 2**6)
    assert "Holm" not in alone.message
    together = report(NO_LOSS, now).results[1]
    assert (together.status, together.details["p_adjusted"]) == ("passed", 4 / 2**6)


def test_a_pass_says_what_loss_it_could_have_seen() -> None:
    found = result(RegressionGate(kind="no_regression", arms=("rag",)), evidence({"base": HALF, "rag": lost(2)}))
    assert found.status == "passed"
    effect = found.details["minimum_detectable_effect"]
    # Two differences of -1 among 40: var = (2 - 4/40) / 39; about 2.8 standard errors, and 1/40 for an exact test.
    assert effect == pytest.approx(2.8 * ((2 - 4 / 40) / 39 / 40) ** 0.5 + 1 / 40, rel=0.03)
    assert f"it could have seen a loss of {effect:.3f} (80 % power" in found.message


@pytest.mark.parametrize(("margin", "status"), [(0.19, "failed"), (0.2, "passed"), (0.21, "passed")])
def test_a_loss_up_to_the_margin_passes_even_if_it_is_significant(margin: float, status: str) -> None:
    gate = RegressionGate(kind="no_regression", arms=("rag",), margin=margin)
    found = result(gate, evidence({"base": HALF, "rag": lost(8)}))
    assert found.status == status
    if status == "passed":
        assert found.message.startswith("A significant loss within the margin of 0.2")


def test_a_significant_gain_passes() -> None:
    better = tuple(1.0 if i < 30 else 0.0 for i in range(N))
    found = result(RegressionGate(kind="no_regression", arms=("rag",)), evidence({"base": HALF, "rag": better}))
    assert (found.status, found.details["difference"]) == ("passed", 0.25)
    assert found.details["p_adjusted"] < 0.05
    assert "loss within" not in found.message


def test_few_resamples_in_the_file_cannot_keep_the_gate_from_failing() -> None:
    # With 100 resamples the least p is 1/101, and Holm over eight arms makes it 0.079: nothing could ever fail.
    arms = [f"arm{i}" for i in range(8)]
    graded = tuple(0.5 + 0.01 * i for i in range(N))
    then, now = (
        replace(
            rebound(evidence(dict.fromkeys(arms, row)), metric="token_f1"),
            comparison=replace(evidence().comparison, primary_metric="token_f1", resamples=100),
        )
        for row in (graded, tuple(value - 0.3 for value in graded))
    )
    assert {r.status for r in report(NO_LOSS, now, baseline_of(then)).results} == {"failed"}


def test_answers_that_lost_their_score_do_not_leave_quietly() -> None:
    gate = RegressionGate(kind="no_regression", arms=("rag",))
    two, three = ((*(None,) * n, *HALF[n:]) for n in (2, 3))
    assert result(gate, evidence({"base": HALF, "rag": two})).details["n"] == 38
    found = result(gate, evidence({"base": HALF, "rag": three}))
    assert found.status == "not_comparable"
    assert found.message.startswith("3 of 40 examples with a score in the baseline have none now, more than the 5 %")


def test_too_few_paired_examples_are_no_comparison() -> None:
    few = evidence({"rag": (*HALF[:9], *(None,) * 31)})
    found = result(NO_LOSS, few, baseline_of(few))
    assert found.status == "not_comparable"
    assert found.message == "9 examples have a score now and in the baseline; at least 10 are needed."
    assert result(NO_LOSS, few, baseline_of(few), min_examples=9).status == "passed"


def test_an_arm_that_one_side_lacks_is_not_comparable() -> None:
    gone, new = evidence({"base": HALF}), evidence({"base": HALF, "rag": HALF, "tuned": HALF})
    # Every arm of the baseline: an arm that was dropped must not drop out of the gate with it.
    base, rag = report(NO_LOSS, gone).results
    assert (base.status, rag.status) == ("passed", "not_comparable")
    assert rag.message == "This run has no arm rag, and the baseline has."
    found = result(RegressionGate(kind="no_regression", arms=("tuned",)), new)
    assert (found.status, found.message) == ("not_comparable", "The baseline has no arm tuned (it has base, rag).")


def test_the_order_of_scores_and_the_seed_of_the_run_move_nothing() -> None:
    now = evidence({"base": HALF, "rag": lost(5)})
    shuffled = replace(now, scores={arm: dict(reversed(of.items())) for arm, of in reversed(now.scores.items())})
    assert report(NO_LOSS, shuffled) == report(NO_LOSS, now)


def test_whether_an_arm_changed_is_said() -> None:
    now = rebound(evidence(), arms={"base": "print-base", "rag": "another"})
    assert [r.details["arm_changed"] for r in report(NO_LOSS, now).results] == [False, True]


# --- what binds a baseline

BOUND: list[Gate] = [NO_LOSS, VerdictGate(kind="verdict"), LatencyGate(kind="latency", max_ratio=2.0)]
FREE: list[Gate] = [
    MetricGate(kind="metric", arm="rag", min=0.1),
    VerdictGate(kind="verdict", arm="rag"),
    DataGate(kind="data"),
]


@pytest.mark.parametrize("gate", BOUND, ids=lambda gate: gate.kind)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"examples": "other"}, "the same ids as in the baseline, but other inputs or references"),
        ({"task": "classification"}, "the baseline is of the task qa, this run of classification"),
        ({"metric": "token_f1"}, "measured exact_match (version 1), this run token_f1 (version 1)"),
        ({"metric_version": 2}, "measured exact_match (version 1), this run exact_match (version 2)"),
    ],
    ids=str,
)
def test_a_baseline_of_something_else_is_never_a_pass(gate: Gate, changes: dict[str, Any], words: str) -> None:
    found = result(gate, rebound(evidence(), **changes))
    assert found.status == "not_comparable"
    assert words in found.message


@pytest.mark.parametrize("gate", BOUND, ids=lambda gate: gate.kind)
def test_a_gate_that_needs_a_baseline_does_not_pass_without(gate: Gate) -> None:
    found = result(gate, evidence(), None)
    assert (found.status, found.message) == (
        "not_comparable",
        "No baseline was given: give --baseline RUN or --baseline FILE.",
    )
    assert needs_baseline(gate)


@pytest.mark.parametrize("gate", FREE, ids=lambda gate: gate.kind)
def test_the_other_gates_need_none_and_do_not_mind_another(gate: Gate) -> None:
    assert not needs_baseline(gate)
    assert result(gate, evidence(), None).status == "passed"
    assert result(gate, rebound(evidence(), examples="other")).status == "passed"


def test_other_eval_examples_are_counted() -> None:
    now = rebound(evidence(), examples="other")
    words = mismatch(BASELINE, now.fingerprints, {*IDS[:30], "new1", "new2"})
    assert words == "the baseline has other eval examples: 40 then, 32 now, 30 in both"


def test_the_examples_are_bound_by_content_and_not_by_order() -> None:
    from ragft.gates import fingerprints_of

    def prints(examples: tuple[Any, ...], labels: tuple[str, ...] = ()) -> Any:
        return fingerprints_of(examples, task_kind="qa", labels=labels, metric="exact_match", metric_version=1, arms={})

    same = prints(EXAMPLES)
    assert prints(EXAMPLES[::-1]) == same
    first = EXAMPLES[0]
    for changed in (
        replace(first, input="Question 0"),
        replace(first, references=("answer 1",)),
        replace(first, id="q99"),
        replace(first, answerable=False),
    ):
        assert prints((changed, *EXAMPLES[1:])).examples != same.examples
    assert prints(EXAMPLES, ("yes", "no")).task == prints(EXAMPLES, ("no", "yes")).task != same.task
    assert prints(EXAMPLES, ("yes", "maybe")).task != prints(EXAMPLES, ("yes", "no")).task


# --- verdict


@pytest.mark.parametrize(
    ("decision", "shipped", "status"),
    [
        ("ship", "rag", "passed"),
        ("ship", "base", "failed"),
        ("not_decided", None, "failed"),
        ("none_qualifies", None, "failed"),
        ("not_comparable", None, "not_comparable"),
    ],
)
@pytest.mark.parametrize("arm", ["rag", None])
def test_the_verdict_is_the_expected_one_or_not(
    arm: str | None, decision: str, shipped: str | None, status: str
) -> None:
    found = result(VerdictGate(kind="verdict", arm=arm), evidence(decision=decision, shipped=shipped))
    assert found.status == status


def test_the_verdict_gate_says_both() -> None:
    found = result(VerdictGate(kind="verdict"), evidence(decision="not_decided", shipped=None))
    assert found.message == "The verdict is: not decided; expected: ship rag."


def test_an_undecided_verdict_that_stays_undecided_is_unchanged() -> None:
    open_ = evidence(decision="not_decided", shipped=None)
    assert result(VerdictGate(kind="verdict"), open_, baseline_of(open_)).status == "passed"


# --- latency


@pytest.mark.parametrize(("seconds", "status"), [(3.0, "passed"), (3.01, "failed"), (0.5, "passed")])
def test_latency_is_judged_by_its_ratio(seconds: float, status: str) -> None:
    gate = LatencyGate(kind="latency", max_ratio=1.5, arms=("rag",))
    found = result(gate, evidence(latency_s={"rag": seconds}))
    assert found.status == status
    assert found.title == "rag latency at most 1.5 times the baseline's"
    assert found.message == f"{seconds:.3f} s now, 2.000 s then: {seconds / 2:.3f} times as long."


def test_times_of_another_machine_are_not_compared() -> None:
    gate = LatencyGate(kind="latency", max_ratio=100.0)
    found = result(gate, evidence(hardware={"processor": "Abacus 9", "cores": 4}))
    assert found.status == "not_comparable"
    assert found.message == (
        "The baseline was timed on another machine (cores 2, processor Abacus 9) than this run "
        "(cores 4, processor Abacus 9)."
    )
    assert result(gate, evidence(hardware={})).status == "not_comparable"


def test_a_run_is_not_slower_than_itself() -> None:
    # 0.00123440 s is 0.001234 in the baseline, a ratio of 1.0003 if only one side is rounded.
    now = evidence(latency_s={"rag": 0.0012344})
    gate = LatencyGate(kind="latency", max_ratio=1.0, arms=("rag",))
    assert result(gate, now, baseline_of(now)).details["ratio"] == 1.0


def test_a_latency_that_was_not_measured_does_not_pass() -> None:
    gate = LatencyGate(kind="latency", max_ratio=1.5, arms=("rag",))
    assert result(gate, evidence(latency_s={})).message.startswith("The latency of rag was not measured in this run")
    unmeasured = baseline_of(evidence(latency_s={}))
    assert result(gate, evidence(), unmeasured).status == "not_comparable"


# --- data


def test_findings_fail_unless_they_are_allowed() -> None:
    now = evidence(findings=(("no_gold", "3 examples"), ("repeats", "2 inputs")))
    found = result(DataGate(kind="data", allow=("no_gold",)), now)
    assert (found.status, found.message) == ("failed", "repeats: 2 inputs.")
    assert found.title == "data checks find nothing but no_gold"
    found = result(DataGate(kind="data", allow=("no_gold", "repeats")), now)
    assert (found.status, found.message) == ("passed", "Nothing but 2 allowed findings.")
    assert result(DataGate(kind="data"), evidence()).message == "Nothing was found."


# --- all of them together


def test_no_gates_and_no_baseline_are_no_report() -> None:
    assert judge([], evidence(), None) is None


def test_a_baseline_alone_asks_for_no_regression() -> None:
    found = judge([], evidence({"base": HALF, "rag": lost(10)}), BASELINE)
    assert found is not None
    assert [r.kind for r in found.results] == ["no_regression", "no_regression"]
    assert found.status == "failed"


@pytest.mark.parametrize(
    ("statuses", "overall", "code"),
    [
        (("passed", "passed"), "passed", 0),
        (("passed", "failed"), "failed", 3),
        (("passed", "not_comparable"), "not_comparable", 4),
        (("failed", "not_comparable"), "failed", 3),
        ((), "not_comparable", 4),
    ],
)
def test_what_all_gates_come_to(statuses: tuple[Any, ...], overall: str, code: int) -> None:
    found = GateReport(tuple(GateResult(1, "metric", "t", status, "m") for status in statuses))
    error = found.error()
    assert found.status == overall
    assert (0 if error is None else error.exit_code) == code


def test_the_errors_name_what_is_wrong() -> None:
    failed = report(MetricGate(kind="metric", arm="rag", min=0.7), evidence()).error()
    assert isinstance(failed, GateFailedError)
    assert failed.message.startswith("1 of 1 gate checks failed: rag exact_match at least 0.700: exact_match 0.500")
    blind = report(NO_LOSS, evidence(), None).error()
    assert isinstance(blind, NotComparableError)
    assert "1 of 1 gate checks could not be compared: every arm exact_match not worse" in blind.message


def test_many_failures_are_counted_and_not_all_told() -> None:
    found = GateReport(tuple(GateResult(i, "metric", f"t{i}", "failed", "m") for i in range(5)))
    error = found.error()
    assert error is not None
    assert error.message == "5 of 5 gate checks failed: t0: m; t1: m; t2: m; and 2 more"


def test_gates_json_has_its_shape() -> None:
    gates: list[Gate] = [MetricGate(kind="metric", arm="rag", min=0.1), NO_LOSS]
    found = judge(gates, evidence(), BASELINE)
    assert found is not None
    data = json.loads(json.dumps(gates_json(found), allow_nan=False))
    assert list(data) == ["status", "gates", "baseline"]
    assert [(g["number"], g["kind"]) for g in data["gates"]] == [
        (1, "metric"),
        (2, "no_regression"),
        (2, "no_regression"),
    ]
    assert {key for g in data["gates"] for key in g} == {"number", "kind", "title", "status", "message", "details"}
    assert data["baseline"] == {
        "source": "baselines/main.json",
        "name": "small",
        "created_at": "2026-01-02T03:04:05+00:00",
    }
    alone = judge(gates[:1], evidence(), None)
    assert alone is not None
    assert gates_json(alone)["baseline"] is None
