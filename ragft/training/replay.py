"""General text that is replayed between the examples: the user's files, or what the base model writes by itself.

Reading a few percent of text like that of pretraining is the known remedy for forgetting (Scialom et al. 2022). Text
that the base model samples needs no data set and holds what the model knows, in its own words.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragft.data.general import general_texts
from ragft.errors import DataError
from ragft.training.examples import TrainingText, windows

if TYPE_CHECKING:
    from ragft.models.language_model import LanguageModel

BATCH = 8
"""Texts that the base model writes at a time."""


def budget(trained_tokens: int, share: float) -> int:
    """Return the tokens to replay, so that they are `share` of all: share / (1 - share) of those trained otherwise."""
    return round(trained_tokens * share / (1 - share))


def from_files(paths: Sequence[Path], tokenizer: Any, block: int, tokens: int, seed: int) -> list[TrainingText]:  # noqa: ANN401
    """Return windows of the files' texts, drawn by the seed without repeats, until they hold about `tokens` tokens.

    The last window may go over by less than a block. Raises DataError where the files hold too little text.
    """
    found = [
        window
        for id_, text in general_texts(paths, "replay.path of the adapter")
        for window in windows(id_, "", text, tokenizer, block, "replay")
    ]
    random.Random(seed).shuffle(found)
    kept, left = [], tokens
    for window in found:
        if left <= 0:
            break
        kept.append(window)
        left -= len(window.ids)
    if left > 0:
        names = ", ".join(path.name for path in paths)
        raise DataError(
            f"{names}: {tokens - left} tokens of general text, and the adapter's replay.share asks for {tokens}",
            "add text to replay.path, or lower replay.share",
        )
    return kept


def from_model(
    language_model: LanguageModel,
    block: int,
    tokens: int,
    seed: int,
    on_tokens: Callable[[int], None] = lambda _: None,
) -> list[TrainingText]:
    """Return texts that the bare model samples (temperature 1, nothing cut off) until they hold `tokens` tokens.

    Each begins as the model's texts begin (its begin-of-text token, else its end of text) and has at most `block`
    tokens; the last goes over by less than a block. The global random state is left as it was.
    """
    import torch

    tokenizer: Any = language_model.tokenizer
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    kept: list[TrainingText] = []
    left, device = tokens, language_model.device
    with torch.inference_mode(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        while left > 0:
            for ids in _sampled(language_model, int(first), block):
                if left > 0 and ids:
                    kept.append(TrainingText(f"replay-{len(kept) + 1}", "", tokenizer.decode(ids), "replay", ids))
                    left -= len(ids)
                    on_tokens(len(ids))
    return kept


def _sampled(language_model: LanguageModel, first: int, block: int) -> list[tuple[int, ...]]:
    """Return one batch of sampled texts as ids, each up to and with the first end of text."""
    import torch
    from transformers import GenerationConfig

    model: Any = language_model.model
    tokenizer: Any = language_model.tokenizer
    start = torch.full((BATCH, 1), first, device=language_model.device)
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=block,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    said = model.generate(input_ids=start, attention_mask=torch.ones_like(start), generation_config=config)
    return [_ended(ids, tokenizer.eos_token_id) for ids in said[:, 1:].tolist()]


def _ended(ids: list[int], end: int) -> tuple[int, ...]:
    return tuple(ids[: ids.index(end) + 1]) if end in ids else tuple(ids)
