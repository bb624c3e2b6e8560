"""Dense, BM25 and hybrid on data that nobody on this project wrote, with intervals, and what comparing them costs.

    python tests/benchmarks/retrieval_quality.py DATA [--workspace FOLDER] [--set KEY=VALUE ...] [NAME ...]

DATA holds the folders qa-nq, qa-xquad and fact-fm2, each with documents.jsonl and eval.jsonl; all documents are indexed
and all eval examples asked. A workspace that is kept embeds nothing twice. Seconds are processor time: ranking
with the configured retriever (the queries embedded, as `ragft index` did before it compared), and all the rest (two
more retrievers, deeper rankings, every metric, intervals and tests).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import yaml
from rich.console import Console

from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Silence
from ragft.arms.retrieval_quality import evaluate_retrieval, quality_facts, quality_rows
from ragft.config import load_experiment
from ragft.console import quiet_libraries, retrieval_page
from ragft.workspace import Workspace

TASKS = {
    "qa-nq": {"task": "qa", "input": "question"},
    "qa-xquad": {"task": "qa", "input": "question"},
    "fact-fm2": {"task": {"kind": "classification", "labels": ["SUPPORTS", "REFUTES"]}, "input": "claim"},
}


def main() -> None:
    """Print one page for each data set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", default=list(TASKS), metavar="NAME")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace((arguments.workspace or Path(folder) / "workspace").resolve()).prepare()
        for name in arguments.names:
            file = Path(folder) / f"{name}.yaml"
            file.write_text(yaml.safe_dump(experiment(arguments.data.resolve() / name)), encoding="utf-8")
            show(file, workspace, arguments.overrides)


def experiment(folder: Path) -> dict[str, object]:
    """Return the experiment of one data set, everything else at its default."""
    about = TASKS[folder.name]
    names = {"input": about["input"], "references": "answers", "gold_document_ids": "gold_doc_ids"}
    return {
        "name": folder.name,
        "task": about["task"],
        "data": {
            "documents": str(folder / "documents.jsonl"),
            "eval": str(folder / "eval.jsonl"),
            "fields": names,
        },
    }


def show(file: Path, workspace: Workspace, overrides: list[str]) -> None:
    """Index, rank, compare and print."""
    bench = Bench(load_experiment(file, overrides).experiment, workspace, Silence())
    knowledge = Knowledge(bench)
    knowledge.sync()
    bench.embedder.queries(["a first query, so that loading is not counted"])
    began = time.process_time()
    knowledge.rankings(bench.splits.eval)
    ranked = time.process_time()
    quality = evaluate_retrieval(bench, knowledge)
    done = time.process_time()
    console = Console(width=100, highlight=False)
    console.print(f"\n{bench.experiment.name}: {len(bench.documents):,} documents, {len(bench.passages):,} passages")
    if quality is not None:
        for part in retrieval_page(quality_rows(quality), quality_facts(quality)):
            console.print(part)
    console.print(f"processor time: ranking {ranked - began:.2f} s, comparing {done - ranked:.2f} s", style="dim")


if __name__ == "__main__":
    main()
