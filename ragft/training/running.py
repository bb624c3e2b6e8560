"""Training: from examples as tokens to an adapter in a folder, in this process or in several at once.

The adapter is trained on the copy of the base weights that answers later; they are as before when it ends. Knows
nothing of prompts, tasks or run folders. `train`, `Progress` and `TrainingResult` are imported from here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerState
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_utils import set_seed

from ragft import provenance
from ragft.config import AdapterConfig, Device, Dtype
from ragft.config.training import DEV_LOSS
from ragft.errors import RagftError
from ragft.models.language_model import LanguageModel, load
from ragft.models.sources import ModelFolder
from ragft.training.arguments import arguments, check_trackers, plan_of
from ragft.training.batching import drawn_order
from ragft.training.checkpoints import STATE, claim, last_checkpoint, writing
from ragft.training.distributed import is_helper, n_processes, team
from ragft.training.examples import TrainingTokens
from ragft.training.loss import contiguous
from ragft.training.methods import adapted, check_hardware, keep_initial, save
from ragft.training.signs import signs_of_trouble
from ragft.training.speed import Collate, prepared
from ragft.training.trackers import discreet, without_host
from ragft.training.trainer import AdapterTrainer, Measure, Rows, is_out_of_memory
from ragft.training.watching import EarlyStopping, OnProgress, Progress, Watcher, is_out_of_patience

TENSORBOARD = "tensorboard"
"""Folder beside an adapter for tensorboard's files."""

__all__ = ["Measure", "OnProgress", "Progress", "TrainingResult", "help_with", "train"]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What training measured; `history` is the Trainer's log (step, loss, eval_loss, learning_rate, grad_norm).

    `method` is that of the settings (lora, qlora, ia3, full). `effective_batch` are the examples in one optimiser step,
    those of all `processes` together. `signs` are the signs of trouble in the history, one sentence each.
    """

    steps: int
    examples_seen: int
    tokens_seen: int
    label_tokens: int
    seconds: float
    train_loss: float
    dev_loss: float | None
    best_step: int
    history: tuple[dict[str, float], ...]
    method: str = "lora"
    processes: int = 1
    effective_batch: int = 0
    signs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One training, as the main process hands it to the others."""

    model: ModelFolder
    dtype: Dtype
    device: Device
    config: AdapterConfig
    train_rows: tuple[TrainingTokens, ...]
    dev_rows: tuple[TrainingTokens, ...]
    folder: Path
    target: Path
    seed: int
    resume: Path | None
    measures: bool


def train(
    language_model: LanguageModel,
    config: AdapterConfig,
    train_rows: Sequence[TrainingTokens],
    dev_rows: Sequence[TrainingTokens],
    *,
    folder: Path,
    target: Path,
    seed: int,
    on_progress: OnProgress = lambda _: None,
    measure: Measure | None = None,
) -> TrainingResult:
    """Train one adapter and save it in `target`, in PEFT's own format or as a model folder; returns what was measured.

    Checkpoints go to `folder`; a training that was stopped goes on from the last whole one. `measure` is asked for task
    metrics of dev answers whenever the dev loss is measured, where one of them chooses the checkpoint. Raises
    RagftError when the loss is not a number, memory or disk run out, or settings do not fit the model, the data or
    the machine.
    """
    _check(language_model, config, dev_rows, measure)
    processes = n_processes()
    claim(folder, _identity(language_model, config, train_rows, dev_rows, seed, processes))
    job = Job(
        language_model.folder,
        str(language_model.dtype).removeprefix("torch."),  # type: ignore[arg-type]
        language_model.device.type,  # type: ignore[arg-type]
        config,
        tuple(train_rows),
        tuple(dev_rows),
        folder,
        target,
        seed,
        last_checkpoint(folder, processes),
        measure is not None and config.training.metric_for_best_model != DEV_LOSS,
    )
    others = team()
    if others is None:
        return _trained(language_model, job, on_progress, measure)
    others.hand_out(job)
    with others.listening():
        return _trained(language_model, job, on_progress, measure)


def help_with(job: Job) -> None:
    """Take part in a training that the main process has begun."""
    model = load(job.model, job.dtype, job.device)
    _trained(model, job, lambda _: None, lambda _: {})


def _check(
    language_model: LanguageModel, config: AdapterConfig, dev_rows: Sequence[TrainingTokens], measure: Measure | None
) -> None:
    """Raise RagftError for settings that cannot be followed with these data on this machine."""
    settings, metric = config.training, config.training.metric_for_best_model
    check_hardware(config.peft, language_model.device)
    check_trackers(settings.report_to)
    if not dev_rows and (settings.early_stopping_patience is not None or metric != DEV_LOSS):
        key = "metric_for_best_model" if metric != DEV_LOSS else "early_stopping_patience"
        raise RagftError(
            f"training.{key} needs dev examples, and there are none", "add data.dev, or more train examples"
        )
    if metric != DEV_LOSS and measure is None:
        raise RagftError(f"training.metric_for_best_model: {metric} cannot be measured here", f"use {DEV_LOSS!r}")
    is_sharded = settings.deepspeed is not None or "fsdp" in settings.further()
    if is_sharded and metric != DEV_LOSS:
        raise RagftError("answers cannot be generated from sharded weights", f"use metric_for_best_model: {DEV_LOSS}")


def _identity(
    language_model: LanguageModel,
    config: AdapterConfig,
    train_rows: Sequence[TrainingTokens],
    dev_rows: Sequence[TrainingTokens],
    seed: int,
    processes: int,
) -> dict[str, Any]:
    """Return what a checkpoint of this training may only be gone on from with."""
    return {
        "base": language_model.folder.fingerprint,
        "dtype": str(language_model.dtype),
        "train": provenance.fingerprint(train_rows),
        "dev": provenance.fingerprint(dev_rows),
        "peft": provenance.fingerprint(config.peft.model_dump(mode="json")),
        "training": provenance.fingerprint(config.training.model_dump(mode="json")),
        "seed": seed,
        "processes": processes,
    }


def _trained(
    language_model: LanguageModel, job: Job, on_progress: OnProgress, measure: Measure | None
) -> TrainingResult:
    """Train as the job says, in this process; only the main one writes what was trained."""
    set_seed(job.seed)
    pad: Any = language_model.tokenizer.pad_token_id
    with (
        _memory_named(),
        discreet(job.config.training.report_to if not is_helper() else ()),
        adapted(language_model, job.config.peft) as model,
        _as_before(model),
        prepared(model, pad, language_model.decoder_prefix) as collate,
    ):
        measured = measure if job.measures else None
        trainer, watcher = _trainer(model, language_model, job, collate, on_progress, measured)
        if trainer.args.process_index == 0:
            with writing(job.folder, "the adapter's first value"):
                keep_initial(model, job.config.peft, job.folder)
        started = time.perf_counter()
        _run(trainer, job)
        seconds = time.perf_counter() - started
        _save(trainer, model, language_model, job)
        without_host(job.target / TENSORBOARD)
        return _result(trainer, job, _whole(seconds, trainer.state.global_step, watcher.first_step))


@contextmanager
def _memory_named() -> Iterator[None]:
    """Turn a lack of memory that no step has named into a RagftError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise RagftError(
            "out of memory while the training was set up or the dev loss measured",
            "lower training.per_device_eval_batch_size, or use peft.method: lora or a smaller model",
        ) from error


@contextmanager
def _as_before(model: Any) -> Iterator[None]:  # noqa: ANN401 - a PeftModel or a transformers model
    """Prepare the head for kept positions; afterwards the model generates as it did before."""
    head = model.get_output_embeddings().register_forward_pre_hook(contiguous)
    base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
    use_cache = getattr(base.config, "use_cache", None)
    try:
        yield
    finally:
        head.remove()
        base.gradient_checkpointing_disable()
        base.config.use_cache = use_cache
        for name in ("forward", "_original_forward"):  # accelerate's autocast around it
            vars(base).pop(name, None)


def _trainer(
    model: Any,  # noqa: ANN401
    language_model: LanguageModel,
    job: Job,
    collate: Collate,
    on_progress: OnProgress,
    measure: Measure | None,
) -> tuple[AdapterTrainer, Watcher]:
    rows, settings, processes = job.train_rows, job.config.training, n_processes()
    together = settings.per_device_train_batch_size * processes  # one process with such batches would read the same
    lengths = [row.length for row in rows]
    order = drawn_order(lengths, epochs=settings.num_train_epochs, batch_size=together, seed=job.seed)
    plan = plan_of(job.config, len(order), processes)
    order = order[: plan.steps * plan.effective_batch]  # or a training resumed at its last step would go on
    pad: Any = language_model.tokenizer.pad_token_id
    by_length = sorted(range(len(job.dev_rows)), key=lambda index: job.dev_rows[index].length)
    watcher = Watcher(on_progress, [lengths[index] for index in order], plan.effective_batch)
    trainer = AdapterTrainer(
        job.config,
        measure,
        model=model,
        args=arguments(job.config, job.folder, plan, bool(job.dev_rows), job.seed, language_model),
        train_dataset=Rows(rows, order, together, pad),
        eval_dataset=Rows(job.dev_rows, by_length, 1, pad) if job.dev_rows else None,
        data_collator=collate,
        callbacks=[watcher, EarlyStopping(settings)],
    )
    trainer.remove_callback(PrinterCallback)
    if "tensorboard" in settings.report_to:
        _keep_tensorboard(trainer, job.target)
    return trainer, watcher


def _keep_tensorboard(trainer: AdapterTrainer, target: Path) -> None:
    """Let tensorboard's files lie beside the adapter: the checkpoints' folder goes when the training ends."""
    trainer.remove_callback(TensorBoardCallback)
    callback: Any = TensorBoardCallback()  # type: ignore[no-untyped-call]
    callback.logging_dir = callback.logging_dir or str(target / TENSORBOARD)
    trainer.add_callback(callback)


def _run(trainer: AdapterTrainer, job: Job) -> None:
    """Train, from the checkpoint if there is one; where that was the last, only load what is to be kept."""
    if job.resume is not None and not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        state = TrainerState.load_from_json(str(job.resume / STATE))
        stopped = is_out_of_patience(state.log_history, job.config.training)
        if state.global_step >= trainer.args.max_steps or stopped:
            trainer.state = state
            best = state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
            trainer._load_from_checkpoint(best or str(job.resume))
            return
    trainer.train(resume_from_checkpoint=None if job.resume is None else str(job.resume))


def _save(trainer: AdapterTrainer, model: Any, language_model: LanguageModel, job: Job) -> None:  # noqa: ANN401
    """Write what was trained into the target; sharded weights are gathered by all processes together."""
    with writing(job.target, "the adapter"):
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            trainer.save_model(str(job.target))
            (job.target / "training_args.bin").unlink(missing_ok=True)
        elif trainer.args.process_index == 0:
            save(model, language_model, job.config.peft, job.folder, job.target)
    trainer.accelerator.wait_for_everyone()


def _whole(seconds: float, steps: int, first_step: int) -> float:
    """Return about how long the whole training took, where this process did the steps after `first_step` only."""
    return seconds * steps / (steps - first_step) if steps > first_step else seconds


def _result(trainer: AdapterTrainer, job: Job, seconds: float) -> TrainingResult:
    state, settings = trainer.state, job.config.training
    dataset: Any = trainer.train_dataset
    plan = plan_of(job.config, len(dataset.order), n_processes())
    seen = [job.train_rows[index] for index in dataset.order[: state.global_step * plan.effective_batch]]
    losses = [row["loss"] for row in state.log_history if "loss" in row]
    dev = {int(row["step"]): row["eval_loss"] for row in state.log_history if "eval_loss" in row}
    best = state.best_global_step if settings.load_best_model_at_end and dev else None
    kept = best or max(dev, default=state.global_step)
    history = tuple({key: float(value) for key, value in row.items()} for row in state.log_history)
    return TrainingResult(
        steps=state.global_step,
        examples_seen=len(seen),
        tokens_seen=sum(row.length for row in seen),
        label_tokens=sum(len(row.completion) for row in seen),
        seconds=seconds,
        train_loss=sum(losses) / len(losses),
        dev_loss=dev.get(kept),
        best_step=kept,
        history=history,
        method=job.config.peft.method,
        processes=plan.processes,
        effective_batch=plan.effective_batch,
        signs=signs_of_trouble(history),
    )
