"""What an adapter left of the base's abilities, as questions: known facts, instructions, reading a given passage.

The questions have nothing to do with the experiment. They are asked through the ordinary generator and its journals, so
no answer is got twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ragft import jsonl
from ragft.arms.asking import Arm, Asking, Question
from ragft.arms.bench import Bench
from ragft.arms.planning import PlannedArm, answering_seconds, is_adapted
from ragft.config import ExamplesFile, QaTask
from ragft.data.examples import load_examples, sample
from ragft.errors import DataError
from ragft.evaluation.answers import is_abstention
from ragft.evaluation.metrics import score_answers
from ragft.probes.general_text import SHIPPED
from ragft.probes.instructions import followed, shipped_instructions
from ragft.probes.weights import Weights
from ragft.records import Answer, Example, Passage, Score

Part = Literal["facts", "instructions", "reading"]
PARTS: tuple[Part, ...] = ("facts", "instructions", "reading")

PROMPT = "qa-short-1"
"""The template of the questions, whatever the task of the experiment is."""

ANSWER_TOKENS = 48
"""Tokens of the longest answer: a list of three items or a small JSON object, with room for one who is talkative."""

PLAIN, CONTRADICTING = "plain", "contradicting"
"""Passages about something that nobody knows, and passages that say something else than what everybody knows."""


@dataclass(frozen=True, slots=True)
class Read:
    """A question about a passage that is given with it."""

    example: Example
    passage: Passage
    kind: str


def facts_of(bench: Bench, path: Path | None) -> tuple[Example, ...]:
    """Return questions of general knowledge with their answers: those of the user's file, or those shipped.

    Raises DataError where none of them has an answer.
    """
    fields = bench.experiment.data.fields if path is not None else type(bench.experiment.data.fields)()
    source = ExamplesFile(kind="files", path=path or SHIPPED / "facts.jsonl")
    asked = load_examples(
        source, fields.model_copy(update={"input": fields.input or "question"}), bench.experiment.seed
    )
    found = tuple(example for example in asked if example.answerable and example.references)
    if not found:
        raise DataError(f"{source.path}: no question has an answer", "give each question its `references`")
    return found


def shipped_reading() -> tuple[Read, ...]:
    """Return the passages that come with ragft, each with its question."""
    return tuple(_read(row) for _, row in jsonl.read_rows(SHIPPED / "reading.jsonl"))


def _read(row: jsonl.Row) -> Read:
    id_, text = str(row["id"]), str(row["passage"])
    passage = Passage(f"{id_}#1", id_, str(row["title"]), text, 0, len(text))
    return Read(Example(id_, str(row["question"]), tuple(row["references"])), passage, str(row["kind"]))


class Quiz:
    """The questions of one experiment's forgetting, and who answered what.

    With a limit every part has the same share of its questions, two at least.
    """

    def __init__(self, bench: Bench, facts: tuple[Example, ...], limit: int | None = None) -> None:
        self._bench = bench
        seed = bench.experiment.seed
        instructions, reading = shipped_instructions(), shipped_reading()
        self._available: dict[Part, int] = {
            "facts": len(facts),
            "instructions": len(instructions),
            "reading": len(reading),
        }
        self._limit = limit
        self.facts = sample(facts, self._most("facts"), seed)
        chosen = sample(
            tuple(Example(one.id, one.prompt, ()) for one in instructions), self._most("instructions"), seed
        )
        self.instructions = tuple(one for one in instructions if one.id in {example.id for example in chosen})
        kept = {example.id for example in sample(tuple(one.example for one in reading), self._most("reading"), seed)}
        self.reading = tuple(one for one in reading if one.example.id in kept)

    def _most(self, part: Part) -> int:
        count, total = self._available[part], self.n_available
        return count if self._limit is None or self._limit >= total else max(2, self._limit * count // total)

    @property
    def n_available(self) -> int:
        """Questions that there are, of all parts together."""
        return sum(self._available.values())

    @property
    def n_asked(self) -> int:
        """Questions that are asked, of all parts together."""
        return len(self.facts) + len(self.instructions) + len(self.reading)

    def examples(self, part: Part) -> tuple[Example, ...]:
        """Return the questions of one part."""
        match part:
            case "facts":
                return self.facts
            case "instructions":
                return tuple(Example(one.id, one.prompt, ()) for one in self.instructions)
            case "reading":
                return tuple(one.example for one in self.reading)

    def scores(self, part: Part, every: Sequence[Weights]) -> dict[str, list[Score]]:
        """Return one score of 0 or 1 for every answer, by the name of whose weights answered."""
        found: dict[str, list[Score]] = {}
        for one in every:
            found.setdefault(one.name, []).extend(self._scores(part, one))
        return found

    def _scores(self, part: Part, weights: Weights) -> list[Score]:
        asking, arm = self._asking(part, weights), _arm(weights)
        answers = asking.answers(arm, self._questions(part, asking, arm))
        if part == "instructions":
            return self._kept(weights, answers)
        return score_answers(answers, {example.id: example for example in self.examples(part)}, [METRICS[part]])

    def declined(self, weights: Weights) -> frozenset[str]:
        """Return the facts of which the weights say that they do not know."""
        asking, arm = self._asking("facts", weights), _arm(weights)
        answers = asking.answers(arm, self._questions("facts", asking, arm))
        return frozenset(answer.example_id for answer in answers if is_abstention(answer.text))

    def _kept(self, weights: Weights, answers: Sequence[Answer]) -> list[Score]:
        by_id = {one.id: one for one in self.instructions}
        values = (
            followed(by_id[answer.example_id], answer.text, cut_off=answer.finish_reason == "length")
            for answer in answers
        )
        return [
            Score(weights.name, answer.example_id, METRICS["instructions"], float(value), seed=weights.seed)
            for answer, value in zip(answers, values, strict=True)
        ]

    def planned(self, weights: Weights, parts: Sequence[Part] = PARTS) -> PlannedArm:
        """Return what asking these parts would take; asks nothing."""
        prompts = answered = tokens = 0
        for part in parts:
            asking, arm = self._asking(part, weights), _arm(weights)
            questions = self._questions(part, asking, arm)
            left = asking.missing(arm, questions)
            prompts, answered = prompts + len(questions), answered + len(questions) - len(left)
            tokens += sum(self._bench.local.count(question.prompt) for question in left)
        written = (prompts - answered) * ANSWER_TOKENS / 2
        adapted = is_adapted(self._bench, weights.adapter)
        seconds = answering_seconds(self._bench, self._bench.local, tokens, written, adapted=adapted)
        return PlannedArm(weights.title, prompts, answered, tokens, seconds)

    def _asking(self, part: Part, weights: Weights) -> Asking:
        """Return what asks: the experiment's model as for short answers, or for whole ones where the form counts."""
        experiment = self._bench.experiment
        task = QaTask(kind="qa", answers="long" if part == "instructions" else "short")
        generation = experiment.generation.model_copy(update={"max_new_tokens": ANSWER_TOKENS})
        changed = experiment.model_copy(update={"task": task, "generation": generation})
        return Asking(self._bench.variant(changed), None, weights.adapters)

    def _questions(self, part: Part, asking: Asking, arm: Arm) -> list[Question]:
        match part:
            case "facts":
                return [asking.question(arm, example, ()) for example in self.facts]
            case "instructions":
                return [
                    Question(example, self._bench.local.render([{"role": "user", "content": example.input}]), ())
                    for example in self.examples(part)
                ]
            case "reading":
                return [asking.question(arm, one.example, (one.passage,)) for one in self.reading]


METRICS: Mapping[Part, str] = {"facts": "contains", "instructions": "accuracy", "reading": "contains"}
"""The metric of each part: the answer stands in what was said, or the reply does as it was told; 0 or 1 each."""


def _arm(weights: Weights) -> Arm:
    """Return the weights as an arm that is given no passages of the experiment and no examples."""
    return Arm(weights.name, weights.adapter, "none", 0, PROMPT, seed=weights.seed)
