"""Batches of training examples: the order in which they are seen, and their tensors."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from ragft.training.examples import TrainingTokens

IGNORED = -100
"""Label of a position without loss, as torch's cross-entropy knows it."""

WINDOW = 16
"""Micro-batches among which examples are sorted by length; the batches of a window are then shuffled."""


def drawn_order(lengths: Sequence[int], *, epochs: float, batch_size: int, seed: int) -> list[int]:
    """Return the indexes of the examples for the whole training, in the order in which they are seen.

    Drawn once from the seed, so a resumed training sees what an uninterrupted one would have seen. Every epoch is a
    permutation. Inside windows of `WINDOW` batches examples of similar length share a batch, which saves padding; a
    window never spans two epochs, or the copies of one example, which are equally long, would share a batch. What is
    left over of an epoch opens the next one.
    """
    rng = random.Random(seed)
    n_left = max(1, round(epochs * len(lengths))) if lengths else 0
    order: list[int] = []
    left_over: list[int] = []
    while n_left > 0:
        epoch = list(range(len(lengths)))
        rng.shuffle(epoch)
        pool = left_over + epoch[:n_left]
        n_left -= len(epoch)
        whole = len(pool) // batch_size * batch_size
        left_over = pool[whole:]
        for window in _windows(pool[:whole], WINDOW * batch_size):
            order += _grouped(window, lengths, batch_size, rng)
    return order + left_over


def _windows(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _grouped(window: list[int], lengths: Sequence[int], batch_size: int, rng: random.Random) -> list[int]:
    """Sort one window of whole batches by length, cut it into batches, and shuffle those."""
    batches = _windows(sorted(window, key=lambda index: lengths[index]), batch_size)
    rng.shuffle(batches)
    return [index for batch in batches for index in batch]


class Collator:
    """Joins examples into a left-padded batch, with labels for the last positions only.

    Left padding puts every completion at the right edge, so the model computes logits for the last
    `labels.shape[1]` positions and no others. Tensors: `input_ids`, `attention_mask`, `position_ids` of shape
    (batch, longest example); `labels` of shape (batch, longest completion + 1, at most the longest example), whose
    first column never carries loss.
    """

    def __init__(self, pad_token_id: int) -> None:
        self._pad = pad_token_id

    def __call__(self, rows: Sequence[TrainingTokens]) -> dict[str, torch.Tensor]:
        """Return one batch as tensors."""
        width = max(row.length for row in rows)
        kept = min(width, max(len(row.completion) for row in rows) + 1)
        mask = torch.tensor([[0] * (width - row.length) + [1] * row.length for row in rows])
        ids = [[self._pad] * (width - row.length) + [*row.prompt, *row.completion] for row in rows]
        labels = [([IGNORED] * width + _predicted(row))[-kept:] for row in rows]
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": mask,
            "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0),
            "labels": torch.tensor(labels),
        }


class PairCollator:
    """Joins examples of an encoder-decoder model into a right-padded batch.

    Tensors: `input_ids`, `attention_mask` (batch, longest prompt) for the encoder; `decoder_input_ids`, `labels`
    (batch, longest completion behind the decoder's prefix). A decoder input is the prefix and the completion, moved on
    by one against the labels: the model's own rule (`prepare_decoder_input_ids_from_labels`), and what an answer
    begins with. Only the completion carries loss. The decoder needs no mask: what it reads looks back, and padding
    stands behind.
    """

    def __init__(self, pad_token_id: int, prefix: Sequence[int]) -> None:
        self._pad = pad_token_id
        self._prefix = tuple(prefix)

    def __call__(self, rows: Sequence[TrainingTokens]) -> dict[str, torch.Tensor]:
        """Return one batch as tensors."""
        width = max(len(row.prompt) for row in rows)
        before = len(self._prefix) - 1
        wide = before + max(1, *(len(row.completion) for row in rows))
        ids = [[*row.prompt, *[self._pad] * (width - len(row.prompt))] for row in rows]
        mask = [[1] * len(row.prompt) + [0] * (width - len(row.prompt)) for row in rows]
        begun = [[*self._prefix, *row.completion, *[self._pad] * wide][:wide] for row in rows]
        labels = [[*[IGNORED] * before, *row.completion, *[IGNORED] * wide][:wide] for row in rows]
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(mask),
            "decoder_input_ids": torch.tensor(begun),
            "labels": torch.tensor(labels),
        }


def _predicted(row: TrainingTokens) -> list[int]:
    """Return the labels of a completion; only padding stands before the first token of a row without a prompt."""
    return list(row.completion) if row.prompt else [IGNORED, *row.completion[1:]]
