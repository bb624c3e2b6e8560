"""Finding passages for queries: first one or two ways to find candidates, then steps that order and choose among them.

Imports no model library: embedders and rerankers come in as objects. `retriever_of` is the one place that knows which
configuration means which objects.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never

from ragft.data.chunking import embedded_text
from ragft.records import RankedPassage
from ragft.retrieval.filters import Filter
from ragft.retrieval.fusion import diversified, fused

if TYPE_CHECKING:  # their libraries take seconds to import, and not every retriever needs them
    from ragft.config.knowledge import RetrievalConfig
    from ragft.retrieval.bm25 import Bm25Index
    from ragft.retrieval.embedding import Embeds
    from ragft.retrieval.store import PassageStore


class Retriever(Protocol):
    """Something that ranks passages for queries."""

    def search(self, queries: Sequence[str], top_k: int) -> tuple[list[list[RankedPassage]], float]:
        """Return (ranked passages of each query, seconds per query)."""
        ...


class Finds(Protocol):
    """A way to find candidates."""

    def find(self, queries: Sequence[str], count: int) -> list[list[RankedPassage]]:
        """Return at most `count` passages for each query, best first, ties broken by id."""
        ...


class Reranks(Protocol):
    """Something that scores a query and a text together."""

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return one score for each (query, text); higher is better."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """Finds passages by the cosine of their embedding and the query's."""

    embedder: Embeds
    store: PassageStore
    filter: Filter

    def find(self, queries: Sequence[str], count: int) -> list[list[RankedPassage]]:
        """Return the nearest passages; the score is the cosine."""
        return self.store.search(self.embedder.queries(queries), count, self.filter)


@dataclass(frozen=True, slots=True)
class ByWords:
    """Finds passages by the words that they share with the query."""

    index: Bm25Index
    filter: Filter

    def find(self, queries: Sequence[str], count: int) -> list[list[RankedPassage]]:
        """Return the passages with the highest BM25 score; fewer where few share a word with the query."""
        return self.index.search(queries, count, self.filter)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Finds passages in several ways and fuses their ranks; `candidates` passages are taken of each way."""

    ways: tuple[Finds, ...]
    weights: tuple[float, ...]
    rrf_k: int
    candidates: int

    def find(self, queries: Sequence[str], count: int) -> list[list[RankedPassage]]:
        """Return the passages with the highest sum of weight / (rrf_k + rank) over the ways."""
        depth = max(self.candidates, count)
        found = [way.find(queries, depth) for way in self.ways]
        return [fused(rankings, self.weights, self.rrf_k, count) for rankings in zip(*found, strict=True)]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A retriever: candidates, then in this order reranking, the lowest score, and diversity, each where it is asked.

    The same queries over the same passages give the same rankings, ties broken by id.
    """

    way: Finds
    candidates: int
    reranker: Reranks | None = None
    min_score: float | None = None
    mmr: float | None = None
    store: PassageStore | None = None
    """Where the vectors stand that diversity compares; needed with `mmr`."""

    def search(self, queries: Sequence[str], top_k: int) -> tuple[list[list[RankedPassage]], float]:
        """Return (at most `top_k` passages of each query, seconds per query with the embedding of the query)."""
        started = time.perf_counter()
        rankings = self._found(queries, top_k) if queries and top_k > 0 else [[] for _ in queries]
        return rankings, (time.perf_counter() - started) / max(1, len(queries))

    def _found(self, queries: Sequence[str], top_k: int) -> list[list[RankedPassage]]:
        chooses = self.reranker is not None or self.mmr is not None
        rankings = self.way.find(queries, max(self.candidates, top_k) if chooses else top_k)
        if self.reranker is not None:
            rankings = _reranked(self.reranker, queries, rankings)
        if self.min_score is not None:
            least = self.min_score
            rankings = [[item for item in ranking if item.score >= least] for ranking in rankings]
        if self.mmr is not None:
            return [self._diversified(ranking, self.mmr, top_k) for ranking in rankings]
        return [ranking[:top_k] for ranking in rankings]

    def _diversified(self, ranking: list[RankedPassage], trade_off: float, top_k: int) -> list[RankedPassage]:
        if self.store is None:
            raise ValueError("maximal marginal relevance needs the store, where the vectors stand")
        if not ranking:
            return []
        return diversified(ranking, self.store.vectors([item.passage for item in ranking]), trade_off, top_k)


def _reranked(
    reranker: Reranks, queries: Sequence[str], rankings: Sequence[Sequence[RankedPassage]]
) -> list[list[RankedPassage]]:
    """Return the same passages with the reranker's scores, best first, ties broken by id.

    One query at a time, so that a query's scores do not depend on what is asked beside it.
    """
    found = []
    for query, ranking in zip(queries, rankings, strict=True):
        passages = [item.passage for item in ranking]
        scores = reranker.scores([(query, embedded_text(passage.title, passage.text)) for passage in passages])
        items = [RankedPassage(passage, score) for passage, score in zip(passages, scores, strict=True)]
        found.append(sorted(items, key=lambda item: (-item.score, item.passage.id)))
    return found


def retriever_of(
    config: RetrievalConfig,
    embedder: Embeds | None,
    store: PassageStore | None,
    bm25: Bm25Index | None,
    reranker: Reranks | None,
) -> Retriever:
    """Return the retriever that the configuration names; ValueError where an object that it needs is missing.

    `bm25` alone needs no embedder, and no store either unless `mmr` is set; `needs` says what is needed.
    """
    way = _way(config, embedder, store, bm25)
    if config.mmr is not None and store is None:
        raise ValueError("retrieval.mmr is set, and no store was given, where the vectors stand")
    if config.reranker is not None and reranker is None:
        raise ValueError("retrieval.reranker is set, and no reranker was given")
    return Pipeline(
        way,
        config.candidates,
        reranker if config.reranker is not None else None,
        config.min_score,
        config.mmr,
        store,
    )


def _way(config: RetrievalConfig, embedder: Embeds | None, store: PassageStore | None, bm25: Bm25Index | None) -> Finds:
    match config.kind:
        case "dense":
            return _dense(config, embedder, store)
        case "bm25":
            return _by_words(config, bm25)
        case "hybrid":
            ways = (_dense(config, embedder, store), _by_words(config, bm25))
            return Hybrid(ways, (config.weights.dense, config.weights.bm25), config.rrf_k, config.candidates)
        case _:
            assert_never(config.kind)


def _dense(config: RetrievalConfig, embedder: Embeds | None, store: PassageStore | None) -> Dense:
    if embedder is None or store is None:
        raise ValueError(f"retrieval.kind {config.kind} needs an embedder and a store")
    return Dense(embedder, store, config.filter)


def _by_words(config: RetrievalConfig, bm25: Bm25Index | None) -> ByWords:
    if bm25 is None:
        raise ValueError(f"retrieval.kind {config.kind} needs a BM25 index")
    return ByWords(bm25, config.filter)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a retriever is made of."""

    vectors: bool
    """The embedder and the store."""
    bm25: bool
    reranker: bool


def needs(config: RetrievalConfig) -> Needs:
    """Return what `retriever_of` must be given for a configuration."""
    return Needs(
        vectors=config.kind != "bm25" or config.mmr is not None,
        bm25=config.kind != "dense",
        reranker=config.reranker is not None,
    )
