"""Metrics of a ranking against what is right for its example: documents, passages, or any passage with an answer.

The metrics see ids only: `ranked`, best first and each id once, and `gold`, a set in which every id is equally right.
Must not know which retriever ranked, nor what a task is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ragft.errors import DataError
from ragft.records import Example, Passage, Ranking, Score

RETRIEVAL_METRIC_VERSION = 3
"""Version of every metric in this module; rises whenever a change could move a value. 2: `mrr` ends at the cutoff.
3: references written without spaces are found in passages."""

CUTOFFS = (1, 3, 5, 10)
"""The numbers of documents or passages at which a ranking is cut."""

DEPTH = max(CUTOFFS)
"""Documents that a ranking must hold, and passages, for every metric to be right; fewer only where no more exist."""

DOCUMENT_METRICS = ("recall@1", "recall@3", "recall@5", "recall@10", "mrr", "ndcg@10", "precision@5")
PASSAGE_METRICS = tuple(f"passage_{name}" for name in DOCUMENT_METRICS)
ANSWER_HITS = tuple(f"answer_hit@{cutoff}" for cutoff in CUTOFFS)
"""The metrics of each level that are reported, the order in which they are shown."""

LEVELS = (("documents", ""), ("passages", "passage_"), ("answers", "answer_"))
"""What is to be found, and what the names of its metrics begin with; the first has the metrics that no other has."""

Holds = Callable[[Passage, Example], bool]
"""Says whether a reference of the example stands in the text of the passage."""

NO_GOLD = "the example has no gold documents"
NO_REFERENCES = "the example has no references"
NOT_HELD = "no passage of its gold documents holds a reference"


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
    cutoffs: Sequence[int] = CUTOFFS,
) -> list[Score]:
    """Return the scores of one retriever (`arm`, such as "dense") at document level, rankings in their order.

    Metrics are named "recall@5", "precision@5", "ndcg@5" for every cutoff, and "mrr", which looks at as many documents
    as the largest cutoff, so that a retriever does not gain by a longer list. The cutoff counts documents, not
    passages; it may exceed the ranking's length. An example without gold documents is unscored, with the reason.
    DataError for a ranking of an example that is not in `examples` (keys are example ids).
    """
    return [
        score
        for ranking in rankings
        for score in _scores(
            arm,
            ranking.example_id,
            ranked_document_ids(ranking),
            frozenset(_example(ranking, examples).gold_document_ids) or NO_GOLD,
            cutoffs,
        )
    ]


def by_level(metrics: Iterable[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each level that has a metric, with pairs of a metric and how it is called under the level."""
    names, found = list(dict.fromkeys(metrics)), []
    own = {title: [name for name in names if prefix and name.startswith(prefix)] for title, prefix in LEVELS}
    others = {name for listed in own.values() for name in listed}
    for title, prefix in LEVELS:
        listed = own[title] if prefix else [name for name in names if name not in others]
        if listed:
            found.append((title, [(name, name.removeprefix(prefix)) for name in listed]))
    return found


def gold_passages_of(example: Example, gold_passages: Iterable[Passage], holds: Holds) -> frozenset[str] | str:
    """Return the ids of the passages in which a reference stands, or why there are none.

    `gold_passages` are all passages of the gold documents of the example. An answer that the cutting into passages
    tore in two stands in none of them: such an example is unscored at passage level, not wrong.
    """
    if not example.gold_document_ids:
        return NO_GOLD
    if not example.references:
        return NO_REFERENCES
    return frozenset(passage.id for passage in gold_passages if holds(passage, example)) or NOT_HELD


def passage_scores(
    rankings: Sequence[Ranking],
    gold: Mapping[str, frozenset[str] | str],
    *,
    arm: str,
    cutoffs: Sequence[int] = CUTOFFS,
) -> list[Score]:
    """Return the scores of one retriever at passage level, named as at document level behind "passage_".

    `gold` maps example id to ids of passages, or to the reason why the example cannot be scored (`gold_passages_of`).
    """
    return [
        score
        for ranking in rankings
        for score in _scores(
            arm, ranking.example_id, _passage_ids(ranking), gold[ranking.example_id], cutoffs, prefix="passage_"
        )
    ]


def answer_scores(
    rankings: Sequence[Ranking],
    examples: Mapping[str, Example],
    holds: Holds,
    *,
    arm: str,
    cutoffs: Sequence[int] = CUTOFFS,
) -> list[Score]:
    """Return "answer_hit@k" for every cutoff: 1.0 if a reference stands in one of the first k passages, else 0.0.

    Needs no gold documents (Karpukhin et al. 2020 call it top-k retrieval accuracy), and counts a passage that holds
    the words of the answer by chance. An example without references is unscored.
    """
    return [
        score
        for ranking in rankings
        for score in _answer_hits(ranking, _example(ranking, examples), holds, arm, cutoffs)
    ]


def _answer_hits(ranking: Ranking, example: Example, holds: Holds, arm: str, cutoffs: Sequence[int]) -> Iterable[Score]:
    names = [f"answer_hit@{cutoff}" for cutoff in cutoffs]
    if not example.references:
        return [Score(arm, example.id, name, None, NO_REFERENCES) for name in names]
    looked_at = enumerate(ranking.passages[: max(cutoffs)], start=1)
    first = next((rank for rank, item in looked_at if holds(item.passage, example)), math.inf)
    hits = [float(first <= cutoff) for cutoff in cutoffs]
    return [Score(arm, example.id, name, hit) for name, hit in zip(names, hits, strict=True)]


def _passage_ids(ranking: Ranking) -> tuple[str, ...]:
    return tuple(item.passage.id for item in ranking.passages)


def _example(ranking: Ranking, examples: Mapping[str, Example]) -> Example:
    if ranking.example_id not in examples:
        raise DataError(f"a ranking is for example {ranking.example_id!r}, which is not among the examples")
    return examples[ranking.example_id]


def _scores(
    arm: str,
    example_id: str,
    ranked: Sequence[str],
    gold: frozenset[str] | str,
    cutoffs: Sequence[int],
    prefix: str = "",
) -> Iterable[Score]:
    """Return the metrics of one ranking; `gold` is the reason where there is nothing to find."""
    unscored = gold if isinstance(gold, str) else None
    values = dict.fromkeys(_names(cutoffs)) if isinstance(gold, str) else _values(ranked, gold, cutoffs)
    return [Score(arm, example_id, f"{prefix}{metric}", value, unscored) for metric, value in values.items()]


def _names(cutoffs: Sequence[int]) -> list[str]:
    return [*(f"{name}@{cutoff}" for cutoff in cutoffs for name in ("recall", "precision", "ndcg")), "mrr"]


def _values(ranked: Sequence[str], gold: frozenset[str], cutoffs: Sequence[int]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for cutoff in cutoffs:
        values[f"recall@{cutoff}"] = recall_at(ranked, gold, cutoff)
        values[f"precision@{cutoff}"] = precision_at(ranked, gold, cutoff)
        values[f"ndcg@{cutoff}"] = ndcg_at(ranked, gold, cutoff)
    values["mrr"] = reciprocal_rank(ranked[: max(cutoffs)], gold)
    return values
