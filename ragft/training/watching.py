"""Watching a training from inside: telling how far it is, and stopping it early. Decisions come from the history."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ragft.config import TrainingConfig


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands: optimiser steps, the last losses, and tokens read per second (padding not counted)."""

    step: int
    steps: int
    loss: float | None
    dev_loss: float | None
    tokens_per_second: float | None


OnProgress = Callable[[Progress], None]


class Watcher(TrainerCallback):
    """Tells `on_progress` after every step and every measurement of the dev loss.

    `lengths` are the tokens of the training examples in the order in which they are read, `per_step` how many of them
    one optimiser step reads.
    """

    def __init__(self, on_progress: OnProgress, lengths: Sequence[int], per_step: int) -> None:
        self._on_progress = on_progress
        self._lengths = lengths
        self._per_step = per_step
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
        read = sum(self._lengths[first * self._per_step : state.global_step * self._per_step])
        return read / max(1e-9, time.perf_counter() - began)


class EarlyStopping(TrainerCallback):
    """Stops a training whose dev metric has not got better for `early_stopping_patience` measurements.

    Transformers' own callback counts in memory, and its count and its stop are lost when a training is resumed. Here
    both follow from the history, which every checkpoint holds.
    """

    def __init__(self, settings: TrainingConfig) -> None:
        self._settings = settings

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Ask the Trainer to stop when patience has run out."""
        if is_out_of_patience(state.log_history, self._settings):
            control.should_training_stop = True


def is_out_of_patience(history: Sequence[Mapping[str, float]], settings: TrainingConfig) -> bool:
    """Return whether the last `early_stopping_patience` measurements all failed to beat the best before them.

    To count, a measurement must beat the best one that counted by more than `early_stopping_threshold`.
    """
    if settings.early_stopping_patience is None:
        return False
    key, sign = f"eval_{settings.metric_for_best_model}", 1 if settings.is_greater_better else -1
    best, without = -float("inf"), 0
    for value in (sign * row[key] for row in history if key in row):
        is_better = value > best + settings.early_stopping_threshold
        best, without = (value, 0) if is_better else (best, without + 1)
    return without >= settings.early_stopping_patience
