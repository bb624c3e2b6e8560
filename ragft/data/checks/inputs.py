"""Inputs as the checks compare them: letter for letter, and without case, punctuation and spacing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ragft.data.examples import Splits
from ragft.records import Example


def normalised(text: str) -> str:
    """Return text in lower case without punctuation and with single spaces, for finding repeats.

    A text of nothing but punctuation or symbols stays as it is, else all such texts would be one.
    """
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split()) or text.strip()


def asked(example: Example) -> str:
    """Return all that tells one input from another: the turns before it, the input, and the columns of a custom prompt.

    "And in winter?" after two different conversations is two inputs, as is one premise with two hypotheses.
    """
    turns = (text for turn in example.history for text in (turn.input, turn.output))
    columns = (str(example.columns[name]) for name in sorted(example.columns))
    return "\n".join((*turns, example.input, *columns))


@dataclass(frozen=True, slots=True)
class Item:
    """An example with its input as it is asked, and as it is compared; made once, for normalising takes its time."""

    example: Example
    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Items:
    """The three splits as items."""

    train: tuple[Item, ...]
    dev: tuple[Item, ...]
    eval: tuple[Item, ...]

    @property
    def taught(self) -> tuple[Item, ...]:
        """What an adapter learns from or is chosen by: train and dev."""
        return (*self.train, *self.dev)


def items_of(splits: Splits) -> Items:
    """Return the examples with their inputs made comparable."""
    return Items(_items(splits.train), _items(splits.dev), _items(splits.eval))


def _items(examples: Iterable[Example]) -> tuple[Item, ...]:
    texts = ((example, asked(example)) for example in examples)
    return tuple(Item(example, text, normalised(text)) for example, text in texts)


def stands_in(answer: str, text: str) -> bool:
    """Return whether a normalised answer stands in a normalised text, as whole words; one without a word never does.

    Thai, Lao, Burmese, Khmer, kana and Han are written without spaces: there any place in the text will do.
    """
    if not re.search(r"[^\W_]", answer):
        return False
    return answer in text if not parts_words(answer) else f" {answer} " in f" {text} "


_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def parts_words(text: str) -> bool:
    """Return whether a text is in a script that parts its words by spaces."""
    return _SPACELESS.search(text) is None


def same_answer(one: Example, other: Example) -> bool:
    """Return whether one answer fits both: a reference of the one stands in one of the other, or neither has any.

    "1981" and "in 1981" are one answer said twice.
    """
    if not one.references or not other.references:
        return not one.references and not other.references
    pairs = [(normalised(left), normalised(right)) for left in one.references for right in other.references]
    return any(left == right or stands_in(left, right) or stands_in(right, left) for left, right in pairs)
