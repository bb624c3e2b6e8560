"""What learning costs in forgetting: along optimiser steps, along ranks, and from adapter to adapter."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ragft.config import ForgettingProbe, with_values
from ragft.errors import RagftError
from ragft.evaluation.probing import Chart, Curve, Form, point
from ragft.generation.drift import Window
from ragft.probes.abilities import FEW, Abilities, kept_facts
from ragft.probes.drift import DriftJournal, moved
from ragft.probes.kit import Kit
from ragft.probes.probe import Condition
from ragft.probes.quiz import Quiz
from ragft.probes.weights import BASE, Weights, weights_of
from ragft.probes.wording import scored
from ragft.records import Estimate, Example

KL = "KL from the base (nats a token)"
STEPS = "optimiser steps"


@dataclass(slots=True)
class Learnt:
    """The charts of learning against forgetting, and what they say."""

    findings: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What an adapter is at one place of an axis; an estimate is None where it was not measured."""

    x: float
    label: str
    kl: Estimate | None
    score: Estimate | None
    kept: Estimate | None


def checkpoint_conditions(kit: Kit, config: ForgettingProbe, adapters: Sequence[str]) -> list[tuple[int, Condition]]:
    """Return (steps, condition) for each number of steps: the best arm of every adapter, trained so far and no further.

    The learning rate follows its schedule to that step, and the weights of the last step are kept.
    """
    arms = tuple(arm for name in adapters if (arm := best_arm(kit, name)) is not None)
    found = []
    for steps in sorted(set(config.checkpoints)):
        values = {
            f"adapters.{name}.training.{key}": value
            for name in adapters
            for key, value in {
                "max_steps": steps,
                "evals_per_run": 1,
                "load_best_model_at_end": False,
                "metric_for_best_model": "loss",
                "greater_is_better": None,
                "early_stopping_patience": None,
            }.items()
        }
        bench = kit.bench.variant(with_values(kit.bench.experiment, values)).stressed(eval=kit.examples(config))
        found.append((steps, Condition(f"{steps} steps", bench, arms, retrained=True)))
    return found


def best_arm(kit: Kit, adapter: str | None) -> str | None:
    """Return the arm with an adapter (none for None) that did best in the comparison, the first while none was asked.

    Arms with gold or random passages could not ship, and other models forgot nothing of this one.
    """
    arms = [
        name
        for name, arm in kit.bench.experiment.compare.arms.items()
        if arm.adapter == adapter and arm.model is None and arm.retrieval in ("none", "index")
    ]
    means = target_scores(kit, [name for name in arms if name in kit.asked])
    known = {name: one.mean for name, one in means.items() if one.mean is not None}
    return max(known, key=lambda name: known[name]) if known else next(iter(arms), None)


def target_scores(kit: Kit, arms: Sequence[str], examples: Sequence[Example] | None = None) -> dict[str, Estimate]:
    """Return what arms scored in the comparison, on some of its examples or on all."""
    if not arms:
        return {}
    of = kit.bench.splits.eval if examples is None else tuple(examples)
    ids = {example.id for example in of}
    scores = {arm: [one for one in kit.scores(kit.asked[arm], arm) if one.example_id in ids] for arm in arms}
    return kit.estimates(scores, of)


class Learning:
    """Looks at what each adapter learnt and what it cost."""

    def __init__(
        self,
        kit: Kit,
        config: ForgettingProbe,
        journal: DriftJournal,
        windows: Sequence[Window],
        quiz: Quiz,
    ) -> None:
        self._kit = kit
        self._config = config
        self._journal = journal
        self._windows = windows
        self._quiz = quiz

    def learnt(self, tuned: Sequence[Weights], kl: Mapping[str, Estimate], able: Abilities) -> Learnt:
        """Return the charts for which there are several adapters or checkpoints; nothing where there is one point."""
        found, names = Learnt(), list(dict.fromkeys(one.name for one in tuned))
        places = {name: self._place(name, tuned, kl, able) for name in names}
        self._trade(found, places)
        for key, label in (("rank", "rank"), ("steps", STEPS)):
            self._alike(found, key, label, places)
        if self._config.checkpoints:
            self._by_step(found, places, able)
        return found

    def _place(self, name: str, tuned: Sequence[Weights], kl: Mapping[str, Estimate], able: Abilities) -> Checkpoint:
        """Return what an adapter is as it was trained for the comparison, at the step whose weights it has."""
        steps = _steps([one for one in tuned if one.name == name])
        kept = able.kept[name] if len(able.known) >= FEW else None
        return Checkpoint(steps, f"{steps:.0f}", kl.get(name), self._score(name, None), kept)

    def _score(self, adapter: str | None, examples: Sequence[Example] | None) -> Estimate | None:
        """Return what the best arm with an adapter (none for None) scored in the comparison, on examples or on all."""
        arm = best_arm(self._kit, adapter)
        if arm is None or arm not in self._kit.asked:
            return None
        return target_scores(self._kit, [arm], examples)[arm]

    def _trade(self, found: Learnt, places: Mapping[str, Checkpoint]) -> None:
        """Add the chart of the target score against KL, a point for each adapter and one for the base."""
        known = {name: (one.kl.mean, one.score) for name, one in places.items() if one.kl and one.score}
        known = {name: (kl, score) for name, (kl, score) in known.items() if kl is not None and score.mean is not None}
        if len(known) < 2:
            return
        curves = [
            Curve(f"{name} ({best_arm(self._kit, name)})", (point(kl, f"{kl:.3g}", score),))
            for name, (kl, score) in known.items()
            if kl is not None
        ]
        if (own := self._score(None, None)) is not None:
            curves.append(Curve(f"{BASE} ({best_arm(self._kit, None)})", (point(0.0, "0", own),), "control"))
        metric = self._kit.metric
        note = "In brackets the best arm of the comparison with each adapter, and the best one without any."
        found.charts.append(Chart("trade", f"{metric} against forgetting", KL, metric, tuple(curves), note=note))

    def _alike(
        self,
        found: Learnt,
        key: str,
        label: str,
        places: Mapping[str, Checkpoint],
    ) -> None:
        """Add KL and score along rank or steps, for adapters that differ in nothing else."""
        names = list(places)
        ranks = {name: self._kit.bench.experiment.adapters[name].peft.r for name in names}
        xs = ranks if key == "rank" else {name: places[name].x for name in names}
        groups = [group for group in self._groups(key, names) if len({xs[name] for name in group}) > 1]
        if not groups:
            return
        curves = {
            _joined(group): [
                Checkpoint(xs[name], name, places[name].kl, places[name].score, places[name].kept)
                for name in sorted(group, key=lambda one: xs[one])
            ]
            for group in groups
        }
        self._charts(found, f"adapters_{key}", label, curves)

    def _groups(self, key: str, names: Sequence[str]) -> list[list[str]]:
        """Return the adapters that are alike but for their rank, or but for how long they were trained."""
        varied = {"rank": ("peft", ("r", "lora_alpha")), "steps": ("training", ("max_steps", "num_train_epochs"))}
        section, keys = varied[key]
        groups: dict[str, list[str]] = {}
        for name in names:
            plain = self._kit.bench.experiment.adapters[name].model_dump(mode="json")
            plain[section] = {one: value for one, value in plain[section].items() if one not in keys}
            groups.setdefault(str(plain), []).append(name)
        return [group for group in groups.values() if len(group) > 1]

    def _by_step(
        self,
        found: Learnt,
        places: Mapping[str, Checkpoint],
        able: Abilities,
    ) -> None:
        """Train to each number of steps, and add what is learnt and forgotten there."""
        names = list(places)
        curves: dict[str, list[Checkpoint]] = {name: [] for name in names}
        for steps, condition in checkpoint_conditions(self._kit, self._config, names):
            try:
                reached = self._checkpoint(steps, condition, names, able)
            except RagftError as error:  # a training of so few steps may change nothing, or fail
                found.notes.append(f"{steps} steps could not be looked at: {error}.")
                continue
            for name, one in reached.items():
                curves[name].append(one)
        for name in names:
            if places[name].x not in {one.x for one in curves[name]}:
                curves[name].append(replace(places[name], score=self._score(name, self._kit.examples(self._config))))
            curves[name].sort(key=lambda one: one.x)
        self._charts(found, "steps", STEPS, curves)
        found.findings += [_course(name, of, self._kit.metric) for name, of in curves.items() if len(of) > 1]
        found.values["checkpoints"] = {
            name: [
                {"steps": one.x, "kl": _mean(one.kl), "score": _mean(one.score), "facts_kept": _mean(one.kept)}
                for one in of
            ]
            for name, of in curves.items()
        }
        found.notes.append(
            "At each number of steps adapters were trained anew, with a learning rate that falls to its end there; "
            "the adapters of the comparison stand at the step whose weights they have."
        )

    def _checkpoint(
        self, steps: int, condition: Condition, names: Sequence[str], able: Abilities
    ) -> dict[str, Checkpoint]:
        told = self._kit.ask(condition)
        tuned = [one for name in names for one in weights_of(told.round.adapters, name)]
        drift = (
            moved(self._kit, tuned, self._windows, self._journal.measured(tuned, self._windows))
            if self._windows
            else {}
        )
        kept: Mapping[str, Estimate] = {}
        if len(able.known) >= FEW:
            kept = kept_facts(self._kit, self._quiz, able.known, self._quiz.scores("facts", tuned))
        scores = {name: self._kit.scores(told.asked[arm], name) for name in names if (arm := best_arm(self._kit, name))}
        means = self._kit.estimates(scores, condition.bench.splits.eval)
        return {
            name: Checkpoint(
                steps, str(steps), drift[name].kl if name in drift else None, means.get(name), kept.get(name)
            )
            for name in names
        }

    def _charts(self, found: Learnt, key: str, label: str, curves: Mapping[str, Sequence[Checkpoint]]) -> None:
        """Add a chart for each quantity that was measured anywhere on these curves."""
        metric = self._kit.metric
        quantities = (
            ("kl", f"Forgetting by {label}", KL, {n: [(c, c.kl) for c in of] for n, of in curves.items()}),
            ("score", f"{metric} by {label}", metric, {n: [(c, c.score) for c in of] for n, of in curves.items()}),
            (
                "facts",
                f"Known facts kept by {label}",
                "share kept",
                {n: [(c, c.kept) for c in of] for n, of in curves.items()},
            ),
        )
        for quantity, title, y_label, values in quantities:
            drawn = tuple(
                Curve(name, points)
                for name, of in values.items()
                if (points := tuple(point(c.x, c.label, one) for c, one in of if one is not None))
            )
            if drawn:
                form: Form = "number" if quantity == "kl" else "score"
                found.charts.append(Chart(f"{key}_{quantity}", title, label, y_label, drawn, form=form))


def _steps(weights: Sequence[Weights]) -> float:
    """Return the optimiser step whose weights an adapter has, the mean over its training seeds."""
    records = [one.adapters.record(one.name, one.seed)["training"] for one in weights]
    return statistics.fmean(record["best_step"] or record["steps"] for record in records)


def _joined(group: Sequence[str]) -> str:
    return ", ".join(group)


def _course(name: str, of: Sequence[Checkpoint], metric: str) -> str:
    first, last = of[0], of[-1]
    parts = [
        f"{what} from {scored(_mean(start))} to {scored(_mean(end))}"
        for what, start, end in (
            ("KL", first.kl, last.kl),
            (metric, first.score, last.score),
            ("the share of known facts kept", first.kept, last.kept),
        )
        if start is not None and end is not None
    ]
    return f"From {first.x:.0f} to {last.x:.0f} steps of {name}, {', '.join(parts)}."


def _mean(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.mean
