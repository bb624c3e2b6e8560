"""The section `task` as types: what is asked of a model, and how its answers are read."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from ragft.config.sections import Section, Shorthand, Words


class QaTask(Section):
    """Question answering; unanswerable questions are answered by abstaining."""

    kind: Literal["qa"]
    answers: Literal["short", "long"] = "short"
    """`short` answers are a few words and the first line counts; `long` ones are sentences."""


class SummarizationTask(Section):
    """Summaries: of the input itself, or of what is retrieved about a topic."""

    kind: Literal["summarization"]
    of: Literal["input", "passages"] = "input"
    """`input` is the text to be summarised; with `passages` the input is a topic, and the passages are summarised."""
    sentences: int = Field(default=1, ge=1)
    """Sentences that a summary should have; the prompt says so."""


class TranslationTask(Section):
    """Translation of the input; retrieval brings terminology, or segments that were translated before.

    For such segments, with the source text as the title of each document, there are prompts of their own:
    `translation-memory-1` and `translation-memory-2`.
    """

    kind: Literal["translation"]
    source: str = Field(min_length=1)
    """Language of the inputs, as the prompt names it, such as English."""
    target: str = Field(min_length=1)
    """Language of the references, as the prompt names it, such as Spanish."""
    term_pattern: str | None = None
    """Regular expression whose first group is the target term in a gold document, such as `Spanish: (.+)`; without it
    the terms of an example stand in its field `terms`, or are not looked at. `^` and `$` are the ends of a line, and a
    group may list alternatives between semicolons; a term counts where a reference uses it."""

    @field_validator("term_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        try:
            groups = re.compile(pattern).groups if pattern is not None else 1
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        if groups == 0:
            raise ValueError("has no group: put the target term in parentheses, such as `Spanish: (.+)`")
        return pattern


class ClassificationTask(Section):
    """One label for one input; fact-checking is this task with retrieved evidence."""

    kind: Literal["classification"]
    labels: Words = ()
    """The labels an answer may be, two or more, spelled as the references spell them; those of the examples when empty.
    """
    answer_by: Literal["text", "likelihood"] = "text"
    """`text` reads the label out of what the model says; `likelihood` takes the label that it finds most likely.

    By likelihood, no label may begin another.
    """

    @field_validator("labels")
    @classmethod
    def _are_a_choice(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(labels) == 1:
            raise ValueError("one label is no choice: name two or more, or none for those of the examples")
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"{twice[0]!r} stands twice")
        if any(not label.strip() for label in labels):
            raise ValueError("a label is blank")
        return labels


class ChatTask(Section):
    """The next answer of a conversation of several turns; the query of the retriever is made from its history."""

    kind: Literal["chat"]


class CustomTask(Section):
    """A task of your own: a prompt as a Jinja template, and metrics from the list."""

    kind: Literal["custom"]
    prompt: str = Field(min_length=1)
    """Jinja template of the user's turn: `input`, `passages` (each with number, title, text), `history` (each turn with
    input and output), and columns by name."""
    system: str = ""
    """Jinja template of the system text, from the same values; none when empty."""
    metrics: Words = Field(min_length=1)
    """Answer metrics, the primary one first."""
    read: Literal["all", "first_line"] = "all"
    """How much of what a model says is the answer."""

    @field_validator("prompt", "system")
    @classmethod
    def _is_a_template(cls, text: str) -> str:
        from ragft.config.sandbox import fault_of  # only a custom task pays for the import of jinja2

        fault = fault_of(text)
        if fault is not None:
            raise ValueError(fault)
        return text


Task = Annotated[
    QaTask | SummarizationTask | TranslationTask | ClassificationTask | ChatTask | CustomTask,
    Field(discriminator="kind"),
    Shorthand("kind"),
]

MAX_NEW_TOKENS = {
    "qa": 32,
    "summarization": 128,
    "translation": 160,
    "classification": 16,
    "chat": 96,
    "custom": 96,
}
"""Longest answer in tokens where the file names none, by the kind of the task."""

LONG_ANSWER_TOKENS = 128
"""The same for long answers of `qa`."""
