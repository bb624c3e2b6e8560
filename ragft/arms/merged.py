"""What merging an arm's adapter into its base saves: the same questions, one at a time, both ways.

Measured once for an arm, a machine and a prompt; the next command finds the times.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ragft import jsonl, provenance
from ragft.arms.asking import Arm, Asking, Question, weight_bytes
from ragft.arms.bench import Bench
from ragft.arms.knowledge import drawn
from ragft.arms.models import LocalModel
from ragft.generation.generator import Generation, Generator
from ragft.records import Example


@dataclass(frozen=True, slots=True)
class Pass:
    """One question, asked alone: seconds, tokens written, and what was said (by its hash)."""

    seconds: float
    output_tokens: int
    said_sha256: str


@dataclass(frozen=True, slots=True)
class Merging:
    """The same questions with the adapter beside the base and merged into it, in the same order.

    The bytes are those of weights and tensors at their peak; `fresh` says whether anything was measured now.
    """

    beside: tuple[Pass, ...]
    merged: tuple[Pass, ...]
    beside_bytes: int
    merged_bytes: int
    fresh: bool

    @property
    def ratios(self) -> tuple[float, ...]:
        """Seconds beside the base for each second merged, of every question that was answered in as many tokens.

        Of all questions where none was: in low precision an adapter that is merged may say something else.
        """
        pairs = list(zip(self.beside, self.merged, strict=True))
        alike = [(a, b) for a, b in pairs if a.output_tokens == b.output_tokens]
        return tuple(a.seconds / b.seconds for a, b in alike or pairs)

    @property
    def ratio(self) -> float:
        """The median of the ratios: how many times as fast merging makes the arm."""
        return statistics.median(self.ratios)

    @property
    def is_faster(self) -> bool:
        """Whether every question was answered faster with the adapter merged."""
        return min(self.ratios) > 1

    @property
    def same(self) -> int:
        """How many questions were answered alike both ways."""
        return sum(a.said_sha256 == b.said_sha256 for a, b in zip(self.beside, self.merged, strict=True))


class Merger:
    """Times the arms of one experiment with their adapters beside the base and merged into it."""

    def __init__(self, bench: Bench, asking: Asking) -> None:
        self._bench = bench
        self._asking = asking

    def chosen(self, examples: Sequence[Example], count: int) -> list[Example]:
        """Return the examples that are asked alone: those that the comparison times, and more of the same draw."""
        return sorted(examples, key=lambda example: drawn(self._bench.experiment.seed, example.id))[:count]

    def missing(self, arm: Arm, questions: Sequence[Question]) -> int:
        """Return how many of the questions were not timed yet on this machine."""
        known = self._known(arm)
        return sum(provenance.sha256_text(question.prompt) not in known for question in questions)

    def measure(self, arm: Arm, folder: Path, questions: Sequence[Question]) -> Merging:
        """Return the times of these questions both ways; `folder` holds the adapter of the arm.

        One pass over them beside the base and one merged, each after a first question that does not count. The arm's
        model must be in this process.
        """
        fresh = self.missing(arm, questions) > 0
        if fresh:
            self._time(arm, questions)
        rows = [self._known(arm)[provenance.sha256_text(question.prompt)] for question in questions]
        return Merging(
            beside=tuple(Pass(**row["beside"]) for row in rows),
            merged=tuple(Pass(**row["merged"]) for row in rows),
            beside_bytes=max(row["beside_bytes"] for row in rows) + weight_bytes(folder) + self._embedder_bytes(arm),
            merged_bytes=max(row["merged_bytes"] for row in rows) + self._embedder_bytes(arm),
            fresh=fresh,
        )

    def _time(self, arm: Arm, questions: Sequence[Question]) -> None:
        from ragft.generation.merged import merged

        model = self._bench.model(arm.model)
        assert isinstance(model, LocalModel), "a server merges what it likes"
        prompts = [question.prompt for question in questions]
        longest = max(prompts, key=len)
        with (
            self._asking.answering(arm) as generator,
            self._bench.listener.work(f"Timing {arm.name} merged", 2 * len(prompts), "questions") as work,
        ):
            beside, beside_bytes = _pass(generator, prompts), model.generator.peak_bytes(longest)
            work.advance(len(prompts))
            with merged(model.weights):
                within, merged_bytes = _pass(generator, prompts), model.generator.peak_bytes(longest)
            work.advance(len(prompts))
        for prompt, one, other in zip(prompts, beside, within, strict=True):
            row = {
                "prompt_sha256": provenance.sha256_text(prompt),
                "beside": asdict(one),
                "merged": asdict(other),
                "beside_bytes": beside_bytes,
                "merged_bytes": merged_bytes,
            }
            jsonl.append_row(self._path(arm), row)

    def _known(self, arm: Arm) -> dict[str, jsonl.Row]:
        return {row["prompt_sha256"]: row for row in jsonl.read_journal(self._path(arm))}

    def _path(self, arm: Arm) -> Path:
        """Return the journal of the times: they belong to the machine that they were measured on."""
        machine = provenance.hardware()
        code = provenance.code_fingerprint("generation/merged.py")
        identity = [self._asking.fingerprint(arm), "merged", machine["processor"], machine["cores"], code]
        return self._bench.workspace.answers_path(provenance.fingerprint(identity))

    def _embedder_bytes(self, arm: Arm) -> int:
        embeds_here = arm.retrieval == "index" and self._bench.experiment.index.embedder.endpoint is None
        return weight_bytes(self._bench.embedder_folder.path) if embeds_here else 0


def _pass(generator: Generator, prompts: Sequence[str]) -> list[Pass]:
    generator.generate(prompts[:1])
    return [_noted(generator.generate([prompt])[0]) for prompt in prompts]


def _noted(said: Generation) -> Pass:
    return Pass(said.seconds, said.output_tokens, provenance.sha256_text(said.text))
