"""What every probe works with: the arms and examples concerned, conditions asked through the ordinary pipeline, scores.

Nothing is made twice: a condition's answers, adapters and index are found by fingerprint like everything else, and the
models are those that the comparison has loaded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Arm, Asking
from ragft.arms.bench import Bench
from ragft.arms.knowledge import IndexState, Knowledge
from ragft.arms.measures import text_metric
from ragft.arms.models import LocalModel
from ragft.arms.planning import answering_seconds, is_adapted, needs_index, plan_adapter, plan_arm, speeds_of
from ragft.arms.round import Asked, Round, Trained
from ragft.config import ArmConfig, with_values
from ragft.config.probes import ProbeSection
from ragft.data.examples import sample
from ragft.evaluation.clustering import clusters
from ragft.evaluation.comparison import measure_cells
from ragft.evaluation.metrics import score_answers
from ragft.evaluation.probing import ProbeResult
from ragft.probes.probe import Condition, Load, Probe
from ragft.records import Answer, ContrastResult, Estimate, Example, Passage, Score
from ragft.runs import Run


class OutOfTimeError(Exception):
    """The time that a probe was given has run out; whoever set the deadline says what becomes of the probe."""


SAMPLED = 12
"""Prompts of each arm and condition that are rendered to estimate how long all of them take."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long asking and training took in the comparison, as multiples of what was estimated."""

    asking: float = 1.0
    training: float = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the arms said in one condition. `index_s` is how long bringing its index in step took now, in seconds."""

    condition: Condition
    round: Round
    asked: Mapping[str, Asked]
    trained: tuple[Trained, ...]
    index: IndexState | None
    index_s: float


@dataclass(frozen=True, slots=True)
class Kit:
    """One experiment as its probes see it.

    `main`, `asked` and `index` are the round of the comparison, what its arms said, and its index; they are absent
    while a plan is made. `cap` is the most examples that fit the time of the command, None without a limit; when the
    `deadline` (of `time.monotonic`) has passed, no further condition is asked.
    """

    bench: Bench
    run: Run | None = None
    main: Round | None = None
    asked: Mapping[str, Asked] = field(default_factory=dict)
    index: IndexState | None = None
    cap: int | None = None
    pace: Pace = Pace()
    deadline: float = math.inf

    @property
    def metric(self) -> str:
        """The metric that probes look at: the primary one, or the task's own where that one asks a model."""
        return text_metric(self.bench)

    @property
    def round(self) -> Round:
        """The round of the comparison; its index is in step and its adapters are trained."""
        assert self.main is not None, "only a plan has no round"
        return self.main

    def capped(self, cap: int | None) -> Kit:
        """Return the kit with another limit of examples."""
        return replace(self, cap=cap)

    def arms(self, config: ProbeSection, wanted: Callable[[ArmConfig], bool]) -> tuple[str, ...]:
        """Return the arms that the probe's settings name, in the order of the file, or else those that are wanted."""
        every = self.bench.experiment.compare.arms
        return tuple(name for name, arm in every.items() if (name in config.arms if config.arms else wanted(arm)))

    def config(self, name: str) -> ArmConfig:
        """Return an arm of the experiment as its file has it."""
        return self.bench.experiment.compare.arms[name]

    def twins(self, names: Sequence[str], suffix: str, **changes: Any) -> tuple[Bench, dict[str, str]]:  # noqa: ANN401
        """Return the experiment with a twin beside each of these arms, and the name of each twin.

        A twin is its arm with some keys changed; it is asked with the same prompt, also where it has no adapter to take
        one from.
        """
        adapters = self.bench.experiment.adapters
        values, named = {}, {}
        for name in names:
            own = self.config(name)
            trained = adapters[own.adapter].prompt if own.adapter else None
            prompt = own.prompt or ((trained,) if trained else ())
            named[name] = f"{name[:48]}-{suffix}"
            values[f"compare.arms.{named[name]}"] = {**own.model_dump(), "prompt": prompt, **changes}
        return self.bench.variant(with_values(self.bench.experiment, values)), named

    def examples(self, config: ProbeSection, of: Sequence[Example] | None = None) -> tuple[Example, ...]:
        """Return the examples that a probe asks: of those given (the eval examples when None), as many as it may.

        A smaller number is always part of a larger one, so answers are shared.
        """
        every = tuple(self.bench.splits.eval if of is None else of)
        limits = [limit for limit in (config.examples, self.cap) if limit is not None]
        return sample(every, min(limits, default=None), self.bench.experiment.seed)

    def ask(self, condition: Condition) -> Told:
        """Build what a condition needs and ask its arms; what is there already is not made again.

        Raises OutOfTimeError when the deadline has passed.
        """
        assert self.run is not None, "a plan asks nothing"
        self._check_time()
        adapters = None if condition.retrained else self.round.adapters
        one = Round(condition.bench, self.run, label=f"{condition.label}: ", adapters=adapters)
        arms = one.arms(condition.arms)
        began = time.perf_counter()
        index = one.index(arms)
        index_s = time.perf_counter() - began
        trained = tuple(one.train(arms)) if condition.retrained else ()
        asked = one.ask(arms, condition.bench.splits.eval, measured=False)
        return Told(condition, one, asked, trained, index, index_s)

    def asked_with(self, name: str, contexts: Mapping[str, Sequence[Passage]], examples: Sequence[Example]) -> Asked:
        """Return what an arm says with given passages (by example id) before each question, by every training seed.

        Raises OutOfTimeError when the deadline has passed.
        """
        self._check_time()
        asking = self.round.asking
        first = asking.arm(name)
        questions = tuple(asking.question(first, example, contexts[example.id]) for example in examples)
        variants = [one for one in asking.variants(first) if one.prompt == first.prompt]
        before = sum(len(questions) - len(asking.missing(one, questions)) for one in variants)
        answers = tuple(replace(answer, prompt=None) for one in variants for answer in asking.answers(one, questions))
        return Asked(questions, answers, reused=before)

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTimeError

    def scores(self, asked: Asked, name: str, metric: str | None = None) -> list[Score]:
        """Return one score for every answer of an arm, under the name that it has in this condition."""
        examples = {question.example.id: question.example for question in asked.questions}
        passages = {p.id: p for question in asked.questions for p in question.passages}
        return self.scores_of(asked.answers, examples, name, metric, passages)

    def scores_of(
        self,
        answers: Sequence[Answer],
        examples: Mapping[str, Example],
        name: str,
        metric: str | None = None,
        passages: Mapping[str, Passage] | None = None,
    ) -> list[Score]:
        """Return one score for every answer against these examples, under a name."""
        renamed = [replace(answer, arm=name) for answer in answers]
        return score_answers(renamed, examples, [metric or self.metric], passages or {})

    def estimates(
        self, named: Mapping[str, Sequence[Score]], examples: Sequence[Example], metric: str | None = None
    ) -> dict[str, Estimate]:
        """Return the mean and interval of each named set of scores, all from one draw of clusters."""
        return {one.arm: one for one in self._cells(named, examples, metric, [])[0]}

    def contrasts(
        self,
        named: Mapping[str, Sequence[Score]],
        examples: Sequence[Example],
        pairs: Sequence[tuple[str, str]],
        metric: str | None = None,
    ) -> list[ContrastResult]:
        """Return the paired difference of each pair of named sets of scores on the examples that both have."""
        return self._cells(named, examples, metric, pairs)[1]

    def _cells(
        self,
        named: Mapping[str, Sequence[Score]],
        examples: Sequence[Example],
        metric: str | None,
        pairs: Sequence[tuple[str, str]],
    ) -> tuple[list[Estimate], list[ContrastResult]]:
        settings = self.bench.experiment.compare
        return measure_cells(
            [score for scores in named.values() for score in scores],
            clusters=clusters(examples),
            arms=list(named),
            metric=metric or self.metric,
            pairs=pairs,
            resamples=settings.resamples,
            level=settings.confidence,
            seed=self.bench.experiment.seed,
            margin=settings.requirements.margin,
        )

    def result(
        self,
        probe: Probe,
        *,
        arms: Sequence[str],
        n_examples: int,
        n_available: int,
        **found: Any,  # noqa: ANN401
    ) -> ProbeResult:
        """Return what a probe found; `found` are other fields of the result, lists as well as tuples."""
        notes = tuple(found.pop("notes", ()))
        if self.cap is not None and n_examples < n_available:
            told = f"For want of time {n_examples} of {n_available} examples were asked, the same for all arms."
            notes = (*notes, told)
        fixed: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
        return ProbeResult(
            probe=probe.kind,
            title=probe.title,
            asks=probe.asks,
            status="measured",
            arms=tuple(arms),
            n_examples=n_examples,
            n_available=n_available,
            notes=notes,
            **{"metric": self.metric, **fixed},
        )

    def load_of(self, conditions: Sequence[Condition], *, fixed_s: float = 0.0) -> Load:
        """Return what asking these conditions would take; `fixed_s` is the time of other work."""
        parts = [self._load(condition) for condition in conditions]
        return Load(
            arms=len({name for condition in conditions for name in condition.arms}),
            conditions=len(conditions),
            examples=max((part.examples for part in parts), default=0),
            prompts=sum(part.prompts for part in parts),
            answered=sum(part.answered for part in parts),
            prompt_tokens=sum(part.prompt_tokens for part in parts),
            trainings=sum(part.trainings for part in parts),
            asking_s=sum(part.asking_s for part in parts),
            fixed_s=sum(part.fixed_s for part in parts) + fixed_s,
        )

    def _load(self, condition: Condition) -> Load:
        bench, examples = condition.bench, condition.bench.splits.eval
        knowledge = Knowledge(bench, planning=True) if bench.documents else None
        own = Adapters(bench, knowledge) if condition.retrained else self._adapters()
        asking = Asking(bench, knowledge, own)
        arms = [asking.arm(name) for name in condition.arms]
        some = sample(examples, SAMPLED, bench.experiment.seed)
        scale = len(examples) / max(1, len(some))
        planned = [plan_arm(bench, asking, arm, some) for arm in arms]
        prompts = scale * sum(one.prompts for one in planned)
        fresh = 1.0 if knowledge is None or knowledge.is_current() else condition.fresh
        left = fresh * scale * (1.0 - self._asked_anyway(condition))
        return Load(
            examples=len(examples),
            prompts=round(prompts),
            answered=round(prompts - left * sum(one.prompts - one.answered for one in planned)),
            prompt_tokens=round(left * sum(one.prompt_tokens for one in planned)),
            trainings=len(trained := self._trainings(condition, arms, own)),
            asking_s=left * sum(one.seconds for one in planned) * self.pace.asking,
            fixed_s=sum(trained) * self.pace.training + self._index_seconds(bench, knowledge, arms, own),
        )

    def _asked_anyway(self, condition: Condition) -> float:
        """Return the share of a condition's examples that the comparison, still to be made, asks in the same way."""
        bench, own = condition.bench, {example.id for example in self.bench.splits.eval}
        same = bench.experiment is self.bench.experiment and bench.stress.documents is None and not condition.retrained
        if self.main is not None or not same:
            return 0.0
        examples = bench.splits.eval
        return sum(example.id in own for example in examples) / max(1, len(examples))

    def _adapters(self) -> Adapters:
        """Return the adapters of the experiment: those of the comparison, or as a plan knows them."""
        bench = self.bench
        if self.main is not None:
            return self.main.adapters
        knowledge = Knowledge(bench, planning=True) if bench.documents else None
        return bench.once("planned adapters", (bench.experiment,), lambda: Adapters(bench, knowledge))

    def _trainings(self, condition: Condition, arms: Sequence[Arm], adapters: Adapters) -> list[float]:
        """Return the seconds of each training that the condition needs and that is not there yet."""
        if not condition.retrained:
            return []
        names = dict.fromkeys(arm.adapter for arm in arms if arm.adapter is not None)
        planned = [plan_adapter(condition.bench, adapters, n, seed) for n in names for seed in adapters.seeds(n)]
        return [one.seconds for one in planned if not one.reused]

    def _index_seconds(
        self, bench: Bench, knowledge: Knowledge | None, arms: Sequence[Arm], adapters: Adapters
    ) -> float:
        """Return what the index of a condition would take: the passages of the comparison are embedded already."""
        configs = [adapters.config(arm.adapter) for arm in arms if arm.adapter]
        if knowledge is None or not needs_index(arms, configs) or knowledge.is_current():
            return 0.0
        known = {(passage.title, passage.text) for passage in self.bench.passages}
        new = sum((passage.title, passage.text) not in known for passage in bench.passages)
        return 0.5 + len(bench.passages) / 500 + new / 30


def pace_of(bench: Bench, one: Round, asked: Mapping[str, Asked], trained: Sequence[Trained]) -> Pace:
    """Return how the answers and trainings of this command compare with what was estimated for them.

    Only what was asked and trained now counts: an earlier command may have had the machine to itself, or shared it.
    """
    model = bench.model(None)
    if not isinstance(model, LocalModel):
        return Pace()
    took = expected = 0.0
    for name, told in asked.items():
        arm = one.asking.arm(name)
        if arm.model is None and not told.reused:
            read = sum(answer.prompt_tokens for answer in told.answers)
            written = len(told.answers) * bench.experiment.generation.max_new_tokens / 2
            expected += answering_seconds(bench, model, read, written, adapted=is_adapted(bench, arm.adapter))
            took += sum(answer.seconds for answer in told.answers)
    records = [one.adapters.record(new.name, new.seed)["training"] for new in trained if new.now]
    planned = sum(record["tokens_seen"] for record in records) / speeds_of(bench, model).training if records else 0.0
    learnt = sum(record["seconds"] for record in records)
    return Pace(took / expected if took and expected else 1.0, learnt / planned if learnt and planned else 1.0)
