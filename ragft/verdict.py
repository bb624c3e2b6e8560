"""The verdict: what to ship, from a comparison and the user's requirements, or that the evidence does not decide.

Reads records and numbers only; must not know what an arm is made of beyond how complex it is, and never runs one.

The rules, in the order in which they are applied:

1. An arm is excluded if the whole interval of its primary score lies below `min_score` (an arm that may or may not
   reach it stays, with a caveat), if its score is 0, or if its latency is above `max_latency_s`. None left:
   "none_qualifies".
2. The best arm is the one with the highest mean on the primary metric; on a tie the simpler, then the faster.
3. Every other arm is compared with the best by the paired interval of (best - arm):
   "equivalent" if its high end is at most `margin`, even if it excludes 0, for that is what the margin means;
   else "worse" if its low end is above 0; else "undecided".
4. Among the best and its equivalents the simplest is chosen, then the fastest, then the highest mean.
5. An undecided arm that is simpler than the chosen one, or clearly faster, and not itself worse than the chosen one,
   blocks the choice: "not_decided". Other undecided arms become a caveat.
6. Where the chosen arm is not distinguishably better than the simplest prompt-only candidate, a caveat says so.

Confidence. "low": nothing is decided, fewer than 30 clusters of examples, or the chosen arm may miss a requirement.
"high": the question is decided by a finding that was declared before the run and holds after adjustment, or by
equivalence, for every other arm, and no rule above gave a caveat. "moderate": the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ragft.errors import NotComparableError, RagftError
from ragft.evaluation.comparison import Comparison
from ragft.evaluation.power import examples_to_decide
from ragft.records import ContrastResult, Estimate, Interval

Decision = Literal["ship", "not_decided", "none_qualifies"]
Confidence = Literal["high", "moderate", "low"]
Relation = Literal["equivalent", "worse", "undecided"]

FASTER = 0.9
"""An arm is clearly faster if its latency is below this share of the other's: less may be noise of the clock."""

ENOUGH_CLUSTERS = 30
"""With fewer independent clusters the confidence is low whatever the intervals say."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the user asks of an arm that is to be shipped."""

    min_score: float | None = None
    """Lowest acceptable mean on the primary metric, in its own unit; None for no such demand."""
    max_latency_s: float | None = None
    """Highest acceptable median time of a single question in seconds; None for no such demand."""
    margin: float = 0.02
    """A difference on the primary metric up to this, in its own unit, makes no practical difference."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to ship and why.

    `arm` is the arm to ship, None unless `decision` is "ship". `candidates` are the arms that the decision is between:
    the one to ship alone, the two that the evidence does not decide between, or none. `reasons`, `caveats` and
    `next_steps` are plain sentences; `excluded` pairs an arm with why it fails a requirement.
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


def decide(
    comparison: Comparison,
    *,
    candidates: Sequence[str],
    latency_s: Mapping[str, float],
    complexity: Mapping[str, int],
    requirements: Requirements,
) -> Verdict:
    """Return the verdict on `candidates`, the arms that could be shipped (no oracle, random or control arm).

    `latency_s` is the median time of a single question by arm, and may lack arms; `complexity` is 0 for a prompt
    alone, 1 for an adapter or retrieval, 2 for both. The order of `candidates` matters only where everything else is
    equal. RagftError for no candidates, one named twice, or one without complexity; NotComparableError for one that
    the comparison does not hold.
    """
    field = _Field(comparison, dict(latency_s), dict(complexity), requirements)
    _check(field, candidates)
    excluded = tuple((arm, why) for arm in candidates if (why := _failure(field, arm)) is not None)
    left = [arm for arm in candidates if arm not in dict(excluded)]
    if not left:
        return _none_qualifies(field, excluded)
    best = min(left, key=lambda arm: (-field.mean(arm), *field.effort(arm)))
    relations = {arm: field.relation(best, arm) for arm in left if arm != best}
    equals = [best, *(arm for arm, relation in relations.items() if relation == "equivalent")]
    chosen = min(equals, key=lambda arm: (*field.effort(arm), -field.mean(arm)))
    blocker = _blocker(field, chosen, relations)
    if blocker is None:
        verdict = _ship(field, best, chosen, relations)
    else:
        verdict = _not_decided(field, best, chosen, blocker, relations)
    prompt_only = _prompt_only_caveats(field, chosen, candidates)
    return replace(
        verdict,
        confidence="moderate" if prompt_only and verdict.confidence == "high" else verdict.confidence,
        excluded=excluded,
        caveats=(*prompt_only, *verdict.caveats, *comparison.notes),
    )


@dataclass(frozen=True, slots=True)
class _Field:
    """The comparison with what else is known of the arms."""

    comparison: Comparison
    latency_s: dict[str, float]
    complexity: dict[str, int]
    requirements: Requirements

    def estimate(self, arm: str) -> Estimate | None:
        """Return the primary estimate of `arm`, None if the comparison has none."""
        metric = self.comparison.primary_metric
        return next((e for e in self.comparison.estimates if e.arm == arm and e.metric == metric), None)

    def mean(self, arm: str) -> float:
        """Return the primary mean; only for arms that `_check` has let pass."""
        estimate = self.estimate(arm)
        if estimate is None or estimate.mean is None:
            raise NotComparableError(f"arm {arm!r} has no mean on {self.comparison.primary_metric!r}")
        return estimate.mean

    def contrast(self, first: str, second: str) -> ContrastResult:
        """Return the primary contrast of two arms as first - second, turned round where it is recorded otherwise."""
        for found in self.comparison.contrasts:
            if found.metric == self.comparison.primary_metric and {found.first, found.second} == {first, second}:
                return found if found.first == first else _turned(found)
        raise NotComparableError(f"the comparison holds no contrast between arms {first!r} and {second!r}")

    def relation(self, better: str, other: str) -> Relation:
        """Return what the paired interval of better - other says of `other` (rule 3)."""
        interval = self.contrast(better, other).interval
        if interval is None:
            return "undecided"
        if interval.high <= self.requirements.margin:
            return "equivalent"
        return "worse" if interval.low > 0 else "undecided"

    def effort(self, arm: str) -> tuple[int, float]:
        """Return what sorts simpler and then faster arms first; unknown latency goes last."""
        return self.complexity[arm], self.latency_s.get(arm, math.inf)

    def is_easier(self, arm: str, than: str) -> bool:
        """Return whether `arm` is simpler or clearly faster; never faster where a latency is unknown."""
        simpler = self.complexity[arm] < self.complexity[than]
        both_timed = arm in self.latency_s and than in self.latency_s
        return simpler or (both_timed and self.latency_s[arm] < FASTER * self.latency_s[than])


def _turned(contrast: ContrastResult) -> ContrastResult:
    interval = contrast.interval
    return replace(
        contrast,
        first=contrast.second,
        second=contrast.first,
        difference=None if contrast.difference is None else 0.0 - contrast.difference,  # -0.0 would be shown as such
        interval=None if interval is None else replace(interval, low=0.0 - interval.high, high=0.0 - interval.low),
    )


def _check(field: _Field, candidates: Sequence[str]) -> None:
    if not candidates:
        raise RagftError("no arm can be shipped: there are no candidates", "name an arm that is not a control")
    if len(set(candidates)) != len(candidates):
        raise RagftError(f"a candidate is named twice: {', '.join(candidates)}")
    for arm in candidates:
        if arm not in field.complexity:
            raise RagftError(f"arm {arm!r} has no complexity", "0 prompt only, 1 adapter or retrieval, 2 both")
        field.mean(arm)


def _failure(field: _Field, arm: str) -> str | None:
    """Return why `arm` fails a requirement, None if it does not certainly fail (rule 1)."""
    needs, estimate = field.requirements, field.estimate(arm)
    interval = estimate.interval if estimate else None
    if needs.min_score is not None and interval is not None and interval.high < needs.min_score:
        return f"its score {field.mean(arm):.3f} ({_span(interval)}) is below the required {needs.min_score:.3f}"
    if field.mean(arm) == 0:
        return f"it got nothing right: its {field.comparison.primary_metric} is 0.000"
    latency = field.latency_s.get(arm)
    if needs.max_latency_s is not None and latency is not None and latency > needs.max_latency_s:
        return f"its latency {latency:.2f} s is above the allowed {needs.max_latency_s:.2f} s"
    return None


def _blocker(field: _Field, chosen: str, relations: Mapping[str, Relation]) -> str | None:
    """Return the undecided arm that forbids shipping `chosen`, the simplest of several; None if there is none."""
    blocking = [
        arm
        for arm, relation in relations.items()
        if relation == "undecided" and field.is_easier(arm, chosen) and field.relation(chosen, arm) != "worse"
    ]
    return min(blocking, key=field.effort, default=None)


def _none_qualifies(field: _Field, excluded: tuple[tuple[str, str], ...]) -> Verdict:
    few = field.comparison.n_clusters < ENOUGH_CLUSTERS
    return Verdict(
        decision="none_qualifies",
        arm=None,
        confidence="low" if few else "high",
        headline=f"Ship nothing yet: none of the {len(excluded)} candidates meets the requirements.",
        reasons=tuple(f"{arm}: {why}." for arm, why in excluded),
        excluded=excluded,
        caveats=(*_few_clusters(field), *field.comparison.notes),
        next_steps=("Lower the requirement that fails, or add an arm that could meet it.",),
        candidates=(),
    )


def _ship(field: _Field, best: str, chosen: str, relations: Mapping[str, Relation]) -> Verdict:
    doubts = _requirement_doubts(field, chosen)
    others = [arm for arm in (best, *relations) if arm != chosen]
    open_arms = [arm for arm, relation in relations.items() if relation == "undecided"]
    caveats = (*doubts, *_few_clusters(field), *(_open_caveat(field, best, arm) for arm in open_arms))
    unadjusted = [arm for arm, relation in relations.items() if relation == "worse" and not _holds(field, best, arm)]
    alone = () if others else (f"{chosen} was the only arm left to choose: nothing says that another would do worse.",)
    return Verdict(
        decision="ship",
        arm=chosen,
        confidence=_confidence(field, uncertain=bool(doubts), open_points=bool(open_arms or unadjusted or alone)),
        headline=f"Ship {chosen}: {_score(field, chosen)}.",
        reasons=_reasons(field, best, chosen, relations),
        excluded=(),
        caveats=(*caveats, *alone, *(_unadjusted_caveat(field, best, arm) for arm in unadjusted)),
        next_steps=_next_after_ship(field, best, doubts, open_arms, unadjusted),
        candidates=(chosen,),
    )


def _not_decided(field: _Field, best: str, chosen: str, blocker: str, relations: Mapping[str, Relation]) -> Verdict:
    others = [arm for arm, relation in relations.items() if relation == "undecided" and arm != blocker]
    why = "simpler" if field.complexity[blocker] < field.complexity[chosen] else "faster"
    return Verdict(
        decision="not_decided",
        arm=None,
        confidence="low",
        headline=f"Not decided between {chosen} and {blocker}: {blocker} is {why}, and may be as good.",
        reasons=(
            f"{blocker} is {why} than {chosen}{_effort_words(field, blocker, chosen)}.",
            *_reasons(field, best, chosen, relations),
        ),
        excluded=(),
        caveats=(
            *_requirement_doubts(field, chosen),
            *_requirement_doubts(field, blocker),
            *_few_clusters(field),
            *(_open_caveat(field, best, arm) for arm in others),
        ),
        next_steps=_next_to_decide(field, best, blocker),
        candidates=(chosen, blocker),
    )


def _confidence(field: _Field, *, uncertain: bool, open_points: bool) -> Confidence:
    if uncertain or field.comparison.n_clusters < ENOUGH_CLUSTERS:
        return "low"
    return "moderate" if open_points else "high"


def _holds(field: _Field, best: str, arm: str) -> bool:
    """Return whether `arm` is worse by a contrast that was declared and survives the adjustment."""
    adjusted = field.contrast(best, arm).p_adjusted
    return adjusted is not None and adjusted <= 1 - field.comparison.level


def _reasons(field: _Field, best: str, chosen: str, relations: Mapping[str, Relation]) -> tuple[str, ...]:
    reasons = [f"{best} has the highest mean {field.comparison.primary_metric}: {field.mean(best):.3f}."]
    if chosen != best:
        words = _effort_words(field, chosen, best)
        reasons.append(f"{chosen} is as good within the margin, and simpler or faster{words}.")
    reasons += [_relation_sentence(field, best, arm, relation) for arm, relation in relations.items()]
    return tuple(reasons)


def _relation_sentence(field: _Field, best: str, arm: str, relation: Relation) -> str:
    gap = _gap(field.contrast(best, arm))
    match relation:
        case "worse":
            return f"{arm} is worse than {best} by {gap}."
        case "equivalent":
            return f"{arm} trails {best} by {gap}: at most the margin of {field.requirements.margin:.3f}."
        case "undecided":
            return f"{arm} may or may not be worse than {best}: {best} leads by {gap}."


def _prompt_only_caveats(field: _Field, chosen: str, candidates: Sequence[str]) -> tuple[str, ...]:
    """Return the caveat of rule 6, against the prompt-only candidate with the least latency, excluded or not."""
    plain = [arm for arm in candidates if field.complexity[arm] == 0]
    if not plain or chosen in plain:
        return ()
    simplest = min(plain, key=field.effort)
    contrast = field.contrast(chosen, simplest)
    if contrast.interval is not None and contrast.interval.low > 0:
        return ()
    return (
        f"{chosen} is not distinguishably better than {simplest}, which only prompts: it leads by {_gap(contrast)}.",
    )


def _requirement_doubts(field: _Field, arm: str) -> tuple[str, ...]:
    """Return where it is not known that `arm` meets a requirement that it does not certainly fail."""
    needs, estimate = field.requirements, field.estimate(arm)
    interval = estimate.interval if estimate else None
    doubts = []
    if needs.min_score is not None and (interval is None or interval.low < needs.min_score):
        doubts.append(f"{arm} may miss the required score of {needs.min_score:.3f}: it has {_score(field, arm)}.")
    if needs.max_latency_s is not None and arm not in field.latency_s:
        doubts.append(f"The latency of {arm} was not measured, and at most {needs.max_latency_s:.2f} s are allowed.")
    return tuple(doubts)


def _few_clusters(field: _Field) -> tuple[str, ...]:
    n = field.comparison.n_clusters
    return (
        (f"Only {n} independent clusters of examples were compared: little evidence.",) if n < ENOUGH_CLUSTERS else ()
    )


def _open_caveat(field: _Field, best: str, arm: str) -> str:
    gap = _gap(field.contrast(best, arm))
    return f"{arm} could be as good as {best} ({best} leads by {gap})."


def _unadjusted_caveat(field: _Field, best: str, arm: str) -> str:
    adjusted = field.contrast(best, arm).p_adjusted
    if adjusted is None:
        return f"That {arm} is worse than {best} is exploratory: the contrast was not declared before the run."
    return f"That {arm} is worse than {best} does not hold after adjustment for several contrasts (p = {adjusted:.3f})."


def _next_after_ship(
    field: _Field, best: str, doubts: Sequence[str], open_arms: Sequence[str], unadjusted: Sequence[str]
) -> tuple[str, ...]:
    steps = []
    if doubts:
        steps.append("Settle the requirement in doubt first: add eval examples, or measure the missing latency.")
    steps += [step for arm in open_arms for step in _next_to_decide(field, best, arm)]
    exploratory = [arm for arm in unadjusted if field.contrast(best, arm).p_adjusted is None]
    if exploratory:
        steps.append(f"Declare {best} against {', '.join(exploratory)} before the next run, on fresh questions.")
    if field.comparison.n_clusters < ENOUGH_CLUSTERS:
        steps.append(f"Draw eval examples from at least {ENOUGH_CLUSTERS} documents.")
    return tuple(steps)


def _next_to_decide(field: _Field, best: str, arm: str) -> tuple[str, ...]:
    contrast = field.contrast(best, arm)
    needed = examples_to_decide(contrast, field.requirements.margin)
    if needed is None:
        return (f"No number of examples can be named that would decide between {best} and {arm}: widen the margin.",)
    more = max(1, needed - contrast.n)
    return (f"About {more} more examples ({contrast.n + more} in all) would decide between {best} and {arm}.",)


def _score(field: _Field, arm: str) -> str:
    estimate = field.estimate(arm)
    span = f" ({_span(estimate.interval)})" if estimate is not None and estimate.interval is not None else ""
    return f"{field.comparison.primary_metric} {field.mean(arm):.3f}{span}"


def _gap(contrast: ContrastResult) -> str:
    if contrast.difference is None:
        return "an unknown amount"
    span = "no interval" if contrast.interval is None else _span(contrast.interval)
    return f"{contrast.difference:.3f} ({span})"


def _span(interval: Interval) -> str:
    return f"{interval.level * 100:g} % interval {interval.low:.3f} to {interval.high:.3f}"


def _effort_words(field: _Field, arm: str, than: str) -> str:
    """Return the numbers behind "simpler or faster", in brackets."""
    words = [f"complexity {field.complexity[arm]} against {field.complexity[than]}"]
    if arm in field.latency_s and than in field.latency_s:
        words.append(f"{field.latency_s[arm]:.2f} s against {field.latency_s[than]:.2f} s")
    return f" ({', '.join(words)})"
