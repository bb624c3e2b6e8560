"""A task of the user's own: a prompt as a Jinja template, metrics from the list, and no reading between the lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragft.config import CustomTask
from ragft.prompts import ABSTENTION, CustomTemplate
from ragft.records import Example
from ragft.tasks import reading
from ragft.tasks.asked import with_question_before


@dataclass(frozen=True, slots=True)
class Custom:
    """The task `custom`; an instance of Task.

    Only the file says what an answer is: it stays as it was said, down to a lead-in. Abstaining can be right where the
    file lists the metric `abstained`.
    """

    prompt: str
    metrics: tuple[str, ...]
    can_abstain: bool
    first_line: bool
    kind: str = "custom"
    input_field: str = "input"
    labels: tuple[str, ...] = ()
    answers_stand_in_text: bool = False

    @classmethod
    def of(cls, config: CustomTask) -> Custom:
        """Return the task of a file; raises RagftError where its prompt is no Jinja template."""
        name = CustomTemplate.of(config).name
        return cls(name, config.metrics, "abstained" in config.metrics, config.read == "first_line")

    @property
    def prompt_values(self) -> Mapping[str, str]:
        """Return nothing: what the template names are the columns of its examples."""
        return {}

    def queries(self, example: Example) -> tuple[str, ...]:
        """Return the input, and the question before together with it where there was one."""
        return with_question_before(example)

    def unaided(self, example: Example) -> None:
        """Return nothing: what would be an answer is not known."""

    def completion(self, example: Example) -> str:
        """Return the first reference, or the abstention for an unanswerable example."""
        return example.references[0] if example.answerable else ABSTENTION

    def parse(self, text: str) -> str:
        """Return what was said, or its first line, less citation marks; `row[0]` of a program is none."""
        said = text
        if self.first_line:
            said = next((line for line in text.splitlines() if line.strip()), "")
        return reading.unmarked_alone(said).strip()

    def settled(self, said: str) -> str:
        """Return what was said."""
        return said

    def supports(self, text: str, example: Example) -> bool:
        """Return True: how an answer follows from a passage only the file knows."""
        return True
