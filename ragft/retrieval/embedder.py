"""Text into unit vectors by a model in this process, in the quickest way that gives the vectors of that model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from ragft.config.knowledge import EmbedderConfig
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder
from ragft.retrieval.bert import PackedBert, recipe_of
from ragft.retrieval.embedding import OnBatch, Vectors, in_blocks_by_length, in_order, silent, unit
from ragft.retrieval.placement import identity_of, place_of, precision_of

__all__ = ["Embedder", "Vectors"]

BLOCK = 512
"""Texts given to the model at once: many batches, so the overhead of each call is small; memory grows with it."""


class Encoder(Protocol):
    """A loaded model: texts in, vectors of any length out."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The fast tokenizer that counts tokens as the model reads them."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads; None where it does not say."""
        ...

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (texts, dimensions)."""
        ...

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (texts, dimensions)."""
        ...

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Return vectors of the tokens of each text, those that the model adds left out."""
        ...

    def close(self) -> None:
        """End what runs beside this process."""
        ...


class Embedder:
    """Embeds documents and queries with one model, each with the prompt that the model defines for it."""

    def __init__(self, folder: ModelFolder, config: EmbedderConfig) -> None:
        self._folder = folder
        self._config = config
        self._processes = config.processes
        place = place_of(config.device)
        try:
            self._encoder = _encoder(folder, config, place, precision_of(config.dtype, place))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise RagftError(f"cannot load {folder.source} as an embedding model: {error}") from error

    @property
    def identity(self) -> str:
        """Fingerprint of the weights, their precision, and the prompts; `identity_of` gives it without loading."""
        return identity_of(self._folder, self._config)

    @property
    def tokenizer(self) -> Tokenizer:
        """The fast tokenizer that counts tokens as the model reads them."""
        return self._encoder.tokenizer

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads; what is longer would be cut."""
        return self._encoder.max_tokens

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return unit vectors of shape (texts, dimensions), batched by length; `on_batch` is told how many are done."""
        return in_order(in_blocks_by_length(texts, BLOCK * self._processes, self._block, on_batch))

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (texts, dimensions)."""
        return unit(self._encoder.queries(texts))

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Return unit vectors of the tokens of each text, shape (tokens, dimensions), without a prompt before it."""
        return [unit(rows) for rows in self._encoder.tokens(texts)]

    def close(self) -> None:
        """End the processes that embed beside this one; without any, nothing happens."""
        self._encoder.close()

    def _block(self, texts: Sequence[str]) -> Vectors:
        return unit(self._encoder.documents(texts))


def _encoder(folder: ModelFolder, config: EmbedderConfig, place: torch.device, precision: torch.dtype) -> Encoder:
    """Return the model loaded: a plain BERT on a processor by `PackedBert`, the rest by sentence-transformers."""
    alone_on_the_processor = place.type == "cpu" and config.processes == 1
    recipe = recipe_of(folder.path) if alone_on_the_processor else None
    if recipe is not None:
        return PackedBert(recipe, precision, config.batch_size)
    from ragft.retrieval.sentence import SentenceModel

    return SentenceModel(folder.path, place, precision, config.batch_size, config.processes)
