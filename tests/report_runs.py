"""Synthetic run folders for the tests of the reports, and the page as a browser would take it apart."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

from report_probes import write_probes

from ragft import jsonl
from ragft.evaluation.comparison import Comparison, compare_arms
from ragft.evaluation.metrics import score_answers
from ragft.evaluation.probing import ProbeResult
from ragft.records import Answer, Example, Interval, Passage
from ragft.report import load_report, render_html

Json = dict[str, Any]
METRICS = ("token_f1", "exact_match", "contains", "abstained")
ATTACK = "</script><img src=x onerror=alert(1)> | `**` \u2028 <!-- &amp;"

# name: (adapter, retrieval, shots, control, chance of a right answer, latency in seconds, prompt tokens)
FULL: dict[str, tuple[str | None, str, int, bool, float, float, int]] = {
    "prompt": (None, "none", 0, False, 0.12, 0.61, 61),
    "few_shot": (None, "none", 4, False, 0.17, 0.78, 214),
    "tuned": ("lora", "none", 0, False, 0.33, 0.58, 61),
    "rag": (None, "index", 0, False, 0.66, 1.21, 402),
    "tuned_rag": ("lora", "index", 0, False, 0.69, 1.24, 402),
    "raft": ("raft", "index", 0, False, 0.79, 1.19, 402),
    "oracle": (None, "oracle", 0, True, 0.86, 1.08, 371),
    "random_context": (None, "random", 0, True, 0.10, 1.17, 398),
}
MINIMAL = {name: FULL[name] for name in ("prompt", "few_shot")}
PLACES = ("quay", "mill", "foundry", "canteen", "harbour", "archive", "bindery", "greenhouse")


def example(i: int) -> Example:
    place, answerable = PLACES[i % len(PLACES)], i % 7 != 3
    return Example(
        id=f"eval-{i:04d}",
        input=f"Which day is set aside for the inspection of the {place} in district {i}?",
        references=(f"day {2 + i % 27} of May {1990 + i % 30}", f"{2 + i % 27} May {1990 + i % 30}")
        if answerable
        else (),
        gold_document_ids=(f"{place}-{i // 16}",) if answerable else (),
        answerable=answerable,
        group=f"fact-{i}",
        variant=("paraphrase", "plain")[i % 2] if answerable else "unanswerable",
    )


def passage(i: int) -> Passage:
    item = example(i)
    place = PLACES[i % len(PLACES)]
    words = (
        f"The council of district {i} met in the hall above the {place}, and the minutes were read without dissent. "
    )
    when = item.references[0] if item.answerable else "a day that was not yet fixed"
    text = f"{words}It was resolved that the inspection of the {place} be held on {when}. {words * 3}".strip()
    return Passage(
        f"{place}-{i // 16}#{i}", f"{place}-{i // 16}", f"Minutes: {place}, part {i // 16}", text, 0, len(text)
    )


def answer(
    arm: str, chance: float, retrieval: str, prompt_tokens: int, item: Example, i: int, n: int, rng: random.Random
) -> Answer:
    draw = rng.random()
    if not item.answerable:
        text = "I don't know." if draw < chance else "the 3rd of June 2004"
    elif draw < chance:
        text = item.references[0]
    elif draw < chance + 0.12:
        text = f"It is set for {item.references[1]}, according to the minutes of the council"
    else:
        text = rng.choice(("the 1st of April 1987", "I don't know.", "On Tuesday, as far as the text says", ""))
    near = [passage(i), passage((i + 1) % n), passage((i + 5) % n)] if retrieval != "none" else []
    ids = tuple(one.id for one in (near[1:] if retrieval == "random" else near))
    length: Literal["length", "stop"] = "length" if draw > 0.98 else "stop"
    return Answer(arm, item.id, text, prompt_tokens + i % 9, 4 + i % 7, 0.3 + draw / 4, length, ids, ids[:1], 0.011)


def arm_facts(facts: tuple[str | None, str, int, bool, float, float, int], timed: bool) -> Json:
    adapter, retrieval, shots, control, _, latency, tokens = facts
    share = {"value": 0.8125, "n": 86}
    wrongly = {"answered_though_unanswerable": share, "abstained_though_answerable": {"value": None, "n": 0}}
    return {
        "adapter": adapter, "retrieval": retrieval, "shots": shots, "prompt": "qa-short-1", "control": control,
        "prompt_tokens_mean": tokens + 4.0, "output_tokens_mean": 7.0, "truncated_share": 0.02,
        "latency_s_p50": latency if timed else None, "latency_n": 5 * timed, "seconds_per_question": 0.42,
        "retrieval_seconds_p50": 0.012 if retrieval == "index" else None, "macro_f1": None,
        "abstention": {"coverage": share, "accuracy_on_answered": share, **wrongly},
    }  # fmt: skip


def adapter_facts(recipe: str, start: float, end: float) -> Json:
    history: list[Json] = [{"step": s, "loss": end + (start - end) * 0.9 ** (s / 2)} for s in range(5, 101, 5)]
    history += [
        {"step": s, "eval_loss": end + 0.35 + (start - end) * 0.88 ** (s / 2) + s / 900} for s in range(20, 101, 20)
    ]
    return {
        "recipe": recipe, "steps": 100, "examples_seen": 792, "tokens_seen": 318_402, "label_tokens": 7_310,
        "seconds": 194.2, "train_loss": end, "dev_loss": end + 0.4, "best_step": 60,
        "reused": recipe == "context", "history": history,
    }  # fmt: skip


def manifest() -> Json:
    return {
        "schema_version": 1, "id": "20261123T141200Z-compare-harbour-1a2b3c4d", "command": "compare",
        "experiment": "harbour", "status": "success",
        "started_at": "2026-11-23T14:12:00+00:00", "finished_at": "2026-11-23T14:31:09+00:00",
        "git": {"commit": "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678", "dirty": True},
        "packages": {"torch": "2.9.1", "transformers": "5.20.0", "peft": "0.21.0"},
        "hardware": {"processor": "x86_64", "cores": 2, "memory_bytes": 8_000_000_000, "platform": "Linux-6.1"},
        "seeds": {"experiment": 7}, "prompts": ["qa-short-1"], "fingerprints": {"index": "ab" * 32},
        "inputs": {"eval.jsonl": "ef" * 32}, "argv": ["compare", "harbour.yaml", "--set", "seed=7"],
    }  # fmt: skip


def write_run(
    folder: Path,
    arms: dict[str, Any] = FULL,
    *,
    n: int = 60,
    full: bool = True,
    attack: str = "",
    probes: Sequence[ProbeResult] = (),
) -> Path:
    """Write a plausible run folder: real scores, comparison and verdict over made-up answers, and the given probes."""
    rng = random.Random(3)
    examples = [example(i) for i in range(n)]
    passages = [passage(i) for i in range(n)] if full else []
    answers = {
        name: [answer(name, facts[4], facts[1], facts[6], item, i, n, rng) for i, item in enumerate(examples)]
        for name, facts in arms.items()
    }
    if attack:
        examples[0] = dataclasses.replace(examples[0], input=attack, references=(attack,))
        passages[0] = dataclasses.replace(passages[0], title=attack, text=f"before {attack} after")
        answers["rag"][0] = dataclasses.replace(answers["rag"][0], text=attack)
    write_results(folder, arms, examples, answers, full)
    jsonl.write_rows(folder / "passages.jsonl", passages)
    jsonl.write_text(folder / "config.yaml", f"name: harbour\nseed: 7\n# {attack!r}\n")
    jsonl.write_json(folder / "manifest.json", {**manifest(), **({"experiment": attack} if attack else {})})
    if probes:
        write_probes(folder, probes)
    return folder


def write_results(
    folder: Path, arms: dict[str, Any], examples: Sequence[Example], answers: dict[str, list[Answer]], full: bool
) -> None:
    by_id = {item.id: item for item in examples}
    scores = score_answers([one for said in answers.values() for one in said], by_id, METRICS)
    declared = [
        pair
        for pair in (("rag", "prompt"), ("tuned", "prompt"), ("raft", "rag"), ("few_shot", "prompt"))
        if set(pair) <= set(arms)
    ]
    comparison = compare_arms(
        scores, clusters={item.id: item.id for item in examples}, arms=list(arms), metrics=METRICS,
        primary_metric="token_f1", declared=declared, resamples=200, level=0.95, seed=7,
    )  # fmt: skip
    (folder / "answers").mkdir(parents=True)
    for name, said in answers.items():
        jsonl.write_rows(folder / "answers" / f"{name}.jsonl", said)
    jsonl.write_rows(folder / "examples.jsonl", examples)
    jsonl.write_rows(folder / "scores.jsonl", scores)
    jsonl.write_json(folder / "comparison.json", comparison)
    jsonl.write_json(folder / "verdict.json", verdict(comparison, arms))
    means = [{**dataclasses.asdict(e), "version": 1, "value": e.mean} for e in comparison.estimates]
    jsonl.write_json(folder / "metrics.json", metrics(arms, means, len(examples), full))


def verdict(comparison: Comparison, arms: dict[str, Any]) -> Json:
    """A verdict written by hand: the reports know nothing of how one is reached."""
    means = {e.arm: e.mean or 0.0 for e in comparison.estimates if e.metric == "token_f1" and not arms[e.arm][3]}
    best = max(means, key=lambda arm: means[arm])
    return {
        "decision": "ship", "arm": best, "confidence": "moderate",
        "headline": f"Ship {best}: token_f1 {means[best]:.3f}.",
        "reasons": [f"{best} has the highest mean token_f1.", "prompt is worse than it by more than the margin."],
        "excluded": [["prompt", "its score is below the required 0.300"]] if best != "prompt" else [],
        "caveats": ["Every adapter was trained once.", *comparison.notes], "candidates": [best],
        "next_steps": [f"Declare {best} against prompt before the next run."],
    }  # fmt: skip


def metrics(arms: dict[str, Any], means: list[Json], n: int, full: bool) -> Json:
    for metric, value in (("recall@1", 0.62), ("recall@3", 0.8), ("recall@5", 0.85), ("mrr", 0.7), ("ndcg@10", 0.76)):
        if full:
            row = {"arm": "retrieval:dense", "metric": metric, "version": 1, "value": value, "n": 51, "n_unscored": 9}
            means.append(
                {**row, "interval": dataclasses.asdict(Interval(value - 0.09, value + 0.07, 0.95, "percentile"))}
            )
    finding = {
        "check": "leakage",
        "message": "2 eval questions stand in train too",
        "example_ids": ["eval-0001", "eval-0002"],
    }
    return {
        "schema_version": 1,
        "primary_metric": "token_f1",
        "metrics": means,
        "arms": {name: arm_facts(facts, full) for name, facts in arms.items()},
        "task": {"kind": "qa", "labels": [], "majority_share": None},
        "retrieval": {"kind": "dense", "top_k": 3, "documents": 8, "passages": n} if full else None,
        "adapters": {"lora": adapter_facts("answers", 3.1, 0.6), "raft": adapter_facts("context", 2.6, 0.3)}
        if full
        else {},
        "data": {
            "documents": 8,
            "passages": n,
            "train": 264,
            "dev": 40,
            "eval": n,
            "unanswerable": n // 7,
            "findings": [finding] * full,
        },
        "reused": ["index: 60 passages unchanged"] * full,
        "requirements": {"min_score": 0.3 if full else None, "max_latency_s": 2.0, "margin": 0.02},
    }


def rendered(folder: Path) -> str:
    return render_html(load_report(folder))


class Page(HTMLParser):
    """What a browser would make of a page: its elements, the text of style and script, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self.text = ""
        self._current = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._current = attributes.get("type") or tag if tag in ("script", "style") else ""
        self.text += " "

    def handle_endtag(self, tag: str) -> None:
        self._current = ""

    def handle_data(self, data: str) -> None:
        if self._current:
            self.inside.setdefault(self._current, []).append(data)
        else:
            self.text += data

    @property
    def payload(self) -> Json:
        return dict(json.loads("".join(self.inside["application/json"])))


def change(file: Path, **values: Any) -> None:
    """Replace top-level keys of a JSON file."""
    jsonl.write_json(file, {**json.loads(file.read_text()), **values})


def interval(low: float, high: float) -> Json:
    return {"low": low, "high": high, "level": 0.95, "method": "percentile"}


def add_everything(run: Path) -> Path:
    """Add what only newer runs have: gates, a sweep, costs, training seeds, sensitivity, arms that are left out."""
    metrics = json.loads((run / "metrics.json").read_text())
    for i, (name, arm) in enumerate(metrics["arms"].items()):
        arm.update(
            memory_gb=0.5 + 0.1 * i, labels=264 if arm["adapter"] else arm["shots"], failed_share=0.01,
            abstained_share=0.125, citing_share=0.25 if arm["retrieval"] != "none" else None,
            leaves_machine=name == "rag", training_seconds=194.2 if arm["adapter"] else None,
            index_seconds=12.5 if arm["retrieval"] == "index" else None,
            cost={"currency": "EUR", "running_per_1000": 0.1 + i, "one_off": 26.4, "refreshes_per_horizon": 12.0,
                  "refresh_each": 1.25, "per_1000": 0.2 + i, "per_correct": 0.0004},
        )  # fmt: skip
    metrics["prices"] = {"currency": "EUR", "machine_hour": 0.9, "million_prompt_tokens": None}
    metrics["limits"] = {"truncated_share": 0.5, "abstained_share": 0.9, "failed_share": 0.05}
    metrics["requirements"] |= {"max_memory_gb": 2.0, "max_cost_per_1000": 1.5, "citations": True, "local_only": True,
                                "facts_change_days": 30.0, "labels": 400}  # fmt: skip
    metrics["retrieval"]["hits"] = {"rag": {"hit": {"mean": 0.7125, "n": 51}, "miss": {"mean": 0.0625, "n": 9}}}
    jsonl.write_json(run / "metrics.json", metrics)
    comparison = json.loads((run / "comparison.json").read_text())
    for estimate in comparison["estimates"]:
        if estimate["arm"] == "raft":
            estimate["seed_means"] = [0.611, 0.702, 0.733]
    comparison["contrasts"][0] |= {"n_more": 80, "p_mid": 0.03125}
    jsonl.write_json(run / "comparison.json", comparison)
    change(
        run / "verdict.json",
        not_comparable=[["few_shot", "0.58 of its answers were cut off, more than 0.50"]],
        sensitivity=[{"subject": "margin", "current": 0.02, "value": 0.18, "direction": "above", "decision": "ship",
                      "arm": "rag", "sentence": "With a margin above 0.18, rag would be shipped."}],
    )  # fmt: skip
    write_gates_and_sweep(run)
    return run


def write_gates_and_sweep(run: Path) -> None:
    held = {
        "number": 1,
        "kind": "metric",
        "title": "token_f1 of raft at least 0.4",
        "status": "passed",
        "message": "0.7",
    }
    lost = {
        "number": 2,
        "kind": "no_regression",
        "title": "no regression",
        "status": "failed",
        "message": "rag lost 0.1",
    }
    baseline = {"source": "base.json", "name": "main", "created_at": "2026-11-20T10:00:00+00:00"}
    jsonl.write_json(run / "gates.json", {"status": "failed", "gates": [held, lost], "baseline": baseline})
    means = ((1, 0.21), (3, 0.29), (5, None))
    trials = [
        {"number": i + 1, "values": {"retrieval.top_k": k}, "mean": mean, "n": 40, "seconds": 31.0, "reused": i == 0,
         "interval": None if mean is None else interval(mean - 0.05, mean + 0.06)}
        for i, (k, mean) in enumerate(means)
    ]  # fmt: skip
    sweep = {"arm": "rag", "metric": "token_f1", "kind": "grid", "parameters": {"retrieval.top_k": [1, 3, 5]}}
    jsonl.write_json(run / "sweep.json", {**sweep, "trials": trials, "chosen": 2})
