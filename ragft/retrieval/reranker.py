"""Candidates ordered anew by a cross-encoder of sentence-transformers. The only code that knows its cross-encoders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sentence_transformers import CrossEncoder

from ragft.config.knowledge import EmbedderConfig
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder
from ragft.retrieval.placement import place_of


class CrossEncoderReranker:
    """Scores a query and a text read together: slower than comparing vectors, and better at telling the best apart."""

    def __init__(self, folder: ModelFolder, config: EmbedderConfig) -> None:
        """Load the model on the device of the embedder, in float32: candidates are few, and scores lie close."""
        self._batch_size = config.batch_size
        try:
            place = str(place_of(getattr(config, "device", "auto")))
            self._model = CrossEncoder(str(folder.path), device=place, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise RagftError(f"cannot load {folder.source} as a cross-encoder: {error}") from error
        if self._model.num_labels != 1:
            raise RagftError(
                f"retrieval.reranker {folder.source} gives {self._model.num_labels} scores to a pair, expected one",
                "use a cross-encoder that was trained to rank, such as cross-encoder/ms-marco-MiniLM-L6-v2",
            )

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return one score for each (query, text), as the model gives it (its own activation); higher is better."""
        if not pairs:
            return []
        found = self._model.predict(list(pairs), batch_size=self._batch_size, show_progress_bar=False)
        return [float(score) for score in np.asarray(found, dtype=np.float32)]
