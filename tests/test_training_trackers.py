"""Trackers get losses and settings, and nothing of the machine: real files, and the settings that others are given."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ragft.config import AdapterConfig
from ragft.models.language_model import load
from ragft.models.sources import ModelFolder
from ragft.training.examples import TrainingText, tokenized
from ragft.training.running import train
from ragft.training.trackers import discreet, without_host

SECRET = "kept-in-the-environment"


def trained(tiny_model: Path, folder: Path, *trackers: str) -> Path:
    """Train two steps with these trackers and return the adapter's folder."""
    lm = load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "float32", "cpu")
    rows = tokenized([TrainingText("a", "Who?", "many puffins")], lm.tokenizer, None)
    training = {"max_steps": 2, "num_train_epochs": 20, "report_to": list(trackers), "evals_per_run": 1}
    config = AdapterConfig.model_validate({"peft": {"r": 4}, "training": training})
    target = folder / "adapter"
    target.mkdir(parents=True)
    train(lm, config, rows, [], folder=folder / "checkpoints", target=target, seed=1)
    return target


def held(folder: Path) -> bytes:
    """Return every byte of every file under a folder, with their names."""
    return b"\n".join(str(file).encode() + file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What nobody may learn: a value of the environment, the command line, the host's name."""
    monkeypatch.setenv("RAGFT_TEST_TOKEN", SECRET)
    monkeypatch.setattr(sys, "argv", ["ragft-from-somewhere", "--set", "an-argument-of-mine"])
    monkeypatch.setattr(socket, "gethostname", lambda: "my-own-machine")
    return [SECRET.encode(), b"an-argument-of-mine", b"ragft-from-somewhere", b"my-own-machine"]


def test_tensorboard_writes_losses_beside_the_adapter_and_nothing_of_the_machine(
    tiny_model: Path, tmp_path: Path, private: list[bytes]
) -> None:
    pytest.importorskip("tensorboard")
    found = held(trained(tiny_model, tmp_path, "tensorboard") / "tensorboard")
    assert b"train/loss" in found
    assert [word for word in private if word in found] == []


def test_mlflow_writes_losses_and_nothing_of_the_machine(
    tiny_model: Path, tmp_path: Path, private: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "mlruns"))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setattr(getpass, "getuser", lambda: "my-own-name")
    trained(tiny_model, tmp_path, "mlflow")
    found = held(tmp_path / "mlruns")
    assert b"learning_rate" in found
    assert [word for word in [*private, b"my-own-name"] if word in found] == []
    assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ


def test_trackio_writes_losses_and_nothing_of_the_machine(
    tiny_model: Path,
    tmp_path: Path,
    private: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # it is read when trackio is imported
    pytest.importorskip("trackio")
    trained(tiny_model, tmp_path, "trackio")
    assert capsys.readouterr().out == ""
    found = held(tmp_path / "trackio")
    assert b"train/loss" in found
    assert [word for word in private if word in found] == []


# -------------------------------------------------------------------------------------------- what they are told


def fake(monkeypatch: pytest.MonkeyPatch, name: str, **parts: Any) -> Any:
    module: Any = ModuleType(name)
    vars(module).update(parts)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_wandb_is_told_to_collect_nothing_and_its_run_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its settings this version knows two: one that it does not know would be an error."""
    calls: list[Mapping[str, Any]] = []
    closed: list[bool] = []

    class Settings(SimpleNamespace):
        model_fields = ("disable_git", "host")

    module = fake(monkeypatch, "wandb", Settings=Settings, run=None, finish=lambda: closed.append(True))
    module.init = init = lambda **options: calls.append(options)
    with discreet(["wandb"]):
        module.init(project="huggingface")
        module.run = object()
    assert (calls[0]["project"], vars(calls[0]["settings"])) == ("huggingface", {"host": "", "disable_git": True})
    assert closed == [True]
    assert module.init is init


def test_wandb_knows_every_setting_that_it_is_given() -> None:
    wandb = pytest.importorskip("wandb")
    from ragft.training.trackers import WANDB

    assert set(WANDB) <= set(wandb.Settings.model_fields)
    made = wandb.Settings(**WANDB)
    assert (made.host, made.x_disable_machine_info, made.console) == ("", True, "off")


def test_mlflow_and_trackio_are_told_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake(monkeypatch, "mlflow", start_run=lambda **options: calls.append(options))
    fake(monkeypatch, "trackio", init=lambda **options: calls.append(options))
    with discreet(["mlflow", "trackio"]):
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        sys.modules["mlflow"].start_run(run_name="x")
        sys.modules["trackio"].init(project="p")
    tags = {
        "mlflow.user": "",
        "mlflow.source.git.commit": "",
        "mlflow.source.git.branch": "",
        "mlflow.source.git.repoURL": "",
        "mlflow.source.name": "ragft",
    }
    assert calls == [
        {"run_name": "x", "tags": tags, "log_system_metrics": False},
        {"project": "p", "auto_log_gpu": False, "auto_log_cpu": False},
    ]


def test_the_hosts_name_goes_out_of_the_names_of_tensorboards_files(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1795000000.my.own.machine.77.0").write_bytes(b"x")
    without_host(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["events.out.tfevents.1795000000.0"]
