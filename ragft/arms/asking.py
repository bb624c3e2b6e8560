"""Arms as they are asked: each is a row of data, its prompts, and the answers to them."""

from __future__ import annotations

import random
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragft import jsonl, provenance
from ragft.arms.adapters import Adapters
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge, drawn
from ragft.config import ArmConfig
from ragft.errors import RagftError
from ragft.generation.generator import Generation, Journal, ask
from ragft.prompts import Shot, Turn, render
from ragft.records import Answer, ContextKind, Example, Passage

CODE = ("generation", "models/language_model.py")
"""The parts of ragft that an answer to a given prompt depends on."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A system under comparison, as the experiment file defines it.

    `seed` is the training seed of its adapter, None for the adapter's only one or its first.
    """

    name: str
    adapter: str | None
    retrieval: ContextKind
    shots: int
    prompt: str
    seed: int | None = None

    @property
    def is_control(self) -> bool:
        """Whether the arm only shows a bound: gold or random passages are not to be had in production."""
        return self.retrieval in ("oracle", "random")

    @property
    def complexity(self) -> int:
        """How many things must be built and kept beside the model: an adapter, an index."""
        return int(self.adapter is not None) + int(self.retrieval != "none")


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt of one arm."""

    example: Example
    prompt: str
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Alone:
    """How long one question took when it was asked alone, in seconds, with the share that retrieval took."""

    example_id: str
    seconds: float
    retrieval_seconds: float


class Asking:
    """Asks the arms of one experiment: by batch for the scores, one at a time for what a user waits for."""

    def __init__(self, bench: Bench, knowledge: Knowledge | None, adapters: Adapters) -> None:
        self._bench = bench
        self._knowledge = knowledge
        self._adapters = adapters

    def arm(self, name: str) -> Arm:
        """Return one arm of the experiment; the prompt is the arm's, else its adapter's, else the task's.

        Raises RagftError where the experiment has no such arm.
        """
        arms = self._bench.experiment.compare.arms
        if name not in arms:
            raise RagftError(f"the experiment has no arm {name!r}", f"arms: {', '.join(arms)}")
        config: ArmConfig = arms[name]
        trained = self._bench.experiment.adapters[config.adapter].prompt if config.adapter else None
        prompt = self._bench.template(config.prompt or trained).name
        return Arm(name, config.adapter, config.retrieval, config.shots, prompt)

    def by_seed(self, arm: Arm) -> list[Arm]:
        """Return the arm once for every training seed of its adapter, or alone where there are not several."""
        seeds = self._adapters.seeds(arm.adapter) if arm.adapter else ()
        return [replace(arm, seed=seed) for seed in seeds] if len(seeds) > 1 else [arm]

    def questions(self, arm: Arm, examples: Sequence[Example]) -> list[Question]:
        """Return the prompts of one arm."""
        contexts = self._knowledge.context(arm.retrieval, examples) if self._knowledge else [()] * len(examples)
        shots = self._shots(arm.shots)
        return [
            self._question(arm, example, passages, shots, ())
            for example, passages in zip(examples, contexts, strict=True)
        ]

    def question(
        self, arm: Arm, example: Example, passages: Sequence[Passage], history: Sequence[Turn] = ()
    ) -> Question:
        """Return the prompt of one arm over passages that were found already, with the turns before the question."""
        return self._question(arm, example, passages, self._shots(arm.shots), history)

    def _question(
        self, arm: Arm, example: Example, passages: Sequence[Passage], shots: Sequence[Shot], history: Sequence[Turn]
    ) -> Question:
        prompt = render(
            self._bench.tokenizer,
            self._bench.template(arm.prompt),
            example.input,
            passages=passages,
            shots=shots,
            history=history,
            values=self._bench.task.prompt_values,
        )
        return Question(example, prompt, tuple(passages))

    def _shots(self, count: int) -> list[Shot]:
        """Return the same training examples for every question, drawn by the seed."""
        if count == 0:
            return []  # a question that needs no shots does not read the examples either
        train = self._bench.splits.train
        chosen = random.Random(self._bench.experiment.seed).sample(train, min(count, len(train)))
        return [Shot(example.input, self._bench.task.completion(example)) for example in chosen]

    def answers(self, arm: Arm, questions: Sequence[Question]) -> list[Answer]:
        """Return the arm's answer to every question; only what the journal lacks is asked."""
        journal = Journal(self._journal_path(arm))
        prompts = [question.prompt for question in questions]
        if any(journal.get(prompt) is None for prompt in prompts):
            generations = self._ask(arm, prompts, journal)
        else:
            generations = [found for prompt in prompts if (found := journal.get(prompt)) is not None]
        seconds = self._retrieval_seconds(arm, questions)
        return [
            self._answer(arm, question, generation, waited)
            for question, generation, waited in zip(questions, generations, seconds, strict=True)
        ]

    def missing(self, arm: Arm, questions: Sequence[Question]) -> list[Question]:
        """Return the questions that the arm has not answered yet."""
        journal = Journal(self._journal_path(arm))
        return [question for question in questions if journal.get(question.prompt) is None]

    def _ask(self, arm: Arm, prompts: Sequence[str], journal: Journal) -> list[Generation]:
        generator, size = self._bench.generator, self._bench.experiment.generation.batch_size
        total = len(set(prompts))
        with (
            generator.adapter(self._adapter_folder(arm)),
            self._bench.listener.work(f"Asking {_title(arm)}", total, "questions") as work,
        ):
            return ask(generator, prompts, journal, batch_size=size, on_batch=work.advance)

    def alone(self, arm: Arm, questions: Sequence[Question]) -> list[Alone]:
        """Return how long `compare.latency_questions` of the questions took, each asked alone; measured once."""
        count = self._bench.experiment.compare.latency_questions
        seed = self._bench.experiment.seed
        chosen = sorted(questions, key=lambda question: drawn(seed, question.example.id))[:count]
        journal = Journal(self._journal_path(arm, alone=True))
        if any(journal.get(question.prompt) is None for question in chosen):
            self._time_alone(arm, chosen, journal)
        retrieval = self._retrieval_seconds(arm, chosen)
        found = [(question, journal.get(question.prompt)) for question in chosen]
        return [
            Alone(question.example.id, timed.seconds + waited, waited)
            for (question, timed), waited in zip(found, retrieval, strict=True)
            if timed is not None
        ]

    def _time_alone(self, arm: Arm, questions: Sequence[Question], journal: Journal) -> None:
        generator = self._bench.generator
        with (
            generator.adapter(self._adapter_folder(arm)),
            self._bench.listener.work(f"Timing {arm.name}", len(questions), "questions") as work,
        ):
            generator.generate([questions[0].prompt])
            for question in questions:
                if journal.get(question.prompt) is None:
                    journal.add([question.prompt], generator.generate([question.prompt]))
                work.advance()

    def memory_bytes(self, arm: Arm, questions: Sequence[Question]) -> int:
        """Return the bytes that the arm's weights and, at their highest, its tensors take for its longest question.

        The weights are those of the model, of its adapter, and of the embedder where the arm searches. Measured once
        for one prompt of one generator; a question of the same length takes the same memory.
        """
        longest = max(questions, key=lambda question: (len(question.prompt), question.prompt)).prompt
        path = self._bench.workspace.memory_path(self._print(arm, alone=True))
        key = provenance.sha256_text(longest)
        known = {row["prompt_sha256"]: int(row["bytes"]) for row in jsonl.read_journal(path)}
        if key not in known:
            generator = self._bench.generator
            with generator.adapter(self._adapter_folder(arm)):
                known[key] = generator.peak_bytes(longest)
            jsonl.append_row(path, {"prompt_sha256": key, "bytes": known[key]})
        folder = self._adapter_folder(arm)
        # The weights of a full training take the place of the base; an adapter stands beside it.
        stands_beside = folder is not None and (folder / "adapter_config.json").exists()
        beside = weight_bytes(folder) if folder is not None and stands_beside else 0
        embeds_here = arm.retrieval == "index" and self._bench.experiment.index.embedder.endpoint is None
        return known[key] + beside + (weight_bytes(self._bench.embedder_folder.path) if embeds_here else 0)

    def _retrieval_seconds(self, arm: Arm, questions: Sequence[Question]) -> list[float]:
        """Return what finding the passages of each question took; controls do not search."""
        if arm.retrieval != "index" or self._knowledge is None:
            return [0.0] * len(questions)
        return [ranking.seconds for ranking in self._knowledge.rankings([question.example for question in questions])]

    def fingerprint(self, arm: Arm) -> str:
        """Return the fingerprint of who answers and how: model, adapter, decoding, code and libraries."""
        return self._print(arm, alone=False)

    def _print(self, arm: Arm, *, alone: bool) -> str:
        identity: dict[str, Any] = {
            "model": self._bench.model_identity,
            "adapter": self._adapters.fingerprint(arm.adapter, arm.seed) if arm.adapter else None,
            "generation": self._bench.experiment.generation.model_dump(),
            "code": provenance.code_fingerprint(*CODE),
            "alone": alone,
        }
        if alone:  # a time belongs to the machine that it was measured on, wherever the workspace travels
            machine = provenance.hardware()
            identity["machine"] = [machine["processor"], machine["cores"]]
        return provenance.fingerprint(identity)

    def _journal_path(self, arm: Arm, *, alone: bool = False) -> Path:
        return self._bench.workspace.answers_path(self._print(arm, alone=alone))

    def _adapter_folder(self, arm: Arm) -> Path | None:
        return self._adapters.folder(arm.adapter, arm.seed) if arm.adapter else None

    def _answer(self, arm: Arm, question: Question, generation: Generation, waited: float) -> Answer:
        return Answer(
            arm=arm.name,
            example_id=question.example.id,
            text=self._bench.task.parse(generation.text),
            prompt_tokens=generation.prompt_tokens,
            output_tokens=generation.output_tokens,
            seconds=generation.seconds,
            finish_reason=generation.finish_reason,
            passage_ids=tuple(passage.id for passage in question.passages),
            citations=cited(generation.text, question.passages),
            retrieval_seconds=waited,
            seed=arm.seed,
        )


def weight_bytes(folder: Path) -> int:
    """Return the size of the weight files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def _title(arm: Arm) -> str:
    return arm.name if arm.seed is None else f"{arm.name} (seed {arm.seed})"


def cited(text: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return the ids of the passages that an answer cites as [n], in the order of first mention; others are dropped."""
    numbers = dict.fromkeys(int(number) for number in re.findall(r"\[(\d{1,3})\]", text))
    return tuple(passages[number - 1].id for number in numbers if 1 <= number <= len(passages))


def median_seconds(alone: Sequence[Alone]) -> float | None:
    """Return the median time of a question asked alone, retrieval included; None where none was timed."""
    return statistics.median(item.seconds for item in alone) if alone else None
