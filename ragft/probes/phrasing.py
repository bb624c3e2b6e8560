"""The probe `phrasing`: the same facts asked as in training, in other words, and backwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

from ragft.arms.knowledge import drawn
from ragft.config import PhrasingProbe
from ragft.data.examples import sample
from ragft.evaluation.probing import (
    Cell,
    Chart,
    Column,
    Curve,
    ProbeResult,
    Row,
    Table,
    cell,
    difference_cell,
    point,
)
from ragft.probes.facts import by_fact, in_turns, stand_ins
from ragft.probes.kit import Kit
from ragft.probes.probe import Condition, Load, Refusal
from ragft.probes.wording import change, doubt, listed, scored
from ragft.records import ContrastResult, Estimate, Example, Score

MEMORISED = "memorised"
"""What training questions are called that are asked again, word for word."""

ABSTAINED = "abstained"
FEWEST_FACTS = 2
"""Facts that two kinds of phrasing must share for a paired difference."""


@dataclass(frozen=True, slots=True)
class Phrasing:
    """An instance of Probe."""

    config: PhrasingProbe
    kind: str = "phrasing"
    title: str = "Phrasing"
    asks: str = "Does an arm know a fact, or only the words in which it was trained?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why kinds of phrasing cannot be told apart."""
        setting = _Setting(kit, self.config)
        if not setting.kinds:
            return Refusal(
                "no answerable eval example says in which kind of phrasing it asks",
                "give eval examples a column `variant` (such as paraphrase or reversed; data.fields.variant maps "
                "another name), and a column `fact_id` that joins the questions of one fact",
            )
        if len(setting.kinds) + bool(setting.memorised) < 2:
            return Refusal(
                f"every eval example has the same kind of phrasing, {setting.kinds[0]!r}, and there are no training "
                "questions to ask again",
                "add eval examples of another `variant` that ask the same facts, or data.train",
            )
        if not setting.arms:
            return Refusal("no arm can be looked at: all of them are controls", "add an arm that could be shipped")
        return None

    def load(self, kit: Kit) -> Load:
        """Return the load of the training questions; the eval examples were asked by the comparison."""
        return kit.load_of([_Setting(kit, self.config).condition])

    def measure(self, kit: Kit) -> ProbeResult:
        """Ask every arm each kind of phrasing, and compare the kinds on the facts that they share."""
        setting = _Setting(kit, self.config)
        found = _Found(setting)
        told = kit.ask(setting.condition)
        for arm in setting.arms:
            found.add(arm, kit.scores(told.asked[arm], arm), kit.scores(told.asked[arm], arm, ABSTAINED))
        found.estimate()
        return kit.result(
            self,
            arms=setting.arms,
            n_examples=len(setting.asked),
            n_available=len(kit.bench.splits.eval) + min(self.config.memorised, len(setting.every_memorised)),
            findings=_findings(found),
            charts=(_chart(found),),
            tables=(_means(found), *_differences(found)),
            notes=_notes(found),
            measured_on=", ".join(f"{len(setting.of(kind))} {kind}" for kind in setting.columns),
            values=_values(found),
        )


class _Setting:
    """Which questions are asked, by kind of phrasing."""

    def __init__(self, kit: Kit, config: PhrasingProbe) -> None:
        self.kit = kit
        self.config = config

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms that are looked at: all but controls."""
        return self.kit.arms(self.config, lambda arm: arm.retrieval not in ("oracle", "random"))

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The arms that were trained on labelled examples."""
        adapters, config = self.kit.bench.experiment.adapters, self.kit.config
        names = [(name, config(name).adapter) for name in self.arms]
        return tuple(name for name, adapter in names if adapter is not None and adapters[adapter].reads_labels)

    @cached_property
    def _share(self) -> float:
        """The share of the questions that fits the time of the command."""
        every = len(self.kit.capped(None).examples(self.config)) + self.config.memorised
        return 1.0 if self.kit.cap is None else min(1.0, self.kit.cap / every)

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """The eval examples that are asked and say their kind of phrasing."""
        every = self.kit.capped(None).examples(self.config)
        room = max(2, int(self._share * len(every)))
        return tuple(e for e in sample(every, room, self.kit.bench.experiment.seed) if e.variant or not e.answerable)

    @cached_property
    def answerable(self) -> tuple[Example, ...]:
        """Those of them that have an answer."""
        return tuple(example for example in self.examples if example.answerable)

    @cached_property
    def unanswerable(self) -> tuple[Example, ...]:
        """Those of them that have none, whatever they call their kind."""
        return tuple(example for example in self.examples if not example.answerable)

    @cached_property
    def taught(self) -> tuple[Example, ...]:
        """The training examples that every adapter of the arms was trained on and that have an answer."""
        bench = self.kit.bench
        used = [bench.experiment.adapters[self.kit.config(name).adapter or ""] for name in self.trained]
        limit = min((adapter.limit for adapter in used if adapter.limit is not None), default=None)
        known = sample(bench.splits.train, limit, bench.experiment.seed)
        return tuple(example for example in known if example.answerable)

    @cached_property
    def every_memorised(self) -> tuple[Example, ...]:
        """One training question of each fact that is asked, or any training questions where no fact is named.

        The kinds of phrasing take turns, so that each shares as many facts with them as can be. None where the user's
        own questions are called so.
        """
        if MEMORISED in self._kinds:
            return ()
        seed = self.kit.bench.experiment.seed
        order = sorted(self.taught, key=lambda example: drawn(seed, "memorised", example.id))
        if not any(example.group for example in order):
            return tuple(order)
        by_group: dict[str, Example] = {}
        for example in order:
            if example.group:
                by_group.setdefault(example.group, example)
        wanted = [
            [e.group for e in self.answerable if e.variant == kind and e.group in by_group] for kind in self._kinds
        ]
        return tuple(by_group[group] for group in in_turns(wanted) if group is not None)

    @cached_property
    def memorised(self) -> tuple[Example, ...]:
        """Those that are asked, under ids of their own."""
        room = max(2, int(self._share * self.config.memorised))
        return tuple(replace(e, id=f"{MEMORISED} {e.id}", variant=MEMORISED) for e in self.every_memorised[:room])

    @cached_property
    def _kinds(self) -> tuple[str, ...]:
        found = [example.variant for example in self.answerable if example.variant]
        return tuple(sorted(dict.fromkeys(found), key=lambda kind: -found.count(kind)))

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of phrasing of eval, those of trained facts first and then the commonest."""
        taught = {example.group for example in self.taught if example.group}
        return tuple(sorted(self._kinds, key=lambda kind: not self._facts(kind) & taught))

    def _facts(self, kind: str) -> set[str]:
        return {example.group for example in self.of(kind) if example.group}

    @property
    def columns(self) -> tuple[str, ...]:
        """Every kind of phrasing in the order in which it is shown."""
        return (*((MEMORISED,) if self.memorised else ()), *self.kinds)

    def of(self, kind: str) -> tuple[Example, ...]:
        """Return the questions of one kind."""
        return tuple(example for example in (*self.answerable, *self.memorised) if example.variant == kind)

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of kinds that ask enough of the same facts."""
        return tuple(
            (first, second)
            for first, second in combinations(self.columns, 2)
            if len(self._facts(first) & self._facts(second)) >= FEWEST_FACTS
        )

    @cached_property
    def asked(self) -> tuple[Example, ...]:
        """Everything that is asked."""
        return (*self.examples, *self.memorised)

    @property
    def condition(self) -> Condition:
        """The one condition: every question of every kind."""
        return Condition("phrasing", self.kit.bench.stressed(eval=self.asked), self.arms)


@dataclass(slots=True)
class _Found:
    """The scores of every arm by kind, their means, and the differences on shared facts."""

    setting: _Setting
    scores: dict[str, list[Score]] = field(default_factory=dict)
    facts: dict[str, list[Score]] = field(default_factory=dict)
    abstained: dict[str, list[Score]] = field(default_factory=dict)
    means: Mapping[str, Estimate] = field(default_factory=dict)
    abstentions: Mapping[str, Estimate] = field(default_factory=dict)
    moved: dict[tuple[str, str, str], ContrastResult] = field(default_factory=dict)

    def add(self, arm: str, scores: Sequence[Score], abstained: Sequence[Score]) -> None:
        """Take the scores of one arm, and whether it declined to answer."""
        setting = self.setting
        for kind in setting.columns:
            examples = {example.id: example for example in setting.of(kind)}
            mine = [replace(one, arm=_named(arm, kind)) for one in scores if one.example_id in examples]
            self.scores[_named(arm, kind)] = mine
            self.facts[_named(arm, kind)] = by_fact(mine, examples)
        unanswerable = {example.id for example in setting.unanswerable}
        self.abstained[arm] = [one for one in abstained if one.example_id in unanswerable]

    def estimate(self) -> None:
        """Work out the means of all kinds from one draw, and the differences from one draw of facts."""
        setting, kit = self.setting, self.setting.kit
        self.means = kit.estimates(self.scores, setting.asked)
        if setting.unanswerable:
            self.abstentions = kit.estimates(self.abstained, setting.asked, ABSTAINED)
        asked = [(arm, *pair) for arm in setting.arms for pair in setting.pairs]
        names = [(_named(arm, first), _named(arm, second)) for arm, first, second in asked]
        found = kit.contrasts(self.facts, stand_ins(setting.asked), names)
        known = {(one.first, one.second): one for one in found}
        self.moved = {key: known[name] for key, name in zip(asked, names, strict=True) if name in known}

    def mean(self, arm: str, kind: str) -> Estimate:
        """Return the mean of an arm on one kind of phrasing."""
        return self.means[_named(arm, kind)]


def _named(arm: str, kind: str) -> str:
    return f"{arm}: {kind}"


def _chart(found: _Found) -> Chart:
    setting, metric = found.setting, found.setting.kit.metric
    curves = tuple(
        Curve(arm, tuple(point(x, kind, found.mean(arm, kind)) for x, kind in enumerate(setting.columns)))
        for arm in setting.arms
    )
    note = "Kinds of phrasing ask different questions, and not all of them the same facts: see the paired differences."
    return Chart("variants", f"{metric} by kind of phrasing", "kind of phrasing", metric, curves, note=note)


def _means(found: _Found) -> Table:
    setting = found.setting
    columns = [Column(kind) for kind in setting.columns]
    rows = []
    for arm in setting.arms:
        cells = [cell(found.mean(arm, kind)) for kind in setting.columns]
        rows.append(Row(arm, (*cells, *([cell(found.abstentions[arm])] if found.abstentions else []))))
    note = ""
    if found.abstentions:
        columns.append(Column("no answer: abstained", "share"))
        note = "The last column is the share of unanswerable questions that were declined, which is right there."
    title = f"{setting.kit.metric} by kind of phrasing"
    return Table("variants", title, "arm", tuple(columns), tuple(rows), note)


def _differences(found: _Found) -> list[Table]:
    """Return the paired differences between kinds that ask the same facts; no table where there are none."""
    setting = found.setting
    if not found.moved:
        return []
    columns = []
    for first, second in setting.pairs:
        columns += [Column(f"{first} less {second}", "signed"), Column("facts", "count")]
    rows = []
    for arm in setting.arms:
        cells: list[Cell] = []
        for pair in setting.pairs:
            one = found.moved.get((arm, *pair))
            cells += [difference_cell([one] if one else []), Cell(None if one is None else one.n)]
        rows.append(Row(arm, tuple(cells)))
    note = "Per fact that both kinds ask, the mean score of one less that of the other; facts of one document together."
    return [Table("differences", "The same facts in other words", "arm", tuple(columns), tuple(rows), note)]


def _findings(found: _Found) -> list[str]:
    setting = found.setting
    shown = setting.trained or setting.arms
    said = [_by_kind(found, arm) for arm in sorted(shown, key=lambda arm: -_fall(found, arm))]
    said += [_on_shared(found, arm, pair) for arm in shown for pair in setting.pairs if (arm, *pair) in found.moved]
    others = [arm for arm in setting.arms if arm not in shown]
    return said + [f"{_by_kind(found, arm)[:-1]}, without having been trained on any." for arm in others[:1]]


def _by_kind(found: _Found, arm: str) -> str:
    values = [f"{kind} {scored(found.mean(arm, kind).mean)}" for kind in found.setting.columns]
    return f"{arm}: {', '.join(values)}."


def _fall(found: _Found, arm: str) -> float:
    """Return how far an arm falls from the first kind of phrasing to its worst."""
    values = [found.mean(arm, kind).mean or 0.0 for kind in found.setting.columns]
    return values[0] - min(values)


def _on_shared(found: _Found, arm: str, pair: tuple[str, str]) -> str:
    first, second = pair
    one = found.moved[arm, first, second]
    return f"{arm}, {first} less {second} questions of the same {one.n} facts: {change(one)}{doubt(one)}."


def _notes(found: _Found) -> list[str]:
    setting, notes = found.setting, []
    silent = sum(not e.variant and e.answerable for e in setting.kit.bench.splits.eval)
    if silent:
        notes.append(f"{silent} eval examples say no variant and were left out.")
    if setting.unanswerable:
        notes.append(f"{len(setting.unanswerable)} unanswerable questions stand apart: to decline is right there.")
    if MEMORISED not in setting.columns:
        notes.append("No training question asks a fact of eval, so what was memorised could not be asked again.")
    if not setting.pairs:
        notes.append("No two kinds ask the same facts (column `fact_id`), so there are no paired differences.")
    apart = [pair for pair in combinations(setting.columns, 2) if pair not in setting.pairs]
    if setting.pairs and apart:
        told = listed([f"{first} against {second}" for first, second in apart])
        notes.append(
            f"Kinds that ask different facts have no paired difference; their means differ by the facts too: {told}."
        )
    return notes


def _values(found: _Found) -> dict[str, object]:
    setting = found.setting
    return {
        "means": {arm: {kind: found.mean(arm, kind).mean for kind in setting.columns} for arm in setting.arms},
        "differences": {
            arm: {
                f"{first} - {second}": found.moved[arm, first, second].difference
                for first, second in setting.pairs
                if (arm, first, second) in found.moved
            }
            for arm in setting.arms
        },
        "abstained": {arm: one.mean for arm, one in found.abstentions.items()},
    }
