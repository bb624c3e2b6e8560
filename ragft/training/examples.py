"""Training examples as tokens: what is read and what carries loss.

The tokens of a prompt are exactly those that the model is asked with, and the completion is tokenised as it stands
behind them. It ends with the token that ends a turn, which carries loss: a model that never learns to stop rambles on.
An encoder-decoder model reads the prompt with the tokenizer's own special tokens around it, and its completion is a
text of its own. Plain text (documents, replayed text) has no prompt; all of it carries loss. Knows nothing of tasks or
templates: prompts arrive as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragft.errors import DataError
from ragft.models.turns import end_of_turn, ids_of, pair_ids, reads_prompts_apart
from ragft.prompts import defused

TextKind = Literal["closed_book", "context", "documents", "replay"]
"""What a training example is: a question without or with passages, the text of a document, general text."""

PLAIN: tuple[TextKind, ...] = ("documents", "replay")
"""The kinds that are plain text: no prompt, no chat template, and an end of text only where the text ends."""


@dataclass(frozen=True, slots=True)
class TrainingText:
    """One training example as text: the whole prompt, and what the model is to say.

    `ids` are the tokens of the completion where it was cut in tokens (a window of a text), its end token included.
    """

    id: str
    prompt: str
    completion: str
    kind: TextKind = "closed_book"
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingTokens:
    """One training example as token ids; the loss falls on exactly `completion`, whose last id ends the turn.

    The window of a text has an empty prompt, and ends the text only where the text ends.
    """

    id: str
    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of the prompt and the completion."""
        return len(self.prompt) + len(self.completion)


def tokenized(texts: Sequence[TrainingText], tokenizer: Any, limit: int | None) -> list[TrainingTokens]:  # noqa: ANN401
    """Return the examples as tokens; raises DataError for one without label tokens or over the model's context.

    `limit` are the tokens of prompt and completion together, or of each of them in an encoder-decoder model. Nothing
    is ever cut: a cut completion would teach the model to stop in the middle.
    """
    if not texts:
        raise DataError("there are no training examples")
    end = end_of_turn(tokenizer)
    rows = [_tokens(text, tokenizer, end) for text in texts]
    for text, row in zip(texts, rows, strict=True):
        length = max(len(row.prompt), len(row.completion)) if reads_prompts_apart(tokenizer) else row.length
        if limit is not None and length > limit:
            raise DataError(
                f"training example {row.id!r} has {length} tokens, and the model reads {limit}", _shorter(text.kind)
            )
    return rows


def _shorter(kind: TextKind) -> str:
    if kind == "context":
        return "lower retrieval.top_k or index.chunking.chunk_tokens, or drop the example"
    if kind in PLAIN:
        return "lower documents.block_tokens of the adapter"
    return "shorten or drop the example"


def _tokens(text: TrainingText, tokenizer: Any, end: int) -> TrainingTokens:  # noqa: ANN401
    if text.ids and not reads_prompts_apart(tokenizer):
        prompt, completion = ids_of(tokenizer, text.prompt), text.ids
    else:
        prompt, completion = pair_ids(tokenizer, text.prompt, text.completion)
    if not completion:
        raise DataError(f"training example {text.id!r} has no label tokens: its answer is empty")
    return TrainingTokens(text.id, prompt, completion if text.ids else (*completion, end))


def windows(id_: str, title: str, text: str, tokenizer: Any, block: int, kind: TextKind) -> list[TrainingText]:  # noqa: ANN401
    """Return a text as consecutive windows of at most `block` tokens, each begun by the title; nothing is lost.

    Windows do not attend to each other, so one without its title would be about nobody. Joined without the titles
    their tokens are those of the text, followed by the end of text. Special tokens written in a text are read as plain
    characters. Raises DataError for a title that fills half a block.
    """
    head = ids_of(tokenizer, defused(tokenizer, f"{title}\n\n")) if title else ()
    if 2 * len(head) > block:
        raise DataError(
            f"document {id_!r}: its title has {len(head)} tokens, more than half of a block of {block}",
            "raise documents.block_tokens of the adapter, or shorten the title",
        )
    body = ids_of(tokenizer, defused(tokenizer, text))
    if not body:
        return []
    room = block - len(head)
    ids = (*body, int(tokenizer.eos_token_id))
    pieces = [(*head, *ids[start : start + room]) for start in range(0, len(ids), room)]
    names = [id_] if len(pieces) == 1 else [f"{id_}#{number}" for number in range(1, len(pieces) + 1)]
    return [
        TrainingText(name, "", str(tokenizer.decode(piece)), kind, piece)
        for name, piece in zip(names, pieces, strict=True)
    ]


def loss_part(text: TrainingText) -> str:
    """Return the part of an example that carries loss, in ⟦ ⟧ as people are shown it behind the prompt."""
    return f"⟦{text.completion}{'' if text.kind in PLAIN else '<end of turn>'}⟧"
