"""The rules of the verdict. Everything that is decided is decided here; the sentences about it are made elsewhere.

The rules, in the order in which they are applied:

1. Guards. An arm, candidate or control, is not comparable if the share of its answers that were cut off, of answerable
   questions that it did not answer, or of answers that failed is above its limit. It is left out of all that follows.
   If a guard leaves fewer than two candidates (or none of a single one): "not_comparable".
2. Requirements. An arm is excluded if the whole interval of its primary score lies below `min_score`, if its score is
   0, or if it misses another requirement: latency, memory, cost, labels; citations (it must retrieve, and cite in at
   least half of its answers); facts that change (it must retrieve, or have an adapter that is trained again in less
   time than the facts take to change); data that must not leave the machine. What was not measured excludes nothing:
   it leaves a doubt, as does an interval that straddles `min_score`. None left: "none_qualifies".
3. Best. The highest mean on the primary metric; on a tie the simpler, then the faster, then the first by name.
4. Relations. Every other arm is compared with the best by the paired interval of (best - arm): "equivalent" if its
   high end is at most `margin` (non-inferiority), even if it excludes 0, for that is what the margin means; else
   "worse" if its low end is above 0; else "undecided". Those that are not worse are the contenders.
5. Choice. Among the best and its equivalents the cheapest, by the cost of a thousand queries; costs that are less than
   10 % apart are the same. Where that leaves several, or where a contender has no known cost, the simplest, then the
   fastest (10 % again), then the highest mean, then the first by name.
6. Doubt about the choice. An undecided arm that is cheaper than the chosen one by 10 % (without costs: simpler, or
   faster by 10 %), and not itself worse than the chosen one, blocks the choice: "not_decided".
7. Points that stay open, and that the user is told: candidates that are not comparable; undecided arms that do not
   block; an arm that is worse by a finding that was not declared or does not hold after adjustment; a choice of one;
   an arm that must cite and does so in some answers only; a chosen arm that is not distinguishably better than the best
   prompt-only candidate; a base model that, with nothing added, has at least 80 % of the best score (or 0.8), unless an
   answer without any model does as well as an arm; findings of the data checks.
8. Confidence. "low": nothing is decided or comparable, fewer than 30 clusters of examples, leakage between training
   and evaluation, or a doubt about a requirement. "moderate": a point of rule 7 is open. "high": the rest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ragft.evaluation.cost import CostRow
from ragft.verdict.facts import ArmFacts, Case

Decision = Literal["ship", "not_decided", "none_qualifies", "not_comparable"]
Confidence = Literal["high", "moderate", "low"]
Relation = Literal["equivalent", "worse", "undecided"]
Share = Literal["truncated_share", "abstained_share", "failed_share"]
Demand = Literal[
    "nothing_right",
    "min_score",
    "max_latency_s",
    "max_memory_gb",
    "max_cost_per_1000",
    "labels",
    "citations",
    "facts_change_days",
    "local_only",
]
Advantage = Literal["cheaper", "simpler", "faster"]

CLEARLY = 0.9
"""An arm is clearly cheaper or faster below this share of the other's: less may be noise of the clock."""

ENOUGH_CLUSTERS = 30
"""With fewer independent clusters the confidence is low whatever the intervals say."""

CITES = 0.5
"""Least share of answers with a citation of an arm that must name its sources."""

KNOWN = 0.8
"""A base model that reaches this score, or this share of the best score, leaves retrieval and tuning little to show."""

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Breach:
    """A share of an arm's answers above its limit."""

    share: Share
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A requirement that an arm misses; if not `certain`, may miss. `measured` is None for what is not known or nil."""

    demand: Demand
    measured: float | None
    allowed: float | None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class OpenPoints:
    """What rule 7 leaves open, as arms by name."""

    left_out: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unadjusted: tuple[str, ...] = ()
    alone: bool = False
    cites_some: str | None = None
    not_better_than: str | None = None
    known_to: str | None = None

    def __bool__(self) -> bool:
        """Return whether anything is open."""
        named = (self.cites_some, self.not_better_than, self.known_to)
        several = (self.left_out, self.undecided, self.unadjusted)
        return self.alone or any(several) or any(name is not None for name in named)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of a case.

    `chosen` is the arm to ship unless `blocker` stands in its way. `advantage` is what the blocker has over the chosen
    arm or, without one, the chosen arm over the best.
    """

    case: Case
    decision: Decision
    confidence: Confidence
    costs: Mapping[str, CostRow | None]
    comparable: tuple[str, ...]
    breaches: Mapping[str, tuple[Breach, ...]]
    excluded: Mapping[str, tuple[Shortfall, ...]]
    best: str | None = None
    chosen: str | None = None
    blocker: str | None = None
    relations: Mapping[str, Relation] = field(default_factory=dict)
    by_cost: bool = False
    advantage: Advantage | None = None
    doubts: tuple[tuple[str, Shortfall], ...] = ()
    open_points: OpenPoints = OpenPoints()

    @property
    def arm(self) -> str | None:
        """Return the arm to ship, None if there is none."""
        return self.chosen if self.decision == "ship" else None

    @property
    def candidates(self) -> tuple[str, ...]:
        """Return the arms that the decision is between."""
        return tuple(arm for arm in (self.chosen, self.blocker) if arm is not None)

    def related(self, relation: Relation) -> tuple[str, ...]:
        """Return the arms that stand so to the best, the nearest to it first."""
        arms = [arm for arm, found in self.relations.items() if found == relation]
        return tuple(sorted(arms, key=lambda arm: (-self.case.mean(arm), arm)))


def judge(case: Case) -> Judgement:
    """Return what the rules say of `case`.

    RagftError without candidates; NotComparableError for a candidate without a mean, or a contrast that is missing.
    """
    case.check()
    costs = {arm: case.cost(arm) for arm in case.arms}
    everyone = {**case.arms, **case.controls}
    breaches = {arm: found for arm, facts in everyone.items() if (found := tuple(_breaches(case, facts)))}
    comparable = [arm for arm in case.arms if arm not in breaches]
    enough = len(comparable) >= min(2, len(case.arms))
    every = {arm: tuple(_shortfalls(case, arm, costs[arm])) for arm in comparable}
    missed = {arm: tuple(one for one in found if one.certain) for arm, found in every.items()}
    excluded = {arm: found for arm, found in missed.items() if found}
    decision: Decision = "none_qualifies" if enough else "not_comparable"
    left_out = tuple(arm for arm in case.arms if arm in breaches)
    without_choice = Judgement(
        case=case,
        decision=decision,
        confidence=_confidence(case, decision, doubtful=False, is_open=bool(left_out)),
        costs=costs,
        comparable=tuple(comparable),
        breaches=breaches,
        excluded=excluded,
        open_points=OpenPoints(left_out=left_out),
    )
    left = [arm for arm in comparable if arm not in excluded]
    return _choose(without_choice, left, every) if enough and left else without_choice


def _choose(before: Judgement, left: Sequence[str], shortfalls: Mapping[str, Sequence[Shortfall]]) -> Judgement:
    """Return the choice among the arms that are `left` after rules 1 and 2."""
    case = before.case
    best = min(left, key=lambda arm: (-case.mean(arm), *_effort(case, arm)))
    relations = {arm: _relation(case, best, arm) for arm in left if arm != best}
    contenders = [best, *(arm for arm, relation in relations.items() if relation != "worse")]
    known = {arm: cost.per_1000 for arm in contenders if (cost := before.costs[arm]) is not None}
    ranking = _Ranking(case, known, by_cost=len(known) == len(contenders))
    chosen = ranking.first([arm for arm in contenders if relations.get(arm) != "undecided"])
    blocker = _blocker(ranking, chosen, relations)
    decision: Decision = "ship" if blocker is None else "not_decided"
    between = [arm for arm in (chosen, blocker) if arm is not None]
    doubts = tuple((arm, one) for arm in between for one in shortfalls[arm])
    points = _open_points(before, best, chosen, blocker, relations)
    return replace(
        before,
        decision=decision,
        confidence=_confidence(case, decision, doubtful=bool(doubts), is_open=bool(points)),
        best=best,
        chosen=chosen,
        blocker=blocker,
        relations=relations,
        by_cost=ranking.by_cost,
        advantage=ranking.advantage(chosen if blocker is None else blocker, best if blocker is None else chosen),
        doubts=doubts,
        open_points=points,
    )


def _breaches(case: Case, facts: ArmFacts) -> Iterator[Breach]:
    """Return the limits that an arm breaks (rule 1); what was not measured breaks none."""
    limits = case.limits
    pairs: tuple[tuple[Share, float | None, float], ...] = (
        ("truncated_share", facts.truncated_share, limits.truncated_share),
        ("abstained_share", facts.abstained_share, limits.abstained_share),
        ("failed_share", facts.failed_share, limits.failed_share),
    )
    for share, value, limit in pairs:
        if value is not None and value > limit:
            yield Breach(share, value, limit)


def _shortfalls(case: Case, arm: str, cost: CostRow | None) -> Iterator[Shortfall]:
    """Return the requirements that a candidate misses or may miss (rule 2)."""
    needs, facts = case.requirements, case.arms[arm]
    yield from _score(case, arm)
    yield from _at_most("max_latency_s", facts.latency_s, needs.max_latency_s)
    yield from _at_most("max_memory_gb", facts.memory_gb, needs.max_memory_gb)
    yield from _at_most("max_cost_per_1000", cost.per_1000 if cost else None, needs.max_cost_per_1000)
    yield from _at_most("labels", facts.labels, needs.labels)
    if needs.citations:
        yield from _citations(facts)
    if needs.facts_change_days is not None:
        yield from _change(facts, needs.facts_change_days)
    if needs.local_only and facts.leaves_machine:
        yield Shortfall("local_only", None, None)


def _score(case: Case, arm: str) -> Iterator[Shortfall]:
    mean, interval, least = case.mean(arm), case.estimate(arm).interval, case.requirements.min_score
    if mean == 0:
        yield Shortfall("nothing_right", mean, None)
    if least is not None and (interval is None or interval.low < least):
        yield Shortfall("min_score", mean, least, certain=interval is not None and interval.high < least)


def _at_most(demand: Demand, measured: float | None, allowed: float | None) -> Iterator[Shortfall]:
    if allowed is not None and (measured is None or measured > allowed):
        yield Shortfall(demand, measured, allowed, certain=measured is not None)


def _citations(facts: ArmFacts) -> Iterator[Shortfall]:
    if not facts.has_retrieval:
        yield Shortfall("citations", None, CITES)
    elif facts.citing_share is None or facts.citing_share < CITES:
        yield Shortfall("citations", facts.citing_share, CITES, certain=facts.citing_share is not None)


def _change(facts: ArmFacts, every_days: float) -> Iterator[Shortfall]:
    """Return whether the arm fails to follow facts that change; `measured` is days of training."""
    if facts.has_retrieval:
        return
    if not facts.has_adapter:
        yield Shortfall("facts_change_days", None, every_days)
    elif facts.training_seconds is None:
        yield Shortfall("facts_change_days", None, every_days, certain=False)
    elif facts.training_seconds / SECONDS_PER_DAY > every_days:
        yield Shortfall("facts_change_days", facts.training_seconds / SECONDS_PER_DAY, every_days)


def _effort(case: Case, arm: str) -> tuple[int, float, str]:
    """Return what sorts simpler, then faster arms first; unknown latency goes last."""
    seconds = case.arms[arm].latency_s
    return case.arms[arm].complexity, math.inf if seconds is None else seconds, arm


def _relation(case: Case, better: str, other: str) -> Relation:
    """Return what the paired interval of better - other says of `other` (rule 4)."""
    interval = case.contrast(better, other).interval
    if interval is None:
        return "undecided"
    if interval.high <= case.requirements.margin:
        return "equivalent"
    return "worse" if interval.low > 0 else "undecided"


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Which arm is preferred where scores do not tell them apart: by cost if every contender has one."""

    case: Case
    per_1000: Mapping[str, float]
    by_cost: bool

    def first(self, arms: Collection[str]) -> str:
        """Return the arm of rule 5: each criterion keeps those as good as its best for the next one."""
        if self.by_cost:
            least = min(self.per_1000[arm] for arm in arms)
            arms = [arm for arm in arms if CLEARLY * self.per_1000[arm] <= least]
        simplest = min(self.case.arms[arm].complexity for arm in arms)
        arms = [arm for arm in arms if self.case.arms[arm].complexity == simplest]
        fastest = min(_effort(self.case, arm)[1] for arm in arms)
        arms = [arm for arm in arms if CLEARLY * _effort(self.case, arm)[1] <= fastest]
        return min(arms, key=lambda arm: (-self.case.mean(arm), arm))

    def advantage(self, arm: str, than: str) -> Advantage | None:
        """Return why `arm` would be taken before `than` if both were equally good (rule 6), None if it would not."""
        if self.by_cost:
            return "cheaper" if self.per_1000[arm] < CLEARLY * self.per_1000[than] else None
        return easier(self.case, arm, than)


def easier(case: Case, arm: str, than: str) -> Advantage | None:
    """Return whether `arm` is simpler, or clearly faster, than the other; None if neither. Unknown is not faster."""
    one, other = case.arms[arm], case.arms[than]
    if one.complexity < other.complexity:
        return "simpler"
    both_timed = one.latency_s is not None and other.latency_s is not None
    return "faster" if both_timed and (one.latency_s or 0) < CLEARLY * (other.latency_s or 0) else None


def _blocker(ranking: _Ranking, chosen: str, relations: Mapping[str, Relation]) -> str | None:
    """Return the undecided arm that forbids shipping `chosen`, the most preferred of several; None if there is none."""
    blocking = [
        arm
        for arm, relation in relations.items()
        if relation == "undecided"
        and ranking.advantage(arm, chosen) is not None
        and _relation(ranking.case, chosen, arm) != "worse"
    ]
    return ranking.first(blocking) if blocking else None


def _open_points(
    before: Judgement, best: str, chosen: str, blocker: str | None, relations: Mapping[str, Relation]
) -> OpenPoints:
    """Return what stays open (rule 7)."""
    case, comparable = before.case, before.comparable
    share = case.arms[chosen].citing_share
    ordered = sorted(relations, key=lambda arm: (-case.mean(arm), arm))
    return OpenPoints(
        left_out=before.open_points.left_out,
        undecided=tuple(arm for arm in ordered if relations[arm] == "undecided" and arm != blocker),
        unadjusted=tuple(arm for arm in ordered if relations[arm] == "worse" and not _holds(case, best, arm)),
        alone=not relations,
        cites_some=chosen if case.requirements.citations and share is not None and share < 1 else None,
        not_better_than=_prompt_only(case, comparable, chosen),
        known_to=_known_to(case, comparable),
    )


def _holds(case: Case, best: str, arm: str) -> bool:
    """Return whether `arm` is worse by a contrast that was declared and survives the adjustment."""
    adjusted = case.contrast(best, arm).p_adjusted
    return adjusted is not None and adjusted <= 1 - case.comparison.level


def _prompt_only(case: Case, comparable: Collection[str], chosen: str) -> str | None:
    """Return the best prompt-only candidate, excluded or not, if `chosen` is not distinguishably better."""
    prompts = [arm for arm in comparable if case.arms[arm].complexity == 0]
    if not prompts or chosen in prompts:
        return None
    prompt = min(prompts, key=lambda arm: (-case.mean(arm), arm))
    interval = case.contrast(chosen, prompt).interval
    return prompt if interval is None or interval.low <= 0 else None


def _known_to(case: Case, comparable: Collection[str]) -> str | None:
    """Return the plain base model, if it does so well alone that retrieval and tuning have little to show.

    Where an answer without any model does as well as an arm, a good score is no knowledge: copying has it too.
    """
    if any(finding.check == "unaided" for finding in case.findings):
        return None
    plain = [arm for arm in comparable if case.arms[arm].is_plain]
    if not plain or all(case.arms[arm].complexity == 0 for arm in comparable):
        return None
    arm = max(plain, key=lambda arm: (case.mean(arm), arm))
    best = max(case.mean(other) for other in comparable)
    return arm if case.mean(arm) > 0 and case.mean(arm) >= KNOWN * min(1.0, best) else None


def is_leak(check: str) -> bool:
    """Return whether a finding of this check means that an answer was seen in training."""
    return check == "leakage"


def _confidence(case: Case, decision: Decision, *, doubtful: bool, is_open: bool) -> Confidence:
    """Return how sure the verdict is (rule 8)."""
    if decision in ("not_decided", "not_comparable") or doubtful:
        return "low"
    if case.comparison.n_clusters < ENOUGH_CLUSTERS or any(is_leak(finding.check) for finding in case.findings):
        return "low"
    return "moderate" if is_open or case.findings else "high"
