"""From a case to a verdict: the rules applied, then put into words."""

from __future__ import annotations

from dataclasses import dataclass

from ragft.evaluation.cost import CostRow
from ragft.verdict.advice import next_steps
from ragft.verdict.facts import Case
from ragft.verdict.rules import Confidence, Decision, judge
from ragft.verdict.sensitivity import Flip
from ragft.verdict.wording import breach, caveats, headline, reasons, why


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to ship and why.

    `arm` is the arm to ship, None unless `decision` is "ship". `candidates` are the arms that the decision is between:
    the one to ship alone, the two that the evidence does not decide between, or none. `reasons`, `caveats` and
    `next_steps` are plain sentences; `excluded` pairs an arm with the requirements it fails, `not_comparable` one with
    what keeps it from being compared, controls included (both without a full stop). `sensitivity` says what would
    change the answer, and is empty until it is asked for.
    """

    decision: Decision
    arm: str | None
    confidence: Confidence
    headline: str
    reasons: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    caveats: tuple[str, ...]
    next_steps: tuple[str, ...]
    candidates: tuple[str, ...]
    not_comparable: tuple[tuple[str, str], ...] = ()
    sensitivity: tuple[Flip, ...] = ()


def decide(case: Case) -> Verdict:
    """Return the verdict on the arms of `case`, by the rules of `ragft.verdict.rules`.

    RagftError without candidates; NotComparableError for an arm that the comparison has no mean of, or two arms that it
    holds no contrast of. Arms that a guard bars are no error: the decision then is "not_comparable".
    """
    found = judge(case)
    return Verdict(
        decision=found.decision,
        arm=found.arm,
        confidence=found.confidence,
        headline=headline(found),
        reasons=reasons(found),
        excluded=tuple((arm, why(case, arm, one)) for arm, one in found.excluded.items()),
        caveats=caveats(found),
        next_steps=next_steps(found),
        candidates=found.candidates,
        not_comparable=tuple((arm, "; ".join(map(breach, one))) for arm, one in found.breaches.items()),
    )


def cost_rows(case: Case) -> dict[str, CostRow | None]:
    """Return what every candidate costs, None where nothing is priced or something priced was not measured."""
    return {arm: case.cost(arm) for arm in case.arms}
