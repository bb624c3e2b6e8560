"""The loss of training: the mean negative log-likelihood of the completion tokens, and nothing else."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer

from ragft.errors import RagftError
from ragft.training.attention import read_packed, segments
from ragft.training.batching import IGNORED


def contiguous(_: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Give the head its kept positions in one block: torch copies the whole head once per example for a strided one."""
    return tuple(argument.contiguous() for argument in arguments)


def completion_loss(model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, Any]:  # noqa: ANN401
    """Return (summed negative log-likelihood in nats, label tokens, the model's outputs) of a padded or packed batch.

    The model computes logits where a label is predicted, and nowhere else. The log-likelihood is taken in float32.
    """
    outputs, logits, targets = _read(model, batch)
    total = torch.nn.functional.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")
    return total, (targets != IGNORED).sum(), outputs


def _read(model: Any, batch: dict[str, Any]) -> tuple[Any, torch.Tensor, torch.Tensor]:  # noqa: ANN401
    """Return (the model's outputs, logits, the label that each of them predicts)."""
    if "kept" in batch:
        return _packed(model, batch)
    return _pairs(model, batch) if "decoder_input_ids" in batch else _padded(model, batch)


def _pairs(model: Any, batch: dict[str, Any]) -> tuple[Any, torch.Tensor, torch.Tensor]:  # noqa: ANN401
    """Read an encoder-decoder batch, whose decoder inputs are its labels moved on by one already."""
    reading = {key: value for key, value in batch.items() if key != "labels"}
    outputs = model(**reading, use_cache=False)
    return outputs, outputs.logits.flatten(0, 1), batch["labels"].flatten()


def _padded(model: Any, batch: dict[str, Any]) -> tuple[Any, torch.Tensor, torch.Tensor]:  # noqa: ANN401
    labels = batch["labels"]
    reading = {key: value for key, value in batch.items() if key != "labels"}
    outputs = model(**reading, use_cache=False, logits_to_keep=labels.shape[1])
    return outputs, outputs.logits[:, :-1].reshape(-1, outputs.logits.shape[-1]), labels[:, 1:].reshape(-1)


def _packed(model: Any, batch: dict[str, Any]) -> tuple[Any, torch.Tensor, torch.Tensor]:  # noqa: ANN401
    ids = batch["input_ids"]
    where = segments(int(batch["shared"]), batch["lengths"].tolist(), ids.device)
    outputs = read_packed(model, ids, batch["position_ids"], where, batch["kept"])
    return outputs, outputs.logits[0], batch["labels"]


class CompletionTrainer(Trainer):
    """A Trainer whose loss is the mean negative log-likelihood of the completion tokens, in nats."""

    def compute_loss(
        self,
        model: Any,  # noqa: ANN401 - the Trainer's signature
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Return the loss of one micro-batch, with logits at the completion's positions only.

        Over the labels of a whole step (`num_items_in_batch`) it is times the number of processes, because their
        gradients are averaged.
        """
        total, n_labels, outputs = completion_loss(model, inputs)
        if num_items_in_batch is None:
            loss = total / n_labels
        else:
            loss = total / num_items_in_batch * self.accelerator.num_processes
        if not torch.isfinite(loss):
            raise RagftError(
                f"the training loss is {loss.item()} at step {self.state.global_step + 1}",
                "lower training.learning_rate, or set model.dtype: float32",
            )
        return (loss, outputs) if return_outputs else loss
