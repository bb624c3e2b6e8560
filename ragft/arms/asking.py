"""Arms as they are asked: each is a row of data, its prompts, and the answers to them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ragft import jsonl, provenance
from ragft.arms.adapters import Adapters
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge, drawn
from ragft.arms.labels import CODE, LikeliestLabel
from ragft.arms.models import LocalModel
from ragft.arms.shots import Shots
from ragft.config import ArmConfig
from ragft.errors import RagftError
from ragft.generation.generator import Generation, Generator, Journal, Likelihood, Weighs, ask
from ragft.prompts import Shot, conversation
from ragft.records import Answer, ContextKind, Example, Passage


@dataclass(frozen=True, slots=True)
class Arm:
    """A system under comparison, as the experiment file defines it.

    `model` names one of `models`, None for the experiment's own. `prompt` is the template that it is asked with, the
    first of `prompts` where it has several. `seed` is the training seed of its adapter, None for the adapter's only one
    or its first.
    """

    name: str
    adapter: str | None
    retrieval: ContextKind
    shots: int
    prompt: str
    seed: int | None = None
    model: str | None = None
    shots_by: Literal["seed", "similarity"] = "seed"
    prompts: tuple[str, ...] = ()

    @property
    def is_control(self) -> bool:
        """Whether the arm only shows a bound: gold or random passages are not to be had in production."""
        return self.retrieval in ("oracle", "random")

    @property
    def is_bare(self) -> bool:
        """Whether the arm is a model and the question alone: no adapter, no passages, no examples."""
        return self.adapter is None and self.retrieval == "none" and self.shots == 0

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
class Variant:
    """An arm with one training seed and one prompt template, and what it was asked."""

    arm: Arm
    questions: tuple[Question, ...]


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
        self._shots = Shots(bench)

    def arm(self, name: str) -> Arm:
        """Return one arm of the experiment; the prompt is the arm's, else its adapter's, else the task's.

        Raises RagftError where the experiment has no such arm.
        """
        arms = self._bench.experiment.compare.arms
        if name not in arms:
            raise RagftError(f"the experiment has no arm {name!r}", f"arms: {', '.join(arms)}")
        config: ArmConfig = arms[name]
        trained = self._bench.experiment.adapters[config.adapter].prompt if config.adapter else None
        prompts = tuple(self._bench.template(prompt).name for prompt in config.prompt or (trained,))
        return Arm(
            name,
            config.adapter,
            config.retrieval,
            config.shots,
            prompts[0],
            model=config.model,
            shots_by=config.shots_by,
            prompts=prompts,
        )

    def variants(self, arm: Arm) -> list[Arm]:
        """Return the arm once for every training seed of its adapter and every prompt template that it has."""
        seeds: Sequence[int | None] = self._adapters.seeds(arm.adapter) if arm.adapter else ()
        seeds = seeds if len(seeds) > 1 else (arm.seed,)
        return [replace(arm, seed=seed, prompt=prompt) for seed in seeds for prompt in arm.prompts or (arm.prompt,)]

    def asked(self, arm: Arm, examples: Sequence[Example]) -> tuple[Variant, ...]:
        """Return every variant of an arm with its prompts, which are the same for every training seed."""
        variants = self.variants(arm)
        templates = {one.prompt: one for one in variants}
        prompts = {name: tuple(self.questions(one, examples)) for name, one in templates.items()}
        return tuple(Variant(one, prompts[one.prompt]) for one in variants)

    def questions(self, arm: Arm, examples: Sequence[Example]) -> list[Question]:
        """Return the prompts of one arm."""
        contexts = self._knowledge.context(arm.retrieval, examples) if self._knowledge else [()] * len(examples)
        shots = self._shots.chosen(arm.shots, arm.shots_by, examples)
        return [
            self._question(arm, example, passages, shown)
            for example, passages, shown in zip(examples, contexts, shots, strict=True)
        ]

    def question(self, arm: Arm, example: Example, passages: Sequence[Passage]) -> Question:
        """Return the prompt of one arm over passages that were found already; the example holds the turns before."""
        return self._question(arm, example, passages, self._shots.chosen(arm.shots, arm.shots_by, [example])[0])

    def _question(self, arm: Arm, example: Example, passages: Sequence[Passage], shots: Sequence[Shot]) -> Question:
        messages = conversation(
            self._bench.template(arm.prompt),
            example,
            passages=passages,
            shots=shots,
            values=self._bench.task.prompt_values,
        )
        return Question(example, self._bench.model(arm.model).render(messages), tuple(passages))

    def answers(self, arm: Arm, questions: Sequence[Question]) -> list[Answer]:
        """Return the arm's answer to every question; only what the journal lacks is asked."""
        journal = Journal(self._journal_path(arm))
        prompts = [question.prompt for question in questions]
        known = [found for prompt in prompts if (found := journal.get(prompt)) is not None]
        generations = known if len(known) == len(prompts) else self._ask(arm, prompts, journal)
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
        size, total = self._bench.experiment.generation.batch_size, len(set(prompts))
        with (
            self.answering(arm) as generator,
            self._bench.listener.work(f"Asking {_title(arm)}", total, "questions") as work,
        ):
            return ask(generator, prompts, journal, batch_size=size, on_batch=work.advance)

    @contextmanager
    def answering(self, arm: Arm) -> Iterator[Generator]:
        """Answer as the arm does inside this block: its model with its adapter, by text or by the likeliest label."""
        model = self._bench.model(arm.model)
        with model.generator.adapter(self._adapter_folder(arm)):
            labels = self._bench.likely_labels
            yield LikeliestLabel(model, labels) if labels else model.generator

    def weighing(self, arm: Arm) -> Weighs | None:
        """Return what weighs given answers as the arm finds them likely; None where its model does not tell."""
        model = self._bench.model(arm.model)
        return _Weighing(model, self._adapter_folder(arm)) if isinstance(model, LocalModel) else None

    def weights_path(self, arm: Arm) -> Path:
        """Return the journal of how likely the arm found what."""
        code = provenance.code_fingerprint("generation/likelihood.py")
        return self._bench.workspace.answers_path(provenance.fingerprint([self._print(arm, alone=False), code]))

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
        with (
            self.answering(arm) as generator,
            self._bench.listener.work(f"Timing {arm.name}", len(questions), "questions") as work,
        ):
            generator.generate([questions[0].prompt])
            for question in questions:
                if journal.get(question.prompt) is None:
                    journal.add([question.prompt], generator.generate([question.prompt]))
                work.advance()

    def memory_bytes(self, arm: Arm, questions: Sequence[Question]) -> int | None:
        """Return the bytes that the arm's weights and, at their highest, its tensors take for its longest question.

        The weights are those of the model, of its adapter, and of the embedder where the arm searches. Measured once
        for one prompt of one generator; a question of the same length takes the same memory. None for a model that is
        not in this process.
        """
        model = self._bench.model(arm.model)
        if not isinstance(model, LocalModel):
            return None
        longest = max(questions, key=lambda question: (len(question.prompt), question.prompt)).prompt
        path = self._bench.workspace.memory_path(self._print(arm, alone=True))
        key = provenance.sha256_text(longest)
        known = {row["prompt_sha256"]: int(row["bytes"]) for row in jsonl.read_journal(path)}
        if key not in known:
            generator = model.generator
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
            "model": self._bench.model(arm.model).identity,
            "adapter": self._adapters.fingerprint(arm.adapter, arm.seed) if arm.adapter else None,
            "generation": self._bench.experiment.generation.model_dump(),
            "labels": (labels := self._bench.likely_labels) and (labels, provenance.code_fingerprint(*CODE)),
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
            prompt=arm.prompt if len(arm.prompts) > 1 else None,
            invented_citations=invented(generation.text, question.passages),
            logprob=generation.logprob,
            error=generation.error,
        )


@dataclass(frozen=True, slots=True)
class _Weighing:
    """Weighs with an adapter, which is loaded when it is first needed."""

    model: LocalModel
    folder: Path | None

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        """Return how likely each (prompt, answer) is."""
        generator = self.model.generator
        with generator.adapter(self.folder):
            return generator.likelihoods(pairs)


def weight_bytes(folder: Path) -> int:
    """Return the size of the weight files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def _title(arm: Arm) -> str:
    parts = [f"seed {arm.seed}"] if arm.seed is not None else []
    parts += [arm.prompt] if len(arm.prompts) > 1 else []
    return f"{arm.name} ({', '.join(parts)})" if parts else arm.name


def cited(text: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return the ids of the passages that an answer cites as [n], in the order of first mention; others are dropped."""
    return tuple(passages[number - 1].id for number in _numbers(text) if 1 <= number <= len(passages))


def invented(text: str, passages: Sequence[Passage]) -> int:
    """Return how many numbers an answer cites as [n] that no passage has; without passages nothing is cited."""
    return sum(not 1 <= number <= len(passages) for number in _numbers(text)) if passages else 0


def _numbers(text: str) -> list[int]:
    """Return the numbers that stand in brackets, such as [2] or [1, 3], each once."""
    marks = re.findall(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]", text)
    return list(dict.fromkeys(int(number) for mark in marks for number in re.findall(r"\d+", mark)))


def median_seconds(alone: Sequence[Alone]) -> float | None:
    """Return the median time of a question asked alone, retrieval included; None where none was timed."""
    return statistics.median(item.seconds for item in alone) if alone else None
