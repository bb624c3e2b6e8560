"""`compare` as continuous integration uses it: baselines, gates, exit codes, JUnit, and the same numbers twice."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallExperiment, read

NO_REGRESSION = {"kind": "no_regression"}
UNREACHABLE = {"kind": "metric", "arm": "base", "min": 0.99}


def gated(experiment: SmallExperiment, *gates: dict[str, Any] | str) -> SmallExperiment:
    experiment.config["compare"] |= {"gates": list(gates), "arms": {"base": {}, "rag": {"retrieval": "index"}}}
    experiment.config["compare"]["contrasts"] = [["rag", "base"]]
    experiment.config["adapters"] = {}
    return experiment.save()


def test_a_gate_that_passes_one_that_fails_and_one_that_cannot_compare(
    experiment: SmallExperiment, tmp_path: Path
) -> None:
    baseline = tmp_path / "baselines" / "main.json"
    gated(experiment, NO_REGRESSION, {"kind": "verdict"}, "data")
    without = experiment.run("compare")
    assert without.exit_code == 4  # nothing to compare with: never a pass
    assert read(experiment.latest_run() / "gates.json")["status"] == "not_comparable"
    assert len(ET.parse(experiment.latest_run() / "junit.xml").findall(".//error")) == 2

    assert experiment.run("compare", "--write-baseline", str(baseline)).exit_code == 0
    passed = experiment.run("compare", "--baseline", str(baseline))
    assert passed.exit_code == 0, passed.output
    suite = ET.parse(experiment.latest_run() / "junit.xml")
    assert len(suite.findall(".//testcase")) == 4  # two arms, the verdict, the data
    assert suite.findall(".//failure") == suite.findall(".//error") == []

    failed = gated(experiment, UNREACHABLE, NO_REGRESSION).run("compare", "--baseline", str(baseline))
    assert failed.exit_code == 3
    assert "base token_f1 at least 0.990" in failed.stderr
    assert len(ET.parse(experiment.latest_run() / "junit.xml").findall(".//failure")) == 1


def test_the_run_of_a_failed_gate_has_succeeded_and_can_be_a_baseline(experiment: SmallExperiment) -> None:
    assert gated(experiment, UNREACHABLE).run("compare", "--tag", "first").exit_code == 3
    manifest = read(experiment.latest_run() / "manifest.json")
    assert (manifest["status"], manifest["tags"]) == ("success", ["first"])
    gated(experiment, NO_REGRESSION)
    assert experiment.run("compare", "--baseline", "first").exit_code == 0
    assert experiment.run("compare", "--baseline", "latest").exit_code == 0


def test_a_baseline_of_other_questions_cannot_be_compared(experiment: SmallExperiment, tmp_path: Path) -> None:
    baseline = tmp_path / "main.json"
    gated(experiment, NO_REGRESSION).run("compare", "--write-baseline", str(baseline))
    rows = [json.loads(line) for line in (experiment.folder / "eval.jsonl").read_text().splitlines()]
    rows[0]["references"] = ["1901"]
    experiment.rows("eval", rows)
    result = experiment.run("compare", "--baseline", str(baseline))
    assert result.exit_code == 4
    assert read(experiment.latest_run() / "gates.json")["status"] == "not_comparable"


def test_a_file_that_is_no_baseline_is_refused_before_any_work(experiment: SmallExperiment) -> None:
    result = gated(experiment, NO_REGRESSION).run("compare", "--baseline", str(experiment.file))
    assert result.exit_code == 1
    assert not (experiment.folder / "runs").exists()


def test_github_gets_annotations_and_a_summary(
    experiment: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = gated(experiment, UNREACHABLE).run("compare", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["gates"]["status"] == "failed"  # nothing else stands on stdout
    assert "::error title=Gate failed%3A base token_f1" in result.stderr
    assert summary.read_text() == (experiment.latest_run() / "report.md").read_text() + "\n"
    assert "failed" in summary.read_text()


def test_arms_that_cannot_be_compared_end_with_4_although_the_report_is_written(experiment: SmallExperiment) -> None:
    experiment.config["compare"] |= {"limits": {"truncated_share": 0.5}}
    result = gated(experiment).run("compare")
    assert result.exit_code == 4
    run = experiment.latest_run()
    assert read(run / "verdict.json")["decision"] == "not_comparable"
    assert "cut off" in (run / "report.html").read_text()


TIMES = {"latency_s_p50", "seconds", "seconds_per_question", "retrieval_seconds_p50", "training_seconds"}
TIMES |= {"index_seconds", "train_runtime", "train_samples_per_second", "train_steps_per_second", "eval_runtime"}
TIMES |= {"eval_samples_per_second", "eval_steps_per_second", "reused", "retrieval_seconds", "build_seconds", "cost"}
TIMES |= {"retrieval_seconds_mean"}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def test_the_same_file_in_two_fresh_workspaces_gives_the_same_numbers(experiment: SmallExperiment) -> None:
    runs = []
    for number in (1, 2):
        folder = experiment.folder / str(number)
        places = ["--workspace", str(folder / ".ragft"), "--runs-dir", str(folder / "runs")]
        from typer.testing import CliRunner

        from ragft.cli import app

        result = CliRunner().invoke(app, ["compare", str(experiment.file), "--json", *places])
        assert result.exit_code == 0, result.output
        runs.append(Path(json.loads(result.stdout)["run"]))
    for name in ("metrics.json", "comparison.json"):
        first, second = (without_times(read(run / name)) for run in runs)
        assert first == second
    for name in ("scores.jsonl", "examples.jsonl", "passages.jsonl"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes()


def test_prices_put_a_cost_beside_every_arm(experiment: SmallExperiment) -> None:
    prices = {"currency": "EUR", "machine_hour": 3600.0, "label": 2.0, "queries_per_day": 10, "horizon_days": 100}
    experiment.config["compare"] |= {"prices": prices, "arms": {"base": {}, "finetuned": {"adapter": "closed_book"}}}
    experiment.config["compare"]["contrasts"] = []
    run = experiment.save().compare()
    arms = read(run / "metrics.json")["arms"]
    base, tuned = arms["base"], arms["finetuned"]
    # One euro a second: a thousand queries cost a thousand times the seconds of one.
    assert base["cost"]["per_1000"] == pytest.approx(1000 * base["seconds_per_question"])
    assert tuned["cost"]["one_off"] == pytest.approx(16 * 2.0 + tuned["training_seconds"])
    assert tuned["cost"]["per_1000"] == pytest.approx(1000 * tuned["seconds_per_question"] + tuned["cost"]["one_off"])
    assert "EUR" in (run / "report.html").read_text()
