"""The probe `noise_floor`: the same arm twice, so that it is seen which differences mean nothing."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragft.arms.bench import Bench
from ragft.arms.round import Asked
from ragft.config import ArmConfig, NoiseFloorProbe, with_values
from ragft.evaluation.probing import Cell, Column, ProbeResult, Row, Table, difference_cell
from ragft.probes.kit import Kit
from ragft.probes.probe import Condition, Load, Refusal
from ragft.probes.wording import change, scored
from ragft.prompts import TEMPLATES
from ragft.records import ContrastResult, Example, Score

HOW = ("batch", "template", "seed")
"""The ways in which an arm is asked again, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class _Again:
    """One way in which an arm was asked a second time, and how that differs from the first.

    `apart` is the mean absolute difference of a question's scores, `changed` the share of answers with another text.
    """

    how: str
    contrast: ContrastResult
    apart: float
    changed: float


_ByArm = Mapping[str, Sequence[_Again]]


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """An instance of Probe."""

    config: NoiseFloorProbe
    kind: str = "noise_floor"
    title: str = "Noise floor"
    asks: str = "How far does one arm lie from itself, when nothing that matters has changed?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return None where any arm can be asked in another way, and there is always another batch."""
        if not self._conditions(kit):
            return Refusal("nothing of any arm can be changed", "use a prompt template that has a second wording")
        return None

    def load(self, kit: Kit) -> Load:
        """Return the load of every way in which the arms are asked again."""
        return kit.load_of(list(self._conditions(kit).values()))

    def measure(self, kit: Kit) -> ProbeResult:
        """Ask every arm again with another batch size, template and seed, and compare it with itself."""
        examples, arms = kit.examples(self.config), self._arms(kit)
        first = kit.ask(Condition("first time", kit.bench.stressed(eval=examples), arms))
        again: dict[str, list[_Again]] = {arm: [] for arm in arms}
        for how, condition in self._conditions(kit).items():
            told = kit.ask(condition)
            for arm in condition.arms:
                one = self._compared(kit, arm, how, first.asked[arm], told.asked[arm])
                again[arm] += [] if one is None else [one]
        floors = {arm: max((abs(one.contrast.difference or 0.0) for one in again[arm]), default=0.0) for arm in arms}
        return kit.result(
            self,
            arms=arms,
            n_examples=len(examples),
            n_available=len(kit.bench.splits.eval),
            findings=_findings(kit, again, floors),
            tables=(_table(again, floors),),
            notes=self._notes(kit),
            values={"floor": max(floors.values(), default=None), "floors": floors, "changed": _changed(again)},
        )

    def _arms(self, kit: Kit) -> tuple[str, ...]:
        return kit.arms(self.config, lambda arm: arm.retrieval != "oracle")

    def _conditions(self, kit: Kit) -> dict[str, Condition]:
        """Return the ways in which arms are asked again, each with the arms that it can change."""
        bench, examples, arms = kit.bench, kit.examples(self.config), self._arms(kit)
        found = {}
        local = tuple(arm for arm in arms if kit.config(arm).model is None)
        if local:
            size = bench.experiment.generation.batch_size
            other = max(1, size // 2) if size > 1 else 2
            batches = bench.variant(with_values(bench.experiment, {"generation.batch_size": other}))
            found["batch"] = Condition(f"batches of {other}", batches.stressed(eval=examples), local)
        if templates := {arm: name for arm in arms if (name := _other_template(kit, arm)) is not None}:
            values = {f"compare.arms.{arm}.prompt": (name,) for arm, name in templates.items()}
            variant = bench.variant(with_values(bench.experiment, values)).stressed(eval=examples)
            found["template"] = Condition("another template", variant, tuple(templates))
        if moved := tuple(arm for arm in arms if self._has_seed(kit.config(arm))):
            found["seed"] = Condition("another seed", _reseeded(kit, moved, examples), moved, retrained=True)
        return found

    def _has_seed(self, arm: ArmConfig) -> bool:
        drawn = (arm.shots > 0 and arm.shots_by == "seed") or arm.retrieval == "random"
        return (arm.adapter is not None and self.config.retrain) or (arm.adapter is None and drawn)

    def _compared(self, kit: Kit, arm: str, how: str, first: Asked, second: Asked) -> _Again | None:
        """Return how an arm differs from itself; None where no question could be scored both times."""
        scores = {"second": kit.scores(second, "second"), "first": kit.scores(first, "first")}
        contrast = kit.contrasts(scores, kit.examples(self.config), [("second", "first")])
        if not contrast:
            return None
        before, after = _by_example(scores["first"]), _by_example(scores["second"])
        apart = statistics.fmean(abs(after[id_] - value) for id_, value in before.items() if id_ in after)
        return _Again(how, contrast[0], apart, _differing(first, second))

    def _notes(self, kit: Kit) -> list[str]:
        notes = ["Template: another wording of the prompt. Seed: another training, other few-shot examples."]
        tuned = any(kit.config(arm).adapter for arm in self._arms(kit))
        if tuned and not self.config.retrain:
            notes.append("No adapter was trained a second time (retrain: false): the chance of training is not seen.")
        if tuned:
            notes.append("An adapter answers to the template that it was trained with, and to no other.")
        return notes


def _other_template(kit: Kit, arm: str) -> str | None:
    """Return the other wording of an arm's template, None where there is none or its adapter knows only one."""
    config = kit.config(arm)
    if config.adapter is not None or len(config.prompt) > 1:
        return None
    own = kit.bench.template(config.prompt[0] if config.prompt else None).name
    stem = re.sub(r"\d+$", "", own)
    kind = kit.bench.experiment.task.kind
    others = (one.name for one in TEMPLATES.values() if re.sub(r"\d+$", "", one.name) == stem and one.name != own)
    return next(others, None) if kind != "custom" else None


def _reseeded(kit: Kit, arms: Sequence[str], examples: tuple[Example, ...]) -> Bench:
    """Return the experiment with the next seed: other trainings, other draws, and the same examples."""
    bench, splits = kit.bench, kit.bench.splits
    values: dict[str, object] = {"seed": bench.experiment.seed + 1}
    for name in dict.fromkeys(kit.config(arm).adapter for arm in arms):
        if name is not None and (seeds := bench.experiment.adapters[name].seeds):
            values[f"adapters.{name}.seeds"] = (max(seeds) + 1,)
    variant = bench.variant(with_values(bench.experiment, values))
    return variant.stressed(train=splits.train, dev=splits.dev, eval=examples)


def _by_example(scores: Iterable[Score]) -> dict[str, float]:
    """Return the score of each example, averaged over training seeds and templates; unscored ones are left out."""
    found: dict[str, list[float]] = {}
    for score in scores:
        if score.value is not None:
            found.setdefault(score.example_id, []).append(score.value)
    return {id_: statistics.fmean(values) for id_, values in found.items()}


def _differing(first: Asked, second: Asked) -> float:
    """Return the share of examples whose first answer has another text the second time."""
    before = {answer.example_id: answer.text for answer in reversed(first.answers)}
    after = {answer.example_id: answer.text for answer in reversed(second.answers)}
    return statistics.fmean(after[id_] != text for id_, text in before.items())


def _findings(kit: Kit, again: _ByArm, floors: Mapping[str, float]) -> tuple[str, ...]:
    arm = max(floors, key=lambda name: floors[name])
    widest = max(again[arm], key=lambda one: abs(one.contrast.difference or 0.0), default=None)
    if widest is None:
        return ()
    said = [
        f"A difference of {kit.metric} below {scored(floors[arm])} means nothing here: so far {arm} lies from itself "
        f"with another {widest.how} ({change(widest.contrast)})."
    ]
    for how in HOW:
        found = {arm: one for arm, ones in again.items() for one in ones if one.how == how}
        if found:
            most = max(found, key=lambda name: found[name].changed)
            said.append(
                f"Another {how} changes {found[most].changed:.0%} of the answers of {most}".replace("%", " %")
                + f" and its score by {change(found[most].contrast)}."
            )
    lead = _lead(kit)
    if lead is not None and {lead[0], lead[1]} <= floors.keys():
        first, second, difference = lead
        floor = max(floors[first], floors[second])
        where = "within" if abs(difference) <= floor else "beyond"
        said.append(
            f"The lead of {first} over {second} in the comparison, {difference:.3f}, lies {where} the floor of the "
            f"two, {scored(floor)}."
        )
    return tuple(said)


def _lead(kit: Kit) -> tuple[str, str, float] | None:
    """Return (best arm, second best, difference) of the comparison among the arms that could ship."""
    shippable = [name for name in kit.asked if kit.config(name).retrieval in ("none", "index")]
    scores = {name: kit.scores(kit.asked[name], name) for name in shippable}
    means = kit.estimates(scores, kit.bench.splits.eval)
    known = sorted(((one.mean, name) for name, one in means.items() if one.mean is not None), reverse=True)
    if len(known) < 2:
        return None
    return known[0][1], known[1][1], known[0][0] - known[1][0]


def _table(again: _ByArm, floors: Mapping[str, float]) -> Table:
    columns = [
        part
        for how in HOW
        for part in (
            Column(f"another {how}", "signed"),
            Column(f"apart, {how}"),
            Column(f"answers changed, {how}", "share"),
        )
    ]
    rows = []
    for arm, ones in again.items():
        by = {one.how: one for one in ones}
        cells = [cell for how in HOW for cell in _cells(by.get(how))]
        rows.append(Row(arm, (*cells, Cell(floors[arm]))))
    note = (
        "Each difference is the second time less the first, paired by question. Apart: the mean absolute difference of "
        "a question's two scores. Floor: the largest difference of means."
    )
    return Table("again", "The same arm twice", "arm", (*columns, Column("floor")), tuple(rows), note)


def _cells(one: _Again | None) -> tuple[Cell, ...]:
    if one is None:
        return (Cell("unmoved"), Cell(None), Cell(None))
    return (difference_cell([one.contrast]), Cell(one.apart), Cell(one.changed))


def _changed(again: _ByArm) -> dict[str, dict[str, float]]:
    return {arm: {one.how: one.changed for one in ones} for arm, ones in again.items()}
