"""Finding passages for queries: the protocol of a retriever, and the dense one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ragft.records import RankedPassage
from ragft.retrieval.store import PassageStore

if TYPE_CHECKING:
    from ragft.retrieval.embedder import Embedder


class Retriever(Protocol):
    """Something that ranks passages for queries."""

    def search(self, queries: Sequence[str], top_k: int) -> tuple[list[list[RankedPassage]], float]:
        """Return (ranked passages of each query, seconds per query)."""
        ...


class DenseRetriever:
    """Ranks passages by the cosine of their embedding and the query's."""

    def __init__(self, embedder: Embedder, store: PassageStore) -> None:
        self._embedder = embedder
        self._store = store

    def search(self, queries: Sequence[str], top_k: int) -> tuple[list[list[RankedPassage]], float]:
        """Return (ranked passages of each query, seconds per query with the embedding of the query)."""
        started = time.perf_counter()
        rankings = self._store.search(self._embedder.queries(queries), top_k) if queries else []
        return rankings, (time.perf_counter() - started) / max(1, len(queries))
