"""The knowledge base of an experiment: its index, kept in step, and the passages that each arm lays in its prompts."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import numpy as np

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.arms.roots import Use, refer, server_of
from ragft.data.chunking import gold_passages
from ragft.errors import RagftError
from ragft.records import ContextKind, Example, Passage, RankedPassage, Ranking
from ragft.retrieval.embedding import OnBatch, Vectors, silent
from ragft.retrieval.fusion import fused
from ragft.retrieval.retriever import Retriever, needs, retriever_of
from ragft.retrieval.store import PassageStore, SyncReport, passages_fingerprint

if TYPE_CHECKING:
    from ragft.config.knowledge import RetrievalConfig
    from ragft.retrieval.bm25 import Bm25Index
    from ragft.retrieval.embedding import Embeds

DEPTH = 10
"""Passages ranked for each question at least."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the index holds and what bringing it in step changed; `report` is None where nothing had to be opened.

    `build_seconds` is about how long embedding every passage takes, at the rate of the last ones that were embedded;
    None where that was never timed.
    """

    fingerprint: str
    documents: int
    passages: int
    report: SyncReport | None
    build_seconds: float | None = None


class Knowledge:
    """The passages of an experiment, and how they are found."""

    def __init__(self, bench: Bench, *, planning: bool = False) -> None:
        """Keep the bench; while `planning`, drawn passages stand in for retrieved ones where no index is built yet."""
        self._bench = bench
        self._planning = planning
        self._passages = bench.passages  # cut now: what cannot be cut is an error before anything is trained
        self._rankings: dict[str, Ranking] = {}

    @cached_property
    def collection(self) -> str:
        """Name of the collection: the embedder, the chunking, and which sources it is kept in step with."""
        experiment, stress = self._bench.experiment, self._bench.stress
        other = None if stress.documents is None else stress.collection or self._bench.documents_identity
        return provenance.fingerprint(
            {
                "embedder": self._bench.embedder_identity,
                "chunking": experiment.index.chunking.model_dump(),
                "sources": [source.model_dump(mode="json") for source in experiment.data.documents],
                "code": provenance.code_fingerprint("retrieval", "data/chunking"),
                **({} if other is None else {"stress": other}),
            }
        )

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the index: the collection and every passage with its text."""
        return passages_fingerprint(self.collection, self._passages)

    def is_current(self) -> bool:
        """Return whether the store holds exactly these passages, going by what the last sync wrote down."""
        embedded = self._bench.experiment.index.store.host is None
        has_store = not embedded or (self._bench.workspace.chroma_dir / "chroma.sqlite3").exists()
        return has_store and self._last_sync().get("fingerprint") == self.fingerprint

    @property
    def _record(self) -> Path:
        return self._bench.workspace.index_dir / f"{self.collection[:32]}.json"

    def _last_sync(self) -> jsonl.Row:
        """Return what the last sync wrote down, nothing where none ended."""
        return next((row for _, row in jsonl.read_rows(self._record)), {}) if self._record.exists() else {}

    def sync(self, *, rebuild: bool = False, anew: bool = False) -> IndexState:
        """Bring the index in step with the documents; embeds only what is new or changed.

        With `anew` that is embedded even where its vectors are known, so that the time is the embedder's.
        """
        self.refer()
        if not rebuild and self.is_current():
            return self._state(None)
        pace = self._last_sync().get("seconds_per_passage")
        self._record.unlink(missing_ok=True)
        if rebuild:
            self._store.clear()
        total, began = len(self._passages), time.perf_counter()
        with self._bench.listener.work("Indexing passages", total, "passages") as work:
            report = self._store.sync(
                self._passages,
                lambda texts: (self._embedded_anew if anew else self._embedded)(texts, work.advance),
                on_unchanged=work.advance,
            )
        if report.added + report.changed:
            pace = (time.perf_counter() - began) / (report.added + report.changed)
        row = {"fingerprint": self.fingerprint, "passages": total, "seconds_per_passage": pace}
        jsonl.write_rows(self._record, [row])
        return self._state(report)

    def _embedded(self, texts: Sequence[str], on_batch: OnBatch) -> Vectors:
        return self._bench.vectors.documents(texts, self._bench.embedder.documents, on_batch)

    def _embedded_anew(self, texts: Sequence[str], on_batch: OnBatch) -> Vectors:
        found = dict(zip(texts, self._bench.embedder.documents(texts, on_batch), strict=True))
        return self._bench.vectors.documents(texts, lambda block: np.stack([found[text] for text in block]))

    def refer(self, *journals: Path) -> None:
        """Keep on record that the experiment file uses this index, and these files for it: pruning leaves them."""
        bench = self._bench
        if bench.origin is not None:
            names = tuple(path.relative_to(bench.workspace.root).as_posix() for path in journals)
            server = server_of(bench.experiment.index.store)
            use = Use(self.collection, self.fingerprint, bench.embedder_identity, server, names)
            refer(bench.workspace, bench.origin, use)

    def _state(self, report: SyncReport | None) -> IndexState:
        passages, pace = len(self._passages), self._last_sync().get("seconds_per_passage")
        seconds = None if pace is None else passages * float(pace)
        return IndexState(self.fingerprint, len(self._bench.documents), passages, report, seconds)

    @cached_property
    def _store(self) -> PassageStore:
        folder, store = self._bench.workspace.chroma_dir, self._bench.experiment.index.store
        return self._bench.keep_open(PassageStore(folder, self.collection, self._bench.embedder_identity, store))

    @cached_property
    def retriever(self) -> Retriever:
        """The retriever that the experiment names, over an index that is in step."""
        return self.retriever_for(self._bench.experiment.retrieval)

    def retriever_for(self, config: RetrievalConfig) -> Retriever:
        """Return a retriever over the index; RagftError where that is not in step with the documents.

        All retrievers share the store, the words, and the vectors of the queries that one of them embedded.
        """
        if not self.is_current():
            raise RagftError("the index does not hold the documents as they are now", "run: ragft index FILE")
        need = needs(config)
        return retriever_of(
            config,
            self._queries if config.kind != "bm25" else None,
            self._whole_store if need.vectors else None,
            self._words if need.bm25 else None,
            self._bench.reranker if need.reranker else None,
        )

    @cached_property
    def _whole_store(self) -> PassageStore:
        """The store, looked at once: one that was emptied behind our back is an error, not a poor retriever."""
        self._store.check(self._passages)
        return self._store

    @cached_property
    def _queries(self) -> Embeds:
        return RememberedQueries(self._bench.embedder)

    @cached_property
    def _words(self) -> Bm25Index:
        from ragft.retrieval.bm25 import Bm25Index

        passages = self._passages
        with self._bench.listener.work("Indexing words", len(passages), "passages") as work:
            return Bm25Index.opened(self._bench.workspace.bm25_dir, self.fingerprint, passages, work.advance)

    def rankings(self, examples: Sequence[Example]) -> list[Ranking]:
        """Return the ranked passages of each example, asked of the store once per index and queries.

        Where the task asks several queries for one example (a follow-up alone, and with the question before it), the
        ranking is that of all of them, fused.
        """
        if self._planning and not self.is_current():
            return [self._stand_in(example) for example in examples]
        self.refer(self._journal)
        if not self._rankings:
            self._rankings = {row["input_sha256"]: self._read(row) for row in jsonl.read_journal(self._journal)}
        missing = [example for example in examples if query_key(self.queries(example)) not in self._rankings]
        if missing:
            self._rank(missing)
        return [self._ranking(example) for example in examples]

    def queries(self, example: Example) -> tuple[str, ...]:
        """Return what is asked of a retriever for the example."""
        return self._bench.task.queries(example)

    @property
    def depth(self) -> int:
        """Passages ranked for each question: enough for distractors beside the gold ones.

        Where every candidate is scored anyway, all of them: nothing is then reranked again to look deeper.
        """
        config = self._bench.experiment.retrieval
        chooses = config.reranker is not None or config.mmr is not None
        return max(DEPTH, 2 * config.top_k, config.candidates if chooses else 0)

    @property
    def documents(self) -> int:
        """How many documents have a passage."""
        return len(self._by_document)

    def passage(self, id_: str) -> Passage:
        """Return a passage by its id."""
        return self._by_id[id_]

    @property
    def _journal(self) -> Path:
        """Where the rankings stand; by depth too, because a shorter ranking lacks what a larger top_k asks for."""
        reranker = self._bench.reranker_folder
        how = self._bench.experiment.retrieval.model_dump(exclude={"top_k", "reranker"})
        identity = [self.fingerprint, self.depth, how, reranker.fingerprint if reranker else None]
        return self._bench.workspace.rankings_path(provenance.fingerprint(identity))

    def _stand_in(self, example: Example) -> Ranking:
        drawn_passages = self._random(example, self.depth)
        return Ranking(example.id, tuple(RankedPassage(passage, 0.0) for passage in drawn_passages), 0.0)

    def _ranking(self, example: Example) -> Ranking:
        known = self._rankings[query_key(self.queries(example))]
        return Ranking(example.id, known.passages, known.seconds)

    def _rank(self, examples: Sequence[Example]) -> None:
        with self._bench.listener.work("Retrieving", len(examples), "questions") as work:
            for start in range(0, len(examples), 64):
                page = examples[start : start + 64]
                queries = [self.queries(example) for example in page]
                rrf_k = self._bench.experiment.retrieval.rrf_k
                found, seconds = search_fused(self.retriever, queries, self.depth, rrf_k)
                for example, asked, ranked in zip(page, queries, found, strict=True):
                    key = query_key(asked)
                    self._rankings[key] = Ranking(example.id, tuple(ranked), seconds)
                    scores = [[item.passage.id, item.score] for item in ranked]
                    jsonl.append_row(self._journal, {"input_sha256": key, "seconds": seconds, "ranked": scores})
                work.advance(len(page))

    def _read(self, row: jsonl.Row) -> Ranking:
        ranked = tuple(RankedPassage(self._by_id[id_], float(score)) for id_, score in row["ranked"])
        return Ranking("", ranked, float(row["seconds"]))

    def context(self, kind: ContextKind, examples: Sequence[Example]) -> list[tuple[Passage, ...]]:
        """Return the passages that an arm lays before each example, `retrieval.top_k` of them at most."""
        top_k = self._bench.experiment.retrieval.top_k
        match kind:
            case "none":
                return [() for _ in examples]
            case "index":
                ranked = zip(self.rankings(examples), examples, strict=True)
                return [_beside_input(ranking, example)[:top_k] for ranking, example in ranked]
            case "oracle":
                return [self._oracle(example, top_k) for example in examples]
            case "random":
                return [self._random(example, top_k) for example in examples]
            case _:
                assert_never(kind)

    def _oracle(self, example: Example, top_k: int) -> tuple[Passage, ...]:
        """Return the gold passages; for an example without any, what the index ranks, as perfect retrieval would."""
        gold = self.gold(example)
        return tuple(gold[:top_k]) if gold else self.context("index", [example])[0]

    def gold(self, example: Example) -> list[Passage]:
        """Return the passages of the gold documents, those in which an answer stands first."""
        task = self._bench.task
        gold = self.passages_of(example.gold_document_ids)
        return gold_passages(gold, example.gold_document_ids, lambda text: task.supports(text, example))

    def passages_of(self, document_ids: Iterable[str]) -> list[Passage]:
        """Return every passage of these documents, in the order of the ids and then of the text."""
        return [passage for id_ in document_ids for passage in self._by_document.get(id_, ())]

    @cached_property
    def _by_id(self) -> dict[str, Passage]:
        return {passage.id: passage for passage in self._passages}

    @cached_property
    def _by_document(self) -> dict[str, list[Passage]]:
        found: dict[str, list[Passage]] = {}
        for passage in self._passages:
            found.setdefault(passage.document_id, []).append(passage)
        return found

    def _random(self, example: Example, count: int) -> tuple[Passage, ...]:
        """Return passages of documents that are not gold, drawn by a hash: an edited document moves only its own."""
        seed, gold = self._bench.experiment.seed, {*example.gold_document_ids, example.input_document_id}
        others = (passage for passage in self._passages if passage.document_id not in gold)
        return tuple(sorted(others, key=lambda passage: drawn(seed, example.id, passage.id))[:count])


def _beside_input(ranking: Ranking, example: Example) -> tuple[Passage, ...]:
    """Return the ranked passages, without those of the document whose text is the input."""
    passages = (item.passage for item in ranking.passages)
    return tuple(passage for passage in passages if passage.document_id != example.input_document_id)


def query_key(queries: Sequence[str]) -> str:
    """Return the name of the ranking of one query, or of several fused."""
    return provenance.sha256_text(queries[0] if len(queries) == 1 else "\0".join(queries))


def search_fused(
    retriever: Retriever, queries: Sequence[Sequence[str]], top_k: int, rrf_k: int
) -> tuple[list[list[RankedPassage]], float]:
    """Return (the ranking of each item of `queries`, seconds for each): of several queries of one item, fused."""
    flat = [query for item in queries for query in item]
    found, seconds = retriever.search(flat, top_k)
    left, rankings = iter(found), []
    for item in queries:
        mine = [next(left) for _ in item]
        rankings.append(mine[0] if len(mine) == 1 else fused(mine, [1.0] * len(mine), rrf_k, top_k))
    return rankings, seconds * len(flat) / max(1, len(queries))


class RememberedQueries:
    """An embedder that embeds no query twice: several retrievers are asked the same questions."""

    def __init__(self, embedder: Embeds) -> None:
        """Keep the embedder; nothing is embedded yet."""
        self._embedder = embedder
        self._known: dict[str, Vectors] = {}

    @property
    def identity(self) -> str:
        """The embedder's own."""
        return self._embedder.identity

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return unit vectors of what is to be found; these are not kept."""
        return self._embedder.documents(texts, on_batch)

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of what is asked, in the order of `texts`."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            self._known.update(zip(missing, np.split(self._embedder.queries(missing), len(missing)), strict=True))
        return np.concatenate([self._known[text] for text in texts]) if texts else self._embedder.queries([])


def drawn(seed: int, *parts: str) -> str:
    """Return a key for drawing by sorting: random in its parts, the same for the same seed on every machine."""
    return hashlib.sha256("\0".join((str(seed), *parts)).encode()).hexdigest()
