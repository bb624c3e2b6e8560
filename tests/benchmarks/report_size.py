"""Size of report.html and seconds to load and render it, for synthetic runs with texts of realistic lengths.

    python tests/benchmarks/report_size.py [EXAMPLES] [ARMS]

1,000 examples and 6 arms unless others are asked for. Inputs have about 120 characters, answers 60, passages 1,200; 400
different passages stand three to a prompt in the arms that retrieve. The words are drawn from a vocabulary as large as
a handbook's, so that compressed sizes mean something too. The limit that the tests hold is 3 MB.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ragft import jsonl
from ragft.evaluation.comparison import compare_arms
from ragft.evaluation.metrics import score_answers
from ragft.records import Answer, Example, Passage
from ragft.report import load_report, render_html, render_markdown

METRICS = ("token_f1", "exact_match", "contains", "abstained")
INPUT, ANSWER, PASSAGE, N_PASSAGES, TOP_K = 120, 60, 1200, 400, 3
LIMIT_MB = 3.0


def main() -> None:
    """Print one line for the run that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", type=int, nargs="?", default=1000)
    parser.add_argument("arms", type=int, nargs="?", default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder), asked.examples, asked.arms)
        began = time.perf_counter()
        data = load_report(run)
        loaded = time.perf_counter()
        html = render_html(data).encode()
        rendered = time.perf_counter()
        markdown = render_markdown(data).encode()
    megabytes = len(html) / 1e6
    print(f"{asked.examples:,} examples x {asked.arms} arms, {N_PASSAGES} passages, {TOP_K} to a prompt")
    print(f"report.html {megabytes:.2f} MB ({len(gzip.compress(html)) / 1e6:.2f} MB gzipped), limit {LIMIT_MB} MB")
    print(f"report.md {len(markdown) / 1e3:.1f} kB; load {loaded - began:.2f} s, render {rendered - loaded:.2f} s")


def words(rng: random.Random, length: int, vocabulary: Sequence[str]) -> str:
    """Return words up to about `length` characters."""
    made = ""
    while len(made) < length:
        made += f" {rng.choice(vocabulary)}"
    return made.strip().capitalize() + "."


def write_run(folder: Path, n: int, n_arms: int) -> Path:
    """Write a run folder with made-up texts and what scoring and comparing make of them."""
    rng = random.Random(11)
    vocabulary = ["".join(rng.choices("abcdefghilmnoprstuvwy", k=rng.randint(2, 10))) for _ in range(4000)]
    passages = [_passage(i, rng, vocabulary) for i in range(N_PASSAGES)]
    examples = [_example(i, rng, vocabulary) for i in range(n)]
    arms = {f"arm_{i}": "index" if i % 2 else "none" for i in range(n_arms)}
    answers = {
        arm: [_answer(arm, retrieval, example, rng, vocabulary, passages) for example in examples]
        for arm, retrieval in arms.items()
    }
    (folder / "answers").mkdir()
    for arm, said in answers.items():
        jsonl.write_rows(folder / "answers" / f"{arm}.jsonl", said)
    jsonl.write_rows(folder / "examples.jsonl", examples)
    jsonl.write_rows(folder / "passages.jsonl", passages)
    _write_results(folder, arms, examples, [one for said in answers.values() for one in said])
    return folder


def _passage(i: int, rng: random.Random, vocabulary: Sequence[str]) -> Passage:
    text = words(rng, PASSAGE, vocabulary)
    return Passage(f"document-{i // 4}#{i}", f"document-{i // 4}", words(rng, 30, vocabulary), text, 0, len(text))


def _example(i: int, rng: random.Random, vocabulary: Sequence[str]) -> Example:
    gold = f"document-{rng.randrange(N_PASSAGES // 4)}"
    return Example(f"eval-{i:05d}", words(rng, INPUT, vocabulary), (words(rng, ANSWER, vocabulary),), (gold,))


def _answer(
    arm: str,
    retrieval: str,
    example: Example,
    rng: random.Random,
    vocabulary: Sequence[str],
    passages: Sequence[Passage],
) -> Answer:
    text = example.references[0] if rng.random() < 0.4 else words(rng, ANSWER, vocabulary)
    ids = tuple(passage.id for passage in rng.sample(passages, TOP_K)) if retrieval == "index" else ()
    seconds = 0.2 + rng.random()
    return Answer(arm, example.id, text, 400 + rng.randrange(90), 14, seconds, "stop", ids, ids[:1], 0.01)


def _write_results(folder: Path, arms: dict[str, str], examples: Sequence[Example], answers: Sequence[Answer]) -> None:
    scores = score_answers(answers, {example.id: example for example in examples}, METRICS)
    comparison = compare_arms(
        scores, clusters={example.id: example.id for example in examples}, arms=list(arms), metrics=METRICS,
        primary_metric="token_f1", declared=[("arm_1", "arm_0")], resamples=500, level=0.95, seed=7,
    )  # fmt: skip
    verdict = {
        "decision": "not_decided", "arm": None, "confidence": "low", "headline": "Not decided.", "reasons": [],
        "excluded": [], "caveats": list(comparison.notes), "next_steps": [], "candidates": [],
    }  # fmt: skip
    means = [{**json.loads(jsonl.dumps(e)), "version": 1, "value": e.mean} for e in comparison.estimates]
    facts = {arm: {"retrieval": retrieval, "latency_s_p50": 1.0, "latency_n": 5} for arm, retrieval in arms.items()}
    manifest = {"id": "synthetic", "command": "compare", "experiment": "synthetic", "status": "success"}
    jsonl.write_rows(folder / "scores.jsonl", scores)
    jsonl.write_json(folder / "comparison.json", comparison)
    jsonl.write_json(folder / "verdict.json", verdict)
    jsonl.write_json(folder / "metrics.json", {"metrics": means, "arms": facts})
    jsonl.write_json(folder / "manifest.json", {**manifest, "started_at": "2026-11-23T14:12:00+00:00"})
    jsonl.write_text(folder / "config.yaml", "name: synthetic\n")


if __name__ == "__main__":
    main()
