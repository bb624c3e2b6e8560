"""A cross-encoder for natural language inference: whether one text follows from another. Knows nothing of answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ragft import provenance
from ragft.config import Device
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

LABEL = "entailment"
"""What the model's config must call the class that is asked for; its number differs from model to model."""


class NliModel:
    """Tells whether a premise entails a hypothesis: the label `entailment` is the likeliest of the model's labels.

    The weights are loaded, in float32, when the first pair is judged: a command that only repeats needs none.
    """

    def __init__(self, folder: ModelFolder, device: Device = "auto", batch_size: int = 32) -> None:
        """Raise RagftError where the model has no label called `entailment`."""
        self._folder, self._device, self._batch_size = folder, device, batch_size
        self._entailment = _place_of_entailment(folder)

    @property
    def identity(self) -> str:
        """Fingerprint of the weights, on which every judgement depends beside the two texts; loads nothing."""
        return provenance.fingerprint({"nli": self._folder.fingerprint})

    @cached_property
    def _model(self) -> CrossEncoder:
        from sentence_transformers import CrossEncoder

        from ragft.models.language_model import choose_device

        try:
            device = str(choose_device(self._device))
            model: CrossEncoder = CrossEncoder(str(self._folder.path), device=device, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise RagftError(f"compare.nli: cannot load {self._folder.source} as a cross-encoder: {error}") from error
        return model

    def entails(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Return whether each (premise, hypothesis) is an entailment.

        A pair that is longer than the model reads is cut at the end of its longer text, which for a passage and a
        sentence is the passage.
        """
        if not pairs:
            return []
        found = self._model.predict(list(pairs), batch_size=self._batch_size, show_progress_bar=False)
        return [bool(label == self._entailment) for label in np.asarray(found).argmax(axis=1)]


def _place_of_entailment(folder: ModelFolder) -> int:
    """Return the number of the label called `entailment`, without regard to case, from the model's config."""
    path = folder.path / "config.json"
    try:
        labels = dict(json.loads(path.read_text(encoding="utf-8")).get("id2label", {}))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RagftError(f"compare.nli: {path} cannot be read as a model's config: {error}") from error
    places = [int(place) for place, name in labels.items() if str(name).casefold() == LABEL]
    if len(places) != 1 or len(labels) < 2:
        named = ", ".join(str(name) for name in labels.values()) or "none named"
        raise RagftError(
            f"compare.nli: {folder.source} has no label {LABEL!r} among its labels ({named})",
            "use a cross-encoder for natural language inference, such as cross-encoder/nli-deberta-v3-base; if it is "
            "one, name its labels under id2label in its config.json",
        )
    return places[0]
