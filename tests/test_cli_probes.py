"""`ragft compare` with probes, as a user runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import SmallExperiment, news, read

from ragft.cli.durations import seconds_of


def few(experiment: SmallExperiment) -> SmallExperiment:
    """Return the experiment with four arms, two of which need no training."""
    arms = ("base", "rag", "finetuned", "raft_rag")
    experiment.config["compare"]["arms"] = {a: experiment.config["compare"]["arms"][a] for a in arms}
    return experiment.save()


def test_a_named_probe_follows_the_comparison(experiment: SmallExperiment) -> None:
    result = few(experiment).run("compare", "--probe", "explainability", "--probe", "freshness")
    assert result.exit_code == 0, result.output
    folder = experiment.latest_run() / "probes"
    assert {path.stem for path in folder.iterdir()} == {"explainability", "freshness"}
    assert read(folder / "explainability.json")["status"] == "measured"
    skipped = read(folder / "freshness.json")
    assert (skipped["status"], skipped["charts"], skipped["tables"]) == ("skipped", [], [])
    assert "data.update" in skipped["hint"]
    assert "Explainability" in result.stdout
    assert skipped["reason"] in " ".join(result.stdout.split())
    assert "Verdict:" in result.stdout


def test_the_plan_is_shown_before_anything_is_asked(experiment: SmallExperiment) -> None:
    result = few(experiment).run("compare", "--probe", "context", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "context" in result.stdout.lower()
    assert not list((experiment.workspace / "answers").iterdir())
    planned = experiment.json("compare", "--probe", "context", "--dry-run")["probes"]
    assert [one["kind"] for one in planned] == ["context"]
    assert planned[0]["load"]["prompts"] > 0


def test_probes_of_the_file_can_be_left_out(experiment: SmallExperiment) -> None:
    few(experiment).config["compare"]["probes"] = ["explainability"]
    run = Path(experiment.save().json("compare", "--no-probes")["run"])
    assert not (run / "probes").exists()
    found = experiment.json("compare")
    assert found["probes"]["explainability"]["status"] == "measured"
    assert read(Path(found["run"]) / "probes" / "explainability.json") == found["probes"]["explainability"]
    report = (Path(found["run"]) / "report.html").read_text(encoding="utf-8")
    assert "Explainability" in report


def test_the_manifest_hashes_what_probes_write(experiment: SmallExperiment) -> None:
    run = Path(few(experiment).json("compare", "--probe", "explainability")["run"])
    assert "probes/explainability.json" in read(run / "manifest.json")["artifacts"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--probe", "contxt"), 1, "there is no probe 'contxt'"),
        (("--probe", "context", "--no-probes"), 2, "does not go with --no-probes"),
        (("--budget", "soon"), 2, "is no duration"),
    ],
)
def test_faults_on_the_command_line(
    experiment: SmallExperiment, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = few(experiment).run("compare", *arguments)
    assert result.exit_code == code
    assert message in re.sub(r"[\s│]+", " ", news(result.stderr))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), ("45", 45), ("2 min", 120)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
