"""One label for one input. Fact-checking is this task with retrieved evidence and labels such as SUPPORTS, REFUTES."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ragft.errors import DataError
from ragft.records import Example


@dataclass(frozen=True, slots=True)
class Classification:
    """The task `classification`; an instance of Task."""

    labels: tuple[str, ...]
    kind: str = "classification"
    prompt: str = "classification-1"
    input_field: str = "input"
    metrics: tuple[str, ...] = ("accuracy",)
    answers_stand_in_text: bool = False
    can_abstain: bool = False

    @property
    def prompt_values(self) -> Mapping[str, str]:
        """Return the labels as the prompt lists them: `A, B or C`; raises DataError where there are not two."""
        if len(self.labels) < 2:
            raise DataError(
                f"a classification needs two labels at least, and the examples have {list(self.labels)}",
                "name the labels under task.labels",
            )
        return {"labels": f"{', '.join(self.labels[:-1])} or {self.labels[-1]}"}

    def queries(self, example: Example) -> tuple[str, ...]:
        """Return the input."""
        return (example.input,)

    def unaided(self, example: Example) -> None:
        """Return nothing: an input is no answer."""

    def completion(self, example: Example) -> str:
        """Return the label; raises DataError for one that the experiment does not list."""
        if not example.references or example.references[0] not in self.labels:
            raise DataError(
                f"example {example.id!r}: its label {example.references[:1]} is not among task.labels",
                f"labels: {', '.join(self.labels)}",
            )
        return example.references[0]

    def parse(self, text: str) -> str:
        """Return the label that stands first in what was said, as whole words in any case; else the text itself.

        Where several begin there, it is the longest, and of those that differ only in case the one spelled so.
        """
        matches = [(match, label) for label in self.labels if (match := _whole_words(label).search(text))]
        ranked = sorted((match.start(), -len(label), match.group() != label, label) for match, label in matches)
        return ranked[0][-1] if ranked else text.strip()

    def settled(self, said: str) -> str:
        """Return nothing: which label stands first, and is the longest there, is known at the end only."""
        return ""

    def supports(self, text: str, example: Example) -> bool:
        """Return True: a label does not stand in its evidence, so any passage of a gold document may be it."""
        return True


def labels_of(examples: Iterable[Example]) -> tuple[str, ...]:
    """Return the labels that stand in the references of examples, sorted: no file order decides what a prompt says."""
    return tuple(sorted({reference for example in examples for reference in example.references}))


def _whole_words(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(label)}(?!\w)", re.IGNORECASE)
