"""The baseline file and the run folder that stands in for one; JUnit, Markdown and what GitHub is told."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallExperiment, read
from gate_evidence import HALF, IDS, N, evidence, rebound
from rich.console import Console

from ragft import jsonl
from ragft.config import LatencyGate, MetricGate, RegressionGate, VerdictGate
from ragft.console import Terminal
from ragft.console.gates import SUMMARY_BYTES, append_step_summary, gates_table, tell_github, workflow_commands
from ragft.errors import DataError
from ragft.evaluation.clustering import cluster_of
from ragft.gates import (
    GateReport,
    GateResult,
    baseline_of,
    check_target,
    judge,
    read_baseline,
    read_evidence,
    render_junit,
    write_baseline,
)
from ragft.records import Example

Change = Callable[[dict[str, Any]], Any]

# --- the file


def test_a_baseline_survives_its_file(tmp_path: Path) -> None:
    thirds = tuple(i / 3 for i in range(N))
    made = evidence({"base": HALF, "rag": thirds, "mute": (None,) * N}, decision="not_decided", shipped=None)
    written = write_baseline(tmp_path / "baselines" / "main.json", made)
    back = read_baseline(tmp_path / "baselines" / "main.json")
    assert back == written == baseline_of(made)
    assert back.source == str(tmp_path / "baselines" / "main.json")
    assert (back.arms["rag"].scores["q01"], back.arms["rag"].n) == (0.333333, N)
    assert (back.arms["mute"].mean, back.arms["mute"].n) == (None, 0)


def test_the_same_evidence_gives_the_same_bytes(tmp_path: Path) -> None:
    made = evidence()
    turned = replace(
        made,
        scores={arm: dict(reversed(of.items())) for arm, of in reversed(made.scores.items())},
        clusters=dict(reversed(made.clusters.items())),
        hardware=dict(reversed(made.hardware.items())),
    )
    write_baseline(tmp_path / "a.json", made)
    write_baseline(tmp_path / "b.json", turned)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    write_baseline(tmp_path / "c.json", baseline_evidence_again(tmp_path / "a.json", made))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "c.json").read_bytes()


def baseline_evidence_again(path: Path, made: Any) -> Any:
    """Return the evidence with the scores that the file holds: rounding twice must change nothing."""
    return replace(made, scores={arm: of.scores for arm, of in read_baseline(path).arms.items()})


def test_the_file_is_small_and_a_change_of_one_arm_is_few_lines(tmp_path: Path) -> None:
    ids = [f"question-{i:03}" for i in range(100)]
    scores = {f"arm_{a}": {id: ((a + i) % 7) / 7 for i, id in enumerate(ids)} for a in range(8)}
    made = evidence(scores={}, clusters={id: f"document:{id}-and-its-name" for id in ids})
    made = replace(made, scores=scores, latency_s={})
    write_baseline(tmp_path / "a.json", made)
    assert (tmp_path / "a.json").stat().st_size < 40_000
    write_baseline(tmp_path / "b.json", replace(made, scores={**scores, "arm_3": dict.fromkeys(ids, 1.0)}))
    one, two = ((tmp_path / name).read_text().splitlines() for name in ("a.json", "b.json"))
    assert [line.split(":")[0].strip() for line, other in zip(one, two, strict=True) if line != other] == [
        '"mean"',
        '"scores"',
    ]


def spoiled(path: Path, change: Change) -> Path:
    """Write a good baseline with one thing changed."""
    write_baseline(path, evidence())
    content = read(path)
    change(content)
    jsonl.write_json(path, content)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(kind="something"), "not a ragft baseline"),
        (lambda c: c.update(schema_version=2), "schema version 2; this ragft reads up to 1"),
        (lambda c: c.update(schema_version=0), "expected a whole number from 1, found 0"),
        (lambda c: c.update(schema_version=True), "schema_version: expected int, found bool"),
        (lambda c: c.pop("decision"), "decision: expected str, found NoneType"),
        (lambda c: c.update(decision="perhaps"), "'perhaps' is none of ship"),
        (lambda c: c.update(arms={}), "needs at least one arm"),
        (lambda c: c["example_ids"].pop(), "39 example_ids and 40 clusters"),
        (lambda c: c["example_ids"].__setitem__(1, "q00"), "40 example_ids and 40 clusters"),
        (lambda c: c["arms"]["rag"]["scores"].pop(), "arms.rag: 39 scores for 40 example_ids"),
        (lambda c: c["arms"]["rag"]["scores"].__setitem__(0, "1"), "scores: q00: expected a finite number, found '1'"),
        (lambda c: c["arms"]["rag"]["scores"].__setitem__(0, 0.0), "has 40 scores with mean 0.475"),
        (lambda c: c["arms"]["rag"].update(mean=0.9), "says n 40 and mean 0.9"),
        (lambda c: c["arms"]["rag"].update(n=41), "says n 41"),
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_refused_with_what_was_found(tmp_path: Path, change: Change, message: str) -> None:
    path = spoiled(tmp_path / "b.json", change)
    with pytest.raises(DataError) as caught:
        read_baseline(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert caught.value.hint


def test_broken_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"kind": \n oops')
    with pytest.raises(DataError, match=r"b\.json:2: not valid JSON"):
        read_baseline(tmp_path / "b.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="expected an object, found list"):
        read_baseline(tmp_path / "list.json")
    with pytest.raises(DataError, match="no such file"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(DataError, match="not a run folder"):
        read_baseline(tmp_path)


def test_a_target_is_checked_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        check_target(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        check_target(tmp_path / "file" / "main.json")
    check_target(tmp_path / "new" / "main.json")
    assert not (tmp_path / "new" / "main.json").exists()


# --- the run folder


def test_a_run_folder_is_the_baseline_that_its_evidence_writes(built: SmallExperiment, tmp_path: Path) -> None:
    run = built.first_run
    made = read_evidence(run)
    write_baseline(tmp_path / "main.json", made)
    assert read_baseline(run) == read_baseline(tmp_path / "main.json")


def test_the_evidence_of_a_run_is_what_its_records_say(built: SmallExperiment) -> None:
    run = built.first_run
    made, metrics, verdict = read_evidence(run), read(run / "metrics.json"), read(run / "verdict.json")
    assert (made.decision, made.shipped) == (verdict["decision"], verdict["arm"])
    assert set(made.scores) == set(built.config["compare"]["arms"]) == set(made.fingerprints.arms)
    values = {(r["arm"], r["metric"]): r["value"] for r in metrics["metrics"]}
    for arm, scores in made.scores.items():
        assert sum(scores.values()) / len(scores) == pytest.approx(values[arm, metrics["primary_metric"]])
        assert made.latency_s[arm] == metrics["arms"][arm]["latency_s_p50"]
    assert made.fingerprints.task == "qa"
    assert (made.fingerprints.metric, made.fingerprints.metric_version) == ("token_f1", 2)
    assert "platform" not in made.hardware
    assert made.hardware["cores"] >= 1


def test_arms_that_differ_in_their_prompt_alone_have_fingerprints_of_their_own(built: SmallExperiment) -> None:
    prints = read_evidence(built.first_run).fingerprints.arms
    assert len(set(prints.values())) == len(prints)


def test_a_run_passes_against_itself(built: SmallExperiment) -> None:
    run = built.first_run
    gates = (
        RegressionGate(kind="no_regression"),
        VerdictGate(kind="verdict"),
        LatencyGate(kind="latency", max_ratio=1.0),
    )
    found = judge(gates, read_evidence(run), read_baseline(run))
    assert found is not None
    assert found.status == "passed"
    assert {r.details["p_value"] for r in found.results if r.kind == "no_regression"} == {1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "started"}, r"unfinished run \(status 'started'\)"),
        ({"status": "failed"}, r"unfinished run \(status 'failed'\)"),
        ({"command": "finetune"}, "a run of `ragft finetune`, not of `ragft compare`"),
        ({"schema_version": 99}, "run folder of schema version 99"),
        ({"schema_version": "1"}, "expected a whole number from 1, found '1'"),
        ({"hardware": None}, "hardware: expected dict, found NoneType"),
    ],
)
def test_another_run_folder_is_refused(
    built: SmallExperiment, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    copy = copied(built.first_run, tmp_path)
    jsonl.write_json(copy / "manifest.json", {**read(copy / "manifest.json"), **change})
    with pytest.raises(DataError, match=message):
        read_baseline(copy)


@pytest.mark.parametrize("name", ["metrics.json", "verdict.json", "comparison.json", "scores.jsonl", "examples.jsonl"])
def test_a_run_folder_that_lacks_a_file_is_refused_by_its_name(
    built: SmallExperiment, tmp_path: Path, name: str
) -> None:
    copy = copied(built.first_run, tmp_path)
    (copy / name).unlink()
    with pytest.raises(DataError, match=f"{name}: no such file"):
        read_baseline(copy)


def copied(run: Path, target: Path) -> Path:
    """Return a copy of the records that gates read."""
    for path in (*run.glob("*.json"), *run.glob("*.jsonl")):
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_scores_of_several_training_seeds_are_averaged(built: SmallExperiment, tmp_path: Path) -> None:
    copy = copied(built.first_run, tmp_path)
    rows = [row for _, row in jsonl.read_rows(copy / "scores.jsonl")]
    tuned = [row for row in rows if row["arm"] == "finetuned" and row["metric"] == "token_f1"]
    others = [row for row in rows if row not in tuned]
    one, two, three = (row["example_id"] for row in tuned[:3])
    seeds = [
        {**tuned[0], "example_id": id, "seed": seed, "value": value}
        for id, seed, value in ((one, 1, 0.0), (one, 2, 1.0), (two, 1, 1.0), (three, 1, 0.5), (three, 2, None))
    ]
    jsonl.write_rows(copy / "scores.jsonl", [*others, *seeds])
    # The second lacks a seed and the third could not be scored with one: neither is an average of the same seeds.
    assert read_evidence(copy).scores["finetuned"] == {one: 0.5}


@pytest.mark.parametrize(
    "example",
    [
        Example("a", "?", ("x",), ("d1", "d2"), group="g"),
        Example("b", "?", ("x",), (), group="g"),
        Example("c", "?", (), (), answerable=False),
    ],
)
def test_clusters_follow_the_rule_of_the_comparison(built: SmallExperiment, tmp_path: Path, example: Example) -> None:
    # A second rule that drifted from the first would pair the same and test on other clusters.
    copy = copied(built.first_run, tmp_path)
    jsonl.write_rows(copy / "examples.jsonl", [example])
    assert read_evidence(copy).clusters == {example.id: cluster_of(example)}


# --- JUnit

ODD = GateReport(
    (
        GateResult(1, "metric", 'a <b> & "c" \x00\x1b\ud800\ufffe', "passed", "fine"),
        GateResult(2, "data", "second", "failed", "1 < 2 & \x07 new\nline ]]>"),
        GateResult(3, "verdict", "third", "not_comparable", "naïve 🦆"),
    )
)


def junit(report: GateReport, **changes: Any) -> ET.Element:
    request: dict[str, Any] = {"name": "small", "created_at": "2026-01-02T05:04:05.678+02:00", **changes}
    return ET.fromstring(render_junit(report, **request).encode())


def test_junit_counts_and_tells() -> None:
    root = junit(ODD, seconds=12.5, properties={"run": "2026"})
    (suite,) = root
    assert (root.tag, root.attrib, suite.tag) == ("testsuites", {}, "testsuite")
    counted = {key: suite.attrib[key] for key in ("tests", "failures", "errors", "skipped", "time", "timestamp")}
    assert counted == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
        "time": "12.500",
        "timestamp": "2026-01-02T03:04:05",
    }
    assert [child.tag for child in suite] == ["properties", *["testcase"] * 3, "system-out", "system-err"]
    assert {p.attrib["name"]: p.attrib["value"] for p in suite[0]} == {"status": "failed", "run": "2026"}
    cases = suite.findall("testcase")
    assert [case.attrib["classname"] for case in cases] == [
        "ragft.small.metric",
        "ragft.small.data",
        "ragft.small.verdict",
    ]
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["error"]]


def test_junit_holds_odd_names_and_what_xml_cannot_hold() -> None:
    cases = junit(ODD, name="a\x0bb").findall(".//testcase")
    assert cases[0].attrib["name"] == 'gate 1: a <b> & "c" \ufffd\ufffd\ufffd\ufffd'
    assert cases[0].attrib["classname"] == "ragft.a\ufffdb.metric"
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.text == failure.attrib["message"] == "1 < 2 & \ufffd new\nline ]]>"
    assert "🦆" in (ET.tostring(cases[2], encoding="unicode"))


def test_junit_names_the_baseline() -> None:
    found = judge([], evidence(), baseline_of(evidence(), "baselines/main.json"))
    assert found is not None
    values = {p.attrib["name"]: p.attrib["value"] for p in junit(found).iter("property")}
    assert values["baseline"] == "baselines/main.json"
    assert values["baseline_created_at"] == "2026-01-02T03:04:05+00:00"


# --- the terminal and GitHub


def test_the_table_shows_every_gate_as_text() -> None:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    odd = GateReport((GateResult(1, "metric", "[red]t", "failed", "[/] m"), *ODD.results[2:]))
    console.print(gates_table(odd))
    shown = console.export_text()
    assert "[red]t" in shown
    assert "[/] m" in shown
    assert "could not be compared" in shown


def test_annotations_are_escaped_as_the_runner_reads_them() -> None:
    found = GateReport((GateResult(1, "metric", "50%: a,b", "failed", "5%, x: y\r\nz"), ODD.results[2]))
    assert workflow_commands(found) == [
        "::error title=Gate failed%3A 50%25%3A a%2Cb::5%25, x: y%0D%0Az",
        "::error title=Gate could not be compared%3A third::naïve 🦆",
    ]


def test_a_pass_is_one_notice() -> None:
    found = judge([MetricGate(kind="metric", arm="rag", min=0.1)], evidence(), None)
    assert found is not None
    assert workflow_commands(found) == ["::notice title=Gates passed::1 gate checks passed."]


@pytest.mark.parametrize(("n", "last"), [(10, "t9"), (12, "3 more gate checks did not pass")])
def test_no_more_annotations_than_github_shows(n: int, last: str) -> None:
    lines = workflow_commands(GateReport(tuple(GateResult(i, "metric", f"t{i}", "failed", "m") for i in range(n))))
    assert len(lines) == 10
    assert last in lines[-1]


def test_the_summary_is_appended_and_only_where_there_is_one(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    assert append_step_summary("# one", {}) is None
    assert append_step_summary("# one", {"GITHUB_STEP_SUMMARY": str(summary)}) is None
    assert append_step_summary("# two \ud800\n", {"GITHUB_STEP_SUMMARY": str(summary)}) is None
    assert summary.read_text(encoding="utf-8") == "# one\n\n# two ?\n\n"


@pytest.mark.parametrize("name", ["/no/such/folder/summary.md", "{folder}", "nul\0l"])
def test_a_summary_that_cannot_be_written_fails_nothing(tmp_path: Path, name: str) -> None:
    trouble = append_step_summary("# one", {"GITHUB_STEP_SUMMARY": name.format(folder=tmp_path)})
    assert trouble is not None
    assert trouble.startswith("the job summary could not be written: ")


def test_a_summary_too_large_for_github_is_cut_to_fit(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("x" * 1000)
    trouble = append_step_summary("é line\n" * 300_000, {"GITHUB_STEP_SUMMARY": str(summary)})
    assert trouble == "the job summary was cut: GitHub shows at most 1023 kB"
    assert SUMMARY_BYTES - 100 < summary.stat().st_size <= 1024 * 1024
    assert summary.read_text(encoding="utf-8").endswith("é line\n\n(cut)\n\n")
    assert append_step_summary("more\n" * 9, {"GITHUB_STEP_SUMMARY": str(summary)}) is not None
    assert summary.stat().st_size <= 1024 * 1024


def test_github_is_told_on_stderr_and_in_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")}
    long = replace(ODD.results[1], message="word " * 100)
    tell_github(GateReport((long,)), "# The report", environment, Terminal())
    out, err = capsys.readouterr()
    assert out == ""  # it may carry JSON
    assert err == f"::error title=Gate failed%3A second::{'word ' * 100}\n"  # a wrapped line would be cut
    assert (tmp_path / "s.md").read_text(encoding="utf-8") == "# The report\n\n"


def test_elsewhere_nobody_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_github(ODD, "# The report", {}, Terminal())
    assert capsys.readouterr() == ("", "")
    tell_github(None, "# The report", {"GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")}, Terminal())
    assert (tmp_path / "s.md").read_text() == "# The report\n\n"


def test_evidence_bound_elsewhere_ends_as_an_error_in_junit(tmp_path: Path) -> None:
    write_baseline(tmp_path / "main.json", evidence())
    found = judge([], rebound(evidence(), examples="other"), read_baseline(tmp_path / "main.json"))
    assert found is not None
    assert (found.status, len(junit(found).findall(".//error"))) == ("not_comparable", 1)
    assert json.loads((tmp_path / "main.json").read_text())["example_ids"] == list(IDS)
