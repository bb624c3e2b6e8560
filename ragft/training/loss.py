"""The loss of training: the mean negative log-likelihood of the completion tokens, and nothing else."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer

from ragft.errors import RagftError
from ragft.training.batching import IGNORED


def contiguous(_: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Give the head its kept positions in one block: torch copies the whole head once per example for a strided one."""
    return tuple(argument.contiguous() for argument in arguments)


class CompletionTrainer(Trainer):
    """A Trainer whose loss is the mean negative log-likelihood of the completion tokens, in nats."""

    def compute_loss(
        self,
        model: Any,  # noqa: ANN401 - the Trainer's signature
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Return the loss of one micro-batch, with logits at the completion's positions only."""
        labels = inputs["labels"]
        reading = {key: value for key, value in inputs.items() if key != "labels"}
        outputs = model(**reading, use_cache=False, logits_to_keep=labels.shape[1])
        logits, targets = outputs.logits[:, :-1].float(), labels[:, 1:]
        total = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=IGNORED, reduction="sum"
        )
        count = (targets != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        loss = total / count
        if not torch.isfinite(loss):
            raise RagftError(
                f"the training loss is {loss.item()} at step {self.state.global_step + 1}",
                "lower training.learning_rate, or set model.dtype: float32",
            )
        return (loss, outputs) if return_outputs else loss
