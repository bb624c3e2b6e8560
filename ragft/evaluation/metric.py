"""What an answer metric is. The metrics themselves stand in modules by kind, and `metrics` lists them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ragft.records import Answer, Example, Passage

Source = Literal["text", "passages", "likelihood", "embedder", "nli", "judge"]
"""What a metric is read from: the answer and its references, the passages too, or something that measures it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One answer with what it is held against: its example, and the passages that stood in its prompt, in order."""

    answer: Answer
    example: Example
    passages: tuple[Passage, ...] = ()

    @property
    def text(self) -> str:
        """What was answered."""
        return self.answer.text

    @property
    def references(self) -> Sequence[str]:
        """What would have been right."""
        return self.example.references


class UnscoredError(Exception):
    """A metric cannot judge this answer; the message says why, and becomes the reason of the score."""


@dataclass(frozen=True, slots=True)
class AnswerMetric:
    """A metric of one answer.

    `version` rises whenever a change could move a value. `binary` means only 0.0 or 1.0. `score` raises UnscoredError
    where it cannot judge; it is None for a metric that is measured elsewhere (`source` says by what). `ranks` says that
    higher is better and that arms may be ranked by it. An example without references, where the metric needs some, is
    unscored before `score` is asked, and so is an answer that was not got. `of_passages` is for a metric from another
    source that cannot do without the passages either.
    """

    name: str
    version: int
    binary: bool
    score: Callable[[Subject], float] | None
    needs_references: bool = True
    source: Source = "text"
    ranks: bool = True
    of_passages: bool = False

    @property
    def needs_passages(self) -> bool:
        """Return whether an answer without passages in its prompt cannot be judged at all."""
        return self.of_passages or self.source in ("passages", "nli")
