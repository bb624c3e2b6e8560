"""Text into vectors by a sentence-transformers model. The only code that knows that library."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from ragft.config import EmbedderConfig
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Embedder:
    """Embeds documents and queries with one model, each with the prompt that the model defines for it."""

    def __init__(self, folder: ModelFolder, config: EmbedderConfig) -> None:
        self._config = config
        precision = torch.float32 if config.dtype == "auto" else getattr(torch, config.dtype)
        try:
            self._model = SentenceTransformer(
                str(folder.path), local_files_only=True, model_kwargs={"dtype": precision}, backend="torch"
            )
        except (OSError, ValueError, KeyError) as error:
            raise RagftError(f"cannot load {folder.source} as an embedding model: {error}") from error

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

    def documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = lambda _: None) -> Vectors:
        """Return unit vectors of shape (texts, dimensions), batched by length; `on_batch` is told how many are done."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        blocks: list[Vectors] = []
        for start in range(0, len(order), self._config.batch_size * 4):
            block = [texts[index] for index in order[start : start + self._config.batch_size * 4]]
            blocks.append(self._unit(self._model.encode_document(block, batch_size=self._config.batch_size)))
            on_batch(len(block))
        vectors = np.concatenate(blocks)
        restored = np.empty_like(vectors)
        restored[order] = vectors
        return restored

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (texts, dimensions)."""
        return self._unit(self._model.encode_query(list(texts), batch_size=self._config.batch_size))

    @staticmethod
    def _unit(vectors: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Vectors:
        """Return the vectors scaled to length 1, so that a dot product is the cosine."""
        matrix = np.asarray(vectors, dtype=np.float32)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        unit: Vectors = matrix / np.maximum(norms, 1e-12)
        return unit
