"""Interruptions: killed, stopped by Ctrl-C, failed, disk full. Nothing is lost, asked twice or trained twice."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Json, SmallExperiment, heed_ctrl_c, news, read, write_experiment
from safetensors.torch import load_file

import ragft
from ragft import jsonl
from ragft.arms.bench import Bench
from ragft.errors import RagftError
from ragft.generation.generator import Generation
from ragft.generation.local import LocalGenerator

ROOT = Path(ragft.__file__).parents[1]

STOPS_BEFORE_A_BATCH = """
import os, signal, sys
from ragft.generation.local import LocalGenerator
batches, number = int(sys.argv[1]), getattr(signal, sys.argv[2])
real, done = LocalGenerator.generate, []
def dying(self, prompts):
    if len(done) == batches:
        os.kill(os.getpid(), number)
    done.append(1)
    return real(self, prompts)
LocalGenerator.generate = dying
from ragft.cli import app
app(sys.argv[3:])
"""

DIES_AFTER_A_CHECKPOINT = """
import os, signal, sys
from transformers import Trainer
real = Trainer._save_checkpoint
def dying(self, *arguments, **options):
    real(self, *arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
Trainer._save_checkpoint = dying
from ragft.cli import app
app(sys.argv[1:])
"""

INTERRUPTED = "error: interrupted\n  try: run the same command again: it goes on where it stopped\n"
DISK_FULL = "error: the disk is full\n  try: free some space and run the same command again: it goes on\n"


def without_documents(experiment: SmallExperiment) -> SmallExperiment:
    """Return the small experiment with closed-book arms only, so that no embedder is imported."""
    for key in ("index", "retrieval"):
        experiment.config.pop(key)
    experiment.config["data"].pop("documents")
    experiment.config["adapters"].pop("raft")
    arms = {"base": {}, "few_shot": {"shots": 2}, "finetuned": {"adapter": "closed_book"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["finetuned", "base"]]}
    return experiment.save()


@pytest.fixture
def closed_book(experiment: SmallExperiment) -> SmallExperiment:
    return without_documents(experiment)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_embedder: Path) -> SmallExperiment:
    """The closed-book experiment after one `compare` that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "experiment"
    experiment = without_documents(write_experiment(folder, tiny_model, tiny_embedder))
    experiment.first_run = experiment.compare()
    return experiment


def driven(code: str, experiment: SmallExperiment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `compare` of the experiment in another process, under a driver that stops it."""
    command = [sys.executable, "-c", code, *arguments, "compare", str(experiment.file), *experiment.places()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=environment, check=False, preexec_fn=heed_ctrl_c
    )


class Asked:
    """Counts what a model is asked; raises `error` before batch `fails_at`."""

    def __init__(self, patch: pytest.MonkeyPatch, fails_at: int | None = None, error: Exception | None = None) -> None:
        self.prompts: list[str] = []
        batches = 0
        real = LocalGenerator.generate

        def counting(generator: LocalGenerator, prompts: Sequence[str]) -> list[Generation]:
            nonlocal batches
            batches += 1
            if batches - 1 == fails_at and error is not None:
                raise error
            self.prompts += prompts
            return real(generator, prompts)

        patch.setattr(LocalGenerator, "generate", counting)


def answers(run: Path) -> dict[str, list[Json]]:
    """Return what every arm said, without how long it took."""
    return {
        file.stem: [{k: v for k, v in row.items() if "seconds" not in k} for _, row in jsonl.read_rows(file)]
        for file in sorted((run / "answers").iterdir())
    }


def is_as_whole(run: Path, whole: SmallExperiment) -> bool:
    same = read(run / "comparison.json") == read(whole.first_run / "comparison.json")
    return same and answers(run) == answers(whole.first_run)


def journalled(experiment: SmallExperiment) -> list[int]:
    """Return how many answers each journal holds, sorted."""
    files = (experiment.workspace / "answers").iterdir()
    return sorted(sum(len(row["batch"]) for _, row in jsonl.read_rows(file)) for file in files)


# ------------------------------------------------------------------------------------------------------- kill -9


def test_a_comparison_that_is_killed_goes_on_with_the_next_batch(
    closed_book: SmallExperiment, whole: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # base: three batches, its warm-up and one question alone; few_shot: one batch of three
    dead = driven(STOPS_BEFORE_A_BATCH, closed_book, "6", "SIGKILL")
    assert dead.returncode == -9, dead.stderr
    assert read(closed_book.latest_run() / "manifest.json")["status"] == "started"
    assert journalled(closed_book) == [1, 12 + 4]  # base and few_shot are the same model: one journal, one for alone
    asked = Asked(monkeypatch)
    run = closed_book.compare()
    assert is_as_whole(run, whole)
    assert len(asked.prompts) == (8 + 2) + (12 + 2)  # the rest of few_shot, and all of finetuned
    lines = read(run / "metrics.json")["reused"]
    expected = ["adapter closed_book: trained before", "arm base: 12 of 12 answers", "arm few_shot: 4 of 12 answers"]
    assert lines == expected


def test_a_training_that_is_killed_goes_on_from_its_checkpoint(
    closed_book: SmallExperiment, whole: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragft.training.loss import CompletionTrainer

    dead = driven(DIES_AFTER_A_CHECKPOINT, closed_book)
    assert dead.returncode == -9, dead.stderr
    (folder,) = (closed_book.workspace / "training").iterdir()
    assert {path.name for path in folder.iterdir()} == {"checkpoint-2", "training.json"}
    trained = []
    real = CompletionTrainer.training_step

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:
        trained.append(self.state.global_step + 1)
        return real(self, *arguments, **options)

    monkeypatch.setattr(CompletionTrainer, "training_step", counting)
    run = closed_book.compare()
    assert trained == [3, 4]
    there = load_file(run / "adapter" / "closed_book" / "adapter_model.safetensors")
    expected = load_file(whole.first_run / "adapter" / "closed_book" / "adapter_model.safetensors")
    assert there.keys() == expected.keys()
    assert all(torch.equal(there[name], value) for name, value in expected.items())
    assert history(run) == history(whole.first_run)
    assert is_as_whole(run, whole)
    assert list((closed_book.workspace / "training").iterdir()) == []


def history(run: Path) -> list[Json]:
    """Return the losses of a training by step, without how long it took."""
    rows = read(run / "metrics.json")["adapters"]["closed_book"]["history"]
    kept = ("step", "loss", "eval_loss", "grad_norm", "learning_rate")
    return [{key: row[key] for key in kept if key in row} for row in rows]


# -------------------------------------------------------------------------------------------------------- Ctrl-C


def test_ctrl_c_cancels_the_run_and_loses_nothing(
    closed_book: SmallExperiment, whole: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = driven(STOPS_BEFORE_A_BATCH, closed_book, "2", "SIGINT")
    assert (stopped.returncode, news(stopped.stderr), stopped.stdout) == (130, INTERRUPTED, "")
    manifest = read(closed_book.latest_run() / "manifest.json")
    assert (manifest["status"], manifest["error"]) == ("cancelled", "KeyboardInterrupt: ")
    assert manifest["finished_at"] is not None
    assert journalled(closed_book) == [8]
    assert not (closed_book.workspace / "holder.json").exists()
    asked = Asked(monkeypatch)
    run = closed_book.compare("compare.arms={base: {}, again: {}}", "compare.contrasts=[]")
    assert len(asked.prompts) == 4 + 2
    assert answers(run)["base"] == answers(whole.first_run)["base"]


# ------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RagftError("the answer is lost", "look for it"), "error: the answer is lost\n  try: look for it\n"),
        (
            ValueError("no"),
            "error: ValueError: no\n  try: this is a fault in ragft or a library; --debug shows where\n",
        ),
        (OSError(errno.EIO, "Input/output error", "/disk"), "error: Input/output error: /disk\n  try: --debug shows w"),
    ],
)
def test_a_command_that_fails_says_so_in_its_manifest_and_loses_nothing(
    closed_book: SmallExperiment,
    whole: SmallExperiment,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    said: str,
) -> None:
    with monkeypatch.context() as patch:
        Asked(patch, 2, error)
        result = closed_book.run("compare")
    assert (result.exit_code, result.stdout) == (1, "")
    assert news(result.stderr).startswith(said)
    assert "Traceback" not in result.output
    manifest = read(closed_book.latest_run() / "manifest.json")
    assert (manifest["status"], manifest["error"]) == ("failed", f"{type(error).__name__}: {error}")
    asked = Asked(monkeypatch)
    run = closed_book.compare()
    assert is_as_whole(run, whole)
    assert len(asked.prompts) == 36 - 8 + 3 * 2


class FullDisk:
    """Answers every attempt to write after the first few answers with `no space left`."""

    def __init__(self, patch: pytest.MonkeyPatch, *, torn: bool) -> None:
        self.full = False
        real_fsync, real_append = os.fsync, jsonl.append_row
        appended = 0

        def fsync(descriptor: int) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real_fsync(descriptor)

        def append_row(path: Path, row: Any) -> None:
            nonlocal appended
            appended += path.parent.name == "answers"
            self.full = self.full or appended == 3
            if self.full and torn:
                with path.open("a", encoding="utf-8") as file:
                    file.write(jsonl.dumps(row)[:50])
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real_append(path, row)

        patch.setattr(os, "fsync", fsync)
        patch.setattr(jsonl, "append_row", append_row)


@pytest.mark.parametrize("torn", [False, True])
def test_a_full_disk_is_named_and_loses_no_answer(
    closed_book: SmallExperiment, whole: SmallExperiment, monkeypatch: pytest.MonkeyPatch, torn: bool
) -> None:
    with monkeypatch.context() as patch:
        FullDisk(patch, torn=torn)
        result = closed_book.run("compare")
    assert (result.exit_code, news(result.stderr), result.stdout) == (1, DISK_FULL, "")
    assert read(closed_book.latest_run() / "manifest.json")["status"] == "started"  # that could not be written either
    assert [path for path in closed_book.latest_run().iterdir() if path.suffix == ".tmp"] == []
    asked = Asked(monkeypatch)
    run = closed_book.compare()
    assert is_as_whole(run, whole)
    assert len(asked.prompts) == 36 - 8 + 3 * 2
    assert read(run / "metrics.json")["reused"][0] == "arm base: 8 of 12 answers"


@pytest.mark.parametrize(
    "words", ["I/O error: No space left on device (os error 28)", "error returned from database: disk is full"]
)
def test_a_full_disk_is_recognised_where_a_library_meets_it(
    closed_book: SmallExperiment, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    def meets(self: Bench, *, min_examples: int) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(Bench, "examine", meets)
    result = closed_book.run("compare")
    assert (result.exit_code, news(result.stderr)) == (1, DISK_FULL)
