"""An index that is killed again and again: what stands at the end against an index built in one go.

    python tests/benchmarks/index_kills.py [--kills 100] [--seed 1] [--documents 300] [--batch-size 1]

Each round changes, adds and removes some documents of a folder, starts `python -m ragft index` on it (dense, BM25 or
hybrid; some with --rebuild) and kills its whole process group with SIGKILL at a random moment. Three in four are aimed:
the moment is drawn from the first byte that the command writes into its index on, and the others from its start. A
command that ends before its moment is no kill, and the round is done again. At the end the index is completed, and
compared with that of a fresh workspace: fingerprint, stored passages, the bytes of their vectors, the answers of BM25,
and the rankings of 50 questions for every kind of retrieval. Ends with 1 where anything differs.

Texts are embedded one by one, because a model rounds a text otherwise in other company: in batches of 16 the vectors of
two indexes differ in their last bits, killed or not, wherever the batches were not the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from ragft import jsonl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tiny_bert import write_tiny_bert

KINDS = ("dense", "bm25", "hybrid")
OPTIONS: tuple[tuple[str, ...], ...] = ((), (), (), (), (), ("--rebuild",))
AIMED = 0.75
QUESTIONS = 50
LASTING = 40
"""Documents that are edited but never removed: the gold documents of the questions."""
POLL_S = 0.001
BEGINNINGS, ENDS = ("kal", "mor", "tin", "ves", "rud", "hol"), ("a", "eb", "in", "ost", "um", "ya")
WORDS = [beginning + end for beginning in BEGINNINGS for end in ENDS]

Phase = Literal["before indexing", "indexing, nothing written", "indexing, part written", "after indexing"]


@dataclass(slots=True)
class Killed:
    """What was killed, counted by the moment and by the options of the command."""

    phases: Counter[str] = field(default_factory=Counter)
    options: Counter[str] = field(default_factory=Counter)
    ended_first: int = 0

    @property
    def inside(self) -> int:
        """Kills between the start and the end of indexing proper."""
        return self.phases["indexing, nothing written"] + self.phases["indexing, part written"]


class Ground:
    """A folder with an experiment whose documents change, and the workspace that is killed."""

    def __init__(self, folder: Path, draw: random.Random, documents: int, batch_size: int = 1) -> None:
        self.folder, self._draw, self._count = folder, draw, documents
        self.file, self.workspace = folder / "experiment.yaml", folder / "killed"
        (folder / "documents").mkdir(parents=True)
        for number in range(documents):
            self._write(f"d{number:04}")
        config: dict[str, Any] = {
            "name": "kills",
            "task": "qa",
            "data": {"documents": "documents", "eval": "eval.jsonl", "train": "train.jsonl"},
            "index": {
                "embedder": {"source": str(write_embedder(folder / "embedder")), "batch_size": batch_size},
                "chunking": {"chunk_tokens": 48},
            },
        }
        self.file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        jsonl.write_rows(folder / "eval.jsonl", [self._question("q", number) for number in range(QUESTIONS)])
        jsonl.write_rows(folder / "train.jsonl", [self._question("t", number) for number in range(4)])

    def _question(self, prefix: str, number: int) -> dict[str, Any]:
        words = " ".join(self._draw.choices(WORDS, k=6))
        gold = [f"d{number % LASTING:04}"]
        return {"id": f"{prefix}{number}", "question": words, "references": [words], "gold_document_ids": gold}

    def _write(self, name: str) -> None:
        paragraphs = [" ".join(self._draw.choices(WORDS, k=self._draw.randint(10, 40))) for _ in range(4)]
        text = "\n\n".join(f"{paragraph}." for paragraph in paragraphs)
        (self.folder / "documents" / f"{name}.txt").write_text(text, encoding="utf-8")

    def edit(self) -> None:
        """Rewrite a third of the documents, remove some, and add about as many as keep their number."""
        names = sorted(path.stem for path in (self.folder / "documents").iterdir())
        for name in self._draw.sample(names, len(names) // 3):
            self._write(name)
        for name in self._draw.sample(names[LASTING:], min(12, len(names) - LASTING)):
            (self.folder / "documents" / f"{name}.txt").unlink()
        newest = int(names[-1][1:])
        missing = self._count - len(list((self.folder / "documents").iterdir()))
        for number in range(missing + self._draw.randint(-3, 3)):
            self._write(f"d{newest + 1 + number:04}")

    def command(self, workspace: Path, kind: str, *options: str) -> list[str]:
        """Return the command line of one index run."""
        places = ["--workspace", str(workspace), "--runs-dir", str(self.folder / "runs" / workspace.name)]
        setting = ["--set", f"retrieval.kind={kind}"]
        return [sys.executable, "-m", "ragft", "index", str(self.file), *setting, *places, "--quiet", *options]

    def complete(self, workspace: Path, kind: str) -> dict[str, Any]:
        """Run a command to its end and return what it printed as JSON."""
        done = subprocess.run(
            [*self.command(workspace, kind), "--json"], capture_output=True, text=True, cwd=source_root(), check=False
        )
        if done.returncode:
            raise SystemExit(f"index --set retrieval.kind={kind} ended with {done.returncode}:\n{done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def written(self) -> frozenset[tuple[str, int, int]]:
        """Return what lies in the index of the killed workspace: path, size and time of each file."""
        return frozenset(_entries(self.workspace))


def _entries(workspace: Path) -> Iterator[tuple[str, int, int]]:
    for part in ("chroma", "vectors", "bm25"):
        for folder, _, names in os.walk(workspace / part):
            for name in names:
                try:
                    status = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - asked a thousand times a second
                except FileNotFoundError:
                    continue
                yield f"{folder}/{name}", status.st_size, status.st_mtime_ns


def source_root() -> Path:
    """Return the folder in which `python -m ragft` finds the ragft that this process imported."""
    return Path(jsonl.__file__).resolve().parents[1]


def write_embedder(folder: Path) -> Path:
    """Write a sentence-transformers model that reads the words of the documents, and others letter by letter."""
    letters = sorted("abcdefghijklmnopqrstuvwxyz0123456789.?,")
    return write_tiny_bert(folder / "model", [*WORDS, *letters, *(f"##{letter}" for letter in letters)], width=64)


@contextmanager
def started(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a command that runs in a process group of its own, and leave nothing of it behind."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=source_root(), start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def kill_once(ground: Ground, draw: random.Random, spans: tuple[float, float], killed: Killed) -> bool:
    """Start one command and kill it; return whether it was killed before it ended.

    `spans` are the seconds of a whole command, and from its first written byte on.
    """
    options, kind = draw.choice(OPTIONS), draw.choice(KINDS)
    before, runs = ground.written(), ground.folder / "runs" / ground.workspace.name
    known = set(runs.iterdir()) if runs.exists() else set()
    is_aimed = draw.random() < AIMED
    left = draw.uniform(0, spans[1] if is_aimed else spans[0])
    log = ground.folder / "killed.log"
    with started(ground.command(ground.workspace, kind, *options), log) as process:
        while is_aimed and process.poll() is None and ground.written() == before:
            time.sleep(POLL_S)
        end = time.monotonic() + left
        while process.poll() is None and time.monotonic() < end:
            time.sleep(POLL_S)
        ended = process.poll()
    if ended not in (None, 0):
        raise SystemExit(f"a command that was not killed ended with {ended}:\n{log.read_text()}")
    if ended == 0:
        killed.ended_first += 1
        return False
    new = [run for run in runs.iterdir() if run not in known] if runs.exists() else []
    killed.phases[_phase(new, changed=ground.written() != before)] += 1
    killed.options[" ".join(options) or "plain"] += 1
    return True


def _phase(new_runs: Sequence[Path], *, changed: bool) -> Phase:
    """Return where the killed command stood, by the stages that its run folder records."""
    events = [row for run in new_runs for row in jsonl.read_journal(run / "events.jsonl")]
    stages = {(row["event"], row.get("stage")) for row in events}
    if ("stage_finished", "index") in stages:
        return "after indexing"
    if ("stage_started", "index") not in stages:
        return "before indexing"
    return "indexing, part written" if changed else "indexing, nothing written"


def measured(ground: Ground) -> tuple[float, float]:
    """Return the seconds of a whole command, and from its first written byte on, of one that builds everything."""
    scratch = ground.folder / "scratch"
    with started(ground.command(scratch, "hybrid"), ground.folder / "scratch.log") as process:
        began = time.monotonic()
        while process.poll() is None and not list(_entries(scratch)):
            time.sleep(POLL_S)
        first = time.monotonic()
        if process.wait() != 0:
            raise SystemExit((ground.folder / "scratch.log").read_text())
        return time.monotonic() - began, time.monotonic() - first


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that an index answers with."""

    fingerprint: str
    rows: dict[str, str]
    vectors: dict[str, bytes]
    rankings: dict[str, list[Any]]
    words: list[list[tuple[str, float]]]


def held(ground: Ground, workspace: Path) -> Held:
    """Complete the index in a workspace for every kind of retrieval, and return what it holds."""
    import chromadb

    found = [ground.complete(workspace, kind) for kind in KINDS]
    prints = {item["index"]["fingerprint"] for item in found}
    if len(prints) > 1:
        raise SystemExit(f"kinds of retrieval disagree on the fingerprint: {prints}")
    rankings = {kind: _rankings(Path(item["run"])) for kind, item in zip(KINDS, found, strict=True)}
    client = chromadb.PersistentClient(str(workspace / "chroma"), chromadb.Settings(anonymized_telemetry=False))
    rows: dict[str, str] = {}
    vectors: dict[str, bytes] = {}
    for collection in client.list_collections():
        page: Any = collection.get(include=["metadatas", "embeddings"])
        rows |= {id_: json.dumps(row, sort_keys=True) for id_, row in zip(page["ids"], page["metadatas"], strict=True)}
        vectors |= {
            id_: np.asarray(vector, dtype="<f4").tobytes()
            for id_, vector in zip(page["ids"], page["embeddings"], strict=True)
        }
    client.close()
    return Held(prints.pop(), rows, vectors, rankings, _word_answers(ground, workspace))


def _rankings(run: Path) -> list[Any]:
    """Return the passages and scores of each question, as the run folder shows them."""
    return [
        [row["example_id"], [(item["passage"]["id"], item["score"]) for item in row["passages"]]]
        for row in jsonl.read_journal(run / "rankings.jsonl")
    ]


def _word_answers(ground: Ground, workspace: Path) -> list[list[tuple[str, float]]]:
    """Return what the BM25 index on the disk answers to queries that no example asks."""
    from ragft.arms.bench import Bench
    from ragft.arms.knowledge import Knowledge
    from ragft.arms.listening import Silence
    from ragft.config import load_experiment
    from ragft.workspace import Workspace

    loaded = load_experiment(ground.file, ["retrieval.kind=bm25"])
    knowledge = Knowledge(Bench(loaded.experiment, Workspace(workspace), Silence()))
    queries = [f"{WORDS[number % len(WORDS)]} {WORDS[number * 7 % len(WORDS)]}" for number in range(QUESTIONS)]
    found, _ = knowledge.retriever.search(queries, 10)
    return [[(item.passage.id, item.score) for item in ranked] for ranked in found]


def differences(first: Held, second: Held) -> list[str]:
    """Return what differs between two indexes in words, nothing where they are the same."""
    found = []
    if first.fingerprint != second.fingerprint:
        found.append("the fingerprints differ")
    if first.rows != second.rows:
        found.append(f"the passages differ: {len(first.rows)} against {len(second.rows)} rows")
    common = first.vectors.keys() & second.vectors.keys()
    other = [id_ for id_ in common if first.vectors[id_] != second.vectors[id_]]
    if other:
        pairs = [(np.frombuffer(held.vectors[id_], "<f4") for held in (first, second)) for id_ in other]
        largest = max(float(np.abs(one - two).max()) for one, two in pairs)
        found.append(f"the bytes of {len(other)} of {len(common)} vectors differ, by {largest:.2g} at most")
    found += [f"the rankings by {kind} differ" for kind in KINDS if first.rankings[kind] != second.rankings[kind]]
    if first.words != second.words:
        found.append("the answers of BM25 differ")
    return found


def tried(
    folder: Path, kills: int, seed: int = 1, documents: int = 300, batch_size: int = 1
) -> tuple[Killed, list[str], tuple[int, int]]:
    """Return the kills, what differs at the end, and how many passages and rankings were compared."""
    draw, killed = random.Random(seed), Killed()
    ground = Ground(folder, draw, documents, batch_size)
    spans = measured(ground)
    while sum(killed.phases.values()) < kills:
        kill_once(ground, draw, spans, killed)
        ground.edit()
    mended = held(ground, ground.workspace)
    fresh = held(ground, folder / "fresh")
    compared = len(fresh.rows), sum(len(rows) for rows in fresh.rankings.values())
    return killed, differences(mended, fresh), compared


def main() -> None:
    """Kill, compare, and print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        killed, found, (passages, rankings) = tried(
            Path(place), options.kills, options.seed, options.documents, options.batch_size
        )
    print(f"{sum(killed.phases.values())} kills in {time.monotonic() - began:.0f} s, {killed.inside} inside indexing")
    for name, count in (*sorted(killed.phases.items()), *sorted(killed.options.items())):
        print(f"  {name}: {count}")
    print(f"  ended before their moment, and done again: {killed.ended_first}")
    print(f"compared: {passages} passages with their vectors, {rankings} rankings, {QUESTIONS} answers of BM25")
    print("\n".join(found) or "the finished index is the same")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
