"""Warm retrieval over many synthetic passages: dense, BM25 and hybrid, the embedding of the query aside.

    python tests/benchmarks/retrieval_speed.py [--passages 100000] [--queries 200]

Vectors lie around centres, as those of texts on common subjects do; words are drawn by Zipf's law. Prints how long the
index took, a second sync with nothing changed, one with one document changed, the largest memory of this process, and
medians and 95th percentiles of one query at a time.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from ragft.config.knowledge import RetrievalConfig
from ragft.records import Passage
from ragft.retrieval.bm25 import Bm25Index
from ragft.retrieval.embedding import OnBatch, Vectors, silent, unit
from ragft.retrieval.retriever import retriever_of
from ragft.retrieval.store import PassageStore, passages_fingerprint

Made = TypeVar("Made")

DIMENSIONS, CENTRES, VOCABULARY, WORDS, SEED = 384, 1000, 30_000, 80, 7


class Synthetic(Sequence[Passage]):
    """Passages made when they are asked for, so that what is measured is not the benchmark's own list."""

    def __init__(self, count: int, edited: int | None = None) -> None:
        self._count, self._edited = count, edited

    def __len__(self) -> int:
        """Return how many passages there are."""
        return self._count

    @overload
    def __getitem__(self, position: int) -> Passage: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Passage]: ...
    def __getitem__(self, position: int | slice) -> Passage | Sequence[Passage]:
        """Return a passage of about 500 characters."""
        if isinstance(position, slice):
            return [self[n] for n in range(*position.indices(self._count))]
        if not 0 <= position < self._count:
            raise IndexError(position)
        rng = np.random.default_rng((SEED, position))
        text = f"{position} " + " ".join(f"w{n}" for n in rng.zipf(1.3, WORDS) % VOCABULARY)
        text += " edited" if position == self._edited else ""
        return Passage(f"d{position}#0-{len(text)}", f"d{position}", "", text, 0, len(text))

    def __iter__(self) -> Iterator[Passage]:
        """Yield the passages in order."""
        return (self[position] for position in range(self._count))


class Drawn:
    """Draws the vector of a text by the number with which it begins."""

    identity = "drawn"

    def __init__(self) -> None:
        self._centres = np.random.default_rng(SEED).normal(size=(CENTRES, DIMENSIONS))

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return unit vectors around one of the centres."""
        return unit([self._vector(int(text.split(maxsplit=1)[0])) for text in texts])

    def _vector(self, number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        rng = np.random.default_rng((SEED + 1, number))
        vector: np.ndarray[tuple[int], np.dtype[np.float64]] = self._centres[number % CENTRES] + rng.normal(
            size=DIMENSIONS
        )
        return vector

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, as of documents."""
        return self.documents(texts)


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--only-index", action="store_true", help="measure indexing and memory, not retrieval")
    return parser.parse_args()


def main() -> None:
    """Index, then ask one query at a time."""
    options = read_arguments()
    with tempfile.TemporaryDirectory() as folder:
        store = PassageStore(Path(folder) / "chroma", "a" * 64, "drawn")
        index(store, options.passages)
        if options.only_index:
            return
        passages = list(Synthetic(options.passages))
        print_ = passages_fingerprint("drawn", passages)
        made = timed("BM25 index, made", lambda: Bm25Index.opened(Path(folder) / "bm25", print_, passages))
        del made
        bm25 = timed("BM25 index, opened again", lambda: Bm25Index.opened(Path(folder) / "bm25", print_, passages))
        ask(store, bm25, options)
    print(f"largest memory of this process: {memory_gb():.2f} GB")


def index(store: PassageStore, count: int) -> None:
    """Print how long indexing takes, then nothing changed, then one document."""
    embedder, passages = Drawn(), Synthetic(count)
    alone = timed("drawing passages and vectors, alone", lambda: draw(embedder, passages))
    first = timed("first index", lambda: store.sync(passages, embedder.documents))
    print(f"{'':40} {first.added} passages, {alone} drawn")
    print(f"{'':40} largest memory until here: {memory_gb():.2f} GB")
    again = timed("nothing changed (passages drawn again)", lambda: store.sync(passages, embedder.documents))
    edited = Synthetic(count, edited=count // 2)
    report = timed("one document changed", lambda: store.sync(edited, embedder.documents))
    print(f"{'':40} {again}, {report}")
    store.sync(passages, embedder.documents)


def draw(embedder: Drawn, passages: Sequence[Passage]) -> int:
    """Make every passage and its vector and keep none: what the benchmark itself costs."""
    for passage in passages:
        embedder.documents([passage.text])
    return len(passages)


def ask(store: PassageStore, bm25: Bm25Index, options: argparse.Namespace) -> None:
    """Print median and 95th percentile of each kind, in ms."""
    rng = np.random.default_rng(SEED + 2)
    queries = [
        f"{rng.integers(10**6, 10**7)} " + " ".join(f"w{n}" for n in rng.zipf(1.3, 8) % VOCABULARY)
        for _ in range(options.queries)
    ]
    embedder = Known(Drawn(), queries)
    kinds = {kind: RetrievalConfig.model_validate({"kind": kind}) for kind in ("dense", "bm25", "hybrid")}
    kinds["dense, mmr"] = RetrievalConfig(mmr=0.5)
    print(f"\n{'one query, warm, top_k ' + str(options.top_k):40} {'median':>9} {'95th':>9}")
    for name, config in kinds.items():
        retriever = retriever_of(config, embedder, store, bm25, None)
        retriever.search(queries[:20], options.top_k)
        seconds = sorted(retriever.search([query], options.top_k)[1] for query in queries)
        print(f"{name:40} {statistics.median(seconds) * 1e3:6.2f} ms {seconds[int(len(seconds) * 0.95)] * 1e3:6.2f} ms")
    print(f"{'recall@10 of dense against exact search':40} {recall(store, embedder, queries[:50]):9.3f}")


class Known:
    """Gives vectors that were made before, so that embedding a query takes no time."""

    identity = "drawn"

    def __init__(self, embedder: Drawn, queries: Sequence[str]) -> None:
        self._embedder = embedder
        self._vectors = dict(zip(queries, embedder.queries(queries), strict=True))

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return the vectors of documents."""
        return self._embedder.documents(texts)

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors that were made before."""
        return np.stack([self._vectors[text] for text in texts])


def recall(store: PassageStore, embedder: Known, queries: Sequence[str]) -> float:
    """Return the share of the ten nearest passages that the store finds."""
    vectors = embedder.queries(queries)
    found = [{item.passage.id for item in ranking} for ranking in store.search(vectors, 10)]
    best: list[list[tuple[float, str]]] = [[] for _ in queries]
    for start in range(0, len(store), 10_000):
        page = Synthetic(len(store))[start : start + 10_000]
        cosines = vectors @ embedder.documents([passage.text for passage in page]).T
        for query, row in enumerate(cosines):
            top = np.argsort(-row)[:10]
            best[query] = sorted([*best[query], *((float(row[n]), page[n].id) for n in top)], reverse=True)[:10]
    exact = [{id_ for _, id_ in row} for row in best]
    return statistics.fmean(len(a & b) / len(b) for a, b in zip(found, exact, strict=True))


def timed(name: str, work: Callable[[], Made]) -> Made:
    """Return what a piece of work gives, and print how long it took."""
    started = time.perf_counter()
    made = work()
    print(f"{name:40} {time.perf_counter() - started:8.2f} s", flush=True)
    return made


def memory_gb() -> float:
    """Return the largest resident memory of this process so far, in GB (10^9 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


if __name__ == "__main__":
    main()
