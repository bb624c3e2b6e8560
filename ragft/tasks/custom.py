"""A task of the user's own: a prompt as a Jinja template, metrics from the list, and no reading between the lines."""

from __future__ import annotations

from dataclasses import dataclass

from ragft.config import CustomTask
from ragft.prompts import CustomTemplate
from ragft.records import Example
from ragft.tasks import reading
from ragft.tasks.asked import Answering


@dataclass(frozen=True, slots=True)
class Custom(Answering):
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
