"""What every kind of gate asks of the evidence. Reads records and a baseline; runs nothing, and writes nothing.

A gate that cannot be asked (no baseline, one of other examples, a metric that was not measured, a latency of another
machine) is "not_comparable". That is never a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from ragft.config import DataGate, Gate, LatencyGate, MetricGate, RegressionGate, VerdictGate
from ragft.gates.baseline import Baseline, mismatch
from ragft.gates.evidence import DIGITS, Evidence
from ragft.gates.regression import SLACK, Demand, regression_results
from ragft.gates.results import BaselineSource, GateReport, GateResult, Status
from ragft.gates.wording import beside, limit, span
from ragft.records import Estimate

NO_BASELINE = "No baseline was given: give --baseline RUN or --baseline FILE."


def needs_baseline(gate: Gate) -> bool:
    """Return whether the gate compares with a baseline."""
    match gate:
        case MetricGate() | DataGate():
            return False
        case VerdictGate():
            return gate.arm is None
        case RegressionGate() | LatencyGate():
            return True
        case _:
            assert_never(gate)


def judge(
    gates: Sequence[Gate],
    evidence: Evidence,
    baseline: Baseline | None,
    *,
    min_examples: int = 10,
    failed_share: float = 0.05,
) -> GateReport | None:
    """Return what the gates found, None where there are no gates and no baseline.

    A baseline without gates is asked for no regression of any of its arms. `min_examples` and `failed_share` are
    `compare.min_examples` and `compare.limits.failed_share`.
    """
    asked = list(gates) or ([RegressionGate(kind="no_regression")] if baseline is not None else [])
    if not asked:
        return None
    case = _Case(evidence, baseline, min_examples, failed_share)
    results = tuple(result for number, gate in enumerate(asked, start=1) for result in _results(case, number, gate))
    source = None if baseline is None else BaselineSource(baseline.source, baseline.name, baseline.created_at)
    return GateReport(results, source)


@dataclass(frozen=True, slots=True)
class _Case:
    """What all gates of one report look at."""

    evidence: Evidence
    baseline: Baseline | None
    min_examples: int
    failed_share: float

    def comparable(self) -> Baseline | str:
        """Return the baseline, or why there is none to compare with."""
        if self.baseline is None:
            return NO_BASELINE
        why = mismatch(self.baseline, self.evidence.fingerprints, set(self.evidence.clusters))
        return self.baseline if why is None else f"Not comparable: {why}."


def _results(case: _Case, number: int, gate: Gate) -> list[GateResult]:
    match gate:
        case MetricGate():
            return [_metric(case, number, gate)]
        case RegressionGate():
            return _regression(case, number, gate)
        case VerdictGate():
            return [_verdict(case, number, gate)]
        case LatencyGate():
            return _latency(case, number, gate)
        case DataGate():
            return [_data(case, number, gate)]
        case _:
            assert_never(gate)


def _metric(case: _Case, number: int, gate: MetricGate) -> GateResult:
    comparison = case.evidence.comparison
    metric = gate.metric or comparison.primary_metric
    title = f"{gate.arm} {metric}{' interval' if gate.by == 'interval' else ''} {_bounds(gate)}"
    found = next((e for e in comparison.estimates if (e.arm, e.metric) == (gate.arm, metric)), None)
    details: dict[str, Any] = {"arm": gate.arm, "metric": metric, "min": gate.min, "max": gate.max, "by": gate.by}

    def result(status: Status, message: str) -> GateResult:
        return GateResult(number, "metric", title, status, message, details)

    if found is None or found.mean is None:
        return result("not_comparable", _unmeasured(case, gate.arm, metric, found))
    details |= {"value": found.mean, "n": found.n, "n_unscored": found.n_unscored, "interval": found.interval}
    if metric == comparison.primary_metric and found.n_unscored > case.failed_share * (found.n + found.n_unscored):
        return result(
            "not_comparable",
            f"{found.n_unscored} of {found.n + found.n_unscored} answers could not be scored, "
            f"more than the {100 * case.failed_share:g} % that compare.limits.failed_share lets pass.",
        )
    if gate.by == "interval" and found.interval is None:
        return result("not_comparable", f"The {metric} of {gate.arm} has no interval.")
    return result(*_within(gate, found, metric))


def _bounds(gate: MetricGate) -> str:
    if gate.min is None or gate.max is None:
        return f"at least {limit(gate.min)}" if gate.min is not None else f"at most {limit(gate.max or 0.0)}"
    return f"between {limit(gate.min)} and {limit(gate.max)}"


def _unmeasured(case: _Case, arm: str, metric: str, found: Estimate | None) -> str:
    if found is not None:
        return f"None of the {found.n_unscored} answers of {arm} could be scored on {metric}."
    estimates = case.evidence.comparison.estimates
    if all(estimate.arm != arm for estimate in estimates):
        return f"This run has no arm {arm}."
    measured = ", ".join(dict.fromkeys(estimate.metric for estimate in estimates))
    return f"{metric} was not measured (measured: {measured})."


def _within(gate: MetricGate, found: Estimate, metric: str) -> tuple[Status, str]:
    """Return whether mean or interval keep the bounds, and the sentence that says so."""
    low = high = found.mean or 0.0
    if gate.by == "interval" and found.interval is not None:
        low, high = found.interval.low, found.interval.high
    breaches = []
    if gate.min is not None and low < gate.min - SLACK:
        breaches.append(f"{beside(low, gate.min)} is below {limit(gate.min)}")
    if gate.max is not None and high > gate.max + SLACK:
        breaches.append(f"{beside(high, gate.max)} is above {limit(gate.max)}")
    words = f"{metric} {found.mean:.3f}" + (f" ({span(found.interval)})" if found.interval else "")
    counted = f"{words} over {found.n} answers" + (f", {found.n_unscored} not scored" if found.n_unscored else "")
    if not breaches:
        return "passed", f"{counted}."
    end = {"mean": "the mean", "interval": "the end of the interval"}[gate.by]
    return "failed", f"{counted}: {end}, {' and '.join(breaches)}."


def _regression(case: _Case, number: int, gate: RegressionGate) -> list[GateResult]:
    baseline = case.comparable()
    if isinstance(baseline, str):
        who = ", ".join(gate.arms) or "every arm"
        title = f"{who} {case.evidence.comparison.primary_metric} not worse than the baseline"
        return [GateResult(number, "no_regression", title, "not_comparable", baseline)]
    demand = Demand(number, gate.arms, gate.margin, case.min_examples, case.failed_share)
    return regression_results(demand, case.evidence, baseline)


def _verdict(case: _Case, number: int, gate: VerdictGate) -> GateResult:
    evidence = case.evidence
    title = "verdict as in the baseline" if gate.arm is None else f"verdict ships {gate.arm}"
    details: dict[str, Any] = {"decision": evidence.decision, "arm": evidence.shipped}
    if gate.arm is None:
        baseline = case.comparable()
        if isinstance(baseline, str):
            return GateResult(number, "verdict", title, "not_comparable", baseline, details)
        expected: tuple[str, str | None] = (baseline.decision, baseline.arm)
    else:
        expected = ("ship", gate.arm)
    details |= {"expected_decision": expected[0], "expected_arm": expected[1]}
    here, there = _ruling(evidence.decision, evidence.shipped), _ruling(*expected)
    if "not_comparable" in (evidence.decision, expected[0]):
        where = "this run" if evidence.decision == "not_comparable" else "the baseline"
        return GateResult(number, "verdict", title, "not_comparable", f"In {where} the arms had no verdict.", details)
    if (evidence.decision, evidence.shipped) == expected:
        return GateResult(number, "verdict", title, "passed", f"The verdict is: {here}.", details)
    return GateResult(number, "verdict", title, "failed", f"The verdict is: {here}; expected: {there}.", details)


def _ruling(decision: str, arm: str | None) -> str:
    return {"ship": f"ship {arm}", "not_decided": "not decided", "none_qualifies": "no arm qualifies"}.get(
        decision, "the arms are not comparable"
    )


def _latency(case: _Case, number: int, gate: LatencyGate) -> list[GateResult]:
    baseline = case.comparable()
    if not isinstance(baseline, str) and (why := _other_machine(case.evidence, baseline)) is not None:
        baseline = why
    if isinstance(baseline, str):
        title = _latency_title(gate, ", ".join(gate.arms) or "every arm")
        return [GateResult(number, "latency", title, "not_comparable", baseline)]
    arms = dict.fromkeys(gate.arms or baseline.arms)
    return [_latency_of(case.evidence, baseline, number, gate, arm) for arm in arms]


def _latency_title(gate: LatencyGate, who: str) -> str:
    return f"{who} latency at most {gate.max_ratio:g} times the baseline's"


def _other_machine(evidence: Evidence, baseline: Baseline) -> str | None:
    """Return why the times of the two runs cannot be compared, None for the same hardware."""
    if not evidence.hardware or not baseline.hardware:
        return "The machine that the times were measured on is not recorded, so they cannot be compared."
    if dict(evidence.hardware) == dict(baseline.hardware):
        return None
    then, now = (
        ", ".join(f"{key} {value}" for key, value in sorted(side.hardware.items())) for side in (baseline, evidence)
    )
    return f"The baseline was timed on another machine ({then}) than this run ({now})."


def _latency_of(evidence: Evidence, baseline: Baseline, number: int, gate: LatencyGate, arm: str) -> GateResult:
    title, measured = _latency_title(gate, arm), evidence.latency_s.get(arm)
    now = None if measured is None else round(measured, DIGITS)  # as in the baseline, or no run would equal itself
    then = baseline.arms[arm].latency_s if arm in baseline.arms else None
    details = {"arm": arm, "latency_s": now, "baseline_latency_s": then, "max_ratio": gate.max_ratio}
    if now is None or not then:
        where = "in this run" if now is None else "in the baseline"
        why = f"The latency of {arm} was not measured {where} (compare.latency_questions)."
        return GateResult(number, "latency", title, "not_comparable", why, details)
    ratio = now / then
    status: Status = "failed" if ratio > gate.max_ratio + SLACK else "passed"
    message = f"{now:.3f} s now, {then:.3f} s then: {beside(ratio, gate.max_ratio)} times as long."
    return GateResult(number, "latency", title, status, message, {**details, "ratio": ratio})


def _data(case: _Case, number: int, gate: DataGate) -> GateResult:
    title = "data checks find nothing" + (f" but {', '.join(gate.allow)}" if gate.allow else "")
    found = [(check, message) for check, message in case.evidence.findings if check not in gate.allow]
    allowed = len(case.evidence.findings) - len(found)
    details = {"findings": [{"check": check, "message": message} for check, message in found], "allowed": allowed}
    if found:
        told = "; ".join(f"{check}: {message}" for check, message in found)
        return GateResult(number, "data", title, "failed", f"{told}.", details)
    words = f"Nothing but {allowed} allowed findings." if allowed else "Nothing was found."
    return GateResult(number, "data", title, "passed", words, details)
