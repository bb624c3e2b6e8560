"""What would change the verdict: the nearest value of each margin, requirement and price at which it is another one.

Found by applying the rules again, on a grid of values and then by bisection; knows nothing of the rules themselves. A
change that lies wholly between two neighbours of the grid is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from ragft.evaluation.comparison import Comparison
from ragft.evaluation.metrics import ANSWER_METRICS
from ragft.verdict.facts import Case
from ragft.verdict.knobs import Direction, Knob, Outcome, knobs, outcome_of
from ragft.verdict.rules import Decision, Judgement, judge
from ragft.verdict.wording import listed

ComparisonAt = Callable[[str, float], Comparison]

HALVINGS = 40
WEIGHT_STEPS = 20
"""Weights are found to the twentieth part."""

NATS = "gold_loglik"
"""A metric on a scale of its own, which cannot be blended with one from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A value at which the verdict is another one.

    `value` is the nearest one in its direction that was found, `until` where the verdict changes once more, None if it
    does not within what was tried. `current` is None where nothing is set. `sentence` says it all.
    """

    subject: str
    current: float | None
    value: float
    until: float | None
    direction: Direction
    decision: Decision
    arm: str | None
    sentence: str


def sensitivity(case: Case, comparison_at: ComparisonAt | None = None) -> tuple[Flip, ...]:
    """Return what would change the verdict on `case`, at most the nearest value of each subject in each direction.

    `comparison_at(metric, weight)` must return the comparison on (1 - weight) x primary + weight x metric; without it
    the weights of the metrics are not tried. It is called about six times for each metric that says something else.
    """
    now = judge(case)
    if now.decision == "not_comparable":
        return ()
    base = outcome_of(now)
    flips = [
        flip for knob in knobs(case) for side in ("up", "down") if (flip := _nearest(knob, base, side)) is not None
    ]
    return (*flips, *(_weights(case, now, comparison_at) if comparison_at is not None else ()))


def _nearest(knob: Knob, base: Outcome, direction: Direction) -> Flip | None:
    """Return the nearest flip of one knob in one direction, None if the verdict stays."""
    if math.isinf(knob.start):
        # Facts that never change: the first step down is to facts that change at all.
        return _from_never(knob, base) if direction == "down" else None
    points = [knob.start, *knob.points(direction)]
    edge = _edge(knob, points, base)
    if edge is None:
        return None
    inside, reached = edge
    target = knob.outcome(reached)
    value = _rounded(reached, lambda x: knob.outcome(x) == target and _is_beyond(x, inside, direction))
    rest = [value, *(point for point in points if _is_beyond(point, value, direction))]
    return _flip(knob, direction, value, _end(knob, rest, target), target)


def _from_never(knob: Knob, base: Outcome) -> Flip | None:
    """Return what follows where facts that are taken never to change do change."""
    from_ten_years = replace(knob, start=knob.high)
    target = knob.outcome(knob.high)
    if target == base:
        return _nearest(from_ten_years, base, "down")
    points = [knob.high, *from_ten_years.points("down")]
    return _flip(knob, "down", knob.high, _end(knob, points, target), target)


def _edge(knob: Knob, points: Sequence[float], base: Outcome) -> tuple[float, float] | None:
    """Return (last value with the outcome `base`, first value without it), as near as bisection brings them."""
    for near, far in zip(points, points[1:], strict=False):
        if knob.outcome(far) != base:
            for _ in range(HALVINGS):
                middle = (near + far) / 2
                near, far = (middle, far) if knob.outcome(middle) == base else (near, middle)
            return near, far
    return None


def _end(knob: Knob, points: Sequence[float], target: Outcome) -> float | None:
    """Return the last value, rounded, up to which `target` holds; None if it holds to the end of what is tried."""
    edge = _edge(knob, points, target)
    if edge is None:
        return None
    inside, outside = edge
    low, high = sorted((points[0], outside))
    return _rounded(inside, lambda value: low <= value <= high and knob.outcome(value) == target)


def _is_beyond(value: float, than: float, direction: Direction) -> bool:
    return value > than if direction == "up" else value < than


def _rounded(value: float, holds: Callable[[float], bool]) -> float:
    """Return `value` with as few digits, two or more, as `holds` lets pass: what is said must be true as it is said."""
    if value == 0:
        return value
    for digits in range(2, 12):
        step = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
        for whole in (round(value / step), math.ceil(value / step), math.floor(value / step)):
            candidate = float(f"{whole * step:.{digits}g}")
            if holds(candidate):
                return candidate
    return value


def _flip(knob: Knob, direction: Direction, value: float, until: float | None, target: Outcome) -> Flip:
    decision, arm = target
    found = judge(knob.turned(value))
    opening = (
        _cadence_opening(knob, direction, value, until) if not knob.phrase else _opening(knob, direction, value, until)
    )
    return Flip(
        subject=knob.subject,
        current=knob.current,
        value=value,
        until=until,
        direction=direction,
        decision=decision,
        arm=arm,
        sentence=f"{opening}: {_consequence(found)}.",
    )


def _opening(knob: Knob, direction: Direction, value: float, until: float | None) -> str:
    """Return "With a margin of 0.19 or more", or the range in which it holds."""
    if until is None:
        return f"With {knob.phrase.format(number(value))} or {'more' if direction == 'up' else 'less'}"
    low, high = sorted((value, until))
    amount = number(low) if low == high else f"{number(low)} to {number(high)}"
    return f"With {knob.phrase.format(amount)}"


def _cadence_opening(knob: Knob, direction: Direction, value: float, until: float | None) -> str:
    if knob.current is None and value == knob.high:
        rarely = "If facts changed at all, even once in ten years"
        return rarely if until is None else f"{rarely}, but not more often than every {number(until)} days"
    if until is None:
        often = "more often" if direction == "down" else "less often"
        return f"If facts changed every {number(value)} days or {often}"
    low, high = sorted((value, until))
    return f"If facts changed every {number(low)} to {number(high)} days"


def number(value: float) -> str:
    """Return a number as it is read, in all the digits it has: 12,000 and 0.19, never 1.2e+04."""
    text = f"{value:,.12f}".rstrip("0").rstrip(".")
    return text if text not in ("0", "-0") or value == 0 else f"{value:.2g}"


def _consequence(found: Judgement) -> str:
    match found.decision:
        case "ship":
            return f"ship {found.arm}"
        case "not_decided":
            return f"not decided between {listed(found.candidates)}"
        case "none_qualifies":
            return "no arm meets the requirements"
        case "not_comparable":
            return "no arms can be compared"
        case _:
            assert_never(found.decision)


def _weights(case: Case, now: Judgement, comparison_at: ComparisonAt) -> Iterator[Flip]:
    """Return a flip for each metric that alone gives another verdict among the arms that qualify."""
    left = {arm: facts for arm, facts in case.arms.items() if arm in now.comparable and arm not in now.excluded}
    if not left:
        return
    # What qualifies stays what it is: a least score is asked of the primary metric and of no other.
    qualified = replace(case, arms=left, requirements=replace(case.requirements, min_score=None))
    for metric in _shared_metrics(case, left):

        def at(step: int, metric: str = metric) -> Judgement:
            return judge(replace(qualified, comparison=comparison_at(metric, step / WEIGHT_STEPS)))

        alone, base = at(WEIGHT_STEPS), outcome_of(now)
        if outcome_of(alone) != base:
            yield _weight_flip(case.metric, metric, at, alone, base)


def _weighs(metric: str) -> bool:
    """Return whether more of a metric is better, on the scale of the others."""
    return metric != NATS and (metric not in ANSWER_METRICS or ANSWER_METRICS[metric].ranks)


def _shared_metrics(case: Case, arms: Collection[str]) -> list[str]:
    """Return the other metrics that are defined on every answer of every arm."""
    cells = {(e.arm, e.metric): e for e in case.comparison.estimates}
    names = dict.fromkeys(e.metric for e in case.comparison.estimates)
    return [
        name
        for name in names
        if name != case.metric
        and _weighs(name)
        and all((cell := cells.get((arm, name))) and cell.mean is not None and not cell.n_unscored for arm in arms)
    ]


def _weight_flip(primary: str, metric: str, at: Callable[[int], Judgement], alone: Judgement, base: Outcome) -> Flip:
    near, far, found = 0, WEIGHT_STEPS, alone
    while far - near > 1:
        middle = (near + far) // 2
        here = at(middle)
        if outcome_of(here) == base:
            near = middle
        else:
            far, found = middle, here
    weight = far / WEIGHT_STEPS
    return Flip(
        subject=f"weight of {metric}",
        current=0.0,
        value=weight,
        until=None,
        direction="up",
        decision=found.decision,
        arm=found.arm,
        sentence=_weight_sentence(primary, metric, far, found, alone),
    )


def _weight_sentence(primary: str, metric: str, step: int, found: Judgement, alone: Judgement) -> str:
    by_itself = f"Judged by {metric} alone: {_consequence(alone)}"
    if step == WEIGHT_STEPS:
        return f"{by_itself}."
    share = f"{100 * step // WEIGHT_STEPS} %"
    if outcome_of(found) == outcome_of(alone):
        return f"With {metric} as {share} of the score beside {primary}, or alone: {_consequence(found)}."
    return f"With {metric} as {share} of the score beside {primary}: {_consequence(found)}. {by_itself}."
