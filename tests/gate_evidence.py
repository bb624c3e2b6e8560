"""Evidence made by hand for the tests of gates and baselines: forty examples, two arms, every number known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ragft.evaluation.comparison import Comparison
from ragft.gates import Evidence, fingerprints_of
from ragft.records import Estimate, Example, Interval

N = 40
EXAMPLES = tuple(Example(f"q{i:02}", f"Question {i}?", (f"answer {i}",), (f"d{i}",)) for i in range(N))
IDS = tuple(example.id for example in EXAMPLES)
MACHINE = {"processor": "Abacus 9", "cores": 2}

HALF = tuple(1.0 if i < 20 else 0.0 for i in range(N))
"""Right on the first twenty: mean 0.5."""


def estimate(arm: str, mean: float | None, *, metric: str = "exact_match", unscored: int = 0) -> Estimate:
    """Return an estimate with an interval 0.1 either side."""
    interval = None if mean is None else Interval(mean - 0.1, mean + 0.1, 0.95, "wilson")
    return Estimate(arm, metric, mean, 0 if mean is None else N - unscored, unscored, interval)


def evidence(
    values: Mapping[str, Sequence[float | None]] | None = None,
    *,
    estimates: Sequence[Estimate] | None = None,
    **changes: Any,
) -> Evidence:
    """Return the evidence of a run that ships `rag`, whose arms scored `values` on the examples in their order."""
    given = {"base": HALF, "rag": HALF} if values is None else values
    scores = {
        arm: {id: value for id, value in zip(IDS, row, strict=True) if value is not None} for arm, row in given.items()
    }
    means = {arm: sum(of.values()) / len(of) if of else None for arm, of in scores.items()}
    made = Evidence(
        name="small",
        created_at="2026-01-02T03:04:05+00:00",
        ragft_version="0.1.0",
        comparison=Comparison(
            "exact_match",
            tuple(estimates if estimates is not None else (estimate(arm, mean) for arm, mean in means.items())),
            (),
            N,
            N,
            0.95,
            200,
            (),
        ),
        decision="ship",
        shipped="rag",
        scores=scores,
        clusters={id: id for id in IDS},
        latency_s=dict.fromkeys(given, 2.0),
        hardware=MACHINE,
        findings=(),
        fingerprints=fingerprints_of(
            EXAMPLES,
            task_kind="qa",
            labels=(),
            metric="exact_match",
            metric_version=1,
            arms={arm: f"print-{arm}" for arm in given},
        ),
    )
    return replace(made, **changes)


def rebound(made: Evidence, **changes: Any) -> Evidence:
    """Return the evidence bound to other fingerprints."""
    return replace(made, fingerprints=replace(made.fingerprints, **changes))
