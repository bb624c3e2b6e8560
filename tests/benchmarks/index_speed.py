"""Indexing speed: ragft against the bare embedder, and against installed peers, on the same passages in one run.

    python tests/benchmarks/index_speed.py DOCUMENTS.jsonl [--documents 1000] [--repeats 3]
        [--peer langchain=PYTHON] [--peer llamaindex=PYTHON]

PYTHON is the interpreter of an environment in which the peer is installed; `peers/langchain_chroma.py` and
`peers/llamaindex_chroma.py` say what they need. All embed the same passages, cut by ragft, with the same folder of
weights. Rows are interleaved and repeated; medians. The bare embedder is sentence-transformers called directly with its
best settings: bfloat16 where the processor has it, all texts in one call (it sorts them by length), batches of 16.
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
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from ragft.config import ChunkingConfig
from ragft.config.knowledge import EmbedderConfig
from ragft.data.chunking import Chunker, embedded_text
from ragft.models.language_model import convert_gguf
from ragft.models.sources import ModelFolder, resolve
from ragft.records import Document, Passage
from ragft.retrieval.embedder import Embedder
from ragft.retrieval.placement import place_of, precision_of
from ragft.retrieval.store import PassageStore
from ragft.retrieval.vector_cache import VectorCache
from ragft.workspace import Workspace

PEERS = Path(__file__).parent / "peers"


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    return parser.parse_args()


def main() -> None:
    """Run every row in turn, repeat, and print medians."""
    options = read_arguments()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = resolve("all-minilm-l6-v2", None, Workspace(root / "workspace").prepare(), convert_gguf)
        embedder = Embedder(folder, EmbedderConfig())
        passages = cut(embedder, options.file, options.documents)
        texts = root / "texts.json"
        texts.write_text(json.dumps([embedded_text(p.title, p.text) for p in passages]), encoding="utf-8")
        rows = own_rows(root, folder, embedder, passages)
        for name, python in (peer.split("=", 1) for peer in options.peer):
            rows[f"{name}, Chroma"] = peer_row(name, python, folder, texts, root)
        seconds = measured(rows, options.repeats)
    report(seconds, len(passages), options)


def cut(embedder: Embedder, file: Path, count: int) -> list[Passage]:
    """Return the passages of the first documents of a JSON Lines file."""
    with file.open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in itertools.islice(lines, count)]
    documents = [Document(row["id"], row.get("title", ""), row["text"]) for row in found]
    return Chunker(embedder.tokenizer, ChunkingConfig(), embedder.max_tokens).passages(documents)


def own_rows(
    root: Path, folder: ModelFolder, embedder: Embedder, passages: Sequence[Passage]
) -> dict[str, Callable[[], float]]:
    """Return what is measured in this process: each gives its seconds, loading aside."""
    place = place_of("auto")
    options = {"dtype": precision_of("auto", place)}
    bare = SentenceTransformer(str(folder.path), device=str(place), local_files_only=True, model_kwargs=options)
    texts = [embedded_text(passage.title, passage.text) for passage in passages]
    number = itertools.count()
    bare.encode(texts[:64], batch_size=16, show_progress_bar=False)

    def by_bare() -> float:
        return seconds_of(lambda: bare.encode(texts, batch_size=16, show_progress_bar=False))

    def by_ragft() -> float:
        """Embed, keep the vectors, and write the collection, all anew."""
        name = f"{next(number):032x}"  # stores go by the first 32 characters: a longer one would be reused
        store, cache = PassageStore(root / "chroma", name, "e"), VectorCache(root / "vectors", name)
        if len(store) or len(cache):
            sys.exit(f"the index {name} is not empty: its time would mean nothing")
        return seconds_of(lambda: store.sync(passages, lambda page: cache.documents(page, embedder.documents)))

    last = PassageStore(root / "chroma", "f" * 64, "e")
    kept = VectorCache(root / "vectors", "f" * 64)
    last.sync(passages, lambda page: kept.documents(page, embedder.documents))

    def unchanged() -> float:
        return seconds_of(lambda: last.sync(passages, lambda page: kept.documents(page, embedder.documents)))

    def cleared() -> float:
        last.clear()
        return unchanged()

    return {
        "bare embedder, best settings": by_bare,
        "ragft": by_ragft,
        "ragft, nothing changed": unchanged,
        "ragft, collection dropped, vectors kept": cleared,
    }


def peer_row(name: str, python: str, folder: ModelFolder, texts: Path, root: Path) -> Callable[[], float]:
    """Return the run of a peer in its own environment; it prints its seconds, loading aside."""
    script = PEERS / f"{name}_chroma.py"
    number = itertools.count()

    def by_peer() -> float:
        store = root / f"{name}-{next(number)}"
        done = subprocess.run(
            [python, str(script), str(folder.path), str(texts), str(store)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False", "HF_HUB_OFFLINE": "1"},
        )
        if done.returncode:
            sys.exit(f"{script.name}: {done.stderr[-2000:]}")
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

    return by_peer


def measured(rows: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each row, the rows interleaved, so that a busy moment hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(repeats):
        for name, run in rows.items():
            seconds[name].append(run())
    return seconds


def report(seconds: dict[str, list[float]], passages: int, options: argparse.Namespace) -> None:
    """Print one line a row: seconds, passages per second, and the ratio to the bare embedder."""
    print(
        f"{passages} passages of {options.documents} documents, medians of {options.repeats}, "
        f"{torch.get_num_threads()} threads, {precision_of('auto', place_of('auto'))}"
    )
    base = statistics.median(next(iter(seconds.values())))
    print(f"{'':42} {'seconds':>8} {'passages/s':>11} {'ratio':>7}")
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"{name:42} {middle:8.2f} {passages / middle:11.1f} {base / middle:7.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(f"largest memory of this process: {peak:.2f} GB")


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
