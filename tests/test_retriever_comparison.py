"""What retrievers side by side are said to show: one finds more, or they cannot be told apart; intervals with width."""

from __future__ import annotations

import random

import pytest

from ragft.evaluation.comparison import Comparison
from ragft.evaluation.retriever_comparison import PREFIX, compare_retrievers, finding
from ragft.records import Score

DENSE, BM25, HYBRID = KINDS = tuple(f"{PREFIX}{kind}" for kind in ("dense", "bm25", "hybrid"))
OWN = f"{PREFIX}dense+reranker"


def compared(hits: dict[str, list[float]], metrics: tuple[str, ...] = ("recall@5",)) -> Comparison:
    """Return the comparison of retrievers that have these values on questions 0, 1, ... by every metric."""
    scores = [
        Score(arm, str(n), metric, value)
        for arm, values in hits.items()
        for metric in metrics
        for n, value in enumerate(values)
    ]
    n = len(next(iter(hits.values())))
    return compare_retrievers(
        scores,
        clusters={str(i): f"document {i // 2}" for i in range(n)},
        kinds=KINDS,
        others={arm: DENSE for arm in hits if arm not in KINDS},
        metrics=metrics,
        primary_metric=metrics[0],
        resamples=2000,
        level=0.95,
        seed=7,
    )


def coins(share: float, n: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [float(rng.random() < share) for _ in range(n)]


def test_one_kind_that_clearly_finds_most_is_named() -> None:
    found = compared({DENSE: [1.0] * 200, BM25: coins(0.7, 200, 1), HYBRID: coins(0.8, 200, 2)})
    assert finding(found, KINDS, ["recall@5"]) == "By recall@5, dense finds more than bm25 and hybrid (200 questions)."


def test_kinds_that_differ_by_chance_are_not_ranked_and_the_power_is_said() -> None:
    found = compared({DENSE: coins(0.7, 40, 1), BM25: coins(0.7, 40, 2), HYBRID: coins(0.75, 40, 3)})
    detectable = max(item.minimum_detectable_effect or 0.0 for item in found.contrasts)
    assert finding(found, KINDS, ["recall@5"]) == (
        "By recall@5, dense, bm25 and hybrid cannot be told apart "
        f"(40 questions; a difference of {detectable:.3f} in recall@5 would have been found)."
    )


def test_two_that_are_level_before_one_that_finds_less() -> None:
    dense = coins(0.9, 200, 1)
    hybrid = [*dense[:-2], 1.0, 0.0]
    found = compared({DENSE: dense, BM25: coins(0.5, 200, 2), HYBRID: hybrid}, ("recall@5", "mrr"))
    said = finding(found, KINDS, ["recall@5", "mrr"])
    assert said.startswith("By recall@5 and mrr, dense and hybrid cannot be told apart, and bm25 finds less than ")


def test_the_same_hits_everywhere_say_nothing_and_have_width() -> None:
    """The trap: a bootstrap of ten hits of ten claims [1, 1], and a difference of exactly nothing."""
    found = compared({kind: [1.0] * 10 for kind in KINDS})
    assert finding(found, KINDS, ["recall@5"]) == (
        "By recall@5, dense, bm25 and hybrid cannot be told apart (10 questions)."
    )
    interval = found.estimates[0].interval
    assert interval is not None and (interval.high, interval.method) == (1.0, "wilson")
    assert interval.low == pytest.approx(5 / (5 + 1.959964**2), abs=1e-6)  # five documents, two questions on each
    difference = found.contrasts[0].interval
    assert difference is not None
    assert difference.high == pytest.approx(1.959964**2 / (5 + 1.959964**2), abs=1e-6)
    assert difference.low == pytest.approx(-difference.high)


def test_graded_values_that_are_equal_keep_the_bootstrap() -> None:
    found = compared({kind: [0.5] * 10 for kind in KINDS})
    interval = found.estimates[0].interval
    assert interval is not None and (interval.low, interval.high) == (0.5, 0.5)


def test_the_configured_retriever_is_held_against_its_own_kind_and_not_in_the_finding() -> None:
    every = {DENSE: coins(0.5, 200, 1), BM25: coins(0.5, 200, 2), HYBRID: coins(0.5, 200, 3), OWN: [1.0] * 200}
    found = compared(every)
    declared = [(item.first, item.second) for item in found.contrasts if item.declared]
    assert declared == [(BM25, DENSE), (HYBRID, DENSE), (HYBRID, BM25), (OWN, DENSE)]
    assert "cannot be told apart" in finding(found, KINDS, ["recall@5"])
    assert "reranker" not in finding(found, KINDS, ["recall@5"])
