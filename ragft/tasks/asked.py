"""What the tasks have in common that answer a question: how it is searched for, and what is right to say."""

from __future__ import annotations

from collections.abc import Mapping

from ragft.prompts import ABSTENTION
from ragft.records import Example


class Answering:
    """A task whose input is a question, which may stand in a conversation and may have no answer."""

    __slots__ = ()

    @property
    def prompt_values(self) -> Mapping[str, str]:
        """Return nothing: the templates of these tasks have no placeholders of their own."""
        return {}

    def queries(self, example: Example) -> tuple[str, ...]:
        """Return the input and, where it follows other questions, the last of them together with it.

        A follow-up such as "And its colour?" says what it is about only together with the question before.
        """
        before = example.history[-1:]
        return (example.input, *(f"{turn.input}\n{example.input}" for turn in before))

    def unaided(self, example: Example) -> None:
        """Return nothing: a question is no answer."""

    def completion(self, example: Example) -> str:
        """Return the first reference, or the abstention where no answer can be known."""
        return example.references[0] if example.answerable else ABSTENTION
