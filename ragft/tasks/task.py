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
    def prompt_values(self) -> Mapping[str, str]:
        """Values of the template's own placeholders."""
        ...

    def completion(self, example: Example) -> str:
        """Return the text that a model is trained to say to this example."""
        ...

    def parse(self, text: str) -> str:
        """Return the answer that stands in what a model said."""
        ...

    def supports(self, text: str, example: Example) -> bool:
        """Return whether a passage's text holds an answer to the example."""
        ...
