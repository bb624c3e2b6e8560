"""The probe `knowledge_quality`: the knowledge base gets worse in steps, and who still answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ragft.config import KnowledgeQualityProbe
from ragft.data.checks import normalised
from ragft.data.checks.inputs import parts_words, stands_in
from ragft.errors import RagftError
from ragft.evaluation.answers import contains
from ragft.evaluation.probing import Chart, Column, Curve, ProbeResult, Row, Table, cell, point
from ragft.probes.falling import Fall, falls, falls_table, is_tuned
from ragft.probes.faults import Fault, Spoiler, Told
from ragft.probes.hardness import hardness
from ragft.probes.kit import Kit
from ragft.probes.kit import Told as Answers
from ragft.probes.probe import Condition, Load, Refusal
from ragft.probes.wording import change, estimated, is_clear, scored
from ragft.records import ContrastResult, Estimate, Example, Score

RECALL = "recall"
SAID = "contains"
"""What shares are called among metrics; that of 0 and 1, so that the intervals are those of proportions."""


DRAWN = (
    "Which documents and letters are hit was drawn once, by the seed: the intervals cover the choice of questions, not "
    "that draw."
)


@dataclass(frozen=True, slots=True)
class KnowledgeQuality:
    """An instance of Probe."""

    config: KnowledgeQualityProbe
    kind: str = "knowledge_quality"
    title: str = "Knowledge quality"
    asks: str = "How bad may the knowledge base get before retrieval is worse than what was learnt by heart?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why no arm can be looked at, or no fault put in."""
        if not self._retrieving(kit):
            return Refusal("no arm retrieves passages", "add an arm with retrieval: index")
        faults, notes = self._made(kit)
        if not faults:
            why = " ".join(notes) or "the settings name no fault."
            hint = "name gold_document_ids in data.eval, or second versions in data.update"
            return Refusal(f"the knowledge base cannot be made worse: {why}", hint)
        return None

    def load(self, kit: Kit) -> Load:
        """Return the load of the knowledge base in order, and of every level of every fault."""
        faults, _ = self._made(kit)
        return kit.load_of([one for fault in faults for one in self._needed(kit, fault)])

    def measure(self, kit: Kit) -> ProbeResult:
        """Ask the arms at every level of every fault."""
        found = _Found()
        faults, notes = self._made(kit)
        found.notes += [*notes, DRAWN]
        for fault in faults:
            if told := self._told(kit, fault, found):
                _Measured(kit, fault, self._retrieving(kit), found).add(told)
        if not found.charts:
            raise RagftError("no arm could be asked at any level", found.notes[-1])
        found.notes += self._without_reference(kit, found)
        return kit.result(
            self,
            arms=self._arms(kit),
            n_examples=len(kit.examples(self.config)),
            n_available=len(kit.bench.splits.eval),
            findings=tuple(found.findings),
            charts=tuple(found.charts),
            tables=found.shown,
            notes=found.notes,
            values=found.values,
        )

    def _made(self, kit: Kit) -> tuple[tuple[Fault, ...], tuple[str, ...]]:
        """Return the faults, and notes on those that the data do not allow; made once."""

        def make() -> tuple[tuple[Fault, ...], tuple[str, ...]]:
            spoiler = Spoiler(kit, self.config)
            return spoiler.faults(), tuple(spoiler.notes)

        return kit.bench.once("faults", (self.config, kit.cap, kit.bench.experiment), make)

    def _without_reference(self, kit: Kit, found: _Found) -> list[str]:
        """Return why no arm could fall under another, nothing where one could."""
        if found.falls:
            return []
        if any(is_tuned(kit.config(arm)) for arm in self._arms(kit)):
            return ["Where retrieval falls under the fine-tuned arm cannot be told from so few examples."]
        return [
            "No arm is fine-tuned and reads no passages, so there is none to fall under: add one with an adapter and "
            "retrieval: none."
        ]

    def _arms(self, kit: Kit) -> tuple[str, ...]:
        return kit.arms(self.config, lambda arm: arm.retrieval in ("none", "index"))

    def _retrieving(self, kit: Kit) -> tuple[str, ...]:
        return tuple(name for name in self._arms(kit) if kit.config(name).retrieval != "none")

    def _needed(self, kit: Kit, fault: Fault) -> list[Condition]:
        return fault.conditions(kit, self._arms(kit), self._retrieving(kit))

    def _told(self, kit: Kit, fault: Fault, found: _Found) -> list[tuple[float, Answers]]:
        """Return what the arms said at each level that could be asked; nothing where the first could not."""
        told = []
        for level, condition in zip(fault.levels, self._needed(kit, fault), strict=True):
            try:
                told.append((level.x, kit.ask(condition)))
            except RagftError as error:
                found.notes.append(f"{condition.label}: could not be asked: {error}.")
                if not told:
                    break
        return told


@dataclass(slots=True)
class _Found:
    findings: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    read: list[Row] = field(default_factory=list)
    falls: list[tuple[Fault, Fall]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[Table, ...]:
        """The tables: what retrieval brings, where it falls under, and those of single faults."""
        columns = (Column("gold documents read", "share"), Column("an answer in the passages", "share"))
        note = (
            "Gold documents read is the share of them of which a passage stands in the prompt (recall among the "
            "passages that are read)."
        )
        read = Table("retrieval", "What retrieval still brings", "knowledge base", columns, tuple(self.read), note)
        falls = (_falls_of_all(self.falls),) if self.falls else ()
        return (*((read,) if self.read else ()), *falls, *self.tables)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Reads one fault off the answers, and adds what it shows to what was found."""

    kit: Kit
    fault: Fault
    retrieving: tuple[str, ...]
    found: _Found

    def add(self, told: Sequence[tuple[float, Answers]]) -> None:
        """Add the chart, the sentences, the rows and the numbers of this fault."""
        xs = [x for x, _ in told]
        scores = self._scores(told)
        fallen = falls(self.kit, scores, self.retrieving, self.fault.examples, xs, self.fault.written)
        self.found.falls += [(self.fault, one) for one in fallen]
        means = self._means(scores)
        self._chart(xs, means, fallen)
        read = self._read(told)
        self._sentences(xs, scores, means, fallen, read)
        self._distractors(told)
        self._wrong(told)
        self.found.values[self.fault.key] = {
            **self.found.values.get(self.fault.key, {}),
            "levels": xs,
            "means": {arm: [one.mean for one in row] for arm, row in means.items()},
            "gold_documents_read": [one.mean for one in read],
            "falls_under": {one.arm: {"reference": one.reference, "at": one.crossing.x} for one in fallen},
        }

    def _scores(self, told: Sequence[tuple[float, Answers]]) -> dict[str, list[list[Score]]]:
        """Return the scores of every arm at every level; an arm that reads no passages has the same at all."""
        return {
            arm: [self.kit.scores(_at(one, told, arm).asked[arm], arm) for _, one in told]
            for arm in told[0][1].condition.arms
        }

    def _means(self, scores: Mapping[str, Sequence[Sequence[Score]]]) -> dict[str, list[Estimate]]:
        named = _named(scores)
        means = self.kit.estimates(named, self.fault.examples)
        return {arm: [means[f"{arm} {i}"] for i in range(len(levels))] for arm, levels in scores.items()}

    def _chart(self, xs: Sequence[float], means: Mapping[str, Sequence[Estimate]], fallen: Sequence[Fall]) -> None:
        fault, metric = self.fault, self.kit.metric
        curves = tuple(
            Curve(
                arm,
                tuple(point(x, fault.written(x), one) for x, one in zip(xs, row, strict=True)),
                "control" if self.kit.config(arm).retrieval in ("oracle", "random") else "arm",
            )
            for arm, row in means.items()
        )
        marks = tuple(mark for one in fallen if (mark := one.mark) is not None)
        note = f"Asked: {len(fault.examples)} examples. Arms that read no passages are asked once: their line is flat."
        self.found.charts.append(
            Chart(fault.key, f"{fault.title}: {metric}", fault.x_label, metric, curves, marks, note)
        )

    def _read(self, told: Sequence[tuple[float, Answers]]) -> list[Estimate]:
        """Add what retrieval brings at each level; returns the share of gold documents that are read."""
        arm = self._reading
        if arm is None:
            return []
        read = [_gold_read(one, arm) for _, one in told]
        stands = [_answers_read(self.kit, one, arm) for _, one in told]
        gold = self._shares(RECALL, read)
        answers = self._shares(SAID, stands)
        self.found.read += [
            Row(f"{self.fault.title}, {self.fault.written(x)}", (cell(first), cell(second)))
            for (x, _), first, second in zip(told, gold, answers, strict=True)
        ]
        return gold

    def _shares(self, metric: str, levels: Sequence[Sequence[Score]]) -> list[Estimate]:
        means = self.kit.estimates(_named({metric: levels}), self.fault.examples, metric)
        return [means[f"{metric} {i}"] for i in range(len(levels))]

    def _sentences(
        self,
        xs: Sequence[float],
        scores: Mapping[str, Sequence[Sequence[Score]]],
        means: Mapping[str, Sequence[Estimate]],
        fallen: Sequence[Fall],
        read: Sequence[Estimate],
    ) -> None:
        told, found = [one.told(self.fault.unit) for one in fallen], self.found.findings
        if told and not found:
            found.append(f"{told[0]}.")
            told = told[1:]
        if told:
            found.append(f"{'; '.join(told)}.")
        if len(xs) < 2:
            return
        last, level = len(xs) - 1, f"{self.fault.written(xs[-1])} {self.fault.unit}"
        pairs = [(f"{arm} {last}", f"{arm} 0") for arm in self.retrieving]
        contrasts = {one.first: one for one in self.kit.contrasts(_named(scores), self.fault.examples, pairs)}
        known = [pair for pair in zip(self.retrieving, pairs, strict=True) if pair[1][0] in contrasts]
        moved = [(arm, contrasts[first]) for arm, (first, _) in known]
        parts = [_moved(arm, one, means[arm][last]) for arm, one in moved]
        if parts:
            found.append(f"With {level}: {'; '.join(parts)} (n = {moved[0][1].n}).")
        if read and read[0].mean is not None:
            found.append(
                f"With {level}, the share of the gold documents that are among the passages read is "
                f"{estimated(read[last])}, and {scored(read[0].mean)} while all is in order (n = {read[0].n})."
            )

    def _distractors(self, told: Sequence[tuple[float, Answers]]) -> None:
        hard = hardness(self.kit, self.fault, told)
        if hard is not None:
            self.found.tables.append(hard.table)
            self.found.findings.append(hard.finding)
            self.found.values[self.fault.key] = {"hardness": dict(hard.values)}

    def _suggested(self, told: Sequence[tuple[float, Answers]], examples: Sequence[Example]) -> tuple[Row, ...]:
        """Return the row of how often the wrong value stands in the passages that are read."""
        arm = self._reading
        if arm is None:
            return ()
        scores = [_wrong_read(one, arm, self.fault.wrong) for _, one in told]
        means = self.kit.estimates(_named({SAID: scores}), examples, SAID)
        return (Row("(stands in the passages read)", tuple(cell(means[f"{SAID} {i}"]) for i in range(len(told)))),)

    @property
    def _reading(self) -> str | None:
        """An arm that reads what the index finds: all of them read the same."""
        return next((name for name in self.retrieving if self.kit.config(name).retrieval == "index"), None)

    def _wrong(self, told: Sequence[tuple[float, Answers]]) -> None:
        """Add how often each arm says what the worst level suggests, at each level, on the same examples."""
        wrong = self.fault.wrong
        examples = [example for example in self.fault.examples if example.id in wrong]
        if not examples:
            return
        scores = {arm: [_says(_at(one, told, arm), arm, wrong) for _, one in told] for arm in told[0][1].condition.arms}
        means = self.kit.estimates(_named(scores), examples, SAID)
        columns = tuple(Column(self.fault.written(x), "share") for x, _ in told)
        rows = tuple(
            Row(arm, tuple(cell(means[f"{arm} {i}"]) for i in range(len(levels)))) for arm, levels in scores.items()
        )
        rows = (*self._suggested(told, examples), *rows)
        title = f"{self.fault.title}: how often an answer says {self.fault.wrong_title}"
        note = f"On the {len(examples)} examples for which the worst level suggests it, by {self.fault.x_label}."
        self.found.tables.append(Table(f"{self.fault.key}_said", title, "arm", columns, rows, note))
        last = len(told) - 1
        parts = [f"{arm} for {estimated(means[f'{arm} {last}'])}" for arm in self.retrieving]
        level = f"{self.fault.written(told[-1][0])} {self.fault.unit}"
        self.found.findings.append(
            f"With {level}, answers say {self.fault.wrong_title}: {'; '.join(parts)} of {len(examples)} questions."
        )


def _falls_of_all(found: Sequence[tuple[Fault, Fall]]) -> Table:
    """Return where each arm falls under the fine-tuned one, for all faults in one table."""
    table = falls_table("falls", "Where retrieval falls under the fine-tuned arm", [fall for _, fall in found])
    rows = tuple(
        replace(row, name=f"{fault.title}: {row.name}") for (fault, _), row in zip(found, table.rows, strict=True)
    )
    return replace(table, rows=rows)


def _moved(arm: str, contrast: ContrastResult, last: Estimate) -> str:
    """Return by how much an arm moved, and to which score, as a part of a sentence."""
    if contrast.difference == 0 and not is_clear(contrast):
        return f"{arm} does not move from {scored(last.mean)}"
    doubt = "" if is_clear(contrast) else ", which is not clear,"
    return f"{arm} changes by {change(contrast)}{doubt} to {scored(last.mean)}"


def _at(one: Answers, told: Sequence[tuple[float, Answers]], arm: str) -> Answers:
    """Return the condition in which an arm was asked: its own, or the first for one that reads no passages."""
    return one if arm in one.asked else told[0][1]


def _named(scores: Mapping[str, Sequence[Sequence[Score]]]) -> dict[str, list[Score]]:
    """Return the scores of each arm at each level under a name such as `rag 2`."""
    return {
        f"{arm} {i}": [replace(score, arm=f"{arm} {i}") for score in level]
        for arm, levels in scores.items()
        for i, level in enumerate(levels)
    }


def _gold_read(told: Answers, arm: str) -> list[Score]:
    """Return the share of gold documents of each example of which a passage stands in the prompt."""
    found = []
    for question in told.asked[arm].questions:
        gold = set(question.example.gold_document_ids)
        read = {passage.document_id for passage in question.passages}
        value = len(gold & read) / len(gold) if gold else None
        reason = None if gold else "the example has no gold documents"
        found.append(Score("", question.example.id, RECALL, value, reason))
    return found


def _answers_read(kit: Kit, told: Answers, arm: str) -> list[Score]:
    """Return whether an answer stands in a passage of each prompt; unscored where none can stand in a text."""
    task = kit.bench.task
    found = []
    for question in told.asked[arm].questions:
        example = question.example
        can = task.answers_stand_in_text and bool(example.references)
        value = float(any(task.supports(p.text, example) for p in question.passages)) if can else None
        found.append(Score("", example.id, SAID, value, None if can else "no reference can stand in a passage"))
    return found


def _wrong_read(told: Answers, arm: str, wrong: Told) -> list[Score]:
    """Return whether a wrong value that is suggested for an example stands in a passage of its prompt."""
    return [
        Score("", id_, SAID, max((_holds(p.text, wrong[id_]) for p in question.passages), default=0.0))
        for question in told.asked[arm].questions
        if (id_ := question.example.id) in wrong
    ]


def _says(told: Answers, arm: str, wrong: Told) -> list[Score]:
    """Return whether each answer says one of the wrong values that are suggested for its example."""
    return [
        Score("", a.example_id, SAID, _holds(a.text, wrong[a.example_id]), None, a.seed, a.prompt)
        for a in told.asked[arm].answers
        if a.example_id in wrong
    ]


def _holds(text: str, values: Sequence[str]) -> float:
    """Return 1.0 if one of the values stands in a text, as `contains`; anywhere where spaces do not part words."""
    unparted = [value for value in values if not parts_words(value)]
    found = contains(text, values) == 1.0 or any(stands_in(normalised(one), normalised(text)) for one in unparted)
    return float(found)
