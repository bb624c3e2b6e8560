"""The store of passages with their vectors: kept in step with the documents by the least work, and searched.

The rows are content-addressed: the id of a row is a hash of everything that is stored of a passage. To know what is new
and what is gone, only ids are read, never texts, and a sync that was killed is completed by the next one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ragft.config.knowledge import StoreConfig
from ragft.data.chunking import embedded_text
from ragft.errors import RagftError
from ragft.provenance import fingerprint
from ragft.records import Passage, RankedPassage
from ragft.retrieval import chroma
from ragft.retrieval.embedding import Vectors
from ragft.retrieval.filters import Filter, spelled, where

if TYPE_CHECKING:
    import chromadb

PAGE = 1024
"""Rows embedded and written at once: memory grows with it, and a kill loses at most so many rows."""

LISTED = 10_000
"""Ids read at once; an id has 32 characters."""

SPARE = 16
"""Passages fetched beyond those asked for; equal texts in more documents than this tie in the store's order."""

PREFIX = "ragft-"
"""What the names of our collections begin with; others in the same store are left alone."""

_PASSAGE = "passage"
_FIELD = "meta."
"""Stands before the names of a passage's own metadata, so that a field called `passage` is not ours."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What bringing a collection in step changed, in passages.

    A passage is changed if it is not in the collection as it is now, and the sync takes other passages of its document
    away: one edit can move the borders of several. It is added if nothing of its document is taken away. A removed one
    is gone and nothing of its document comes in its place. `added + changed + unchanged` is how many there are now. A
    sync that completes one that was killed counts only what was left to do.
    """

    added: int
    removed: int
    unchanged: int
    changed: int = 0


class PassageStore:
    """One collection: the passages of one set of documents, cut in one way, embedded by one model."""

    def __init__(self, folder: Path, name: str, embedder_fingerprint: str, config: StoreConfig | None = None) -> None:
        self._chroma = chroma.opened(folder, config or StoreConfig())
        self._name = collection_name(name)
        self._embedder = embedder_fingerprint
        self._page = min(PAGE, self._chroma.page)
        self._collection = self._open()
        found = (self._collection.metadata or {}).get("embedder")
        if found != embedder_fingerprint:
            raise RagftError(
                f"the index {name} was made by another embedder ({found})", "run: ragft index FILE --rebuild"
            )

    def _open(self) -> chromadb.Collection:
        with self._chroma.speaking():
            return self._chroma.client.get_or_create_collection(
                self._name,
                embedding_function=None,
                metadata={"embedder": self._embedder},
                configuration={"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200}},
            )

    def __len__(self) -> int:
        """Return how many passages the collection holds."""
        with self._chroma.speaking():
            return self._collection.count()

    def close(self) -> None:
        """Close the connection to the store."""
        self._chroma.close()

    def clear(self) -> None:
        """Drop every passage of the collection."""
        with self._chroma.speaking():
            self._chroma.client.delete_collection(self._name)
        self._collection = self._open()

    def sync(
        self,
        passages: Sequence[Passage],
        embed: Callable[[Sequence[str]], Vectors],
        on_unchanged: Callable[[int], None] = lambda _: None,
    ) -> SyncReport:
        """Make the collection hold exactly these passages; only what is new or changed is given to `embed`.

        Safe to stop at any moment: what is stale goes first, then new rows come in pages, so the next sync goes on.
        """
        wanted = [row_id(passage) for passage in passages]
        stored = set(self._stored_ids())
        stale = sorted(stored.difference(wanted))
        kept = len(stored) - len(stale)
        on_unchanged(kept)
        taken_from = self._remove(stale)
        added, edited = 0, dict.fromkeys(taken_from, 0)
        for page in _pages(_new(wanted, passages, stored), self._page):
            self._add(page, embed)
            for _, passage in page:
                if passage.document_id in edited:
                    edited[passage.document_id] += 1
                else:
                    added += 1
        removed = sum(count for document, count in taken_from.items() if not edited[document])
        return SyncReport(added, removed, kept, changed=sum(edited.values()))

    def _stored_ids(self) -> Iterator[str]:
        for offset in range(0, len(self), LISTED):
            with self._chroma.speaking():
                yield from self._collection.get(include=[], limit=LISTED, offset=offset)["ids"]

    def _remove(self, stale: Sequence[str]) -> dict[str, int]:
        """Return how many rows were removed of which document."""
        removed: dict[str, int] = {}
        for start in range(0, len(stale), self._page):
            page = list(stale[start : start + self._page])
            with self._chroma.speaking():
                for row in self._collection.get(ids=page, include=["metadatas"])["metadatas"] or []:
                    document = _unpacked(row).document_id
                    removed[document] = removed.get(document, 0) + 1
                self._collection.delete(ids=page)
        return removed

    def _add(self, page: Sequence[tuple[str, Passage]], embed: Callable[[Sequence[str]], Vectors]) -> None:
        vectors = embed([embedded_text(passage.title, passage.text) for _, passage in page])
        with self._chroma.speaking():
            self._collection.upsert(
                ids=[id_ for id_, _ in page],
                embeddings=vectors,
                metadatas=[_metadata(passage) for _, passage in page],
            )

    def check(self, passages: Sequence[Passage]) -> None:
        """Raise RagftError unless as many passages are stored as these, going by the number, which is known at once.

        A store that was emptied or replaced behind the back of the records would else find nothing, silently.
        """
        expected = len({row_id(passage) for passage in passages})
        if len(self) != expected:
            raise RagftError(
                f"the index holds {len(self)} passages where the records say {expected}",
                "run: ragft index FILE --rebuild",
            )

    def search(self, vectors: Vectors, top_k: int, filter: Filter | None = None) -> list[list[RankedPassage]]:
        """Return the nearest passages of each query by cosine similarity, best first, ties broken by id.

        Only passages whose metadata passes `filter`. A few more are fetched than returned, so that ties at the end do
        not depend on the order of insertion.
        """
        if len(vectors) == 0:
            return []
        with self._chroma.speaking():
            found = self._collection.query(
                query_embeddings=vectors,
                n_results=top_k + SPARE,  # fewer come where there are fewer
                include=["metadatas", "distances"],
                where=cast(Any, where(filter or {}, _FIELD)),
            )
        return [_ranked(found, query)[:top_k] for query in range(len(vectors))]

    def vectors(self, passages: Sequence[Passage]) -> Vectors:
        """Return the stored vectors of passages, in their order; RagftError where one of them is not stored."""
        ids = [row_id(passage) for passage in passages]
        known: dict[str, Any] = {}
        for start in range(0, len(ids), self._page):
            with self._chroma.speaking():
                page = self._collection.get(ids=ids[start : start + self._page], include=["embeddings"])
            if page["embeddings"] is not None:
                known.update(zip(page["ids"], page["embeddings"], strict=True))
        if not known.keys() >= set(ids):
            raise RagftError("the index does not hold the documents as they are now", "run: ragft index FILE")
        return np.asarray([known[id_] for id_ in ids], dtype=np.float32).reshape(len(ids), -1)


def collection_name(name: str) -> str:
    """Return the name of a collection in the store; 32 hex digits of a fingerprint are enough to tell all apart."""
    return f"{PREFIX}{name[:32]}"


def row_id(passage: Passage) -> str:
    """Return a hash of everything that is stored of a passage: texts, place and metadata."""
    return hashlib.sha256(_packed(passage).encode("ascii")).hexdigest()[:32]


def passages_fingerprint(embedder: str, passages: Iterable[Passage]) -> str:
    """Return the fingerprint of an index: the embedder, and every passage with its text and metadata."""
    return fingerprint({"embedder": embedder, "passages": sorted(row_id(passage) for passage in passages)})


def _new(wanted: Sequence[str], passages: Iterable[Passage], stored: set[str]) -> Iterator[tuple[str, Passage]]:
    """Yield (id, passage) of what is not stored, each once; `stored` grows by what is yielded."""
    for id_, passage in zip(wanted, passages, strict=True):
        if id_ not in stored:
            stored.add(id_)
            yield id_, passage


def _pages(rows: Iterable[tuple[str, Passage]], size: int) -> Iterator[list[tuple[str, Passage]]]:
    iterator = iter(rows)
    while page := list(itertools.islice(iterator, size)):
        yield page


def _metadata(passage: Passage) -> dict[str, str]:
    """Return what Chroma keeps beside the vector: the passage in one piece, and its metadata to filter by.

    One piece, because each key is a row of a table: several keys, or the text as Chroma's `document` with its index of
    every three letters, make writing half as fast, and nobody asks Chroma for them.
    """
    return {
        _PASSAGE: _packed(passage),
        **{f"{_FIELD}{key}": spelled(value) for key, value in passage.metadata.items()},
    }


def _packed(passage: Passage) -> str:
    """Return a passage as JSON in ASCII: texts that no UTF-8 can hold come back as they were."""
    metadata = dict(sorted(passage.metadata.items()))
    return json.dumps(
        [passage.id, passage.document_id, passage.title, passage.text, passage.start, passage.end, metadata],
        separators=(",", ":"),
    )


def _unpacked(row: Mapping[str, Any]) -> Passage:
    return Passage(*json.loads(row[_PASSAGE]))


def _ranked(found: Mapping[str, Any], query: int) -> list[RankedPassage]:
    rows = zip(found["metadatas"][query], found["distances"][query], strict=True)
    ranked = [RankedPassage(_unpacked(row), 1.0 - float(distance)) for row, distance in rows]
    return sorted(ranked, key=lambda item: (-item.score, item.passage.id))
