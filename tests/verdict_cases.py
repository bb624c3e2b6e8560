"""Synthetic comparisons for the tests of the verdict: five arms, their facts, and gaps between them as wanted."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from ragft.evaluation.comparison import Comparison
from ragft.records import ContrastResult, Estimate, Interval
from ragft.verdict import ArmFacts, Case, Prices, Requirements

Gap = tuple[float, float]
WORSE, OPEN, EQUAL, SLIGHT = (0.05, 0.25), (-0.05, 0.15), (-0.015, 0.018), (0.001, 0.015)
"""Intervals of best - other: clearly worse, undecided, equal within 0.02, and worse but within 0.02."""

TIMED = ArmFacts(latency_s=1.0, seconds_per_question=0.36)
FACTS = {
    "prompt": TIMED,
    "few_shot": replace(TIMED, shots=3),
    "rag": replace(TIMED, retrieval="index", index_seconds=60.0, citing_share=1.0),
    "tuned": replace(TIMED, adapter="facts", labels=200, training_seconds=3600.0),
    "both": replace(
        TIMED,
        adapter="raft",
        retrieval="index",
        labels=200,
        training_seconds=3600.0,
        index_seconds=60.0,
        citing_share=1.0,
    ),
    "oracle": replace(TIMED, retrieval="oracle"),
    "random": replace(TIMED, retrieval="random"),
}
PRICES = Prices(machine_hour=10.0)
"""At 0.36 s a question, 1.00 per 1000 queries to run."""

CONTROLS = ("oracle", "random")


def contrast(
    first: str, second: str, gap: Gap | None, p_adjusted: float | None = 0.001, **changes: object
) -> ContrastResult:
    values: dict[str, Any] = {
        "first": first,
        "second": second,
        "metric": "exact_match",
        "difference": None if gap is None else sum(gap) / 2,
        "interval": None if gap is None else Interval(*gap, 0.95, "tango"),
        "n": 100,
        "test": "mcnemar_exact",
        "p_value": 0.001,
        "p_adjusted": p_adjusted,
        "minimum_detectable_effect": 0.10,
        "n_needed": 400,
        "declared": p_adjusted is not None,
    }
    return ContrastResult(**{**values, **changes})


def comparison(
    means: Mapping[str, float],
    gaps: Mapping[tuple[str, str], Gap],
    *,
    p_adjusted: float | None = 0.001,
    half: float = 0.08,
    n_clusters: int = 100,
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Return a comparison with these means; a pair without a gap is far apart in the direction of the means."""
    estimates = tuple(
        Estimate(arm, "exact_match", mean, 100, 0, Interval(mean - half, mean + half, 0.95, "wilson"))
        for arm, mean in means.items()
    )
    contrasts = []
    for first, second in itertools.combinations(means, 2):
        if (second, first) in gaps:
            contrasts.append(contrast(second, first, gaps[second, first], p_adjusted))
        else:
            away = means[first] - means[second]
            gap = gaps.get((first, second), (away - 0.01, away + 0.01))
            contrasts.append(contrast(first, second, gap, p_adjusted))
    # The same pairs on another metric say the opposite, and must not be read.
    decoys = [contrast(c.second, c.first, (0.5, 0.6), 0.001, metric="token_f1") for c in contrasts]
    return Comparison("exact_match", estimates, (*decoys, *contrasts), 100, n_clusters, 0.95, 1000, notes)


def case(
    means: Mapping[str, float],
    gaps: Mapping[tuple[str, str], Gap] | None = None,
    *,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    requirements: Requirements | None = None,
    compared: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Case:
    """Return a case of the named arms; `facts` changes what is known of one, `compared` goes to `comparison`."""
    known = {arm: replace(FACTS[arm], **(facts or {}).get(arm, {})) for arm in means}
    return Case(
        comparison=comparison(means, gaps or {}, **(compared or {})),
        arms={arm: one for arm, one in known.items() if arm not in CONTROLS},
        controls={arm: one for arm, one in known.items() if arm in CONTROLS},
        requirements=requirements or Requirements(),
        **rest,
    )


ARMS = ["prompt", "few_shot", "rag", "tuned", "both"]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return any case of two to five arms: means, gaps, facts, requirements and prices."""
    arms = draw(st.lists(st.sampled_from(ARMS), min_size=2, max_size=5, unique=True))
    means = {arm: draw(st.integers(0, 20)) / 20 for arm in arms}
    gaps = {}
    for i, first in enumerate(arms):
        for second in arms[i + 1 :]:
            away, half = means[first] - means[second], draw(st.sampled_from([0.005, 0.05, 0.2]))
            gaps[first, second] = (away - half, away + half)
    facts = {
        arm: {
            "latency_s": draw(st.sampled_from([None, 0.5, 0.95, 1.0, 2.0])),
            "seconds_per_question": draw(st.sampled_from([None, 0.1, 0.35, 0.36, 1.0])),
            "truncated_share": draw(st.sampled_from([None, 0.0, 0.0, 0.6])),
        }
        for arm in arms
    }
    needs = Requirements(
        min_score=draw(st.sampled_from([None, 0.5, 0.9])),
        max_latency_s=draw(st.sampled_from([None, 0.7, 5.0])),
        facts_change_days=draw(st.sampled_from([None, 7.0])),
        citations=draw(st.booleans()),
    )
    compared = {"p_adjusted": draw(st.sampled_from([None, 0.001, 0.2]))}
    prices = draw(st.sampled_from([Prices(), PRICES]))
    return case(means, gaps, facts=facts, requirements=needs, compared=compared, prices=prices)
