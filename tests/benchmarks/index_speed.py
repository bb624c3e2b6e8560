"""Indexing and asking: ragft against the bare embedder, and against installed peers, on the same passages in one run.

    python tests/benchmarks/index_speed.py --data FOLDER [--documents 1000] [--repeats 3]
        [--peer langchain=PYTHON] [--peer llamaindex=PYTHON]

FOLDER holds a `documents.jsonl` with `id`, `title` and `text`. PYTHON is the interpreter of an environment in which the
peer is installed; `peers/langchain_chroma.py` and `peers/llamaindex_chroma.py` say what they need. All embed the same
passages, cut by ragft, with the same folder of weights; peers are used as their documentation shows. Loading is left
out everywhere. Rows are interleaved and repeated; medians. The bare embedder is sentence-transformers called directly
with its best settings: bfloat16 where the processor has it, all texts in one call (it sorts them by length), batches
of 16. A busy machine spoils the wall times; processor times tell more there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from ragft.config import ChunkingConfig
from ragft.config.knowledge import EmbedderConfig, RetrievalConfig
from ragft.data.chunking import Chunker, embedded_text
from ragft.models.language_model import convert_gguf
from ragft.models.sources import ModelFolder, resolve
from ragft.records import Document, Passage
from ragft.retrieval.embedder import Embedder
from ragft.retrieval.placement import place_of, precision_of
from ragft.retrieval.retriever import retriever_of
from ragft.retrieval.store import PassageStore
from ragft.retrieval.vector_cache import VectorCache
from ragft.workspace import Workspace

PEERS = Path(__file__).parent / "peers"
BARE, OURS, UNCHANGED, CLEARED = "bare embedder", "ragft", "ragft, nothing changed", "ragft, vectors kept"
QUERIES, TOP_K = 100, 5
TO_PEER, TO_BARE, TO_FIRST = 2.0, 0.9, 0.05
"""The goals: speed against the better peer and against the bare embedder, and a second run's share of the first."""


@dataclass(frozen=True, slots=True)
class Took:
    """Wall and processor seconds of indexing; seconds of the median query with its embedding, where it was asked."""

    wall: float
    cpu: float
    query: float | None = None


Run = Callable[[], Took]


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    return parser.parse_args()


def main() -> None:
    """Run every row in turn, repeat, and print medians."""
    options = read_arguments()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = resolve("all-minilm-l6-v2", None, Workspace(root / "workspace").prepare(), convert_gguf)
        embedder = Embedder(folder, EmbedderConfig())
        passages = cut(embedder, options.data / "documents.jsonl", options.documents)
        texts = root / "texts.json"
        texts.write_text(json.dumps([embedded_text(p.title, p.text) for p in passages]), encoding="utf-8")
        rows = own_rows(root, folder, embedder, passages)
        peers = [peer.split("=", 1) for peer in options.peer]
        rows |= {name: peer_row(name, python, folder, texts, root) for name, python in peers}
        took = measured(rows, options.repeats)
    report(took, len(passages), options)
    goals(took, [name for name, _ in peers])
    print(f"all of it: {time.perf_counter() - started:.0f} s")


def cut(embedder: Embedder, file: Path, count: int) -> list[Passage]:
    """Return the passages of the first documents of a JSON Lines file."""
    with file.open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in itertools.islice(lines, count)]
    documents = [Document(row["id"], row.get("title", ""), row["text"]) for row in found]
    return Chunker(embedder.tokenizer, ChunkingConfig(), embedder.max_tokens).passages(documents)


def own_rows(root: Path, folder: ModelFolder, embedder: Embedder, passages: Sequence[Passage]) -> dict[str, Run]:
    """Return what is measured in this process."""
    place = place_of("auto")
    options = {"dtype": precision_of("auto", place)}
    bare = SentenceTransformer(str(folder.path), device=str(place), local_files_only=True, model_kwargs=options)
    texts = [embedded_text(passage.title, passage.text) for passage in passages]
    number = itertools.count()
    bare.encode(texts[:64], batch_size=16, show_progress_bar=False)

    def by_bare() -> Took:
        return taken(lambda: bare.encode(texts, batch_size=16, show_progress_bar=False))

    def by_ragft() -> Took:
        """Embed, keep the vectors, and write the collection, all anew; then ask."""
        name = f"{next(number):032x}"  # stores go by the first 32 characters: a longer one would be reused
        store, cache = PassageStore(root / "chroma", name, "e"), VectorCache(root / "vectors", name)
        if len(store) or len(cache):
            sys.exit(f"the index {name} is not empty: its time would mean nothing")
        took = taken(lambda: store.sync(passages, lambda page: cache.documents(page, embedder.documents)))
        return Took(took.wall, took.cpu, query_seconds(embedder, store, [text[:60] for text in texts[:QUERIES]]))

    last = PassageStore(root / "chroma", "f" * 64, "e")
    kept = VectorCache(root / "vectors", "f" * 64)
    last.sync(passages, lambda page: kept.documents(page, embedder.documents))

    def unchanged() -> Took:
        return taken(lambda: last.sync(passages, lambda page: kept.documents(page, embedder.documents)))

    def cleared() -> Took:
        last.clear()
        return unchanged()

    return {BARE: by_bare, OURS: by_ragft, UNCHANGED: unchanged, CLEARED: cleared}


def query_seconds(embedder: Embedder, store: PassageStore, queries: Sequence[str]) -> float:
    """Return how long the median query takes, one at a time, its embedding included."""
    retriever = retriever_of(RetrievalConfig(), embedder, store, None, None)
    return statistics.median(retriever.search([query], TOP_K)[1] for query in queries)


def peer_row(name: str, python: str, folder: ModelFolder, texts: Path, root: Path) -> Run:
    """Return the run of a peer in its own environment."""
    script = PEERS / f"{name}_chroma.py"
    number = itertools.count()

    def by_peer() -> Took:
        store = root / f"{name}-{next(number)}"
        done = subprocess.run(
            [python, "-P", str(script), str(folder.path), str(texts), str(store)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False", "HF_HUB_OFFLINE": "1"},
        )
        if done.returncode:
            sys.exit(f"{script.name}: {done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return Took(found["seconds"], found["cpu_seconds"], found["query_seconds"])

    return by_peer


def measured(rows: dict[str, Run], repeats: int) -> dict[str, Took]:
    """Return the medians of each row, the rows interleaved, so that a busy moment hits all of them."""
    found: dict[str, list[Took]] = {name: [] for name in rows}
    for turn in range(repeats):
        for name, run in rows.items():
            found[name].append(run())
            print(f"{turn + 1} of {repeats}: {name}: {found[name][-1].wall:.1f} s", file=sys.stderr, flush=True)
    return {name: middle(took) for name, took in found.items()}


def middle(took: Sequence[Took]) -> Took:
    """Return the median of each figure."""
    asked = [item.query for item in took if item.query is not None]
    return Took(
        statistics.median(item.wall for item in took),
        statistics.median(item.cpu for item in took),
        statistics.median(asked) if asked else None,
    )


def report(took: dict[str, Took], passages: int, options: argparse.Namespace) -> None:
    """Print one line a row: seconds, passages per second, the ratio to the bare embedder, and one query."""
    print(
        f"{passages} passages of {options.documents} documents, medians of {options.repeats}, "
        f"{torch.get_num_threads()} threads, {precision_of('auto', place_of('auto'))}"
    )
    base = took[BARE].wall
    print(f"{'':26} {'seconds':>8} {'cpu s':>8} {'passages/s':>11} {'to bare':>8} {'one query':>11}")
    for name, row in took.items():
        query = "" if row.query is None else f"{row.query * 1e3:.1f} ms"
        ratio = base / row.wall
        print(f"{name:26} {row.wall:8.2f} {row.cpu:8.2f} {passages / row.wall:11.1f} {ratio:8.2f} {query:>11}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(f"largest memory of this process: {peak:.2f} GB")


def goals(took: dict[str, Took], peers: Sequence[str]) -> None:
    """Print each goal with what was reached."""
    ours = took[OURS]
    goal("speed to the bare embedder", took[BARE].wall / ours.wall, TO_BARE, above=True)
    goal("a second run's share of the first", took[UNCHANGED].wall / ours.wall, TO_FIRST, above=False)
    if not peers:
        return
    quickest = min(peers, key=lambda name: took[name].wall)
    goal(f"speed to the better peer ({quickest})", took[quickest].wall / ours.wall, TO_PEER, above=True)
    queries = [query for name in peers if (query := took[name].query) is not None]
    if ours.query is not None and queries:
        goal("one query, of the better peer's time", ours.query / min(queries), 1.0, above=False)


def goal(what: str, found: float, limit: float, *, above: bool) -> None:
    """Print a figure beside its goal."""
    met = found >= limit if above else found < limit
    print(f"{what:40} {found:6.2f}, goal {'at least' if above else 'below'} {limit:g}: {'met' if met else 'MISSED'}")


def taken(work: Callable[[], object]) -> Took:
    """Return how long a piece of work takes."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - started, time.process_time() - used)


if __name__ == "__main__":
    main()
