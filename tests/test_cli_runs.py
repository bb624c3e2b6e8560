"""The commands about runs as a user meets them: what is printed, on which stream, with which exit code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallExperiment, read
from test_archive import example, make_run, score, scored_run
from typer.testing import CliRunner, Result

from ragft import jsonl, provenance
from ragft.cli import app
from ragft.console.runs import size
from ragft.report import load_report, render_html, render_markdown


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, so that no run is found by where the tests happen to run."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def invoke(*arguments: str | Path, runs_dir: Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--runs-dir", str(runs_dir)])


def said(*arguments: str | Path, runs_dir: Path) -> str:
    """Return what a command that must end well prints on stdout."""
    result = invoke(*arguments, runs_dir=runs_dir)
    assert (result.exit_code, result.exception) == (0, None), result.output
    return result.stdout


def lines(text: str) -> list[str]:
    """Return the lines that hold something, with runs of spaces as one."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]


def a_shipped_run(runs_dir: Path, end: str = "aaaaaaaa", day: int = 1, **facts: Any) -> Path:
    path = make_run(runs_dir, end, day, **facts)
    verdict = {"decision": "ship", "arm": "rag", "confidence": "high", "headline": "Ship rag."}
    interval = {"low": 0.4, "high": 0.6, "level": 0.95, "method": "wilson"}
    rows: list[dict[str, Any]] = [
        {"arm": "base", "metric": "f1", "value": 0.25, "interval": None},
        {"arm": "rag", "metric": "f1", "value": 0.5, "interval": interval},
        {"arm": "rag", "metric": "cites", "value": 1.0, "interval": None},
        {"arm": "retrieval:dense", "metric": "mrr", "value": 0.9, "interval": None},
    ]
    data = {"documents": 3, "train": 2, "dev": 1, "eval": 4}
    jsonl.write_json(path / "verdict.json", verdict)
    jsonl.write_json(path / "metrics.json", {"primary_metric": "f1", "metrics": rows, "data": data})
    jsonl.write_rows(path / "events.jsonl", [{"event": "stage_finished", "stage": "ask rag", "seconds": 1234.5}])
    return path


# ------------------------------------------------------------------------------------------------------------- list


def test_a_run_shows_each_probe_in_a_line_and_names_a_broken_one(tmp_path: Path) -> None:
    run = a_shipped_run(tmp_path)
    (run / "probes").mkdir()
    found = {"title": "Context", "status": "measured", "findings": ["rag is best with [5] passages.", "And more."]}
    jsonl.write_json(run / "probes" / "context.json", found)
    jsonl.write_json(run / "probes" / "cost.json", {"title": "Cost", "status": "skipped", "reason": "no prices"})
    jsonl.write_json(run / "probes" / "label_budget.json", {"title": "Label budget", "findings": ["More is better."]})
    (run / "probes" / "phrasing.json").write_text("{")
    shown = lines(said("runs", "show", "latest", runs_dir=tmp_path))
    assert "Context rag is best with [5] passages." in shown and "Cost skipped: no prices" in shown
    assert any("probes/phrasing.json: not valid JSON" in line for line in shown)
    listed = json.loads(said("runs", "show", "latest", "--json", runs_dir=tmp_path))["probes"]
    assert [(one["probe"], one["skipped"], one["said"]) for one in listed] == [
        ("label_budget", False, "More is better."),
        ("context", False, "rag is best with [5] passages."),
        ("cost", True, "no prices"),
    ]


def test_the_list(tmp_path: Path) -> None:
    a_shipped_run(tmp_path, tags=["best", "ci"])
    make_run(tmp_path, "bbbbbbbb", 2, status="started", finished_at=None, command="rag-query")
    broken = make_run(tmp_path, "cccccccc", 3)
    (broken / "manifest.json").write_text("{")
    text = lines(said("runs", "list", runs_dir=tmp_path))
    assert text[0] == "run started (UTC) command experiment (tags) status ships score took size"
    assert text[1] == "cccccccc 2026-11-03 10:00 unreadable 13 B"  # {, and a config.yaml of 12 bytes
    assert re.fullmatch(r"bbbbbbbb 2026-11-02 10:00 rag-query quick unfinished \d+ B", text[2])
    assert re.fullmatch(r"aaaaaaaa 2026-11-01 10:00 compare quick \(best, ci\) success rag 0.500 60 s 1.\d kB", text[3])
    reason = "manifest.json: not valid JSON: Expecting property name enclosed in double quotes (line 1, column 2)"
    assert text[4:] == ["Unreadable", f"• {broken.name}: {reason}"]


def test_the_list_as_json(tmp_path: Path) -> None:
    path = a_shipped_run(tmp_path, tags=["best"])
    (row,) = json.loads(said("runs", "list", "--json", runs_dir=tmp_path))
    assert row.pop("size_bytes") == sum(file.stat().st_size for file in path.iterdir())
    assert row == {
        "id": path.name,
        "short_id": "aaaaaaaa",
        "path": str(path),
        "started_at": "2026-11-01T10:00:00+00:00",
        "command": "compare",
        "experiment": "quick",
        "status": "success",
        "fault": None,
        "decision": "ship",
        "arm": "rag",
        "primary_metric": "f1",
        "score": 0.5,
        "tags": ["best"],
        "seconds": 60.0,
    }


def test_the_list_is_cut_and_says_so(tmp_path: Path) -> None:
    for day in range(1, 23):
        make_run(tmp_path, f"{day:08}", day)
    result = invoke("runs", "list", runs_dir=tmp_path)
    assert len(lines(result.stdout)) == 21
    assert result.stderr == "20 of 22 runs; --limit 0 shows them all\n"
    assert len(lines(said("runs", "list", "--limit", "0", runs_dir=tmp_path))) == 23
    assert [line[:8] for line in lines(said("runs", "list", "-n", "1", runs_dir=tmp_path))[1:]] == ["00000022"]


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        (["--experiment", "other"], ["bbbbbbbb"]),
        (["--command", "index"], ["bbbbbbbb"]),
        (["--status", "failed", "--status", "cancelled"], ["cccccccc"]),
        (["--tag", "best"], ["aaaaaaaa"]),
    ],
)
def test_the_list_can_be_narrowed(tmp_path: Path, conditions: list[str], found: list[str]) -> None:
    make_run(tmp_path, "aaaaaaaa", tags=["best"])
    make_run(tmp_path, "bbbbbbbb", experiment="other", command="index")
    make_run(tmp_path, "cccccccc", status="failed")
    rows = json.loads(said("runs", "list", "--json", *conditions, runs_dir=tmp_path))
    assert [row["short_id"] for row in rows] == found


def test_an_empty_list_says_why(tmp_path: Path) -> None:
    result = invoke("runs", "list", runs_dir=tmp_path)
    assert (result.exit_code, result.stdout, result.stderr.split()) == (0, "", ["no", "runs", "in", str(tmp_path)])
    make_run(tmp_path, "aaaaaaaa")
    said_then = invoke("runs", "list", "--tag", "no", runs_dir=tmp_path).stderr
    assert " ".join(said_then.split()).endswith("that meet the conditions (of 1)")
    assert json.loads(said("runs", "list", "--json", "--tag", "no", runs_dir=tmp_path)) == []


def test_a_status_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    assert invoke("runs", "list", "--status", "done", runs_dir=tmp_path).exit_code == 2


def test_the_list_imports_nothing_heavy(tmp_path: Path) -> None:
    a_shipped_run(tmp_path)
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom ragft.cli import app\n"
        f"assert CliRunner().invoke(app, ['runs', 'list', '--runs-dir', {str(tmp_path)!r}]).exit_code == 0\n"
        "print(sorted({'torch', 'numpy', 'yaml', 'ragft.config', 'ragft.evaluation'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# ------------------------------------------------------------------------------------------------------------- show


def test_the_page_of_a_run(tmp_path: Path) -> None:
    path = a_shipped_run(
        tmp_path,
        tags=["best"],
        argv=["/opt/ragft/__main__.py", "compare", "my file.yaml"],
        seeds={"experiment": 17},
        git={"commit": "0123456789abcdef", "dirty": True},
        hardware={"processor": "CPU", "cores": 1, "memory_bytes": 25_276_502_016, "platform": "Linux"},
        prompts=["qa-short-1"],
        inputs={"/gone/eval.jsonl": "0"},
        artifacts={"verdict.json": "0", "gone.json": "0"},
        status="failed",
        error="DataError: [red]not markup[/red]",
    )
    text = lines(said("runs", "show", "best", runs_dir=tmp_path))
    total = size(sum(file.stat().st_size for file in path.iterdir()))
    assert text == [
        f"{path.name} failed",
        f"folder {path}",
        "command ragft compare 'my file.yaml'",
        "started 2026-11-01 10:00:00 UTC, took 60 s",
        "experiment quick, seed 17",
        "tags best",
        "code ragft 1, commit 0123456789ab with uncommitted changes",
        "packages torch 2",
        "machine CPU, 1 core, 25 GB of memory, Linux",
        "prompts qa-short-1",
        "data 1 file: 3 documents, 2 train, 1 dev, 4 eval examples",
        f"files 2 files, {total} in all",
        "Verdict: Ship rag. (confidence: high)",
        "arm f1 (interval) cites",
        "base 0.250",
        "rag ← ship 0.500 [0.40, 0.60] 1.000",
        "retrieval mrr",
        "dense 0.900",
        "stage seconds",
        "ask rag 1,234.5",
        "Not as it should be",
        "• gone.json: in the manifest, not in the folder",
        "error: DataError: [red]not markup[/red]",
    ]


def test_the_page_of_a_run_as_json(tmp_path: Path) -> None:
    path = a_shipped_run(tmp_path)
    page = json.loads(said("runs", "show", "latest", "--json", runs_dir=tmp_path))
    assert page["manifest"] == read(path / "manifest.json")
    assert page["verdict"] == read(path / "verdict.json")
    assert page["metrics"] == read(path / "metrics.json")
    assert (page["status"], page["arm"], page["stages"]) == (
        "success",
        "rag",
        [{"name": "ask rag", "seconds": 1234.5}],
    )


def test_a_bare_run_has_a_page(tmp_path: Path) -> None:
    """A command that failed at once leaves a manifest and a configuration, and nothing else."""
    make_run(tmp_path, "aaaaaaaa", status="started", finished_at=None, hardware={}, packages={})
    assert "without a recorded end" in said("runs", "show", "latest", runs_dir=tmp_path)


def test_the_pages_of_index_and_finetune_show_what_they_measured(tmp_path: Path) -> None:
    index = make_run(tmp_path, "aaaaaaaa", command="index")
    row = {"arm": "retrieval:dense", "metric": "mrr", "mean": 0.5}
    jsonl.write_json(index / "metrics.json", {"index": {}, "retrieval": [row]})
    training = {"steps": 4, "train_loss": 1.25, "dev_loss": None, "seconds": 9.04}
    finetune = make_run(tmp_path, "bbbbbbbb", command="finetune")
    jsonl.write_json(finetune / "metrics.json", {"adapters": {"raft": {"recipe": "context", "training": training}}})
    assert lines(said("runs", "show", "aaaaaaaa", runs_dir=tmp_path))[-2:] == ["retrieval mrr", "dense 0.500"]
    page = lines(said("runs", "show", "bbbbbbbb", runs_dir=tmp_path))
    assert page[-2:] == ["adapter steps train loss dev loss seconds", "raft 4 1.250 n/a 9.0"]


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaaa", tags=["baseline"])
    result = invoke("runs", "show", "basline", runs_dir=tmp_path)
    message = f"error: there is no run 'basline' in {tmp_path}\n  try: did you mean baseline?\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)


# ------------------------------------------------------------------------------------------------------------- diff


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    questions = [example("e1", "[bold]When?"), example("e2"), example("e3", references=[])]
    old = [("e1", 0.0), ("e2", 1.0), ("e3", 1.0)]
    new = [("e1", 1.0), ("e2", 1.0), ("e3", 0.5)]
    still = [score("base", "e1", 0.5)]
    first = scored_run(tmp_path, "aaaaaaaa", questions, [score("rag", *row) for row in old] + still)
    second = scored_run(tmp_path, "bbbbbbbb", questions, [score("rag", *row) for row in new] + still)
    (second.path / "config.yaml").write_text("name: quick\nretrieval: {top_k: 4}\n")
    text = said("runs", "diff", "aaaaaaaa", "bbbbbbbb", runs_dir=tmp_path)
    assert lines(text) == [
        f"old {first.id}",
        f"new {second.id}",
        "the same in both: input files, data, environment, fingerprints, arms, verdict",
        "Configuration",
        "retrieval only in new: {top_k}",
        "Scores over the 3 examples that both runs asked alike",
        "arm metric old new change n higher lower",
        "rag f1 0.667 0.833 +0.167 3 1 1",
        "no score of any example moved in: base",
        "Examples that moved the most f1, all arms together",
        "e1 [bold]When?",
        "expected: yes",
        "rag 0.00 → 1.00 “a:rag:e1” → “b:rag:e1”",
        "e3 ?",
        "expected: no answer",
        "rag 1.00 → 0.50 “a:rag:e3” → “b:rag:e3”",
    ]
    assert "e3 ?" not in lines(said("runs", "diff", "aaaaaaaa", "bbbbbbbb", "--examples", "1", runs_dir=tmp_path))


def test_two_runs_as_json(tmp_path: Path) -> None:
    first = scored_run(tmp_path, "aaaaaaaa", [example("e1")], [score("rag", "e1", 0.0)])
    second = scored_run(tmp_path, "bbbbbbbb", [example("e1")], [score("rag", "e1", 1.0)])
    found = json.loads(said("runs", "diff", first.path, second.path, "--json", runs_dir=tmp_path))
    assert found["scores"] == [
        {
            "arm": "rag",
            "metric": "f1",
            "old_mean": 0.0,
            "new_mean": 1.0,
            "difference": 1.0,
            "n": 1,
            "n_unscored": 0,
            "n_higher": 1,
            "n_lower": 0,
        }
    ]
    assert found["examples"][0]["answers"][0]["new_text"] == "b:rag:e1"


def test_runs_without_scores_are_compared_in_the_rest(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaaa", command="index", packages={"torch": "2"})
    last = make_run(tmp_path, "bbbbbbbb", command="index", packages={"torch": "3"})
    jsonl.write_json(last / "metrics.json", {"retrieval": [{"arm": "retrieval:dense", "metric": "mrr", "mean": 0.5}]})
    text = lines(said("runs", "diff", "aaaaaaaa", "bbbbbbbb", runs_dir=tmp_path))
    assert "packages.torch 2 → 3" in text
    assert text[-1].startswith("no answers were scored in 20261101T100000Z-index-quick-aaaaaaaa and ")


# -------------------------------------------------------------------------------------------------- tag, prune


def test_tagging(tmp_path: Path) -> None:
    path = make_run(tmp_path, "aaaaaaaa")
    assert said("runs", "tag", "latest", "best", "ci", runs_dir=tmp_path) == f"{path.name}: best, ci\n"
    assert said("runs", "tag", "best", "ci", "--remove", runs_dir=tmp_path) == f"{path.name}: best\n"
    assert said("runs", "tag", "best", "best", "--remove", runs_dir=tmp_path) == f"{path.name}: no tags\n"
    result = invoke("runs", "tag", "latest", "No Good", runs_dir=tmp_path)
    hint = "a tag has up to 64 of a-z, 0-9, - and _, and begins with a letter or a digit"
    assert (result.exit_code, result.stderr) == (1, f"error: 'No Good' cannot be a tag\n  try: {hint}\n")


def test_prune_only_says_until_it_is_told_yes(tmp_path: Path) -> None:
    went = make_run(tmp_path, "aaaaaaaa", 1, status="failed")
    make_run(tmp_path, "bbbbbbbb", 2, status="failed", tags=["look"])
    ok = make_run(tmp_path, "cccccccc", 3)
    freed = size(sum(file.stat().st_size for file in went.iterdir()))
    dry = invoke("runs", "prune", "--status", "failed", runs_dir=tmp_path)
    assert lines(dry.stdout)[1].startswith("aaaaaaaa 2026-11-01 10:00 compare quick failed")
    assert lines(dry.stdout)[-1] == f"1 run would go, {freed} freed; nothing was removed: --yes removes them"
    assert dry.stderr == "stays in any case: 1 tagged\n"
    assert went.exists()
    done = said("runs", "prune", "--status", "failed", "--tagged", "--keep", "1", "--yes", runs_dir=tmp_path)
    assert lines(done)[-1] == f"removed 1 run, {freed} freed"
    assert not went.exists()
    assert ok.exists()
    assert said("runs", "prune", "--status", "failed", "--yes", runs_dir=tmp_path) == "no run meets the conditions\n"


def test_prune_as_json(tmp_path: Path) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    path = make_run(tmp_path, "aaaaaaaa", started_at=old.isoformat())
    make_run(tmp_path, "bbbbbbbb", started_at=(old + timedelta(days=20)).isoformat())
    found = json.loads(said("runs", "prune", "--older-than", "30", "--json", "--yes", runs_dir=tmp_path))
    assert (found["removed"], [row["id"] for row in found["runs"]]) == (True, [path.name])
    assert found["freed_bytes"] == found["runs"][0]["size_bytes"]
    assert [path.name[-8:] for path in tmp_path.iterdir()] == ["bbbbbbbb"]


def test_prune_needs_a_condition(tmp_path: Path) -> None:
    path = make_run(tmp_path, "aaaaaaaa")
    result = invoke("runs", "prune", "--yes", runs_dir=tmp_path)
    message = "error: nothing says which runs to remove\n  try: give --older-than DAYS, --keep N or --status failed\n"
    assert (result.exit_code, result.stderr) == (1, message)
    assert path.exists()


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9949, "9.9 kB"), (9950, "10 kB"), (999_600, "1.0 MB")],
)
def test_sizes_are_readable(n_bytes: int, text: str) -> None:
    assert size(n_bytes) == text


# ----------------------------------------------------------------------------------------------------------- report


def test_a_run_copied_elsewhere_reads_and_renders(built: SmallExperiment, tmp_path: Path) -> None:
    """Nothing of the place where it was made is there any more: not its folder, its workspace, its inputs."""
    home = tmp_path / "home"
    shutil.copytree(built.folder, home)
    moved = tmp_path / "other machine" / "runs" / "a new name"
    shutil.copytree(home / "runs" / built.first_run.name, moved)
    shutil.rmtree(home)
    replace_everywhere(moved, str(built.folder), "/a/place/that/is/gone")
    report = render_markdown(load_report(built.first_run)).replace(str(built.folder), "/a/place/that/is/gone")
    for name in ("report.html", "report.md"):
        (moved / name).unlink()
    runs_dir = moved.parent
    page = lines(said("runs", "show", "latest:small", runs_dir=runs_dir))
    assert page[0] == f"{built.first_run.name} success"
    assert [line for line in page if line.startswith("•")] == [
        f"• {name}: in the manifest, not in the folder" for name in ("report.html", "report.md")
    ]
    assert said("report", built.first_run.name, runs_dir=runs_dir) == f"report: {moved / 'report.html'}\n"
    assert (moved / "report.md").read_text(encoding="utf-8") == report
    artifacts = read(moved / "manifest.json")["artifacts"]
    for name in ("report.html", "report.md"):
        assert artifacts[name] == provenance.sha256_file(moved / name)
    text = said("runs", "diff", built.first_run, moved, runs_dir=runs_dir)
    assert "the same in both: input files, data, environment, fingerprints, arms, verdict" in text
    assert "no score of any example moved in: base, few_shot, rag, finetuned, raft_rag, oracle" in text


def replace_everywhere(folder: Path, old: str, new: str) -> None:
    """Replace a path in the texts of a run: whoever follows it now finds nothing."""
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".yaml"):
            path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_a_report_written_elsewhere_leaves_the_run_as_it_is(built: SmallExperiment, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.first_run.rglob("*")}
    place = tmp_path / "new" / "place"
    found = json.loads(said("report", built.first_run, "--output", place, "--json", runs_dir=tmp_path))
    assert found == {"run": str(built.first_run), "files": [str(place / "report.html"), str(place / "report.md")]}
    data = load_report(built.first_run)
    assert (place / "report.html").read_text(encoding="utf-8") == render_html(data)
    assert (place / "report.md").read_text(encoding="utf-8") == render_markdown(data)
    assert {path: path.stat().st_mtime_ns for path in built.first_run.rglob("*")} == before


def test_latest_is_for_a_report_the_newest_compare(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaaa", 1)
    make_run(tmp_path, "bbbbbbbb", 2, command="index")
    result = invoke("report", "latest", runs_dir=tmp_path)  # it holds no metrics, and is the one that is opened
    assert (result.exit_code, result.stdout) == (1, "")
    assert "compare-quick-aaaaaaaa/metrics.json" in result.stderr
    result = invoke("report", "bbbbbbbb", runs_dir=tmp_path)
    assert result.stderr == (
        "error: run 20261102T100000Z-index-quick-bbbbbbbb is of `ragft index`, which makes no report\n"
        "  try: `ragft runs list --command compare` shows the runs that have one\n"
    )
