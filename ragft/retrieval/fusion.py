"""Orders made of orders: reciprocal rank fusion and maximal marginal relevance, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragft.records import Passage, RankedPassage
from ragft.retrieval.embedding import Vectors


def fused(
    rankings: Sequence[Sequence[RankedPassage]], weights: Sequence[float], rrf_k: int, top_k: int
) -> list[RankedPassage]:
    """Return the passages of several rankings by the sum of weight / (rrf_k + rank), ranks from 1, ties broken by id.

    Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009). A ranking gives nothing to a passage that it does not
    hold, and one of weight 0 gives nothing at all, so its passages are not found through it.
    """
    scores: dict[str, float] = {}
    passages: dict[str, Passage] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, item in enumerate(ranking if weight > 0 else (), start=1):
            passages.setdefault(item.passage.id, item.passage)
            scores[item.passage.id] = scores.get(item.passage.id, 0.0) + weight / (rrf_k + rank)
    order = sorted(scores, key=lambda id_: (-scores[id_], id_))[:top_k]
    return [RankedPassage(passages[id_], scores[id_]) for id_ in order]


def diversified(
    ranking: Sequence[RankedPassage], vectors: Vectors, trade_off: float, top_k: int
) -> list[RankedPassage]:
    """Return `top_k` passages in the order of maximal marginal relevance (Carbonell and Goldstein 1998).

    The next one is always that with the highest trade_off * relevance - (1 - trade_off) * the largest cosine to one
    taken before. Relevance is the score of `ranking`, best first, moved and scaled so that its candidates lie between
    0 and 1: cosines, BM25 and rerankers have scales of their own. Ties go to the better ranked. `vectors` are unit
    rows, one for each of `ranking`. The scores stay those of `ranking`, so they need not fall along the result.
    """
    relevance = _scaled([item.score for item in ranking])
    nearest = np.zeros(len(ranking))  # nothing is taken yet, so the first is the most relevant
    left = np.ones(len(ranking), dtype=bool)
    taken: list[int] = []
    while len(taken) < min(top_k, len(ranking)):
        value = np.where(left, trade_off * relevance - (1 - trade_off) * nearest, -np.inf)
        chosen = int(np.argmax(value)) if taken else 0
        cosines = vectors @ vectors[chosen]
        nearest = np.maximum(nearest, cosines) if taken else np.asarray(cosines, dtype=np.float64)
        left[chosen] = False
        taken.append(chosen)
    return [ranking[position] for position in taken]


def _scaled(scores: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return scores between 0 and 1; all are 1 where they are equal."""
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.asarray(scores, dtype=np.float64)
    spread = float(np.ptp(found)) if len(found) else 0.0
    return (found - found.min()) / spread if spread > 0 else np.ones(len(found))
