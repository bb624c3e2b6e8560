"""A prompt template of the user's own: the Jinja templates of a custom task, filled in for one example."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragft.config import CustomTask
from ragft.errors import DataError, RagftError
from ragft.records import Example, Passage, Turn

GIVEN = frozenset({"input", "passages", "history"})
"""What a prompt may name beside the columns of its example."""


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage as a template sees it; `number` is the one by which an answer cites it."""

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class CustomTemplate:
    """The prompt of a custom task; an instance of Form. `name` changes with the text, as for a built-in template.

    Few-shot examples are rendered by the same template, without passages. Turns before the input stand in the prompt as
    they were said, unless the template itself lays out `history`.
    """

    name: str
    prompt: str
    system: str = ""
    task: str = "custom"

    @classmethod
    def of(cls, config: CustomTask) -> CustomTemplate:
        """Return the template of a custom task; raises RagftError where it is no Jinja template, naming the line."""
        for key, text in (("task.prompt", config.prompt), ("task.system", config.system)):
            _check(key, text)
        digest = hashlib.sha256((config.prompt + config.system).encode("utf-8", "surrogatepass")).hexdigest()
        return cls(f"custom-{digest[:8]}", config.prompt, config.system)

    def opening(self, example: Example, values: Mapping[str, str]) -> str:
        """Return the system text for the example; raises DataError as `turn` does."""
        return _filled("task.system", self.system, example, ())

    def turn(self, example: Example, passages: Sequence[Passage], values: Mapping[str, str]) -> str:
        """Return the user's turn that asks the example.

        Raises DataError for a column that the example lacks, for what the sandbox refuses, and for an empty prompt.
        """
        text = _filled("task.prompt", self.prompt, example, passages)
        if not text:
            raise DataError(f"task.prompt: nothing is asked of example {example.id!r}: the template came out empty")
        return text

    def earlier(self, turns: Sequence[Turn], values: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the turns as they were said; none where the template lays them out itself."""
        from ragft.config.sandbox import names_in

        named = names_in(self.prompt) | names_in(self.system)
        return [] if "history" in named else [(turn.input, turn.output) for turn in turns]


def columns_of(config: CustomTask) -> tuple[str, ...]:
    """Return the columns of an example that the prompt or the system text names, sorted."""
    from ragft.config.sandbox import names_in

    for key, text in (("task.prompt", config.prompt), ("task.system", config.system)):
        _check(key, text)
    return tuple(sorted((names_in(config.prompt) | names_in(config.system)) - GIVEN))


def _check(key: str, text: str) -> None:
    from ragft.config.sandbox import fault_of

    fault = fault_of(text)
    if fault is not None:
        raise RagftError(f"{key}: {fault}", "the syntax: https://jinja.palletsprojects.com/templates")


def _filled(key: str, text: str, example: Example, passages: Sequence[Passage]) -> str:
    """Return the template filled in for an example; what goes wrong in it is a DataError that names both."""
    from jinja2 import TemplateError, UndefinedError

    from ragft.config.sandbox import filled

    shown = [ShownPassage(number, one.title, one.text.strip()) for number, one in enumerate(passages, start=1)]
    values = {**example.columns, "input": example.input, "passages": shown, "history": list(example.history)}
    try:
        return filled(text, values)
    except UndefinedError as error:
        raise DataError(f"{key}, example {example.id!r}: {error.message}", f"given: {', '.join(values)}") from None
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{key}, example {example.id!r}: cannot be filled in: {error}") from None
