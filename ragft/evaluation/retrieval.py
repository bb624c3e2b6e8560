"""Metrics of a ranking against the gold documents of its example.

The metrics see ids only: `ranked`, best first and each id once, and `gold`, a set in which every id is equally right.
Must not know which retriever ranked.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from ragft.errors import DataError
from ragft.records import Example, Ranking, Score

RETRIEVAL_METRIC_VERSION = 1
"""Version of every metric in this module; rises whenever a change could move a value."""

_NO_GOLD = "the example has no gold documents"


def deduplicate(ids: Iterable[str]) -> tuple[str, ...]:
    """Return `ids` without repetitions, each at its best (first) rank."""
    return tuple(dict.fromkeys(ids))


def ranked_document_ids(ranking: Ranking) -> tuple[str, ...]:
    """Return the documents of the ranking's passages, best first, each at the rank of its best passage."""
    return deduplicate(ranked.passage.document_id for ranked in ranking.passages)


def recall_at(ranked: Sequence[str], gold: Collection[str], cutoff: int) -> float:
    """Return the share of the gold ids that stand among the first `cutoff` of `ranked`."""
    return sum(_hits(ranked, gold, cutoff)) / len(set(gold))


def precision_at(ranked: Sequence[str], gold: Collection[str], cutoff: int) -> float:
    """Return the share of the first `cutoff` places that hold a gold id.

    The denominator is `cutoff` even where the ranking is shorter, as in trec_eval: an empty place is no hit.
    """
    return sum(_hits(ranked, gold, cutoff)) / cutoff


def reciprocal_rank(ranked: Sequence[str], gold: Collection[str]) -> float:
    """Return 1 / the rank of the first gold id, 0.0 if there is none; its mean over examples is MRR (Voorhees 1999)."""
    hits = _hits(ranked, gold, max(1, len(ranked)))
    return 1 / (1 + hits.index(True)) if True in hits else 0.0


def ndcg_at(ranked: Sequence[str], gold: Collection[str], cutoff: int) -> float:
    """Return DCG over the best possible DCG at `cutoff`, with gain 1 for gold ids and discount 1 / log2(rank + 1).

    Järvelin and Kekäläinen 2002 with binary relevance; the best possible ranking has min(cutoff, number of gold ids)
    hits on top, so a cutoff below the number of gold ids can still give 1.0.
    """
    gain = sum(_discount(rank) for rank, hit in enumerate(_hits(ranked, gold, cutoff), start=1) if hit)
    best = sum(_discount(rank) for rank in range(1, min(cutoff, len(set(gold))) + 1))
    return gain / best


def _discount(rank: int) -> float:
    return 1 / math.log2(rank + 1)


def _hits(ranked: Sequence[str], gold: Collection[str], cutoff: int) -> list[bool]:
    if not gold:
        raise ValueError("a retrieval metric needs at least one gold id")
    if cutoff < 1:
        raise ValueError(f"cutoff must be at least 1, not {cutoff}")
    if len(set(ranked)) != len(ranked):
        raise ValueError("ranked ids must stand once each: deduplicate first, else a hit counts twice")
    return [id in gold for id in ranked[:cutoff]]


def retrieval_scores(
    rankings: Sequence[Ranking],
    examples: Mapping[str, Example],
    *,
    arm: str,
    cutoffs: Sequence[int] = (1, 3, 5, 10),
) -> list[Score]:
    """Return the scores of one retriever (`arm`, such as "dense") at document level, rankings in their order.

    Metrics are named "recall@5", "precision@5", "ndcg@5" for every cutoff, and "mrr". The cutoff counts documents,
    not passages; it may exceed the ranking's length. An example without gold documents is unscored, with the reason.
    DataError for a ranking of an example that is not in `examples` (keys are example ids).
    """
    return [
        Score(arm, ranking.example_id, metric, value, _NO_GOLD if value is None else None)
        for ranking in rankings
        for metric, value in _values(ranked_document_ids(ranking), _gold(ranking, examples), cutoffs).items()
    ]


def _gold(ranking: Ranking, examples: Mapping[str, Example]) -> frozenset[str]:
    if ranking.example_id not in examples:
        raise DataError(f"a ranking is for example {ranking.example_id!r}, which is not among the examples")
    return frozenset(examples[ranking.example_id].gold_document_ids)


def _values(ranked: Sequence[str], gold: frozenset[str], cutoffs: Sequence[int]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for cutoff in cutoffs:
        values[f"recall@{cutoff}"] = recall_at(ranked, gold, cutoff) if gold else None
        values[f"precision@{cutoff}"] = precision_at(ranked, gold, cutoff) if gold else None
        values[f"ndcg@{cutoff}"] = ndcg_at(ranked, gold, cutoff) if gold else None
    values["mrr"] = reciprocal_rank(ranked, gold) if gold else None
    return values
