"""Trackers that a user asked for: they get losses and settings, and nothing of the machine, the user or the code.

The Trainer's callbacks speak to them. Left to themselves, wandb also sends host name, command line, git remote and
commit, installed packages, the screen and what the machine does; mlflow the user's name, the script and its git commit,
and telemetry of its own; trackio what processor and GPU do. All of that is switched off here. What is still sent: every
TrainingArguments value (the folder of the checkpoints among them), the model's configuration, PEFT's settings, the
losses, and what a tracker needs to know whose run it is: the account that its key belongs to. What a user sets for a
tracker in the environment (its server, project, tags of a run) stands.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

WANDB: Mapping[str, Any] = {
    "host": "",
    "program": "ragft",
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "disable_job_creation": True,
    "console": "off",
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}
"""Settings of wandb under which it collects nothing by itself; a version that lacks one of them has nothing to set."""

MLFLOW = dict.fromkeys(
    ("mlflow.user", "mlflow.source.git.commit", "mlflow.source.git.branch", "mlflow.source.git.repoURL"), ""
)
"""Tags that mlflow fills in by itself; those that it is given count."""

TRACKIO: Mapping[str, Any] = {"auto_log_gpu": False, "auto_log_cpu": False}


@contextmanager
def discreet(names: Sequence[str]) -> Iterator[None]:
    """Let the named trackers collect nothing by themselves inside the block; what they opened there is closed."""
    with ExitStack() as stack:
        for name in names:
            if name in _OPENING:
                stack.enter_context(_OPENING[name]())
        yield


@contextmanager
def _wandb() -> Iterator[None]:
    wandb: Any = importlib.import_module("wandb")
    known = getattr(wandb.Settings, "model_fields", WANDB)
    settings = wandb.Settings(**{key: value for key, value in WANDB.items() if key in known})
    with mock.patch.object(wandb, "init", partial(wandb.init, settings=settings)):
        try:
            yield
        finally:  # the Trainer leaves its run open, and the next training would go on in it
            if wandb.run is not None:
                wandb.finish()


@contextmanager
def _mlflow() -> Iterator[None]:
    with mock.patch.dict(os.environ, {"MLFLOW_DISABLE_TELEMETRY": "true"}):
        mlflow: Any = importlib.import_module("mlflow")
        tags = {**MLFLOW, "mlflow.source.name": "ragft"}
        start = partial(mlflow.start_run, tags=tags, log_system_metrics=False)
        with mock.patch.object(mlflow, "start_run", start):
            yield


@contextmanager
def _trackio() -> Iterator[None]:
    trackio: Any = importlib.import_module("trackio")
    quiet = redirect_stdout(sys.stderr)  # it prints what it does, and only results belong on the standard output
    with quiet, mock.patch.object(trackio, "init", partial(trackio.init, **TRACKIO)):
        yield


_OPENING: Mapping[str, Callable[[], Any]] = {"wandb": _wandb, "mlflow": _mlflow, "trackio": _trackio}


def without_host(folder: Path) -> None:
    """Take the host's name out of the names of tensorboard's files, which lie beside the adapter and may be published.

    They are `events.out.tfevents.<time>.<host>.<process>.<number>`; tensorboard reads any that holds `tfevents`.
    """
    for number, file in enumerate(sorted(folder.rglob("events.out.tfevents.*"))):
        file.rename(file.with_name(f"events.out.tfevents.{file.name.split('.')[3]}.{number}"))
