"""One round of an experiment: its index brought in step, its adapters trained, its arms asked, their answers scored.

The comparison asks every arm the eval examples in one round; a sweep asks one arm the dev examples in many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Alone, Arm, Asking, Question, Variant
from ragft.arms.bench import Bench
from ragft.arms.knowledge import IndexState, Knowledge
from ragft.arms.planning import needs_index
from ragft.records import Answer, Example
from ragft.runs import Run


@dataclass(frozen=True, slots=True)
class Asked:
    """What one arm was asked and said, by every training seed and prompt template that it has.

    `questions` are those of the first template, `variants` how it was asked for each of its answers, in their order.
    `alone` are the questions that were timed one at a time, `reused` counts the answers that an earlier command got,
    `memory_bytes` is None where it was not measured.
    """

    questions: tuple[Question, ...]
    answers: tuple[Answer, ...]
    variants: tuple[Variant, ...] = ()
    alone: tuple[Alone, ...] = ()
    reused: int = 0
    memory_bytes: int | None = None

    def only(self, examples: Iterable[Example]) -> Asked:
        """Return what was asked of these examples and what was said to them; memory is that of all of them."""
        ids = {example.id for example in examples}
        return replace(
            self,
            questions=_of(self.questions, ids),
            answers=tuple(answer for answer in self.answers if answer.example_id in ids),
            variants=tuple(replace(one, questions=_of(one.questions, ids)) for one in self.variants),
            alone=tuple(timed for timed in self.alone if timed.example_id in ids),
        )


def _of(questions: Sequence[Question], ids: set[str]) -> tuple[Question, ...]:
    return tuple(question for question in questions if question.example.id in ids)


@dataclass(frozen=True, slots=True)
class Trained:
    """One adapter of a round: its name and training seed, and whether it had to be trained."""

    name: str
    seed: int
    title: str
    now: bool


class Round:
    """Builds what the arms of one experiment need, and asks them; each stage stands in the events of the run."""

    def __init__(self, bench: Bench, run: Run, *, label: str = "", adapters: Adapters | None = None) -> None:
        """Keep the bench and the run; `label` stands before the names of stages.

        `adapters` are those of another round, trained on other data than this one holds; its own when None.
        """
        self._bench = bench
        self._run = run
        self._label = label
        self.knowledge = Knowledge(bench) if bench.documents else None
        self.adapters = adapters or Adapters(bench, self.knowledge)
        self.asking = Asking(bench, self.knowledge, self.adapters)
        self._variants: dict[tuple[str, tuple[str, ...]], tuple[Variant, ...]] = {}

    def arms(self, names: Sequence[str]) -> list[Arm]:
        """Return arms by name."""
        return [self.asking.arm(name) for name in names]

    def index(self, arms: Sequence[Arm]) -> IndexState | None:
        """Bring the index in step, where an arm or its adapter reads it."""
        configs = [self.adapters.config(arm.adapter) for arm in arms if arm.adapter]
        if self.knowledge is None or not needs_index(arms, configs):
            return None
        with self._run.stage(f"{self._label}index"):
            return self.knowledge.sync()

    def train(self, arms: Sequence[Arm]) -> list[Trained]:
        """Train every adapter that an arm uses, with each of its seeds, unless it is there."""
        names = dict.fromkeys(arm.adapter for arm in arms if arm.adapter is not None)
        return [self._train(name, seed) for name in names for seed in self.adapters.seeds(name)]

    def _train(self, name: str, seed: int) -> Trained:
        title = self.adapters.title(name, seed)
        with self._run.stage(f"{self._label}train {title}"):
            return Trained(name, seed, title, self.adapters.build(name, seed))

    def ask(self, arms: Sequence[Arm], examples: Sequence[Example], *, measured: bool) -> dict[str, Asked]:
        """Return what every arm says to the examples; where `measured`, also what a question takes in time and memory.

        What was answered before is counted before any arm is asked: two arms may share answers.
        """
        variants = {arm.name: self.variants(arm, examples) for arm in arms}
        before = {name: self._answered(found) for name, found in variants.items()}
        return {arm.name: self._ask(arm, variants[arm.name], before[arm.name], measured) for arm in arms}

    def variants(self, arm: Arm, examples: Sequence[Example]) -> tuple[Variant, ...]:
        """Return what an arm is asked in this round; rendered once, though its length is looked at before."""
        key = (arm.name, tuple(example.id for example in examples))
        if key not in self._variants:
            self._variants[key] = self.asking.asked(arm, examples)
        return self._variants[key]

    def _answered(self, variants: Sequence[Variant]) -> int:
        return sum(len(one.questions) - len(self.asking.missing(one.arm, one.questions)) for one in variants)

    def _ask(self, arm: Arm, variants: tuple[Variant, ...], reused: int, measured: bool) -> Asked:
        first = variants[0]
        with self._run.stage(f"{self._label}ask {arm.name}"):
            answers = tuple(answer for one in variants for answer in self.asking.answers(one.arm, one.questions))
            if not measured:
                return Asked(first.questions, answers, variants, reused=reused)
            alone = tuple(self.asking.alone(first.arm, first.questions))
            memory = self.asking.memory_bytes(first.arm, first.questions)
            return Asked(first.questions, answers, variants, alone, reused, memory)
