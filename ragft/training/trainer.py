"""The Trainer that every method shares: LoRA+'s optimiser, task metrics of dev answers, and failures in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from peft.optimizers import create_loraplus_optimizer
from torch.utils.data import Dataset

from ragft.config import AdapterConfig
from ragft.errors import RagftError
from ragft.training.checkpoints import writing
from ragft.training.examples import TrainingTokens
from ragft.training.loss import CompletionTrainer

Measure = Callable[[Any], Mapping[str, float]]
"""Takes the model as it stands and returns task metrics of the answers that it generates to the dev examples."""

OUT_OF_MEMORY = "can't allocate memory"
"""How torch's allocator for the processor says it; that of a GPU has an error class of its own."""


class Rows(Dataset[TrainingTokens]):
    """Examples in the order in which they are read; positions past the end are examples without any label.

    Those fill the last batch, so that each of several processes gets one; they add nothing to the loss.
    """

    def __init__(self, rows: Sequence[TrainingTokens], order: Sequence[int], multiple: int, pad_token_id: int) -> None:
        self._rows, self.order = rows, order
        self._length = -(-len(order) // multiple) * multiple
        self._filler = TrainingTokens("", (pad_token_id,), ())

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: int) -> TrainingTokens:
        return self._rows[self.order[position]] if position < len(self.order) else self._filler

    def ids(self, start: int, count: int) -> list[str]:
        """Return the ids of the examples at these positions."""
        return [self._rows[index].id for index in self.order[start : start + count]]


class AdapterTrainer(CompletionTrainer):
    """Trains one adapter, or all weights, with the loss on completions only."""

    def __init__(self, config: AdapterConfig, measure: Measure | None, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._config = config
        self._measure = measure
        self._place = (-1, 0)
        self._loss_shifts_labels = False  # every label is counted: a packed batch has no first one that carries no loss

    def create_optimizer(self, model: Any = None) -> Any:  # noqa: ANN401 - the Trainer's signature
        """Return the optimiser; with LoRA+ the one in which the B matrices learn faster."""
        ratio = self._config.peft.loraplus_lr_ratio
        if ratio is None or self.optimizer is not None:
            return super().create_optimizer(model)
        wrapped: Any = self.model if model is None else model
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, wrapped)
        self.optimizer = create_loraplus_optimizer(
            wrapped, kind, loraplus_lr_ratio=ratio, loraplus_weight_decay=self.args.weight_decay, **options
        )
        return self.optimizer

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:  # noqa: ANN401
        """Do one forward and backward pass; a failure names the examples of the batch and the knobs."""
        step, number = self._place
        self._place = (self.state.global_step, number + 1 if step == self.state.global_step else 0)
        try:
            return super().training_step(model, inputs, num_items_in_batch)
        except RagftError as error:
            ids = ", ".join(self._ids())
            raise RagftError(f"{error.message}, on the examples {ids}", error.hint) from None
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._out_of_memory(inputs) from None

    def _ids(self) -> list[str]:
        """Return the ids of the examples in this process's batch."""
        batch, processes = self.args.per_device_train_batch_size, self.accelerator.num_processes
        before = self._place[0] * self.args.gradient_accumulation_steps + self._place[1]
        dataset: Any = self.train_dataset
        found: list[str] = dataset.ids((before * processes + self.accelerator.process_index) * batch, batch)
        return found

    def _out_of_memory(self, inputs: Any) -> RagftError:  # noqa: ANN401
        examples = len(inputs["lengths"]) if "lengths" in inputs else inputs["input_ids"].shape[0]
        tokens = sum(inputs[name].numel() for name in ("input_ids", "decoder_input_ids") if name in inputs)
        message = f"out of memory at step {self.state.global_step + 1}, on {examples} examples of {tokens} tokens"
        hint = "lower training.per_device_train_batch_size and raise training.gradient_accumulation_steps by as much"
        if not self._config.training.gradient_checkpointing:
            hint += "; or set training.gradient_checkpointing: true"
        if self._config.peft.method == "full":
            hint += "; or peft.method: lora, which trains a small share of the weights"
        return RagftError(f"{message} ({', '.join(self._ids())})", hint)

    def evaluation_loop(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the Trainer's signature
        """Return what the dev set gives: its loss, and the task metrics where a metric chooses the checkpoint."""
        output: Any = super().evaluation_loop(*arguments, **options)
        if self._measure is not None and options.get("metric_key_prefix", "eval") == "eval":
            output.metrics.update({f"eval_{name}": float(value) for name, value in self._measured().items()})
        return output

    def _measured(self) -> Mapping[str, float]:
        """Return the task metrics, which the main process takes while the others wait."""
        assert self._measure is not None
        found: list[dict[str, float]] = [{}]
        if self.accelerator.is_main_process:
            found = [dict(self._measure(self.accelerator.unwrap_model(self.model)))]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(found, from_process=0)
        metrics = found[0]
        name = self._config.training.metric_for_best_model
        if name != "loss" and name not in metrics:
            raise RagftError(
                f"training.metric_for_best_model names {name!r}, which the dev answers do not give",
                f"it can be loss or one of {', '.join(metrics)}",
            )
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ANN401 - the Trainer's signature
        """Write a checkpoint; a folder that is full or closed is an error that says where."""
        with writing(Path(str(self.args.output_dir)), f"the checkpoint of step {self.state.global_step}"):
            super()._save_checkpoint(model, trial)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on a GPU or on the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or OUT_OF_MEMORY in str(error).lower()
