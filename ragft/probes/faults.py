"""The faults of a knowledge base, each in growing levels, as conditions in which arms are asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.config import KnowledgeQualityProbe
from ragft.probes.contradicting import contradictions, with_contradictions
from ragft.probes.falling import percent
from ragft.probes.kit import Kit
from ragft.probes.probe import Condition
from ragft.probes.spoiling import Distractors, distractors, gold_of, half_updated, misread, touched, without_gold
from ragft.records import Document, Example

Told = Mapping[str, tuple[str, ...]]
"""Ways to say a wrong value that the knowledge base suggests, by example id."""


@dataclass(frozen=True, slots=True)
class Level:
    """One step of a fault: `x` on its axis. `changed` are the documents that it changes, removes or adds to."""

    x: float
    bench: Bench
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault with its levels, the first of which is the knowledge base in order.

    `unit` stands behind a level in a sentence ("of the gold documents missing"). `wrong` has what wrong answers the
    worst level suggests, and `wrong_title` what saying one is called.
    """

    key: str
    title: str
    x_label: str
    unit: str
    examples: tuple[Example, ...]
    levels: tuple[Level, ...]
    wrong: Told = field(default_factory=dict)
    wrong_title: str = ""
    distractors: Distractors | None = None

    def written(self, x: float) -> str:
        """Return a level as it is written: a share, or a number of documents."""
        return f"{x:.2g}" if self.key == "distractors" else percent(x)

    def conditions(self, kit: Kit, every: tuple[str, ...], retrieving: tuple[str, ...]) -> list[Condition]:
        """Return the condition of each level: those arms that read no passages are asked once, with the first."""
        read = _read(kit, self.examples)
        return [
            Condition(
                f"{self.title}, {self.written(level.x)}",
                level.bench,
                retrieving if level.x > 0 else every,
                fresh=self._fresh(level, read),
            )
            for level in self.levels
        ]

    def _fresh(self, level: Level, read: Sequence[frozenset[str]]) -> float:
        """Return the share of examples that read a document that the level changes; the updated base is new to all."""
        if self.key == "stale" and level.x == 0:
            return 1.0
        return sum(not level.changed.isdisjoint(ids) for ids in read) / max(1, len(read))


def _read(kit: Kit, examples: Sequence[Example]) -> list[frozenset[str]]:
    """Return the documents that each example finds in the index as it is, its gold documents while there is none."""
    knowledge = Knowledge(kit.bench, planning=True)
    if not knowledge.is_current():
        return [frozenset(example.gold_document_ids) for example in examples]
    found = knowledge.context("index", examples)
    return [frozenset(passage.document_id for passage in passages) for passages in found]


@dataclass(frozen=True, slots=True)
class Spoiler:
    """Makes the faults that the settings ask for and the data allow; `notes` say which they do not, and why."""

    kit: Kit
    config: KnowledgeQualityProbe
    notes: list[str] = field(default_factory=list)

    def faults(self) -> tuple[Fault, ...]:
        """Return the faults, in the order in which they are measured."""
        made = (self._missing(), self._distractors(), self._contradictions(), self._noise(), self._stale())
        return tuple(fault for fault in made if fault is not None)

    @property
    def _examples(self) -> tuple[Example, ...]:
        return self.kit.examples(self.config)

    @property
    def _documents(self) -> tuple[Document, ...]:
        return self.kit.bench.documents

    @property
    def _seed(self) -> int:
        return self.kit.bench.experiment.seed

    @property
    def _known(self) -> tuple[Example, ...]:
        splits = self.kit.bench.splits
        return (*splits.train, *splits.dev, *splits.eval, *splits.changed, *splits.unchanged)

    def _levels(self, made: Iterable[tuple[float, Sequence[Document], Iterable[str]]]) -> tuple[Level, ...]:
        first = Level(0.0, self.kit.bench.stressed(eval=self._examples), frozenset())
        return (first, *(self._level(x, documents, changed, self._examples) for x, documents, changed in made))

    def _level(
        self, x: float, documents: Sequence[Document], changed: Iterable[str], examples: tuple[Example, ...]
    ) -> Level:
        # The same documents in the same order are the index that is there already.
        own = None if tuple(documents) == self._documents else tuple(documents)
        return Level(x, self.kit.bench.stressed(documents=own, eval=examples), frozenset(changed))

    def _gold(self, what: str) -> tuple[str, ...]:
        gold = gold_of(self._documents, self._examples)
        if not gold:
            self.notes.append(f"{what} were not measured: no example that is asked names a gold document.")
        return gold

    def _missing(self) -> Fault | None:
        shares = _steps(self.config.missing)
        if not shares or not (gold := self._gold("Missing documents")):
            return None
        made = []
        for share in shares:
            left = without_gold(self._documents, self._examples, share, self._seed)
            made.append((share, left, set(gold) - {document.id for document in left}))
        title, label = "Gold documents missing", "share of gold documents missing"
        unit = "of the gold documents missing"
        return Fault("missing", title, label, unit, self._examples, self._levels(made))

    def _distractors(self) -> Fault | None:
        counts, what = _steps(self.config.distractors), "Distractors"
        if not counts or not self._literal(what) or not (gold := self._gold(what)):
            return None
        made = [
            (count, distractors(self._documents, self._examples, self._known, int(count), self._seed))
            for count in counts
        ]
        most = made[-1][1]
        if bare := len(gold) - len(most.by_gold):
            self.notes.append(
                f"{bare} of {len(gold)} gold documents have no distractor: an answer stands in each of their sentences."
            )
        if not most.by_gold:
            return None
        levels = self._levels((count, one.beside(self._documents), one.by_gold) for count, one in made)
        label, unit = "distractors for each gold document", "distractors for each gold document"
        return Fault("distractors", "Distractors added", label, unit, self._examples, levels, distractors=most)

    def _contradictions(self) -> Fault | None:
        shares, what = _steps(self.config.contradictions), "Contradicting versions"
        if not shares or not self._literal(what) or not self._gold(what):
            return None
        able = contradictions(self._documents, self._examples, self._known, self._seed)
        asked = {id_ for one in able for id_ in one.example_ids}
        answerable = sum(bool(example.references) for example in self._examples)
        self.notes.append(
            f"Of {answerable} answerable examples {len(asked)} can be contradicted: their answer stands literally in a "
            "gold document and another one of its form is known. The shares are of these."
        )
        if not able:
            return None
        made = []
        for share in shares:
            chosen = able[: int(share * len(able) + 0.5)]
            documents = with_contradictions(self._documents, chosen)
            made.append((share, documents, {one.document_id for one in chosen}))
        wrong = {id_: one.instead for one in able[: int(shares[-1] * len(able) + 0.5)] for id_ in one.example_ids}
        label, unit = "share of facts contradicted", "of the facts contradicted"
        levels, said = self._levels(made), "the contradicting value"
        return Fault("contradictions", "Contradicting versions added", label, unit, self._examples, levels, wrong, said)

    def _literal(self, what: str) -> bool:
        stands = self.kit.bench.task.answers_stand_in_text
        if not stands:
            kind = self.kit.bench.task.kind
            self.notes.append(f"{what} were not measured: the references of this {kind} task do not stand in texts.")
        return stands

    def _noise(self) -> Fault | None:
        shares = _steps(self.config.noise)
        if not shares:
            return None
        every = [document.id for document in self._documents]
        made = [(share, misread(self._documents, share, self._seed), every) for share in shares]
        label, unit = "share of letters misread", "of the letters misread"
        return Fault("noise", "Text corrupted", label, unit, self._examples, self._levels(made))

    def _stale(self) -> Fault | None:
        shares, bench = _steps(self.config.stale), self.kit.bench
        if not shares:
            return None
        updated, examples = bench.updated_documents, self.kit.examples(self.config, bench.splits.changed)
        new = touched(self._documents, updated)
        if not examples or not new:
            self.notes.append(
                "Stale documents were not measured: no second version of any document is named. Add data.update with "
                "documents and changed."
            )
            return None
        levels = [self._level(0.0, updated, (), examples)]
        for share in shares:
            documents = half_updated(self._documents, updated, share, self._seed)
            behind = set(new) - set(touched(self._documents, documents))
            levels.append(self._level(share, documents, behind, examples))
        wrong = {example.id: example.old_references for example in examples if example.old_references}
        label, unit = "share of updated documents still old", "of the updated documents still old"
        return Fault("stale", "Documents out of date", label, unit, examples, tuple(levels), wrong, "the old answer")


def _steps(values: Iterable[float]) -> tuple[float, ...]:
    """Return the levels above 0, each once, by size."""
    return tuple(sorted({float(value) for value in values if value > 0}))
