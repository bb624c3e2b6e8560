"""Loading a run folder: every fault names its file and key, and nothing is filled in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from report_runs import MINIMAL, Json, add_everything, change, write_run

from ragft import jsonl
from ragft.errors import RagftError
from ragft.report import load_report

FILES = ("manifest.json", "metrics.json", "comparison.json", "verdict.json", "examples.jsonl", "scores.jsonl",
         "passages.jsonl", "config.yaml", "answers/prompt.jsonl")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    (run / name).unlink()
    with pytest.raises(RagftError, match=re.escape(str(run / name))):
        load_report(run)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("metrics.json", {"arms": {}}, "the run has no arms"),
        ("metrics.json", {"arms": {"../prompt": {}}}, "cannot be the name of a file"),
        (
            "metrics.json",
            {"arms": {"prompt": {"latency_s_p50": "fast"}}},
            "arms.prompt.latency_s_p50: expected a finite number, found str",
        ),
        ("verdict.json", {"headline": None}, "headline: expected a string, found nothing"),
        ("verdict.json", {"excluded": ["rag"]}, r"excluded\[0\]: expected a pair"),
        ("comparison.json", {"contrasts": [{"first": "rag"}]}, "not a comparison"),
    ],
)
def test_a_broken_file_is_named_with_its_key(tmp_path: Path, name: str, change: Json, words: str) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    jsonl.write_json(run / name, {**json.loads((run / name).read_text()), **change})
    with pytest.raises(RagftError, match=words) as raised:
        load_report(run)
    assert name in str(raised.value)


def test_a_number_that_an_answer_lacks_is_an_error_and_not_zero(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    rows = [row for _, row in jsonl.read_rows(run / "answers" / "prompt.jsonl")]
    jsonl.write_rows(run / "answers" / "prompt.jsonl", [rows[0], {**rows[1], "output_tokens": None}])
    with pytest.raises(RagftError, match=r"prompt\.jsonl:2\.output_tokens: expected a finite number, found nothing"):
        load_report(run)


def test_what_only_newer_runs_have_is_read(tmp_path: Path) -> None:
    data = load_report(add_everything(write_run(tmp_path / "run", n=20)))
    rag = next(arm for arm in data.arms if arm.name == "rag")
    assert (rag.memory_gb, rag.leaves_machine, rag.index_seconds, rag.training_seconds) == (0.8, True, 12.5, None)
    assert rag.cost is not None and (rag.cost.currency, rag.cost.per_1000) == ("EUR", 3.2)
    assert data.seed_means("raft") == (0.611, 0.702, 0.733) and data.seed_means("rag") == ()
    assert data.gates is not None and data.gates.baseline == "main, made 2026-11-20"
    assert data.sweep is not None and data.sweep.parameters == (("retrieval.top_k", ("1", "3", "5")),)
    assert data.sweep.trials[0].values == (("retrieval.top_k", "1"),)


def test_what_only_newer_runs_have_may_be_missing(tmp_path: Path) -> None:
    data = load_report(write_run(tmp_path / "run", MINIMAL, n=20, full=False))
    assert (data.gates, data.sweep, data.prices, data.limits) == (None, None, (), ())
    assert (data.verdict.not_comparable, data.verdict.sensitivity) == ((), ())
    assert all(arm.cost is None and arm.memory_gb is None for arm in data.arms)


def test_gates_without_a_gate_are_no_gates(tmp_path: Path) -> None:
    run = add_everything(write_run(tmp_path / "run", n=20))
    change(run / "gates.json", gates=[], status="passed", baseline=None)
    assert load_report(run).gates is None


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("gates.json", {"gates": [{"number": 1}]}, r"gates\[0\]\.kind: expected a string, found nothing"),
        ("sweep.json", {"trials": [{"number": "one"}]}, r"trials\[0\]\.number: expected a finite number, found str"),
        ("sweep.json", {"parameters": [1]}, "parameters: expected an object, found list"),
        ("verdict.json", {"sensitivity": [{"subject": "margin"}]}, r"sensitivity\[0\]\.sentence: expected a string"),
    ],
)
def test_a_broken_newer_file_is_named_with_its_key(tmp_path: Path, name: str, values: Json, words: str) -> None:
    run = add_everything(write_run(tmp_path / "run", n=20))
    change(run / name, **values)
    with pytest.raises(RagftError, match=words) as raised:
        load_report(run)
    assert name in str(raised.value)
