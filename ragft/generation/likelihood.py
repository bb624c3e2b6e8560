"""How likely a language model finds given answers: forward passes over what is known already, nothing is said.

A prompt is read once, however many answers are weighed behind it: the labels of a classification share the keys and
values of their prompt, or what the encoder made of it. Knows nothing of adapters or tasks.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutput

from ragft.errors import RagftError
from ragft.generation.generator import Likelihood
from ragft.models.language_model import LanguageModel
from ragft.models.turns import pair_ids

ROWS = 16
"""Most prompts, and most answers, that stand in one forward pass."""

TOKENS = 8192
"""Most tokens in one forward pass, padding included, unless a single row has more."""

Ids = tuple[int, ...]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Row:
    """One distinct answer behind one distinct prompt, both as tokens."""

    prompt: Ids
    answer: Ids


class Scales:
    """Weighs answers with the weights of `model` as they are now."""

    def __init__(self, model: Any, language_model: LanguageModel) -> None:  # noqa: ANN401 - PEFT's wrapping or not
        self._model = model
        self._lm = language_model
        self._pad = int(language_model.tokenizer.pad_token_id or 0)
        self._takes = frozenset(inspect.signature(language_model.model.forward).parameters)

    def weighed(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        """Return how likely each (prompt, answer) is, in order; an answer of no tokens is certain (0 nats)."""
        rows = [_Row(*pair_ids(self._lm.tokenizer, prompt, answer)) for prompt, answer in pairs]
        self._check_room(rows)
        answers: dict[Ids, list[Ids]] = {}
        for row in dict.fromkeys(rows):
            if row.answer:
                answers.setdefault(row.prompt, []).append(row.answer)
        behind = self._behind_encoder if self._lm.decoder_prefix else self._behind_prompt
        sums: dict[_Row, float] = {}
        for prompts in _batched(sorted(answers, key=lambda ids: (-len(ids), ids)), len):
            sums.update(behind(prompts, answers))
        return [Likelihood(sums.get(row, 0.0), len(row.answer)) for row in rows]

    def _behind_prompt(self, prompts: Sequence[Ids], answers: dict[Ids, list[Ids]]) -> Iterator[tuple[_Row, float]]:
        """Yield the sums for a decoder-only model: each answer goes on from its prompt's keys and values."""
        given, mask = self._padded(prompts, left=True)
        # The logits of a whole prompt would be gigabytes: each is as wide as the vocabulary.
        last = {"logits_to_keep": 1} if "logits_to_keep" in self._takes else {}
        read = self._model(input_ids=given, attention_mask=mask, use_cache=True, **self._placed(mask), **last)
        first, cache = read.logits[:, -1:], read.past_key_values
        for rows in self._rows(prompts, answers):
            chosen = torch.tensor([prompts.index(row.prompt) for row in rows], device=given.device)
            # The last token of an answer is only predicted, so answers of one token need no second pass.
            said, said_mask = self._padded([row.answer[:-1] for row in rows], left=False)
            logits = first[chosen]
            if said.shape[1]:
                seen = torch.cat([mask[chosen], said_mask], dim=1)
                rest = self._model(
                    input_ids=said,
                    attention_mask=seen,
                    past_key_values=_selected(cache, chosen),
                    use_cache=True,
                    **self._placed(seen, said.shape[1]),
                )
                logits = torch.cat([logits, rest.logits], dim=1)
            yield from zip(rows, _sums(logits, rows), strict=True)

    def _behind_encoder(self, prompts: Sequence[Ids], answers: dict[Ids, list[Ids]]) -> Iterator[tuple[_Row, float]]:
        """Yield the sums for an encoder-decoder model: each answer begins anew behind the decoder's own prefix."""
        given, mask = self._padded(prompts, left=False)
        prefix = self._lm.decoder_prefix
        encoded = self._model.get_encoder()(input_ids=given, attention_mask=mask).last_hidden_state
        for rows in self._rows(prompts, answers):
            chosen = torch.tensor([prompts.index(row.prompt) for row in rows], device=given.device)
            said, _ = self._padded([(*prefix, *row.answer[:-1]) for row in rows], left=False)
            logits = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded[chosen]),
                attention_mask=mask[chosen],
                decoder_input_ids=said,
                use_cache=False,
            ).logits
            yield from zip(rows, _sums(logits[:, len(prefix) - 1 :], rows), strict=True)

    def _rows(self, prompts: Sequence[Ids], answers: dict[Ids, list[Ids]]) -> Iterator[list[_Row]]:
        """Yield the answers behind these prompts in batches of similar length, longest first."""
        rows = [_Row(prompt, answer) for prompt in prompts for answer in answers[prompt]]
        rows.sort(key=lambda row: (-len(row.answer), row.answer, row.prompt))
        longest = max(map(len, prompts))
        return _batched(rows, lambda row: longest + len(row.answer))

    def _padded(self, rows: Sequence[Ids], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return token ids and their attention mask, each of shape (rows, longest)."""
        side = "left" if left else "right"
        ids = [torch.tensor(row, dtype=torch.long) for row in rows]
        ones = [torch.ones(len(row), dtype=torch.long) for row in rows]
        padded = pad_sequence(ids, batch_first=True, padding_value=self._pad, padding_side=side)
        mask = pad_sequence(ones, batch_first=True, padding_value=0, padding_side=side)
        return padded.to(self._lm.device), mask.to(self._lm.device)

    def _placed(self, mask: torch.Tensor, last: int | None = None) -> dict[str, torch.Tensor]:
        """Return the places of the last tokens in their rows, counted from 0 behind the padding, for models with any.

        Without them a padded prompt would stand elsewhere than the same one alone.
        """
        places = (mask.cumsum(dim=1) - 1).clamp(min=0)
        return {"position_ids": places if last is None else places[:, -last:]} if "position_ids" in self._takes else {}

    def _check_room(self, rows: Sequence[_Row]) -> None:
        """Raise RagftError for tokens that the model has no place for."""
        limit, prefix = self._lm.reads_tokens, len(self._lm.decoder_prefix)
        if limit is None:
            return
        shorter = "lower retrieval.top_k, index.chunking.chunk_tokens or the number of shots"
        for row in rows:
            asked, said = len(row.prompt), len(row.answer)
            if prefix and asked > limit:
                raise RagftError(f"a prompt has {asked} tokens, and the model's encoder reads {limit}", shorter)
            if prefix and prefix + said - 1 > limit:
                raise RagftError(
                    f"an answer of {said} tokens is longer than the model's decoder writes ({limit})",
                    "shorten the reference, or drop the example",
                )
            if not prefix and asked + said > limit:
                raise RagftError(
                    f"a prompt of {asked} tokens and an answer of {said} exceed the model's context of {limit}", shorter
                )


def _batched(items: Sequence[Item], length: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield items in order, in batches of at most ROWS that have at most TOKENS when padded to their longest."""
    batch: list[Item] = []
    longest = 0
    for item in items:
        longest = max(longest, length(item))
        if batch and (len(batch) == ROWS or longest * (len(batch) + 1) > TOKENS):
            yield batch
            batch, longest = [], length(item)
        batch.append(item)
    if batch:
        yield batch


def _selected(cache: Any, rows: torch.Tensor) -> Any:  # noqa: ANN401 - a transformers cache
    """Return the keys and values of the prompts in `rows`, which may repeat; those of `cache` stay as they are."""
    chosen = copy.copy(cache)
    chosen.layers = [copy.copy(layer) for layer in cache.layers]  # layers put new tensors in the place of old ones
    chosen.batch_select_indices(rows)
    return chosen


def _sums(logits: torch.Tensor, rows: Sequence[_Row]) -> list[float]:
    """Return the summed log-probability of each answer from logits of shape (rows, longest answer, vocabulary).

    One row is turned to float32 at a time: all of them at once would be the largest tensor of all.
    """
    found = []
    for scores, row in zip(logits, rows, strict=True):
        own = scores[: len(row.answer)].float()
        said = torch.tensor(row.answer, device=own.device)
        picked = own.gather(1, said[:, None])[:, 0] - own.logsumexp(dim=-1)
        found.append(float(picked.double().sum()))
    return found
