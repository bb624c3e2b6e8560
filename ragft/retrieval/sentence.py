"""Any embedder that sentence-transformers can load. The only code that knows that library's embedders.

Importing it takes seconds, so only what `bert.py` does not compute itself comes here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from ragft.retrieval.embedding import Vectors

Pool = dict[Literal["input", "output", "processes"], Any]


class SentenceModel:
    """Embeds texts with a sentence-transformers model, in this process or in several."""

    def __init__(
        self, folder: Path, device: torch.device, precision: torch.dtype, batch_size: int, processes: int
    ) -> None:
        self._device = device
        self._batch_size = batch_size
        self._processes = processes
        self._pool: Pool | None = None
        self._model = SentenceTransformer(
            str(folder),
            device=str(device),
            local_files_only=True,
            model_kwargs={"dtype": precision},
            backend="torch",
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """The fast tokenizer that counts tokens as the model reads them."""
        backend: Tokenizer = self._model.tokenizer.backend_tokenizer
        return backend

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads."""
        limit: int | None = self._model.max_seq_length
        return limit

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (texts, dimensions)."""
        options: dict[str, Any] = {"batch_size": self._batch_size, "show_progress_bar": False}
        if self._processes > 1:
            options |= {"pool": self._started(), "chunk_size": max(1, -(-len(texts) // (4 * self._processes)))}
        found: Vectors = self._model.encode_document(list(texts), **options)
        return found

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (texts, dimensions)."""
        found: Vectors = self._model.encode_query(list(texts), batch_size=self._batch_size, show_progress_bar=False)
        return found

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Return for each text vectors of its tokens, shape (tokens, dimensions), without those that are added."""
        options: dict[str, Any] = {"batch_size": self._batch_size, "show_progress_bar": False, "prompt": ""}
        states = self._model.encode(list(texts), output_value="token_embeddings", **options)
        found: list[Vectors] = []
        for text, rows in zip(texts, states, strict=True):
            added = self._model.tokenizer(
                text, truncation=True, max_length=self._model.max_seq_length, return_special_tokens_mask=True
            )["special_tokens_mask"]
            found.append(rows.float().cpu().numpy()[np.asarray(added) == 0])
        return found

    def close(self) -> None:
        """End the processes that embed beside this one; without any, nothing happens."""
        if self._pool is not None:
            self._model.stop_multi_process_pool(self._pool)
            self._pool = None

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
