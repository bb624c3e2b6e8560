"""Text into vectors by a sentence-transformers model. The only code that knows that library's embedders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from ragft.config.knowledge import EmbedderConfig
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder
from ragft.retrieval.embedding import OnBatch, Vectors, in_blocks_by_length, in_order, silent, unit
from ragft.retrieval.placement import identity_of, place_of, precision_of

__all__ = ["Embedder", "Vectors"]

Pool = dict[Literal["input", "output", "processes"], Any]

BLOCK = 512
"""Texts given to the model's library at once: many batches, so its own overhead is small; memory grows with it."""


class Embedder:
    """Embeds documents and queries with one model, each with the prompt that the model defines for it."""

    def __init__(self, folder: ModelFolder, config: EmbedderConfig) -> None:
        self._folder = folder
        self._config = config
        self._device = place_of(getattr(config, "device", "auto"))
        self._precision = precision_of(config.dtype, self._device)
        self._processes = getattr(config, "processes", 1)
        self._pool: Pool | None = None
        try:
            self._model = SentenceTransformer(
                str(folder.path),
                device=str(self._device),
                local_files_only=True,
                model_kwargs={"dtype": self._precision},
                backend="torch",
            )
        except (OSError, ValueError, KeyError) as error:
            raise RagftError(f"cannot load {folder.source} as an embedding model: {error}") from error

    @property
    def identity(self) -> str:
        """Fingerprint of the weights, their precision, and the prompts; `identity_of` gives it without loading."""
        return identity_of(self._folder, self._config)

    @property
    def tokenizer(self) -> Tokenizer:
        """The fast tokenizer that counts tokens as the model reads them."""
        backend: Tokenizer = self._model.tokenizer.backend_tokenizer
        return backend

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads; what is longer would be cut."""
        limit: int | None = self._model.max_seq_length
        return limit

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return unit vectors of shape (texts, dimensions), batched by length; `on_batch` is told how many are done."""
        return in_order(in_blocks_by_length(texts, BLOCK * self._processes, self._block, on_batch))

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (texts, dimensions)."""
        return unit(self._model.encode_query(list(texts), batch_size=self._config.batch_size, show_progress_bar=False))

    def close(self) -> None:
        """End the processes that embed beside this one; without any, nothing happens."""
        if self._pool is not None:
            self._model.stop_multi_process_pool(self._pool)
            self._pool = None

    def _block(self, texts: Sequence[str]) -> Vectors:
        options: dict[str, Any] = {"batch_size": self._config.batch_size, "show_progress_bar": False}
        if self._processes > 1:
            options |= {"pool": self._started(), "chunk_size": max(1, -(-len(texts) // (4 * self._processes)))}
        return unit(self._model.encode_document(list(texts), **options))

    def _started(self) -> Pool:
        """Return the pool of processes, started when it is first needed.

        Its library moves the model to the processor to share its weights; queries go on where they were embedded.
        """
        if self._pool is None:
            gpus = torch.cuda.device_count() if self._device.type == "cuda" else 0
            places = [f"cuda:{n % gpus}" if gpus else str(self._device) for n in range(self._processes)]
            with _threads_shared(self._processes):
                self._pool = self._model.start_multi_process_pool(places)
            self._model.to(self._device)
        return self._pool


@contextmanager
def _threads_shared(processes: int) -> Iterator[None]:
    """Start processes that share the cores: each would take all of them, and wait for the others."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // processes))
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
