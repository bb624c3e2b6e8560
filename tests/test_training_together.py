"""Several processes that train together: torchrun and accelerate on this machine, over gloo."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
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


@pytest.fixture
def closed_book(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment without documents, so that no embedder is imported."""
    for key in ("index", "retrieval"):
        experiment.config.pop(key)
    experiment.config["data"].pop("documents")
    experiment.config["adapters"].pop("raft")
    arms = {"base": {}, "finetuned": {"adapter": "closed_book"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["finetuned", "base"]]}
    return experiment.save()


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
"""`--multi_gpu` starts several processes, on processors too; `--cpu` starts one, whatever `--num_processes` says."""


def together(
    experiment: SmallExperiment, *target: str, batch: int, launcher: Sequence[str] = TORCHRUN
) -> subprocess.CompletedProcess[str]:
    """Run `finetune` in two processes that a launcher starts."""
    launch = [sys.executable, "-m", *launcher, *target]
    command = [*launch, "finetune", str(experiment.file), *experiment.places(), "--set", f"{BATCH}={batch}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


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
