"""Packed batches: examples laid end to end in one row, without padding, sharing the beginning that they have in common.

A row is `[shared beginning][rest of example 1][rest of example 2]...`. Every linear layer runs on the whole row; only
attention knows where examples end (ragft/training/attention.py). The beginning (a system prompt, most often) is read
once and every example attends to it, so losses and gradients are those of the examples read apart.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from ragft.errors import DataError
from ragft.training.examples import TrainingTokens

Block = tuple[TrainingTokens, ...]
"""Rows that always share a batch."""

LEAST_SHARED = 4
"""A shared beginning of fewer tokens is not worth another piece of attention."""

WINDOW = 256
"""Rows among which blocks are filled: enough to fill them well, few enough that the order stays shuffled."""


class PackedCollator:
    """Joins examples into one packed row.

    Tensors: `lengths` (examples,): tokens of each example behind the shared beginning; `shared` (1,): tokens of the
    beginning; `input_ids`, `position_ids` (1, tokens), where positions of every example go on from the beginning;
    `kept` (labels,): the positions whose logits are needed; `labels` (labels,): the token that each of them predicts.
    `lengths` comes first because the Trainer takes the size of a batch from its first tensor.
    """

    def __call__(self, rows: Sequence[TrainingTokens | Block]) -> dict[str, torch.Tensor]:
        """Return one batch as tensors."""
        flat = [row for item in rows for row in (item if isinstance(item, tuple) else (item,))]
        shared = shared_beginning(flat)
        ids = [*flat[0].prompt[:shared]]
        positions, kept, labels = list(range(shared)), list[int](), list[int]()
        for row in flat:
            begin = len(ids)
            ids += (*row.prompt, *row.completion)[shared:]
            positions += range(shared, row.length)
            for place, token in enumerate(row.completion, start=len(row.prompt)):
                if place > 0:  # nothing stands before the first token of a row without a prompt
                    kept.append(begin + place - 1 - shared if place > shared else shared - 1)
                    labels.append(token)
        return {
            "lengths": torch.tensor([row.length - shared for row in flat]),
            "shared": torch.tensor([shared]),
            "input_ids": torch.tensor([ids]),
            "position_ids": torch.tensor([positions]),
            "kept": torch.tensor(kept, dtype=torch.long),
            "labels": torch.tensor(labels, dtype=torch.long),
        }


def shared_beginning(rows: Sequence[TrainingTokens]) -> int:
    """Return how many tokens all prompts begin with; 0 for a single row, or where it is too little to matter."""
    if len(rows) < 2:
        return 0
    first, last = min(row.prompt for row in rows), max(row.prompt for row in rows)
    shared = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return shared if shared >= LEAST_SHARED else 0


def packed(rows: Sequence[TrainingTokens], block_tokens: int, *, seed: int) -> list[Block]:
    """Return the rows in blocks of at most `block_tokens` tokens, drawn by the seed; every row is in one block.

    Rows are shuffled, and inside windows of `WINDOW` of them blocks are filled first-fit decreasing: the longest row
    first, each into the first block that has room (Johnson 1973: at most 11/9 of the fewest blocks, and one). Raises
    DataError for a row longer than a block: cutting it is the recipe's decision, and never silent.
    """
    for row in rows:
        if row.length > block_tokens:
            raise DataError(f"training row {row.id!r} has {row.length} tokens, and a block holds {block_tokens}")
    rng = random.Random(seed)
    order = list(rows)
    rng.shuffle(order)
    blocks = [
        block
        for start in range(0, len(order), WINDOW)
        for block in _filled(order[start : start + WINDOW], block_tokens)
    ]
    rng.shuffle(blocks)
    return blocks


def _filled(rows: Sequence[TrainingTokens], block_tokens: int) -> list[Block]:
    blocks: list[list[TrainingTokens]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: -row.length):
        place = next((n for n, left in enumerate(room) if left >= row.length), len(blocks))
        if place == len(blocks):
            blocks.append([])
            room.append(block_tokens)
        blocks[place].append(row)
        room[place] -= row.length
    return [tuple(block) for block in blocks]
