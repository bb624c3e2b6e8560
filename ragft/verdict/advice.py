"""What to do next, from the same numbers: each piece of advice is given only where its numbers support it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragft.evaluation.power import SEEDED_TEST, examples_more, examples_to_decide
from ragft.verdict.facts import Case
from ragft.verdict.rules import ENOUGH_CLUSTERS, Demand, Judgement, Share
from ragft.verdict.wording import gap, listed, percent

MISSES = 0.1
"""Retrieval that misses for less than this share of the questions is not where to begin."""

READS = 0.7
"""A reader that scores this much on the passages it needs is not where to begin."""

SETTLES: dict[Demand, str] = {
    "min_score": "add eval examples until its interval clears min_score",
    "max_latency_s": "measure its latency (compare.latency_questions above 0)",
    "max_memory_gb": "measure its memory",
    "max_cost_per_1000": "give the prices (compare.prices) and measure what it takes",
    "citations": "measure how often it names a source",
    "facts_change_days": "measure how long it takes to train",
}


def next_steps(found: Judgement) -> tuple[str, ...]:
    """Return what would help, what the decision waits for first."""
    return (
        *_mend(found),
        *_relax(found),
        *_settle(found),
        *_decide(found),
        *_diagnose(found),
        *_declare(found),
        *_repeat_training(found),
        *_spread(found),
    )


def _mend(found: Judgement) -> Iterator[str]:
    """Return what would make the arms comparable that are not."""
    cut = _shares(found, "truncated_share")
    if cut:
        yield f"Raise generation.max_new_tokens: answers were cut off with {cut}."
    silent = _shares(found, "abstained_share")
    if silent:
        yield f"Read the answers to find out why answerable questions were not answered with {silent}."
    failed = _shares(found, "failed_share")
    if failed:
        yield f"Mend what failed and run again: answers could not be got or scored with {failed}."


def _shares(found: Judgement, share: Share) -> str:
    """Return "base (68 %) and rag (67 %)" for the arms that break this limit."""
    broken = [(arm, one.value) for arm, breaches in found.breaches.items() for one in breaches if one.share == share]
    return listed([f"{arm} ({percent(value)})" for arm, value in broken]) if broken else ""


def _relax(found: Judgement) -> Iterator[str]:
    if found.decision != "none_qualifies":
        return
    demands = [one.demand for shortfalls in found.excluded.values() for one in shortfalls]
    counted = {demand: demands.count(demand) for demand in dict.fromkeys(demands) if demand != "nothing_right"}
    if counted:
        named = listed([f"{demand} (excludes {n})" for demand, n in counted.items()])
        yield f"Lower a requirement that fails, or add an arm that could meet it: {named}."
    if "nothing_right" in demands:
        yield "Read some answers of the arms that got nothing right: the prompt or the references may be at fault."


def _settle(found: Judgement) -> Iterator[str]:
    for arm, one in found.doubts:
        yield f"Settle first whether {arm} meets {one.demand}: {SETTLES[one.demand]}."


def _decide(found: Judgement) -> Iterator[str]:
    """Return how many questions would decide what is open; the blocker first."""
    if found.best is None:
        return
    for arm in (*([found.blocker] if found.blocker else []), *found.open_points.undecided):
        yield to_decide(found.case, found.best, arm)


def to_decide(case: Case, best: str, arm: str) -> str:
    """Return about how many more examples would decide between two arms, or why none would."""
    contrast, margin = case.contrast(best, arm), case.requirements.margin
    more = examples_more(contrast, margin)
    if more:
        more = _two_digits_up(more)
        return f"About {more:,} more eval examples ({contrast.n + more:,} in all) would decide {best} against {arm}."
    if examples_to_decide(contrast, margin) is None and contrast.test == SEEDED_TEST:
        return f"No number of examples would decide {best} against {arm}: training varies too much; train more seeds."
    if examples_to_decide(contrast, margin) is None:
        return f"No number of examples can be named that would decide {best} against {arm}: widen the margin."
    return (
        f"{contrast.n:,} examples should have decided {best} against {arm}: what leaves it open is the chance of "
        "training or too few documents, so train with more seeds or draw from more documents."
    )


def _two_digits_up(count: int) -> int:
    """Return a count rounded up to two digits: it is a rough guide, and three would promise more than it knows."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step


def _diagnose(found: Judgement) -> Iterator[str]:
    """Return whether retrieval or reading loses the score, where an arm retrieves."""
    case = found.case
    if not any(facts.has_retrieval for facts in case.arms.values()):
        return
    oracle = next((arm for arm, facts in case.controls.items() if facts.retrieval == "oracle"), None)
    if oracle is not None and oracle in found.breaches:
        yield f"{oracle} is not comparable, so it cannot be told whether retrieval or reading loses the score."
        oracle = None
    yield from _retrieval(found, oracle)
    yield from _reading(found, oracle)


def _retrieval(found: Judgement, oracle: str | None) -> Iterator[str]:
    facts = found.case.retrieval
    if facts is None or facts.hit_share is None or 1 - facts.hit_share < MISSES:
        return
    missed = percent(1 - facts.hit_share)
    misses = f"Retrieval misses the gold documents of {missed} of the questions (top_k {facts.top_k})"
    reader = None if oracle is None else _same_reader(found, oracle)
    contrast = None if oracle is None or reader is None else found.case.find_contrast(oracle, reader)
    if contrast is None or contrast.interval is None:
        yield f"{misses}: improve it before tuning."
    elif contrast.interval.low > 0:
        yield f"{misses}, and {oracle} leads {reader} by {gap(contrast)}: improve retrieval before tuning."
    elif contrast.interval.high <= found.case.requirements.margin:
        yield f"{misses}, but with all of them {reader} would gain little: {oracle} leads it by {gap(contrast)}."
    else:
        yield f"{misses}; what that costs is open, for {oracle} leads {reader} by {gap(contrast)}."


def _same_reader(found: Judgement, oracle: str) -> str | None:
    """Return the arm that differs from the oracle only in where its passages come from."""
    case, control = found.case, found.case.controls[oracle]
    same = [
        arm
        for arm in found.comparable
        if case.arms[arm].has_retrieval
        and (case.arms[arm].adapter, case.arms[arm].shots) == (control.adapter, control.shots)
    ]
    return min(same, key=lambda arm: (-case.mean(arm), arm), default=None)


def _reading(found: Judgement, oracle: str | None) -> Iterator[str]:
    """Return what the reader loses: of the chosen arm on what was retrieved, else of the model on gold passages."""
    case, arm = found.case, found.chosen
    hit = None if case.retrieval is None or arm is None else case.retrieval.score_given_hit.get(arm)
    if arm is not None and hit is not None:
        if hit < READS:
            remedy = _remedy(case.arms[arm].has_adapter)
            yield f"Where retrieval finds what is needed, {arm} still scores {hit:.3f} only: {remedy}."
        return
    estimate = None if oracle is None else _mean(case, oracle)
    if oracle is None or estimate is None or estimate >= READS:
        return
    trained = [a for a in found.comparable if case.arms[a].has_adapter and case.arms[a].has_retrieval]
    if all(case.mean(other) <= estimate for other in trained):
        remedy = _remedy(bool(trained))
        yield f"The reader loses {1 - estimate:.3f} even when it is given the right passages ({oracle}): {remedy}."


def _remedy(trained: bool) -> str:
    return (
        "try a larger model, or train it on more" if trained else "train it with passages (RAFT), or try a larger model"
    )


def _mean(case: Case, arm: str) -> float | None:
    found = (e.mean for e in case.comparison.estimates if e.arm == arm and e.metric == case.metric)
    return next(found, None)


def _declare(found: Judgement) -> Iterator[str]:
    best = found.best
    exploratory = [arm for arm in found.open_points.unadjusted if best and _is_undeclared(found.case, best, arm)]
    if exploratory:
        yield f"Declare {best} against {listed(exploratory)} (compare.contrasts) before a next run on fresh questions."


def _is_undeclared(case: Case, best: str, arm: str) -> bool:
    return case.contrast(best, arm).p_adjusted is None


def _repeat_training(found: Judgement) -> Iterator[str]:
    """Return that an adapter in the decision was trained once: its interval does not cover the chance of training."""
    case = found.case
    once = [arm for arm in found.candidates if case.arms[arm].has_adapter and not case.estimate(arm).seed_means]
    adapters: Sequence[str] = sorted({adapter for arm in once if (adapter := case.arms[arm].adapter) is not None})
    if adapters:
        keys = listed([f"adapters.{adapter}.seeds" for adapter in adapters])
        yield f"Train with three seeds or more ({keys}): one training may have been lucky."


def _spread(found: Judgement) -> Iterator[str]:
    n = found.case.comparison.n_clusters
    if n < ENOUGH_CLUSTERS:
        yield f"Draw eval examples from at least {ENOUGH_CLUSTERS} documents; these come from {n}."
