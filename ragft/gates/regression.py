"""The gate `no_regression`: every arm against itself in the baseline, paired on the same examples.

The difference, its interval and its test are those that `compare_arms` gives two arms: here the arm now and the arm
then. Holm's adjustment covers the arms that the gate looks at. Neither the seed of the experiment nor another arm
moves a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ragft.evaluation.comparison import compare_arms
from ragft.evaluation.significance import holm
from ragft.gates.baseline import Baseline
from ragft.gates.evidence import Evidence, rounded
from ragft.gates.results import GateResult, Status
from ragft.gates.wording import change, limit, p_value
from ragft.records import ContrastResult, Score

RESAMPLES = 10_000
"""Fixed: with the 100 that a file may ask for, p = 8/101 is the least that Holm leaves eight arms: none could fail."""

SLACK = 1e-9
"""Room for rounding: a loss of exactly the margin is within it."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a gate on regression asks, of which arms, and from how many examples on it can be asked.

    `failed_share` is the share of the examples with a score in the baseline that may lack one now.
    """

    number: int
    arms: tuple[str, ...]
    margin: float
    min_examples: int
    failed_share: float


def regression_results(demand: Demand, evidence: Evidence, baseline: Baseline) -> list[GateResult]:
    """Return one result for each arm of the demand, every arm of the baseline where it names none.

    An arm fails if its loss is significant (p at most 1 - confidence after Holm) and greater than the margin.
    """
    arms = demand.arms or tuple(baseline.arms)
    found = {arm: _measured(demand, arm, evidence, baseline) for arm in dict.fromkeys(arms)}
    contrasts = {arm: contrast for arm, contrast in found.items() if isinstance(contrast, ContrastResult)}
    p_values = [1.0 if contrast.p_value is None else contrast.p_value for contrast in contrasts.values()]
    adjusted = dict(zip(contrasts, holm(p_values), strict=True))
    return [
        _cannot(demand, evidence, arm, contrast)
        if isinstance(contrast, str)
        else _judged(demand, evidence, baseline, contrast, (arm, adjusted[arm], len(contrasts)))
        for arm, contrast in found.items()
    ]


def _title(demand: Demand, evidence: Evidence, arm: str) -> str:
    beyond = f" by more than {limit(demand.margin)}" if demand.margin else ""
    return f"{arm} {evidence.comparison.primary_metric} not worse than the baseline{beyond}"


def _cannot(demand: Demand, evidence: Evidence, arm: str, why: str) -> GateResult:
    title = _title(demand, evidence, arm)
    return GateResult(demand.number, "no_regression", title, "not_comparable", why, {"arm": arm})


def _measured(demand: Demand, arm: str, evidence: Evidence, baseline: Baseline) -> ContrastResult | str:
    """Return the contrast of the arm now and then, or why there is none."""
    if arm not in baseline.arms:
        return f"The baseline has no arm {arm} (it has {', '.join(baseline.arms)})."
    if arm not in evidence.scores:
        return f"This run has no arm {arm}, and the baseline has."
    now, then = rounded(evidence.scores[arm]), baseline.arms[arm].scores
    both = sorted(now.keys() & then.keys())
    if len(both) < demand.min_examples:
        return f"{len(both)} examples have a score now and in the baseline; at least {demand.min_examples} are needed."
    # Answers that can no longer be scored must not leave quietly: the worst ones may be among them.
    if len(then) - len(both) > demand.failed_share * len(then):
        return (
            f"{len(then) - len(both)} of {len(then)} examples with a score in the baseline have none now, "
            f"more than the {100 * demand.failed_share:g} % that compare.limits.failed_share lets pass."
        )
    return _contrast(evidence, {id: now[id] for id in both}, {id: then[id] for id in both})


def _contrast(evidence: Evidence, now: Mapping[str, float], then: Mapping[str, float]) -> ContrastResult:
    metric = evidence.comparison.primary_metric
    comparison = compare_arms(
        [Score(name, id, metric, value) for name, of in (("now", now), ("then", then)) for id, value in of.items()],
        clusters={id: evidence.clusters[id] for id in now},
        arms=["now", "then"],
        metrics=[metric],
        primary_metric=metric,
        declared=[("now", "then")],
        resamples=RESAMPLES,
        level=evidence.comparison.level,
        seed=0,
        training_seeds=0,
        min_examples=1,
    )
    return comparison.contrasts[0]


def _judged(
    demand: Demand, evidence: Evidence, baseline: Baseline, contrast: ContrastResult, place: tuple[str, float, int]
) -> GateResult:
    arm, p, n_arms = place
    loss = -(contrast.difference or 0.0)
    significant = p <= 1 - evidence.comparison.level + SLACK
    status: Status = "failed" if significant and loss > demand.margin + SLACK else "passed"
    holm_words = f" after Holm over {n_arms} arms" if n_arms > 1 else ""
    message = f"{change(contrast)} on {contrast.n} paired examples, {p_value(p)}{holm_words}"
    if status == "failed":
        allowed = f", and a loss of {limit(demand.margin)} is allowed" if demand.margin else ""
        message = f"A significant loss: {message}{allowed}."
    elif significant and loss > SLACK:
        message = f"A significant loss within the margin of {limit(demand.margin)}: {message}."
    else:
        message = f"{message}; {_could_have_seen(contrast)}."
    changed = evidence.fingerprints.arms.get(arm) != baseline.fingerprints.arms.get(arm)
    details = {
        "arm": arm,
        "arm_changed": changed,
        "margin": demand.margin,
        "p_adjusted": p,
        "baseline_mean": baseline.arms[arm].mean,
        **{key: value for key, value in asdict(contrast).items() if key in _KEPT},
    }
    return GateResult(demand.number, "no_regression", _title(demand, evidence, arm), status, message, details)


_KEPT = ("difference", "interval", "n", "test", "p_value", "minimum_detectable_effect")


def _could_have_seen(contrast: ContrastResult) -> str:
    if contrast.minimum_detectable_effect is None:
        return "no score moved" if contrast.difference == 0 else "every score moved by as much"
    return f"it could have seen a loss of {contrast.minimum_detectable_effect:.3f} (80 % power, one arm alone)"
