"""Resuming: a training that is stopped at any step ends as one that was not, and never goes on from a foreign one."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_experiment
from safetensors.torch import load_file

from ragft.config import AdapterConfig
from ragft.errors import RagftError
from ragft.models.language_model import LanguageModel, load
from ragft.models.sources import ModelFolder
from ragft.training.checkpoints import claim, is_whole, last_checkpoint, writing
from ragft.training.examples import TrainingText, tokenized
from ragft.training.running import Progress, TrainingResult, train

TEXTS = tuple(TrainingText(f"t{n}", f"Which colour has harbour {n}?", "white" * (1 + n % 3)) for n in range(7))
DEV = (TrainingText("e", "Which colour has Brinbay?", "red"), TrainingText("f", "Who?", "many otters"))
ROWS = ("step", "loss", "eval_loss", "grad_norm", "learning_rate", "eval_token_f1")

Model = Callable[[], LanguageModel]
PLAIN: dict[str, Any] = {
    "max_steps": 12,
    "num_train_epochs": 20,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "learning_rate": 0.01,
    "evals_per_run": 4,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "dropout": {"peft": {"r": 4, "lora_dropout": 0.3}, "training": PLAIN},
    "loraplus": {"peft": {"r": 4, "loraplus_lr_ratio": 4}, "training": {**PLAIN, "lr_scheduler_type": "linear"}},
    "pissa": {"peft": {"r": 4, "init_lora_weights": "pissa"}, "training": PLAIN},
    "ia3": {"peft": {"method": "ia3"}, "training": PLAIN},
    "full": {"peft": {"method": "full"}, "training": {**PLAIN, "learning_rate": 1e-3}},
    "stops_early": {
        "peft": {"r": 4, "lora_dropout": 0.3},
        "training": {**PLAIN, "early_stopping_patience": 2, "early_stopping_threshold": 100},
    },
}


class Killed(BaseException):
    """Stands for a process that dies: nothing catches it."""


def trained(lm: LanguageModel, folder: Path, config: Any, dies_at: int | None = None) -> TrainingResult:
    """Train; with `dies_at` the process dies when that step has been told."""

    def on_progress(progress: Progress) -> None:
        if progress.step == dies_at:
            raise Killed

    target = folder / "adapter"
    target.mkdir(parents=True, exist_ok=True)
    rows, dev = (tokenized(texts, lm.tokenizer, None) for texts in (TEXTS, DEV))
    settings = AdapterConfig.model_validate(config)
    return train(
        lm, settings, rows, dev, folder=folder / "checkpoints", target=target, seed=17, on_progress=on_progress
    )


def curve(result: TrainingResult) -> list[dict[str, float]]:
    rows = [{key: row[key] for key in ROWS if key in row} for row in result.history]
    return [row for row in rows if {"loss", "eval_loss"} & row.keys()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next((folder / "adapter").glob("*.safetensors")))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_training_that_dies_twice_ends_as_one_that_did_not(model: Model, tmp_path: Path, name: str) -> None:
    """It dies after a checkpoint and in between; dropout draws from the random state, which is restored."""
    whole = trained(model(), tmp_path / "whole", VARIANTS[name])
    stopped = name == "stops_early"
    assert whole.steps == (
        9 if stopped else 12
    )  # nothing gets better by 100 nats, so the third measurement is the last
    for step in (4, 8):
        with pytest.raises(Killed):
            trained(model(), tmp_path / "cut", VARIANTS[name], dies_at=step)
    found = [path.name for path in (tmp_path / "cut" / "checkpoints").glob("checkpoint-*")]
    assert "checkpoint-6" in found  # it did go on from the third step's and wrote the next
    cut = trained(model(), tmp_path / "cut", VARIANTS[name])
    assert curve(cut) == curve(whole)
    assert (cut.best_step, cut.dev_loss, cut.tokens_seen) == (whole.best_step, whole.dev_loss, whole.tokens_seen)
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("name", ["dropout", "stops_early"])
def test_dying_between_the_last_checkpoint_and_the_adapter_trains_no_step_more(
    model: Model, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transformers would take one step more: it forgets that training was over."""

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("ragft.training.running.save", die)
        with pytest.raises(Killed):
            trained(model(), tmp_path / "cut", VARIANTS[name])
    whole = trained(model(), tmp_path / "whole", VARIANTS[name])
    monkeypatch.setattr("ragft.training.trainer.AdapterTrainer.training_step", die)
    cut = trained(model(), tmp_path / "cut", VARIANTS[name])
    assert curve(cut) == curve(whole)
    assert (cut.best_step, cut.steps) == (whole.best_step, whole.steps)
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(one[key], two[key]) for key in one)


# ------------------------------------------------------------------------------------------------ whole checkpoints


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The checkpoints of a training that died at step 8."""
    folder = tmp_path_factory.mktemp("dead")
    lm = load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "float32", "cpu")
    with pytest.raises(Killed):
        trained(lm, folder, VARIANTS["dropout"], dies_at=8)
    return folder / "checkpoints"


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    "file", ["trainer_state.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
)
@pytest.mark.parametrize("damage", [Path.unlink, cut_short], ids=["missing", "cut"])
def test_a_half_written_checkpoint_is_passed_over(
    checkpoints: Path, tmp_path: Path, file: str, damage: Callable[[Path], None]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoints, copy)
    assert last_checkpoint(copy) == copy / "checkpoint-6"
    damage(copy / "checkpoint-6" / file)
    assert last_checkpoint(copy) == copy / "checkpoint-3"
    assert not (copy / "checkpoint-6").exists()
    damage(copy / "checkpoint-3" / file)
    assert last_checkpoint(copy) is None


def test_a_checkpoint_whose_best_one_is_gone_is_passed_over(checkpoints: Path, tmp_path: Path) -> None:
    """Transformers would only warn, and keep the last weights for the best."""
    copy = tmp_path / "copy"
    shutil.copytree(checkpoints / "checkpoint-6", copy)
    assert is_whole(copy)
    state = copy / "trainer_state.json"
    text = state.read_text()
    assert str(checkpoints) in text
    state.write_text(text.replace(str(checkpoints), str(tmp_path / "gone")))
    assert not is_whole(copy)


def test_a_checkpoint_of_one_process_lacks_the_random_states_of_two(checkpoints: Path) -> None:
    assert is_whole(checkpoints / "checkpoint-6", processes=1)
    assert not is_whole(checkpoints / "checkpoint-6", processes=2)


# -------------------------------------------------------------------------------------------- whose checkpoints


def test_checkpoints_of_another_training_are_never_gone_on_from(model: Model, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(model(), tmp_path, VARIANTS["dropout"], dies_at=4)
    other = {**VARIANTS["dropout"], "peft": {"r": 4, "lora_dropout": 0.2}}
    with pytest.raises(
        RagftError, match=r"checkpoints belong to another training \(peft '.*' then, '.*' now\)"
    ) as caught:
        trained(model(), tmp_path, other)
    assert caught.value.hint == f"start it as it was started, or begin anew: rm -r {tmp_path / 'checkpoints'}"


def test_the_number_of_processes_belongs_to_a_training(tmp_path: Path) -> None:
    claim(tmp_path, {"processes": 2})
    claim(tmp_path, {"processes": 2})
    with pytest.raises(RagftError, match=r"another training \(processes 2 then, 1 now\)"):
        claim(tmp_path, {"processes": 1})


def test_every_setting_gets_a_folder_of_its_own(tmp_path: Path, tiny_model: Path) -> None:
    """The workspace keys checkpoints by fingerprint: texts, settings, seed, base model, precision and code."""
    from ragft.arms.adapters import Adapters
    from ragft.arms.bench import Bench
    from ragft.config import load_experiment
    from ragft.workspace import Workspace

    experiment = write_experiment(tmp_path / "experiment", tiny_model, tiny_model)
    key = "adapters.closed_book"
    changes = [
        "seed=17",
        "seed=18",
        f"{key}.training.learning_rate=0.02",
        f"{key}.training.adam_beta1=0.8",
        f"{key}.peft.r=5",
        f"{key}.peft.use_rslora=true",
        f"{key}.peft.rank_pattern={{q_proj: 2}}",
        f"{key}.limit=11",
    ]
    found = []
    for change in changes:
        space = Workspace(experiment.workspace).prepare()
        bench = Bench(load_experiment(experiment.file, [change]).experiment, space, Silent())
        found.append(space.training_dir(Adapters(bench, None).fingerprint("closed_book")))
    assert len(set(found)) == len(changes)


class Silent:
    """A listener that hears nothing."""

    def work(self, title: str, total: int, unit: str) -> Any:
        raise NotImplementedError

    def say(self, text: str) -> None:
        raise NotImplementedError


# ----------------------------------------------------------------------------------------------------- no room


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"no space left \([\d,]+ MB free\)"),
        (RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0"), "no space left"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission"),
        (OSError(errno.EROFS, "Read-only file system"), "no permission"),
    ],
)
def test_what_cannot_be_written_says_where_and_why(tmp_path: Path, error: Exception, reason: str) -> None:
    message = rf"^cannot write the adapter in {tmp_path}/new: {reason}"
    with pytest.raises(RagftError, match=message) as caught, writing(tmp_path / "new", "the adapter"):
        raise error
    assert "--workspace" in (caught.value.hint or "")


def test_after_a_checkpoint_that_could_not_be_written_the_next_try_goes_on(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.save

    def fails(value: Any, file: Any, *more: Any, **options: Any) -> None:
        if "checkpoint-6" in str(file) and "optimizer" in str(file):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(value, file, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fails)
        with pytest.raises(RagftError, match=rf"cannot write the checkpoint of step 6 in {tmp_path}/checkpoints"):
            trained(model(), tmp_path, VARIANTS["dropout"])
    assert last_checkpoint(tmp_path / "checkpoints") == tmp_path / "checkpoints" / "checkpoint-3"
    whole = trained(model(), tmp_path / "whole", VARIANTS["dropout"])
    assert curve(trained(model(), tmp_path, VARIANTS["dropout"])) == curve(whole)


def test_other_failures_keep_their_own_words(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(RuntimeError, match="^something else$"):
        trained(model(), tmp_path, VARIANTS["dropout"])
