"""Several processes that train together: torchrun and accelerate on this machine, over gloo."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallExperiment

import ragft

ROOT = Path(ragft.__file__).parents[1]
BATCH = "adapters.closed_book.training.per_device_train_batch_size"

FAILS_IN_THE_HELPER = """
import os, sys
from ragft.training.loss import CompletionTrainer
from ragft.errors import RagftError
real = CompletionTrainer.compute_loss
def fails(self, model, *arguments, **options):
    if os.environ["RANK"] == "1" and self.state.global_step == 2 and model.training:
        raise RagftError("the training loss is nan at step 3", "lower training.learning_rate")
    return real(self, model, *arguments, **options)
CompletionTrainer.compute_loss = fails
from ragft.__main__ import main
main()
"""


IN_A_STEP = """
import time
from ragft.training.loss import CompletionTrainer
real = CompletionTrainer.compute_loss
def lingers(*arguments, **options):
    tell()
    time.sleep(0.2)
    return real(*arguments, **options)
CompletionTrainer.compute_loss = lingers
"""
AT_THE_MEETING = """
import time
from ragft.training.distributed import Team
real, launcher = Team.__init__, os.getppid()
def lingers(team):
    tell()
    while os.getppid() == launcher:
        time.sleep(0.1)
    real(team)
Team.__init__ = lingers
"""
TELLING = """
import os
from pathlib import Path
def tell():
    Path(os.environ["TOLD"], os.environ["RANK"]).write_text(str(os.getpid()))
PLACE
from ragft.__main__ import main
main()
"""

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
"""`--multi_gpu` starts several processes, on processors too; `--cpu` starts one, whatever `--num_processes` says."""


def command_of(experiment: SmallExperiment, *target: str, batch: int, launcher: Sequence[str] = TORCHRUN) -> list[str]:
    """Return the command line of `finetune` in two processes that a launcher starts."""
    launch = [sys.executable, "-m", *launcher, *target]
    return [*launch, "finetune", str(experiment.file), *experiment.places(), "--set", f"{BATCH}={batch}"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def together(
    experiment: SmallExperiment, *target: str, batch: int, launcher: Sequence[str] = TORCHRUN
) -> subprocess.CompletedProcess[str]:
    """Run `finetune` in two processes to its end."""
    command = command_of(experiment, *target, batch=batch, launcher=launcher)
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment(), check=False)


def training_of(experiment: SmallExperiment) -> dict[str, Any]:
    found = [json.loads(path.read_text()) for path in (experiment.workspace / "adapters").glob("*/ragft.json")]
    trainings = {record["training"]["processes"]: record["training"] for record in found}
    return trainings[max(trainings)]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_two_processes_train_as_one_with_twice_the_batch(closed_book: SmallExperiment, launcher: Sequence[str]) -> None:
    alone = closed_book.run("finetune")
    assert alone.exit_code == 0, alone.output
    one = training_of(closed_book)
    done = together(closed_book, "-m", "ragft", batch=1, launcher=launcher)
    assert done.returncode == 0, done.stderr
    two = training_of(closed_book)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert (one["effective_batch"], two["effective_batch"]) == (2, 2)
    for key in ("steps", "examples_seen", "tokens_seen", "label_tokens", "best_step"):
        assert one[key] == two[key], key
    for mine, theirs in zip(one["history"], two["history"], strict=True):
        for key in ("loss", "eval_loss", "grad_norm"):
            assert mine.get(key) == (pytest.approx(theirs[key], rel=1e-4) if key in theirs else None)
    assert "closed_book: 2 processes x 1 examples x 1 passes: 2 in a step" in done.stderr
    assert done.stdout.count("adapter: ") == 1  # one process speaks
    assert len(list((closed_book.folder / "runs").iterdir())) == 2  # one for each command, not for each process
    assert not list((closed_book.workspace / "training").iterdir())
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_process_that_fails_ends_all_with_one_message(closed_book: SmallExperiment, tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(FAILS_IN_THE_HELPER)
    done = together(closed_book, str(driver), batch=1)
    assert done.returncode != 0
    assert len(re.findall(r"^error\b", done.stderr, re.M)) == 1, done.stderr
    assert "error: the training loss is nan at step 3, on the examples t" in done.stderr
    assert "try: lower training.learning_rate" in done.stderr
    manifest = json.loads((closed_book.latest_run() / "manifest.json").read_text())
    assert (manifest["status"], "step 3" in manifest["error"]) == ("failed", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "status"), [(IN_A_STEP, "cancelled"), (AT_THE_MEETING, "started")], ids=["in_a_step", "at_the_meeting"]
)
def test_processes_end_soon_after_a_launcher_that_was_killed(
    closed_book: SmallExperiment, tmp_path: Path, place: str, status: str
) -> None:
    """They would train on unseen; one that looks for the launcher's store hears no signal, and looks for a month.

    All of them hold the pipe of the launcher's output, so it ends when the last of them is gone. What hears nothing
    cannot write that it was cancelled either.
    """
    closed_book.config["adapters"]["closed_book"]["training"] |= {"max_steps": 600, "num_train_epochs": 600}
    closed_book.save()
    driver, told = tmp_path / "driver.py", tmp_path / "told"
    driver.write_text(TELLING.replace("PLACE", place))
    told.mkdir()
    command = command_of(closed_book, str(driver), batch=1)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**environment(), "TOLD": str(told)}
    ) as launcher:
        try:
            while len(list(told.iterdir())) < 2:
                assert launcher.poll() is None, launcher.communicate()[0]
                time.sleep(0.1)
            launcher.kill()
            said, _ = launcher.communicate(timeout=45)
        finally:
            launcher.kill()
            for process in told.iterdir():
                with suppress(ProcessLookupError):
                    os.kill(int(process.read_text()), signal.SIGKILL)
    assert said.count("error: interrupted") == (status == "cancelled")
    assert json.loads((closed_book.latest_run() / "manifest.json").read_text())["status"] == status


@pytest.mark.slow
def test_a_fault_in_the_file_is_told_once(closed_book: SmallExperiment) -> None:
    done = together(closed_book, "-m", "ragft", batch=0)
    assert done.returncode != 0
    assert done.stderr.count("must be a whole number of at least 1, not 0") == 1


def test_accelerate_that_starts_one_process_of_two_is_an_error(
    closed_book: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `accelerate launch --num_processes 2 --cpu` leaves in the environment: a meeting place, and nobody else."""
    asked = {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    found = closed_book.run("finetune")
    assert found.exit_code == 1
    assert "error: accelerate was asked for several processes and started this one alone" in found.stderr
    monkeypatch.setenv("WORLD_SIZE", "1")  # torchrun with one process is what was asked for
    assert closed_book.run("finetune", "--dry-run").exit_code == 0
