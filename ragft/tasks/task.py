"""What a task is: its default prompt, the text a model is trained to say, how an answer is read, and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ragft.records import Example


class Task(Protocol):
    """One kind of work; everything else in ragft is the same for every task."""

    @property
    def kind(self) -> str:
        """Name of the task in the experiment file."""
        ...

    @property
    def prompt(self) -> str:
        """Name of the default prompt template."""
        ...

    @property
    def input_field(self) -> str:
        """Field of an example that holds its input, unless the file says otherwise."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Answer metrics, the default primary one first."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that an answer may be; none where answers are free."""
        ...

    @property
    def answers_stand_in_text(self) -> bool:
        """Whether a reference is a string that can stand in a passage, so that retrieval can be judged by it."""
        ...

    @property
    def can_abstain(self) -> bool:
        """Whether to say that one does not know can be right, so that abstentions are counted."""
        ...

    @property
    def prompt_values(self) -> Mapping[str, str]:
        """Values of the template's own placeholders."""
        ...

    def queries(self, example: Example) -> tuple[str, ...]:
        """Return what a retriever is asked for the example; the rankings of several queries are fused."""
        ...

    def unaided(self, example: Example) -> str | None:
        """Return the answer that needs no model, such as the input copied; None where there is no such answer.

        An arm that scores below it has learnt nothing worth shipping.
        """
        ...

    def completion(self, example: Example) -> str:
        """Return the text that a model is trained to say to this example."""
        ...

    def parse(self, text: str) -> str:
        """Return the answer that stands in what a model said."""
        ...

    def settled(self, said: str) -> str:
        """Return the beginning of what a model said, up to the end of a word, that nothing said later can take back.

        It is what may be shown while the model still speaks; `parse` reads it as an answer.
        """
        ...

    def supports(self, text: str, example: Example) -> bool:
        """Return whether a passage's text holds an answer to the example."""
        ...
