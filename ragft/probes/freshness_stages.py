"""The stages of the probe `freshness`: who is asked what before an update, after re-indexing, and after retraining."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ragft.arms.bench import Bench
from ragft.config import FreshnessProbe
from ragft.probes.kit import Kit, Told
from ragft.probes.noticing import MEASURE, Noticed, measures_of, named, noticed
from ragft.probes.probe import Condition
from ragft.probes.updating import IndexStep, IndexUpdate, Relabelled, kept_facts, relabelled, touched_documents
from ragft.records import Answer, ContrastResult, Estimate, Example

COLLECTION = "freshness"
"""The index that is brought from the first version of the documents to the second."""

BEFORE, INDEXED, RETRAINED = "before the update", "after re-indexing", "after retraining"

PARTS = {
    "new": "New answers that are given",
    "old": "Old answers that are still given",
    "kept": "Unchanged facts that are still right",
}


class Setting:
    """What is asked, of whom, and when."""

    def __init__(self, kit: Kit, config: FreshnessProbe) -> None:
        self.kit = kit
        self.config = config
        self.bench = kit.bench

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms that are looked at; random passages notice nothing by design."""
        return self.kit.arms(self.config, lambda arm: arm.retrieval != "random")

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """Those of the arms that only show a bound."""
        return tuple(name for name in self.arms if self.kit.config(name).retrieval in ("oracle", "random"))

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """The arms whose prompts the second version of the documents changes."""
        if not self.bench.documents:
            return ()
        return tuple(name for name in self.arms if self.kit.config(name).retrieval != "none")

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The arms with an adapter."""
        return tuple(name for name in self.arms if self.kit.config(name).adapter is not None)

    @cached_property
    def learners(self) -> tuple[str, ...]:
        """The arms that new labels reach: by an adapter, or by solved examples in the prompt."""
        shown = [name for name in self.arms if self.kit.config(name).shots]
        return tuple(name for name in self.arms if name in self.trained or name in shown) if self.trained else ()

    @cached_property
    def is_indexed(self) -> bool:
        """Whether there is an index to bring in step: an arm reads it, or an adapter that is trained again."""
        adapters = [self.bench.experiment.adapters[name] for name in self.adapters] if self.config.retrain else []
        return bool(self.readers) or any(adapter.reads_passages for adapter in adapters)

    @cached_property
    def adapters(self) -> tuple[str, ...]:
        """The adapters of those arms, each once."""
        used = [self.kit.config(name).adapter for name in self.trained]
        return tuple(dict.fromkeys(name for name in used if name is not None))

    @cached_property
    def every_changed(self) -> tuple[Example, ...]:
        """The changed facts of which the old answer is known."""
        return tuple(example for example in self.bench.splits.changed if example.old_references)

    @cached_property
    def every_kept(self) -> tuple[Example, ...]:
        """The facts that the update leaves alone."""
        return kept_facts(self.bench)

    @property
    def _limit(self) -> int | None:
        limits = [limit for limit in (self.config.examples, self.kit.cap) if limit is not None]
        return min(limits, default=None)

    @cached_property
    def changed(self) -> tuple[Example, ...]:
        """The changed facts that are asked: with a limit, half of what is asked or more."""
        if self._limit is None:
            return self.every_changed
        room = max(2, -(-self._limit // 2), self._limit - len(self.every_kept))
        return self.kit.examples(self.config.model_copy(update={"examples": room}), self.every_changed)

    @cached_property
    def kept(self) -> tuple[Example, ...]:
        """The unchanged facts that are asked."""
        if self._limit is None:
            return self.every_kept
        room = self._limit - len(self.changed)
        if room < 1:
            return ()
        return self.kit.examples(self.config.model_copy(update={"examples": room}), self.every_kept)

    @cached_property
    def labels(self) -> Relabelled:
        """The labelled examples as the update leaves them."""
        splits = self.bench.splits
        return relabelled(splits.train, splits.dev, self.every_changed)

    @cached_property
    def touched(self) -> frozenset[str]:
        """The ids of the documents that the update changes or adds."""
        return touched_documents(self.bench)

    @cached_property
    def step(self) -> IndexStep:
        """The index from the first version of the documents to the second."""
        return IndexStep(
            self.bench.stressed(documents=self.bench.documents, collection=COLLECTION),
            self.bench.stressed(documents=self.bench.updated_documents, collection=COLLECTION),
        )

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The stages in their order, each with the arms that it reaches; others said it all in the stage before."""
        asked = (*self.changed, *self.kept)
        found = [Condition(BEFORE, self.bench.stressed(eval=asked), self.arms)]
        if self.is_indexed:
            found.append(Condition(INDEXED, self._updated(asked), self.readers))
        if self.learners and self.config.retrain:
            again = self._updated(asked).stressed(train=self.labels.train, dev=self.labels.dev)
            found.append(Condition(RETRAINED, again, self.learners, retrained=True))
        return tuple(found)

    def _updated(self, asked: tuple[Example, ...]) -> Bench:
        if not self.bench.documents:
            return self.bench.stressed(eval=asked)
        return self.bench.stressed(documents=self.bench.updated_documents, collection=COLLECTION, eval=asked)

    @property
    def measured_on(self) -> str:
        """What the numbers were measured on."""
        return (
            f"{len(self.changed)} facts that changed and {len(self.kept)} that did not; {len(self.touched)} of "
            f"{len(self.bench.updated_documents)} documents have a second version"
        )


@dataclass(slots=True)
class Found:
    """What was found: answers by stage and arm, their estimates by part, what the updates took."""

    kit: Kit
    stages: list[str] = field(default_factory=list)
    asked: set[tuple[str, str]] = field(default_factory=set)
    scores: Noticed = field(default_factory=Noticed)
    means: dict[str, Mapping[str, Estimate]] = field(default_factory=dict)
    again: Told | None = None
    update: IndexUpdate | None = None
    changed: tuple[Example, ...] = ()
    kept: tuple[Example, ...] = ()
    _said: dict[str, Sequence[Answer]] = field(default_factory=dict)

    @property
    def measures(self) -> tuple[str, ...]:
        """The metrics that tell a new answer from an old one."""
        return measures_of(self.kit.bench, self.kit.metric)

    @property
    def last(self) -> str:
        """The last stage."""
        return self.stages[-1]

    def add(self, stage: str, told: Told | None, setting: Setting) -> None:
        """Take what was said in a stage; an arm that was not asked says what it said before."""
        self.stages.append(stage)
        self.changed, self.kept = setting.changed, setting.kept
        if told is not None:
            self._said |= {name: asked.answers for name, asked in told.asked.items()}
            self.asked |= {(stage, name) for name in told.asked}
            self.again = told if told.condition.retrained else self.again
        for arm in setting.arms:
            name = named(stage, arm)
            self.scores.add(name, noticed(self.kit, self._said[arm], self.changed, self.kept, self.measures, name))

    def estimate(self) -> None:
        """Work out every mean, those of one part from one draw."""
        for part in PARTS:
            examples = self.kept if part == "kept" else self.changed
            if examples:
                metric = MEASURE if part != "kept" else self.measures[0]
                self.means[part] = self.kit.estimates(self.scores.of(part), examples, metric)
        self.means["neither"] = self.kit.estimates(self.scores.of("neither"), self.changed, MEASURE)
        self.means["metric"] = self.kit.estimates(self.scores.of("metric"), self.changed)

    def mean(self, part: str, stage: str, arm: str) -> Estimate:
        """Return the mean of one part for an arm in a stage."""
        return self.means[part][named(stage, arm)]

    def value(self, part: str, stage: str, arm: str) -> float:
        """Return a mean for choosing among arms: nothing scored counts as nothing given."""
        return self.mean(part, stage, arm).mean or 0.0

    def moved(self, part: str, arm: str, first: str, second: str) -> ContrastResult | None:
        """Return what changed for an arm from one stage to a later one."""
        examples = self.kept if part == "kept" else self.changed
        metric = MEASURE if part != "kept" else self.measures[0]
        pairs = [(named(second, arm), named(first, arm))]
        return next(iter(self.kit.contrasts(self.scores.of(part), examples, pairs, metric)), None)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of training each adapter again, the mean over its seeds; those that nothing changed for left out."""
        if self.again is None:
            return {}
        after, before = self.again.round.adapters, self.kit.round.adapters
        found: dict[str, list[float]] = {}
        for one in self.again.trained:
            if after.fingerprint(one.name, one.seed) != before.fingerprint(one.name, one.seed):
                took = float(after.record(one.name, one.seed)["training"]["seconds"])
                found.setdefault(one.name, []).append(took)
        return {name: statistics.fmean(took) for name, took in found.items()}

    @property
    def trained_now(self) -> set[str]:
        """The adapters that were trained by this command."""
        return {one.name for one in self.again.trained if one.now} if self.again else set()
