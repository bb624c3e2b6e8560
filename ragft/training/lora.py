"""LoRA training through PEFT and transformers' Trainer: loss on completions only, dev loss, checkpoints, resuming.

The adapter is trained on the copy of the base weights that answers later; they are frozen, and PEFT's wrapping is
taken off again. Knows nothing of prompts, tasks or run folders.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint, set_seed

from ragft.config import AdapterConfig
from ragft.errors import RagftError
from ragft.models.language_model import LanguageModel
from ragft.training.batching import Collator, drawn_order
from ragft.training.examples import TrainingTokens
from ragft.training.loss import CompletionTrainer, contiguous


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands: optimiser steps, the last losses, and tokens read per second (padding not counted)."""

    step: int
    steps: int
    loss: float | None
    dev_loss: float | None
    tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What training measured; `history` is the Trainer's log (step, loss, eval_loss, learning_rate, grad_norm)."""

    steps: int
    examples_seen: int
    tokens_seen: int
    label_tokens: int
    seconds: float
    train_loss: float
    dev_loss: float | None
    best_step: int
    history: tuple[dict[str, float], ...]


OnProgress = Callable[[Progress], None]


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
) -> TrainingResult:
    """Train one adapter and save it in `target` in PEFT's own format; returns what training measured.

    Checkpoints go to `folder`; a training that was stopped goes on from the last one. Raises RagftError when the loss
    is not a number, or when `target_modules` names nothing in the model.
    """
    set_seed(seed)
    model = _wrapped(language_model, config)
    base: Any = language_model.model
    head = base.get_output_embeddings().register_forward_pre_hook(contiguous)
    try:
        watcher = _Watcher(on_progress, config.training)
        trainer = _trainer(model, language_model, config, train_rows, dev_rows, folder, seed, watcher)
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=_checkpoint(folder))
        seconds = time.perf_counter() - started
        model.save_pretrained(target)
        return _result(trainer, config, train_rows, _whole(seconds, trainer.state.global_step, watcher.first_step))
    finally:
        head.remove()
        model.unload()
        base.eval().requires_grad_(False)


def _wrapped(language_model: LanguageModel, config: AdapterConfig) -> Any:  # noqa: ANN401 - a PeftModel
    peft = config.peft.model_dump()
    if not isinstance(peft["target_modules"], str):
        peft["target_modules"] = list(peft["target_modules"])
    try:
        return get_peft_model(language_model.model, LoraConfig(task_type="CAUSAL_LM", **peft))
    except ValueError as error:
        modules = language_model.model.named_modules()
        names = sorted({name.rsplit(".", 1)[-1] for name, module in modules if isinstance(module, torch.nn.Linear)})
        raise RagftError(f"peft.target_modules: {error}", f"linear modules of the model: {', '.join(names)}") from None


def _checkpoint(folder: Path) -> str | None:
    """Return the last whole checkpoint; one that was being written when the process died lacks its trainer state."""
    find: Callable[[str], str | None] = get_last_checkpoint
    while folder.is_dir() and (last := find(str(folder))) is not None:
        if _is_whole(Path(last)):
            return last
        shutil.rmtree(last)
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint's trainer state, which is written last, is there and can be read."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


class _Rows(Dataset[TrainingTokens]):
    def __init__(self, rows: Sequence[TrainingTokens], order: Sequence[int]) -> None:
        self._rows, self._order = rows, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> TrainingTokens:
        return self._rows[self._order[position]]


def _trainer(
    model: Any,  # noqa: ANN401
    language_model: LanguageModel,
    config: AdapterConfig,
    train_rows: Sequence[TrainingTokens],
    dev_rows: Sequence[TrainingTokens],
    folder: Path,
    seed: int,
    watcher: _Watcher,
) -> Trainer:
    settings = config.training
    order = drawn_order(
        [row.length for row in train_rows],
        epochs=settings.num_train_epochs,
        batch_size=settings.per_device_train_batch_size,
        seed=seed,
    )
    by_length = sorted(range(len(dev_rows)), key=lambda index: dev_rows[index].length)
    watcher.lengths = [train_rows[index].length for index in order]
    trainer = CompletionTrainer(
        model=model,
        args=_arguments(config, folder, _planned_steps(config, len(order)), bool(dev_rows), seed, language_model),
        train_dataset=_Rows(train_rows, order),
        eval_dataset=_Rows(dev_rows, by_length) if dev_rows else None,
        data_collator=Collator(language_model.tokenizer.pad_token_id),
        callbacks=[watcher],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _planned_steps(config: AdapterConfig, examples: int) -> int:
    """Return the optimiser steps: `max_steps` if it is set, else what the epochs give."""
    settings = config.training
    steps = math.ceil(math.ceil(examples / settings.per_device_train_batch_size) / settings.gradient_accumulation_steps)
    return steps if settings.max_steps < 0 else min(settings.max_steps, steps)


def _arguments(
    config: AdapterConfig, folder: Path, steps: int, has_dev: bool, seed: int, language_model: LanguageModel
) -> TrainingArguments:
    """Return the Trainer's arguments; the order of the data is ours, so its own sampler is sequential."""
    settings = config.training
    every = max(1, math.ceil(steps / settings.evals_per_run))
    best = has_dev and settings.load_best_model_at_end
    return TrainingArguments(
        output_dir=str(folder),
        learning_rate=settings.learning_rate,
        num_train_epochs=1,
        max_steps=steps,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        per_device_eval_batch_size=settings.per_device_train_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type=settings.lr_scheduler_type,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        train_sampling_strategy="sequential",
        eval_strategy="steps" if has_dev else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=best,
        metric_for_best_model="eval_loss" if best else None,
        greater_is_better=False if best else None,
        logging_strategy="steps",
        logging_steps=1,
        bf16=language_model.dtype == torch.bfloat16,
        fp16=language_model.dtype == torch.float16 and language_model.device.type == "cuda",
        use_cpu=language_model.device.type == "cpu",
        seed=seed,
        data_seed=seed,
        report_to="none",
        disable_tqdm=True,
        label_names=["labels"],
        prediction_loss_only=True,
        remove_unused_columns=False,
        dataloader_pin_memory=language_model.device.type == "cuda",
    )


class _Watcher(TrainerCallback):
    """Tells `on_progress` after every step and every measurement of the dev loss.

    `lengths` are the tokens of the training examples in the order in which they are read.
    """

    def __init__(self, on_progress: OnProgress, settings: Any) -> None:  # noqa: ANN401
        self._on_progress = on_progress
        self.lengths: Sequence[int] = ()
        self._per_step = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
        self._loss: float | None = None
        self._dev_loss: float | None = None
        self._began: tuple[int, float] | None = None

    @property
    def first_step(self) -> int:
        """The step at which this process began to train: above 0 where it went on from a checkpoint."""
        return self._began[0] if self._began is not None else 0

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Remember when and at which step this process began to train."""
        if self._began is None:
            self._began = (state.global_step, time.perf_counter())

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Pass on the newest losses."""
        logs = logs or {}
        self._loss = logs.get("loss", self._loss)
        self._dev_loss = logs.get("eval_loss", self._dev_loss)
        self._on_progress(Progress(state.global_step, state.max_steps, self._loss, self._dev_loss, self._speed(state)))

    def _speed(self, state: TrainerState) -> float | None:
        if self._began is None or state.global_step <= self._began[0]:
            return None
        first, began = self._began
        read = sum(self.lengths[first * self._per_step : state.global_step * self._per_step])
        return read / max(1e-9, time.perf_counter() - began)


def _whole(seconds: float, steps: int, first_step: int) -> float:
    """Return about how long the whole training took, where this process did the steps after `first_step` only."""
    return seconds * steps / (steps - first_step) if steps > first_step else seconds


def _result(trainer: Trainer, config: AdapterConfig, rows: Sequence[TrainingTokens], seconds: float) -> TrainingResult:
    state, settings = trainer.state, config.training
    per_step = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    dataset: Any = trainer.train_dataset
    seen = [dataset[position] for position in range(min(state.global_step * per_step, len(dataset)))]
    losses = [row["loss"] for row in state.log_history if "loss" in row]
    dev = [(row["eval_loss"], int(row["step"])) for row in state.log_history if "eval_loss" in row]
    kept = min(dev) if dev and settings.load_best_model_at_end else dev[-1] if dev else (None, state.global_step)
    return TrainingResult(
        steps=state.global_step,
        examples_seen=len(seen),
        tokens_seen=sum(row.length for row in seen),
        label_tokens=sum(len(row.completion) for row in seen),
        seconds=seconds,
        train_loss=sum(losses) / len(losses),
        dev_loss=kept[0],
        best_step=kept[1],
        history=tuple({k: float(v) for k, v in row.items()} for row in state.log_history),
    )
