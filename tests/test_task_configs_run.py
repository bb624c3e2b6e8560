"""Every config under configs/tasks/ from its file to its report, on models of random weights and fewer examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import read
from openai_server import chat_server
from typer.testing import CliRunner

from ragft.cli import app

TASKS = Path(__file__).parent.parent / "configs" / "tasks"
FILES = sorted(path.stem for path in TASKS.glob("*.yaml"))
PRIMARY = {
    "chat": "rouge_l",
    "custom": "exact_match",
    "fact-checking": "accuracy",
    "hosted": "token_f1",
    "labels": "accuracy",
    "long-answers": "rouge_l",
    "summarization": "rouge_l",
    "topic-summaries": "rouge_l",
    "translation": "chrf",
}
GROUNDED = {"chat", "hosted", "long-answers", "topic-summaries"}
UNAIDED = {
    "fact-checking": "always saying",
    "labels": "always saying",
    "summarization": "the beginning of the input",
    "translation": "copying the input",
}


def smaller(name: str, model: Path, embedder: Path) -> list[str]:
    """Return what must be set so that models of random weights run a config in seconds."""
    config = yaml.safe_load((TASKS / f"{name}.yaml").read_text(encoding="utf-8"))
    changes = {
        "model": json.dumps({"source": str(model), "dtype": "float32", "device": "cpu"}),
        "index.embedder": json.dumps({"source": str(embedder)}),
        "data.train.limit": 16,
        "data.eval.limit": 12,
        "generation.max_new_tokens": 4,
        "compare.latency_questions": 0,
        "compare.resamples": 100,
        "compare.limits.truncated_share": 1.0,
    }
    whole = config.get("index", {}).get("chunking") == "none"
    kind = "none" if whole else "recursive"
    changes["index.chunking"] = json.dumps({"kind": kind, "chunk_tokens": 120})  # the small embedder reads 128
    changes |= {f"adapters.{adapter}.training.max_steps": 2 for adapter in config["adapters"]}
    arms = config["compare"]["arms"]
    changes |= {f"compare.arms.{arm}.shots": 1 for arm, said in arms.items() if said.get("shots")}
    return [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]


@pytest.mark.parametrize("name", FILES)
def test_a_config_runs_to_its_report(
    name: str, tmp_path: Path, tiny_model: Path, tiny_embedder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = ["--runs-dir", str(tmp_path / "runs"), "--workspace", str(tmp_path / "workspace")]
    with chat_server() as server:
        monkeypatch.setenv("RAGFT_ENDPOINT", server.address)
        command = ["compare", str(TASKS / f"{name}.yaml"), "--json", *smaller(name, tiny_model, tiny_embedder)]
        result = CliRunner().invoke(app, [*command, *places])
    assert result.exit_code == 0, result.output
    run = Path(json.loads(result.stdout)["run"])
    rows = read(run / "metrics.json")
    means = {(row["arm"], row["metric"]): row for row in rows["metrics"]}
    assert rows["primary_metric"] == PRIMARY[name]
    assert {arm: means[arm, PRIMARY[name]]["n"] for arm in rows["arms"]} == dict.fromkeys(rows["arms"], 12)
    assert any(metric == "k_precision" for _, metric in means) == (name in GROUNDED)
    unaided = rows["task"]["unaided"]
    assert str(unaided and unaided["what"]).startswith(UNAIDED.get(name, "None"))
    assert (run / "report.md").read_text(encoding="utf-8").count(PRIMARY[name]) > 1
    assert read(run / "checks.json")


def test_every_config_is_known_here() -> None:
    assert set(FILES) == set(PRIMARY)
