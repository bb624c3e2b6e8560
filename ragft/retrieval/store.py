"""The embedded Chroma store of passages with their vectors. The only code that knows Chroma.

Vectors are always passed in, so Chroma never loads (or downloads) an embedder of its own; its telemetry is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chromadb
from chromadb.config import Settings

from ragft.data.chunking import embedded_text
from ragft.errors import RagftError
from ragft.provenance import fingerprint, sha256_text
from ragft.records import Passage, RankedPassage

if TYPE_CHECKING:  # its library takes seconds to import, and an index that is in step embeds nothing
    from ragft.retrieval.embedder import Vectors

PAGE = 512
"""Rows read, embedded and written at once: what a crash can lose, and below every limit of the store."""

SPARE = 16
"""Passages fetched beyond those asked for; equal texts in more documents than this tie in the store's order."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What bringing a collection in step with the passages changed."""

    added: int
    removed: int
    unchanged: int


class PassageStore:
    """One collection: the passages of one set of documents, cut in one way, embedded by one model."""

    def __init__(self, folder: Path, name: str, embedder_fingerprint: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._client = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
        self._name = f"ragft-{name[:32]}"
        self._embedder = embedder_fingerprint
        self._collection = self._open()
        found = (self._collection.metadata or {}).get("embedder")
        if found != embedder_fingerprint:
            raise RagftError(
                f"the index {name} was made by another embedder ({found})", "run: ragft index FILE --rebuild"
            )

    def _open(self) -> chromadb.Collection:
        return self._client.get_or_create_collection(
            self._name,
            embedding_function=None,
            metadata={"embedder": self._embedder},
            configuration={"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200}},
        )

    def clear(self) -> None:
        """Drop every passage of the collection."""
        self._client.delete_collection(self._name)
        self._collection = self._open()

    def sync(
        self,
        passages: Sequence[Passage],
        embed: Callable[[Sequence[str]], Vectors],
        on_unchanged: Callable[[int], None] = lambda _: None,
    ) -> SyncReport:
        """Make the collection hold exactly these passages; only new or changed text is embedded.

        Safe to stop at any moment: what is stale goes first, then new rows come in pages, so the next sync goes on.
        """
        wanted = {passage.id: passage for passage in passages}
        stored = self._stored_prints()
        stale = [id_ for id_, print_ in stored.items() if id_ not in wanted or print_ != text_print(wanted[id_])]
        for start in range(0, len(stale), PAGE):
            self._collection.delete(ids=stale[start : start + PAGE])
        kept = stored.keys() - set(stale)
        on_unchanged(len(kept))
        new = [passage for passage in passages if passage.id not in kept]
        for start in range(0, len(new), PAGE):
            self._add(new[start : start + PAGE], embed)
        return SyncReport(len(new), len(stale), len(kept))

    def _stored_prints(self) -> dict[str, str]:
        """Return passage id -> print of the text that was embedded."""
        prints: dict[str, str] = {}
        for offset in range(0, self._collection.count(), PAGE):
            page = self._collection.get(include=["metadatas"], limit=PAGE, offset=offset)
            prints.update(
                {id_: str(row["print"]) for id_, row in zip(page["ids"], page["metadatas"] or [], strict=True)}
            )
        return prints

    def _add(self, passages: Sequence[Passage], embed: Callable[[Sequence[str]], Vectors]) -> None:
        self._collection.add(
            ids=[passage.id for passage in passages],
            embeddings=embed([embedded_text(passage.title, passage.text) for passage in passages]),
            documents=[passage.text for passage in passages],
            metadatas=[_metadata(passage) for passage in passages],
        )

    def check(self, passages: Sequence[Passage]) -> None:
        """Raise RagftError unless the collection holds exactly these passages."""
        stored = self._stored_prints()
        if stored != {passage.id: text_print(passage) for passage in passages}:
            raise RagftError("the index does not hold the documents as they are now", "run: ragft index FILE")

    def search(self, vectors: Vectors, top_k: int) -> list[list[RankedPassage]]:
        """Return the nearest passages of each query by cosine similarity, best first, ties broken by id.

        A few more are fetched than returned, so that ties at the end do not depend on the order of insertion.
        """
        count = min(top_k + SPARE, self._collection.count())
        if count == 0:
            return [[] for _ in vectors]
        found = self._collection.query(
            query_embeddings=vectors,
            n_results=count,
            include=["documents", "metadatas", "distances"],
        )
        return [_ranked(found, query)[:top_k] for query in range(len(vectors))]


def text_print(passage: Passage) -> str:
    """Return a print of everything about a passage that its vector depends on."""
    return sha256_text(embedded_text(passage.title, passage.text))[:16]


def passages_fingerprint(embedder: str, passages: Iterable[Passage]) -> str:
    """Return the fingerprint of an index: the embedder, and every passage with its text."""
    return fingerprint({"embedder": embedder, "passages": sorted((p.id, text_print(p)) for p in passages)})


def _metadata(passage: Passage) -> dict[str, str | int]:
    return {
        "document_id": passage.document_id,
        "title": passage.title,
        "start": passage.start,
        "end": passage.end,
        "print": text_print(passage),
    }


def _ranked(found: Mapping[str, Any], query: int) -> list[RankedPassage]:
    rows = zip(
        found["ids"][query],
        found["documents"][query],
        found["metadatas"][query],
        found["distances"][query],
        strict=True,
    )
    ranked = [RankedPassage(_passage(id_, text, row), 1.0 - float(distance)) for id_, text, row, distance in rows]
    return sorted(ranked, key=lambda item: (-item.score, item.passage.id))


def _passage(id_: str, text: str, row: Mapping[str, Any]) -> Passage:
    return Passage(id_, row["document_id"], row["title"], text, int(row["start"]), int(row["end"]))
