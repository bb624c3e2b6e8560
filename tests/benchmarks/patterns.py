"""Two patterns that published work reports, tried on a small model: what tuning learns, and from what.

    python tests/benchmarks/patterns.py restatements
    python tests/benchmarks/patterns.py style --data FOLDER

restatements: two phrasings of each fact read twice, against one phrasing read four times; the same number of steps.
style: tuned on questions about the documents that are asked about, against tuned on as many questions about others; all
asked from memory. What the second brings over the base model is style and not knowledge.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ragft import jsonl
from ragft.arms.knowledge import drawn
from ragft.evaluation.comparison import measure_cells
from ragft.records import Score

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "configs" / "quickstart"
TRAINING = {"learning_rate": 1e-3, "num_train_epochs": 2, "gradient_accumulation_steps": 1, "evals_per_run": 1}
METRICS = ("token_f1", "exact_match", "contains")

Rows = Sequence[dict[str, Any]]


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON Lines file."""
    return [row for _, row in jsonl.read_rows(path)]


def restatements() -> tuple[dict[str, Any], dict[str, tuple[Rows, dict[str, Any]]]]:
    """Return (data, trainings): two phrasings of each fact, and one of each for twice as many epochs."""
    train = rows(QUICKSTART / "train.jsonl")
    facts = [row for row in train if row["answerable"]]
    first = {row["fact_id"]: row for row in reversed(facts)}
    one = [row for row in facts if first[row["fact_id"]] is row]
    data = {"dev": str(QUICKSTART / "dev.jsonl"), "eval": str(QUICKSTART / "eval.jsonl")}
    return data, {"two_phrasings": (facts, {}), "one_phrasing": (one, {"num_train_epochs": 4})}


def style(folder: Path, n: int, limit: int, seed: int) -> tuple[dict[str, Any], dict[str, tuple[Rows, dict[str, Any]]]]:
    """Return (data, trainings): questions about the documents that are asked about, and as many about others."""
    asked = sorted(rows(folder / "eval.jsonl"), key=lambda row: drawn(seed, row["id"]))[:limit]
    gold = {id_ for row in asked for id_ in row["gold_doc_ids"]}
    train = sorted(rows(folder / "train.jsonl"), key=lambda row: drawn(seed, row["id"]))
    same = [row for row in train if gold & set(row["gold_doc_ids"])][:n]
    other = [row for row in train if not gold & set(row["gold_doc_ids"])][: len(same)]
    return {"eval": asked}, {"same_documents": (same, {}), "other_documents": (other, {})}


def experiment(data: Mapping[str, Any], train: Path, training: Mapping[str, Any], fields: Mapping[str, str]) -> Any:
    """Return the experiment file of one training."""
    return {
        "name": "patterns",
        "task": "qa",
        "data": {**data, "train": str(train), "fields": dict(fields)},
        "adapters": {"tuned": {"recipe": "closed_book", "training": {**TRAINING, **training}}},
        "generation": {"max_new_tokens": 32},
        "compare": {"arms": {"base": {}, "tuned": {"adapter": "tuned"}}, "latency_questions": 0},
    }


def run(folder: Path, name: str, config: Any, workspace: Path) -> tuple[list[Score], dict[str, str]]:
    """Run one comparison; returns the scores of its tuned arm under a name and of the base, and example -> cluster."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "ragft", "compare", str(file), "--json", "--no-probes"]
    places = ["--runs-dir", str(folder / "runs"), "--workspace", str(workspace)]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        raise SystemExit(done.stderr)
    found = Path(json.loads(done.stdout)["run"])
    scores = [Score(**row) for row in rows(found / "scores.jsonl")]
    documents = {row["id"]: next(iter(row["gold_document_ids"]), row["id"]) for row in rows(found / "examples.jsonl")}
    return [replace(one, arm=name if one.arm == "tuned" else one.arm) for one in scores], documents


def main() -> None:
    """Run the pattern and print every mean and difference with its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", choices=["restatements", "style"])
    parser.add_argument("--data", type=Path, help="folder of the data sets, for style")
    parser.add_argument("--labels", type=int, default=200, help="labelled examples of each training, for style")
    parser.add_argument("--eval", type=int, default=80, help="questions, for style")
    parser.add_argument("--workspace", type=Path, default=ROOT / ".ragft")
    given = parser.parse_args()
    fields: dict[str, str] = {}
    if given.pattern == "restatements":
        data, trainings = restatements()
    else:
        data, trainings = style(given.data / "qa-xquad", given.labels, given.eval, seed=17)
        fields = {"references": "answers", "gold_document_ids": "gold_doc_ids"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if not isinstance(data["eval"], str):
            jsonl.write_rows(folder / "eval.jsonl", data["eval"])
            data = {**data, "eval": str(folder / "eval.jsonl")}
        found: dict[tuple[str, str, str], Score] = {}
        for name, (train, training) in trainings.items():
            jsonl.write_rows(folder / f"{name}.jsonl", train)
            config = experiment(data, folder / f"{name}.jsonl", training, fields)
            scores, clusters = run(folder, name, config, given.workspace)
            found |= {(score.arm, score.metric, score.example_id): score for score in scores}
            print(f"{name}: {len(train)} labelled examples", flush=True)
    show(list(found.values()), clusters, list(trainings))


def show(scores: Sequence[Score], clusters: Mapping[str, str], names: Sequence[str]) -> None:
    """Print the means and differences, drawn by gold document."""
    arms = ["base", *names]
    pairs = [(names[0], names[1]), *((name, "base") for name in names)]
    for metric in METRICS:
        own = [score for score in scores if score.metric == metric]
        settings: dict[str, Any] = {"resamples": 10_000, "level": 0.95, "seed": 17}
        means, contrasts = measure_cells(own, clusters=clusters, arms=arms, metric=metric, pairs=pairs, **settings)
        for one in means:
            low, high = (one.interval.low, one.interval.high) if one.interval else (float("nan"), float("nan"))
            print(f"{metric:12} {one.arm:18} {one.mean:.3f} ({low:.3f} to {high:.3f}), n = {one.n}")
        for pair in contrasts:
            low, high = (pair.interval.low, pair.interval.high) if pair.interval else (float("nan"), float("nan"))
            print(f"{metric:12} {pair.first} - {pair.second}: {pair.difference:+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()
