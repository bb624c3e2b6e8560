"""Training examples as tokens: what is read and what carries loss.

A prompt and its completion are tokenised apart and joined, so the tokens of the prompt are exactly those that the model
is asked with. The completion ends with the end-of-turn token, which carries loss: a model that never learns to stop
rambles on. Knows nothing of tasks or templates: prompts arrive as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragft.errors import DataError


@dataclass(frozen=True, slots=True)
class TrainingText:
    """One training example as text: the whole prompt, and what the model is to say."""

    id: str
    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class TrainingTokens:
    """One training example as token ids; the loss falls on exactly `completion`, whose last id ends the turn."""

    id: str
    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of the prompt and the completion."""
        return len(self.prompt) + len(self.completion)


def tokenized(texts: Sequence[TrainingText], tokenizer: Any, limit: int | None) -> list[TrainingTokens]:  # noqa: ANN401
    """Return the examples as tokens; raises DataError for one without label tokens or over the model's context.

    Nothing is ever cut: a cut completion would teach the model to stop in the middle.
    """
    if not texts:
        raise DataError("there are no training examples")
    rows = [_tokens(text, tokenizer) for text in texts]
    for row in rows:
        if limit is not None and row.length > limit:
            raise DataError(
                f"training example {row.id!r} has {row.length} tokens, and the model reads {limit}",
                "lower retrieval.top_k or index.chunking.chunk_tokens, or drop the example",
            )
    return rows


def _tokens(text: TrainingText, tokenizer: Any) -> TrainingTokens:  # noqa: ANN401
    prompt = tokenizer(text.prompt, add_special_tokens=False)["input_ids"]
    completion = tokenizer(text.completion, add_special_tokens=False)["input_ids"]
    if not completion:
        raise DataError(f"training example {text.id!r} has no label tokens: its answer is empty")
    return TrainingTokens(text.id, tuple(prompt), (*completion, tokenizer.eos_token_id))
