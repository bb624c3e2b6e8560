"""The sentences of the verdict: what was decided and why, with the numbers. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from ragft.evaluation.cost import CostRow, break_even
from ragft.records import ContrastResult, Interval
from ragft.verdict.facts import Case
from ragft.verdict.rules import CITES, ENOUGH_CLUSTERS, Breach, Judgement, Shortfall

WORTH_SAYING = 0.1
"""Refreshing is explained where it makes at least this share of the cost."""


def listed(words: Sequence[str]) -> str:
    """Return words as English lists them: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def percent(share: float) -> str:
    """Return a share such as 0.68 as "68 %", with a digit more where whole percents would mislead."""
    points = 100 * share
    return f"{points:.0f} %" if abs(points - round(points)) < 0.05 else f"{points:.1f} %"


def money(amount: float) -> str:
    """Return an amount with two decimals, or two significant digits where those would hide it."""
    return f"{amount:,.2f}" if amount == 0 or abs(amount) >= 0.1 else f"{amount:.2g}"


def seconds(amount: float) -> str:
    """Return a time of one question, such as "1.22 s"."""
    return f"{amount:.2f} s" if amount >= 0.1 else f"{amount:.2g} s"


def headline(found: Judgement) -> str:
    """Return the verdict in one sentence."""
    n, able = len(found.case.arms), found.comparable
    match found.decision:
        case "ship":
            return f"Ship {found.chosen}: {score(found.case, found.chosen or '')}."
        case "not_decided":
            what = f"{found.blocker} is {found.advantage}, and may be as good"
            return f"Not decided between {found.chosen} and {found.blocker}: {what}."
        case "none_qualifies":
            which = f"{len(able)} candidates" if len(able) == n else f"{len(able)} comparable candidates"
            return f"Ship nothing yet: none of the {which} meets the requirements."
        case "not_comparable":
            what = f"only {able[0]}" if able else "none"
            return f"No verdict: {what} of {n} candidates can be compared."
        case _:
            assert_never(found.decision)


def breach(one: Breach) -> str:
    """Return why an arm is not comparable, and what mends it."""
    limit = f"above the limit of {percent(one.limit)}"
    match one.share:
        case "truncated_share":
            return (
                f"{percent(one.value)} of the answers were cut off at the cap, {limit}: raise generation.max_new_tokens"
            )
        case "abstained_share":
            return f"{percent(one.value)} of the answerable questions were not answered, {limit}: read the answers"
        case "failed_share":
            return f"{percent(one.value)} of the answers could not be got or scored, {limit}: see the log of the run"
        case _:
            assert_never(one.share)


def shortfall(case: Case, arm: str, one: Shortfall) -> str:
    """Return which requirement an arm misses and by how much."""
    has, needs, currency = one.measured or 0.0, one.allowed or 0.0, case.prices.currency
    match one.demand:
        case "nothing_right":
            return f"nothing was right: the {case.metric} is 0.000"
        case "min_score":
            interval = case.estimate(arm).interval
            span = f" ({span_of(interval)})" if interval else ""
            return f"the score {has:.3f}{span} is below the required {needs:.3f} (min_score)"
        case "max_latency_s":
            return f"the latency {has:.2f} s is above the allowed {needs:.2f} s (max_latency_s)"
        case "max_memory_gb":
            return f"the memory {has:.2f} GB is above the allowed {needs:.2f} GB (max_memory_gb)"
        case "max_cost_per_1000":
            allowed = f"are above the allowed {money(needs)} (max_cost_per_1000)"
            return f"the costs of {money(has)} {currency} per 1000 queries {allowed}"
        case "labels":
            return f"{has:.0f} labelled examples were used, and {needs:.0f} can be had (labels)"
        case "citations" if one.measured is None:
            return "nothing is retrieved, so there is no source to name (citations)"
        case "citations":
            return f"{percent(has)} of the answers name a source, and at least {percent(CITES)} must (citations)"
        case "facts_change_days" if one.measured is None:
            without = "with neither retrieval nor an adapter"
            return f"{without} it cannot follow facts that change {_every(needs)} (facts_change_days)"
        case "facts_change_days":
            again = f"training again takes {has:.2g} days"
            return (
                f"{again}, and without retrieval it must follow facts that change {_every(needs)} (facts_change_days)"
            )
        case "local_only":
            return "questions leave this machine (local_only)"
        case _:
            assert_never(one.demand)


def _every(days: float) -> str:
    return "every day" if days == 1 else f"every {days:g} days"


def why(case: Case, arm: str, shortfalls: Sequence[Shortfall]) -> str:
    """Return everything that excludes an arm."""
    return "; ".join(shortfall(case, arm, one) for one in shortfalls)


def reasons(found: Judgement) -> tuple[str, ...]:
    """Return why the verdict is what it is."""
    if found.best is None:
        lost = {arm: "; ".join(map(breach, found.breaches[arm])) for arm in found.case.arms if arm in found.breaches}
        missed = {arm: why(found.case, arm, one) for arm, one in found.excluded.items()}
        return _grouped({**lost, **missed})
    best = found.best
    return (
        *_preference(found),
        f"{best} has the highest mean {found.case.metric}: {found.case.mean(best):.3f}.",
        *_worse(found, best),
        *_equivalent(found, best),
        *_blocked(found, best),
        *_break_even(found),
    )


def _grouped(texts: dict[str, str]) -> tuple[str, ...]:
    """Return one sentence for each text, with the arms that share it in front."""
    arms_of: dict[str, list[str]] = {}
    for arm, text in texts.items():
        arms_of.setdefault(text, []).append(arm)
    return tuple(f"{listed(arms)}: {text}." for text, arms in arms_of.items())


def _preference(found: Judgement) -> Iterator[str]:
    """Return what the blocker has over the chosen arm, or the chosen one over the best."""
    first, second = (found.chosen, found.best) if found.blocker is None else (found.blocker, found.chosen)
    if first is None or second is None or first == second:
        return
    match found.advantage:
        case "cheaper":
            one, other = found.costs[first], found.costs[second]
            if one and other:
                amounts = f"{money(one.per_1000)} against {money(other.per_1000)} {one.currency} per 1000 queries"
                yield f"{first} is cheaper than {second}: {amounts}."
        case "simpler":
            parts = f"{made_of(found.case, first)} against {made_of(found.case, second)}"
            yield f"{first} is simpler than {second}: {parts}."
        case "faster":
            one_s, other_s = found.case.arms[first].latency_s or 0.0, found.case.arms[second].latency_s or 0.0
            yield f"{first} is faster than {second}: {seconds(one_s)} a question against {seconds(other_s)}."
        case None:
            yield f"{first} and {second} take about as much to build and run."
        case _:
            assert_never(found.advantage)


def made_of(case: Case, arm: str) -> str:
    """Return what stands beside the model of an arm."""
    facts = case.arms[arm]
    parts = ["an adapter"] * facts.has_adapter + ["retrieval"] * (facts.retrieval != "none")
    return listed(parts) if parts else "a prompt alone"


def _worse(found: Judgement, best: str) -> Iterator[str]:
    worse = found.related("worse")
    if worse:
        yield f"It is better than {_gaps([found.case.contrast(best, arm) for arm in worse])}."


def _equivalent(found: Judgement, best: str) -> Iterator[str]:
    equal = found.related("equivalent")
    if equal:
        are = "is" if len(equal) == 1 else "are"
        margin = f"a lead of up to {found.case.requirements.margin:.3f} makes no difference (margin)"
        leads = _leads(found.case, best, equal)
        yield f"{listed(equal)} {are} as good in practice: {best} leads by {leads}, and {margin}."


def _blocked(found: Judgement, best: str) -> Iterator[str]:
    if found.blocker is not None:
        yield _open_sentence(found.case, best, [found.blocker])


def _open_sentence(case: Case, best: str, arms: Sequence[str]) -> str:
    are = "is" if len(arms) == 1 else "are"
    return f"Whether {listed(arms)} {are} worse than {best} is open: {best} leads by {_leads(case, best, arms)}."


def _leads(case: Case, best: str, arms: Sequence[str]) -> str:
    """Return the leads of `best` in the order of the arms, the level of the intervals named once."""
    return listed([gap(case.contrast(best, arm), brief=i > 0) for i, arm in enumerate(arms)])


def _gaps(contrasts: Sequence[ContrastResult]) -> str:
    """Return "few_shot by 0.351 (95 % interval 0.261 to 0.443), rag by ... and ...": each number beside its arm."""
    return listed([f"{one.second} by {gap(one, brief=i > 0)}" for i, one in enumerate(contrasts)])


def _break_even(found: Judgement) -> Iterator[str]:
    """Return from how many queries training pays, where one arm is tuned only and another retrieves only."""
    case = found.case
    priced = [arm for arm in (found.best, *found.relations) if arm is not None and found.costs[arm] is not None]
    tuned = [arm for arm in priced if case.arms[arm].has_adapter and not case.arms[arm].has_retrieval]
    reading = [arm for arm in priced if case.arms[arm].has_retrieval and not case.arms[arm].has_adapter]
    if not tuned or not reading:
        return
    first, second = (max(arms, key=lambda arm: (case.mean(arm), arm)) for arms in (tuned, reading))
    one, other = found.costs[first], found.costs[second]
    if one is None or other is None:
        return
    yield (
        f"{first} costs {money(one.running_per_1000)} {one.currency} per 1000 queries to run and {money(one.fixed)} "
        f"to build and refresh, {second} {money(other.running_per_1000)} and {money(other.fixed)}: "
        f"{_pays(case, first, one, other)}."
    )


def _pays(case: Case, tuned: str, one: CostRow, other: CostRow) -> str:
    queries = break_even(one, other)
    if queries is None:
        number = "number" if one.fixed >= other.fixed else "large number"
        return f"no {number} of queries pays for training {tuned}"
    if queries == 0:
        return f"{tuned} is the cheaper one from the first query"
    about = float(f"{queries:.3g}")
    return f"{tuned} is the cheaper one from about {about:,.0f} queries in {case.prices.horizon_days:g} days"


def caveats(found: Judgement) -> tuple[str, ...]:
    """Return what limits the verdict, the gravest first; the notes of the comparison come last."""
    return (
        *_findings(found),
        *_doubts(found),
        *_few_clusters(found),
        *_prompting(found),
        *_open(found),
        *_refreshing(found),
        *_unpriced(found),
        *found.case.comparison.notes,
    )


_ABOUT = {"training": "Training: ", "judge": "Judge: ", "unaided": ""}
"""What stands before a finding that is none on the data."""


def _findings(found: Judgement) -> Iterator[str]:
    for finding in found.case.findings:
        said = f"{_ABOUT.get(finding.check, 'Data: ')}{finding.message.rstrip('.')}."
        yield f"{said[0].upper()}{said[1:]}"


def _doubts(found: Judgement) -> Iterator[str]:
    for arm, one in found.doubts:
        yield doubt(found.case, arm, one)


def doubt(case: Case, arm: str, one: Shortfall) -> str:
    """Return which requirement an arm may miss, and why that is not known."""
    needs, currency = one.allowed or 0.0, case.prices.currency
    match one.demand:
        case "min_score":
            return f"{arm} may miss the required score of {needs:.3f}: it has {score(case, arm)}."
        case "max_latency_s":
            return f"The latency of {arm} was not measured, and at most {needs:.2f} s are allowed."
        case "max_memory_gb":
            return f"The memory of {arm} was not measured, and at most {needs:.2f} GB are allowed."
        case "max_cost_per_1000" if not case.prices.priced:
            return f"Nothing has a price, so whether {arm} costs at most {money(needs)} per 1000 queries is not known."
        case "max_cost_per_1000":
            at_most = f"at most {money(needs)} {currency} per 1000 queries"
            return f"Not everything that {arm} takes was measured, so whether it costs {at_most} is not known."
        case "citations":
            return f"How often {arm} names a source was not measured, and answers must name theirs."
        case "facts_change_days":
            return f"How long {arm} takes to train was not measured, and facts change {_every(needs)}."
        case "nothing_right" | "labels" | "local_only":
            raise ValueError(f"{one.demand} is always certain")
        case _:
            assert_never(one.demand)


def _few_clusters(found: Judgement) -> Iterator[str]:
    n = found.case.comparison.n_clusters
    if n < ENOUGH_CLUSTERS:
        yield f"Only {n} independent clusters of examples were compared: little evidence."


def _prompting(found: Judgement) -> Iterator[str]:
    case, points = found.case, found.open_points
    # Of the blocker the reasons say so already.
    if points.not_better_than is not None and points.not_better_than != found.blocker and found.chosen is not None:
        contrast = case.contrast(found.chosen, points.not_better_than)
        than = f"{points.not_better_than}, which only prompts"
        yield f"{found.chosen} is not distinguishably better than {than}: the difference is {gap(contrast)}."
    if points.known_to is not None:
        yield _known(case, found, points.known_to)


def _known(case: Case, found: Judgement, arm: str) -> str:
    best = max(found.comparable, key=lambda other: (case.mean(other), other))
    mean = case.mean(arm)
    if arm == best:
        return (
            f"{arm}, the model with nothing added, scores highest ({mean:.3f}): nothing shows that adding to it helps."
        )
    known = f"{arm}, the model with nothing added, has {mean:.3f} where the best arm has {case.mean(best):.3f}"
    return f"{known}: it seems to know the answers already, so retrieval and tuning cannot show much here."


def _open(found: Judgement) -> Iterator[str]:
    case, points, best = found.case, found.open_points, found.best
    if best is None:
        if points.left_out and found.decision == "none_qualifies":
            yield f"{listed(points.left_out)} could not be compared, and might meet the requirements."
        return
    said = points.not_better_than if found.chosen == best else None
    undecided = [arm for arm in points.undecided if arm != said]
    if undecided:
        yield _open_sentence(case, best, undecided)
    if points.left_out:
        out = f"{listed(points.left_out)} could not be compared"
        yield f"{out}, so nothing is known of whether {best} is better."
    if points.alone:
        yield f"{best} was the only arm left to choose: nothing says that another would do worse."
    yield from _unadjusted(case, best, points.unadjusted)
    if points.cites_some is not None:
        share = case.arms[points.cites_some].citing_share or 0.0
        yield f"{points.cites_some} names a source in {percent(share)} of its answers: the rest name none."


def _unadjusted(case: Case, best: str, arms: Sequence[str]) -> Iterator[str]:
    exploratory = [arm for arm in arms if case.contrast(best, arm).p_adjusted is None]
    weak = {arm: p for arm in arms if (p := case.contrast(best, arm).p_adjusted) is not None}
    if exploratory:
        were = "that contrast was" if len(exploratory) == 1 else "those contrasts were"
        over = listed(exploratory)
        yield f"The lead of {best} over {over} is exploratory: {were} not declared before the run."
    if weak:
        p_values = listed([f"p = {p:.3f}" for p in weak.values()])
        over = listed(list(weak))
        yield f"The lead of {best} over {over} does not hold after adjustment for several contrasts ({p_values})."


def _refreshing(found: Judgement) -> Iterator[str]:
    """Return what the price of refreshing the chosen arm leaves out."""
    cost = None if found.chosen is None else found.costs[found.chosen]
    if found.chosen is None or cost is None or cost.per_1000 == 0:
        return
    total = cost.fixed + cost.running_per_1000 * found.case.prices.queries / 1000
    if cost.refreshes_per_horizon * cost.refresh_each < WORTH_SAYING * total:
        return
    price = f"{money(cost.refresh_each)} {cost.currency}"
    times = f"{found.chosen} is refreshed {cost.refreshes_per_horizon:,.0f} times at {price}"
    if found.case.arms[found.chosen].has_retrieval:
        yield f"{times}, the price of indexing everything again: indexing only what changed costs less."
    else:
        yield f"{times}, the price of training again: labels for the new facts would come on top."


def _unpriced(found: Judgement) -> Iterator[str]:
    """Return that costs did not decide, where there are prices and an arm in the running has no known cost."""
    if found.best is None or not found.case.prices.priced or found.by_cost:
        return
    arms = [arm for arm in (found.best, *found.relations) if found.costs[arm] is None]
    unknown = [arm for arm in arms if found.relations.get(arm) != "worse"]
    yield f"What {listed(unknown)} costs is not known: the simplest arm was preferred instead of the cheapest."


def score(case: Case, arm: str) -> str:
    """Return the primary score of an arm with its interval."""
    interval = case.estimate(arm).interval
    return f"{case.metric} {case.mean(arm):.3f}" + (f" ({span_of(interval)})" if interval else "")


def gap(contrast: ContrastResult, *, brief: bool = False) -> str:
    """Return a difference with its interval; `brief` leaves the level out, for it was just named."""
    if contrast.difference is None:
        return "an unknown amount"
    if contrast.interval is None:
        return f"{contrast.difference:.3f} (no interval)"
    span = f"{contrast.interval.low:.3f} to {contrast.interval.high:.3f}" if brief else span_of(contrast.interval)
    return f"{contrast.difference:.3f} ({span})"


def span_of(interval: Interval) -> str:
    """Return an interval with its level."""
    return f"{interval.level * 100:g} % interval {interval.low:.3f} to {interval.high:.3f}"
