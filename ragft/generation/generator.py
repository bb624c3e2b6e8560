"""What answers prompts: the protocol that every generator keeps, and the journal that remembers its answers.

The journal is keyed by what was asked, under a fingerprint of who was asked and how; so an interrupted command asks
nothing twice, and an edited document re-asks only the prompts that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ragft import jsonl
from ragft.provenance import sha256_text
from ragft.records import FinishReason


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model said to one prompt; `seconds` is the batch's wall time divided by its size."""

    text: str
    prompt_tokens: int
    output_tokens: int
    seconds: float
    finish_reason: FinishReason


class Generator(Protocol):
    """Something that answers prompts greedily."""

    def count_tokens(self, prompt: str) -> int:
        """Return the tokens of one prompt."""
        ...

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the answers to one batch, in order."""
        ...


class Streams(Generator, Protocol):
    """A generator that also tells what it says while it says it."""

    @property
    def context_tokens(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None where no limit is known."""
        ...

    def stream(self, prompt: str, on_text: Callable[[str], None]) -> Generation:
        """Return the answer to one prompt; `on_text` is given all of it that stands fast, each time that grows."""
        ...


class Journal:
    """Answers by the SHA-256 of their prompt, appended batch by batch; a batch is on the disk whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Generation] = {}
        for row in jsonl.read_journal(path):
            for item in row["batch"]:
                key = item.pop("prompt_sha256")
                self._known[key] = Generation(**item)

    def get(self, prompt: str) -> Generation | None:
        """Return what was answered to this prompt, or None."""
        return self._known.get(sha256_text(prompt))

    def add(self, prompts: Sequence[str], answers: Sequence[Generation]) -> None:
        """Remember one batch."""
        rows = [
            {"prompt_sha256": sha256_text(prompt), **jsonl.plain(answer)}
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        jsonl.append_row(self._path, {"batch": rows})
        for prompt, answer in zip(prompts, answers, strict=True):
            self._known[sha256_text(prompt)] = answer


def ask(
    generator: Generator,
    prompts: Sequence[str],
    journal: Journal,
    *,
    batch_size: int,
    on_batch: Callable[[int], None] = lambda _: None,
) -> list[Generation]:
    """Return the answer to every prompt, in order, asking only what the journal lacks.

    Batches are cut from the prompts sorted by length, before looking at the journal: an interrupted command resumes
    with the batches that an uninterrupted one would have made, because the batch that a prompt is answered in can
    change its answer in low precision. `on_batch` is told how many prompts are done.
    """
    for batch in batches(generator, prompts, batch_size):
        missing = [prompt for prompt in batch if journal.get(prompt) is None]
        if missing:
            journal.add(missing, generator.generate(missing))
        on_batch(len(batch))
    answers = [journal.get(prompt) for prompt in prompts]
    return [answer for answer in answers if answer is not None]


def batches(generator: Generator, prompts: Sequence[str], batch_size: int) -> Iterator[list[str]]:
    """Yield batches of distinct prompts of similar length, longest first; ties are in the order of the text."""
    lengths = {prompt: generator.count_tokens(prompt) for prompt in prompts}
    order = sorted(lengths, key=lambda prompt: (-lengths[prompt], prompt))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
