"""What runs of version 1 learnt to hold later, added to a synthetic run folder: every number chosen by hand."""

from __future__ import annotations

import json
from pathlib import Path

from report_runs import Json, change, interval

from ragft import jsonl

HOSTILE = "<img src=x onerror=alert(1)> | a"
LABELS = ("fault", HOSTILE)


def contrast(arm: str, difference: float | None, low: float, high: float) -> Json:
    return {
        "first": arm, "second": "unaided", "metric": "token_f1", "difference": difference,
        "interval": interval(low, high), "n": 20, "test": "sign_flip", "p_value": 0.5, "p_adjusted": 0.5,
        "minimum_detectable_effect": 0.2, "n_needed": 90, "declared": True, "p_mid": None, "n_more": None,
    }  # fmt: skip


UNAIDED = {
    "what": "copying the input",
    "metric": "token_f1",
    "mean": 0.2501,
    "contrasts": [
        contrast("prompt", -0.1, -0.2, -0.05),  # worse
        contrast("few_shot", 0.02, -0.1, 0.14),  # cannot be told apart
        contrast("tuned", 0.0, 0.0, 0.0),  # says exactly the same: the trap is to call that worse
        contrast("rag", 0.4, 0.3, 0.5),
        contrast("raft", 0.5, 0.4, 0.6),
    ],
}


def point(target: float, mean: float, coverage: float | None = None) -> Json:
    return {"target": target, "coverage": coverage or target, "mean": mean, "threshold": -0.5}


def selective(arm: str, gain: Json | None) -> Json:
    return {
        "arm": arm, "metric": "token_f1", "aurc": 0.31, "aurc_best": 0.125, "n": 18, "n_left_out": 2, "gain": gain,
        "points": [point(1.0, 0.6), point(0.5, 0.75, 0.55), point(0.1, 0.9)],
    }  # fmt: skip


def labels_said(macro: float, n_unparsed: int) -> Json:
    rows = [
        {"label": "fault", "precision": 0.5, "recall": 1.0, "f1": 0.6667, "support": 3},
        {"label": HOSTILE, "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
    ]
    return {"macro_f1": macro, "labels": rows, "n": 20, "n_unparsed": n_unparsed}


def check(name: str, severity: str, found: int, message: str, **more: object) -> Json:
    return {
        "name": name, "title": f"title of {name}", "looked_at": 20, "found": found, "severity": severity,
        "message": message, "example_ids": [], "hint": "", **more,
    }  # fmt: skip


CHECKS = [
    check("too_few", "ok", 0, "20 eval examples"),
    check("leak_exact", "warning", 2, f"2 leaked {HOSTILE}", example_ids=["eval-0001"], hint="remove them"),
    check("repeats", "ok", 0, "every eval input stands once"),
]

JUDGE = {
    "model": "referee", "prompts": ["judge-correctness-1"], "min_kappa": 0.6, "max_lost_share": 0.1,
    "asked": 1200, "reused": 5, "caveats": [f"the judge referee may not decide on faithfulness: {HOSTILE}"],
    "questions": [
        {"question": "correctness", "n_verdicts": 90, "n_settled": 4, "n_unreadable": 6, "n_failed": 1, "n_unscored": 0,
         "n_labels": 40, "n_outdated": 0, "lost_share": 0.07, "trusted": True, "why_not": None,
         "agreement": {"n": 40, "agreement": 0.9, "kappa": 0.7876, "interval": interval(0.55, 0.95),
                       "both_yes": 20, "only_people_yes": 2, "only_judge_yes": 2, "both_no": 16}},
        {"question": "faithfulness", "n_verdicts": 50, "n_settled": 0, "n_unreadable": 50, "n_failed": 0,
         "n_unscored": 20, "n_labels": 0, "n_outdated": 0, "lost_share": 0.5, "trusted": None, "agreement": None,
         "why_not": "the judge referee may not decide on faithfulness: 50 of 100"},
    ],
    "preferences": [
        {"first": "rag", "second": "prompt", "n": 18, "wins": 10, "ties": 5, "losses": 3, "win_share": 0.6944,
         "interval": interval(0.45, 0.87), "n_position_bound": 4, "n_identical": 1, "n_unreadable": 1, "n_missing": 1,
         "position_bound": 0.2353},
    ],
}  # fmt: skip


def row(arm: str, metric: str, value: float | None, n: int = 20) -> Json:
    ends = None if value is None else interval(value - 0.1, value + 0.1)
    return {"arm": arm, "metric": metric, "version": 1, "value": value, "n": n, "n_unscored": 20 - n, "interval": ends}


def add_measures(run: Path) -> Path:
    """Add families of metrics, a second model, prompts, errors, labels, sureness, checks, a judge, conversations."""
    metrics = json.loads((run / "metrics.json").read_text())
    for arm, facts in metrics["arms"].items():
        facts |= {"model": None, "shots_by": "seed", "prompts": ["qa-short-1"], "errors": {}, "selective": None}
        reads = facts["retrieval"] != "none"
        metrics["metrics"] += [
            row(arm, "k_precision", 0.72 if reads else None, 15 if reads else 0),
            row(arm, "corpus_bleu", 0.31),
            row(arm, "gold_loglik", -1.5),
            row(arm, "judge_correctness", 0.5),
        ]
    arms = metrics["arms"]
    arms["few_shot"] |= {"model": "hosted", "shots_by": "similarity", "errors": {f"HTTP 429 {HOSTILE}": 3, "gone": 1}}
    arms["rag"] |= {"prompts": ["qa-short-1", "qa-plain-1"], "labels_said": labels_said(0.33335, 2)}
    arms["rag"]["selective"] = selective("rag", {"arm": "rag", "metric": "token_f1", "difference": 0.15, "n": 18,
                                                 "interval": interval(0.05, 0.25)})  # fmt: skip
    arms["prompt"] |= {"selective": selective("prompt", None), "truncated_share": None}
    metrics["task"]["unaided"] = UNAIDED
    metrics["data"]["checks"] = CHECKS
    metrics["signatures"] = {"corpus_bleu": "nrefs:2|case:mixed|eff:no|tok:13a"}
    jsonl.write_json(run / "metrics.json", metrics | {"judge": JUDGE})
    comparison = json.loads((run / "comparison.json").read_text())
    for estimate in comparison["estimates"]:
        if (estimate["arm"], estimate["metric"]) == ("rag", "token_f1"):
            estimate["prompt_means"] = [["qa-short-1", 0.5], [HOSTILE, 0.75]]
    change(run / "comparison.json", estimates=comparison["estimates"])
    add_conversation(run)
    return run


def add_conversation(run: Path) -> None:
    """Give the first question a turn before it, and let the first answer of few_shot be one that was not got."""
    examples = [item for _, item in jsonl.read_rows(run / "examples.jsonl")]
    examples[0]["history"] = [{"input": f"Before? {HOSTILE}", "output": "So it was."}]
    jsonl.write_rows(run / "examples.jsonl", examples)
    answers = [item for _, item in jsonl.read_rows(run / "answers" / "few_shot.jsonl")]
    answers[0] |= {"text": "", "finish_reason": "error", "error": "HTTP 429"}
    jsonl.write_rows(run / "answers" / "few_shot.jsonl", answers)
