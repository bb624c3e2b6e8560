"""The probe `forgetting`: what each adapter did to the rest of the model, beside the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragft.arms.adapters import Adapters
from ragft.arms.knowledge import Knowledge
from ragft.arms.models import LocalModel
from ragft.arms.planning import answering_seconds, is_adapted
from ragft.config import ForgettingProbe
from ragft.evaluation.probing import Chart, ProbeResult, Table
from ragft.generation.drift import Window
from ragft.probes.abilities import Abilities, abilities_of
from ragft.probes.drift import DriftJournal, Moved, moved
from ragft.probes.forgetting_tables import (
    ability_findings,
    ability_table,
    drift_findings,
    first_finding,
    main_table,
    transition_table,
    values_of,
)
from ragft.probes.general_text import OwnText, general_windows
from ragft.probes.harness import harness_results
from ragft.probes.kit import Kit
from ragft.probes.learning import Learning, Learnt, checkpoint_conditions
from ragft.probes.probe import Load, Refusal
from ragft.probes.quiz import Quiz, facts_of
from ragft.probes.weights import BASE, Weights, weights_of

APART = "The model has an encoder, and no next-token distribution over plain text: how far it moved is not measured."


@dataclass(frozen=True, slots=True)
class Forgetting:
    """An instance of Probe."""

    config: ForgettingProbe
    kind: str = "forgetting"
    title: str = "Forgetting"
    asks: str = "What did training take from the rest of the model?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why no adapter can be looked at."""
        if not isinstance(kit.bench.model(None), LocalModel):
            return Refusal(
                "the experiment's model is not in this process, so its distributions cannot be seen",
                "name a Hub id, a folder or a packaged model under `model`",
            )
        if not self._adapters(kit):
            return Refusal("no arm has an adapter, so nothing can have been forgotten", "add an arm with `adapter`")
        return None

    def load(self, kit: Kit) -> Load:
        """Return the load of all questions, of the text that was not read yet, and of the trainings to checkpoints."""
        adapters = _planned_adapters(kit)
        base, tuned = self._weights(kit, adapters)
        quiz = self._quiz(kit)
        asked = [quiz.planned(one) for one in (base, *tuned)]
        conditions = [condition for _, condition in checkpoint_conditions(kit, self.config, self._adapters(kit))]
        trained = kit.load_of(conditions, fixed_s=self._text_seconds(kit, tuned))
        more = len(conditions) * len(tuned)
        at_checkpoints = [quiz.planned(base, ("facts",))] * more
        questions = [*asked, *at_checkpoints]
        return Load(
            arms=1 + len(tuned),
            conditions=1 + len(conditions),
            examples=max(quiz.n_asked, trained.examples),
            prompts=trained.prompts + sum(one.prompts for one in questions),
            answered=trained.answered + sum(one.answered for one in questions),
            prompt_tokens=trained.prompt_tokens + sum(one.prompt_tokens for one in questions),
            trainings=trained.trainings,
            asking_s=trained.asking_s + sum(one.seconds for one in questions) * kit.pace.asking,
            fixed_s=trained.fixed_s,
        )

    def measure(self, kit: Kit) -> ProbeResult:
        """Read the text and ask the questions as the base and as every adapter; then look along steps and ranks."""
        base, tuned = self._weights(kit, kit.round.adapters)
        found, quiz = _Found(), self._quiz(kit)
        windows = self._windows(kit, found)
        journal = DriftJournal(kit.bench)
        drift = {text: moved(kit, tuned, of, journal.measured(tuned, of)) for text, of in windows.items()}
        able = abilities_of(kit, quiz, base, tuned)
        self._tell(kit, found, tuned, drift, able)
        learning = Learning(kit, self.config, journal, windows.get("general", []), quiz)
        found.add(learning.learnt(tuned, {name: one.kl for name, one in drift.get("general", {}).items()}, able))
        table, notes = harness_results(kit, [base, *tuned], self.config.lm_eval)
        found.tables += [table] if table is not None else []
        found.notes += notes
        return kit.result(
            self,
            arms=self._arms(kit),
            n_examples=quiz.n_asked,
            n_available=quiz.n_available,
            findings=tuple(found.findings),
            charts=tuple(found.charts),
            tables=tuple(found.tables),
            notes=tuple(found.notes),
            measured_on=_measured_on(windows, quiz),
            values=found.values,
        )

    def _arms(self, kit: Kit) -> tuple[str, ...]:
        chosen = kit.arms(self.config, lambda arm: arm.adapter is not None)
        return tuple(name for name in chosen if kit.config(name).adapter is not None)

    def _adapters(self, kit: Kit) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for arm in self._arms(kit) if (name := kit.config(arm).adapter) is not None))

    def _weights(self, kit: Kit, adapters: Adapters) -> tuple[Weights, tuple[Weights, ...]]:
        """Return the base, and what was trained for each adapter with each of its seeds."""
        tuned = tuple(one for name in self._adapters(kit) for one in weights_of(adapters, name))
        return Weights(BASE, adapters), tuned

    def _quiz(self, kit: Kit) -> Quiz:
        limits = [limit for limit in (self.config.examples, kit.cap) if limit is not None]
        return Quiz(kit.bench, facts_of(kit.bench, self.config.facts), min(limits, default=None))

    def _windows(self, kit: Kit, found: _Found) -> dict[str, list[Window]]:
        """Return the windows of each text; none where the model does not read on from text."""
        if kit.bench.local.tokenizer.is_encoder_decoder:
            found.notes.append(APART)
            return {}
        own = OwnText(kit.bench, self.config.own_tokens).windows()
        return {"general": general_windows(kit.bench, self.config.text, self.config.tokens), "own": own}

    def _text_seconds(self, kit: Kit, tuned: Sequence[Weights]) -> float:
        """Return the seconds of reading what was not read yet, and of writing the model's own text."""
        local = kit.bench.local
        if local.tokenizer.is_encoder_decoder:
            return 0.0
        own, journal = OwnText(kit.bench, self.config.own_tokens), DriftJournal(kit.bench)
        general = general_windows(kit.bench, self.config.text, self.config.tokens)
        windows = [*general, *(own.windows() if own.is_written else ())]
        missing = [journal.missing(one, windows) for one in tuned]
        union = {window for some in missing for window in some}
        unwritten = 0 if own.is_written else self.config.own_tokens
        again = sum(window.tokens for window in general) * len(set(self.config.checkpoints))
        read = unwritten + again + sum(window.tokens for window in union)
        seconds = answering_seconds(kit.bench, local, read, unwritten, adapted=False)
        for one, some in zip(tuned, missing, strict=True):
            read = unwritten + again + sum(window.tokens for window in some)
            seconds += answering_seconds(kit.bench, local, read, 0, adapted=is_adapted(kit.bench, one.adapter))
        return seconds * kit.pace.asking

    def _tell(
        self,
        kit: Kit,
        found: _Found,
        tuned: Sequence[Weights],
        drift: Mapping[str, Mapping[str, Moved]],
        able: Abilities,
    ) -> None:
        names = self._adapters(kit)
        found.findings += [first_finding(names, drift.get("general", {}), able)]
        found.findings += [*drift_findings(names, drift), *ability_findings(names, able)]
        found.tables += [main_table(names, drift, able), transition_table(tuned, able), ability_table(names, able)]
        found.values.update(values_of(names, drift, able))
        if drift:
            found.notes.append(
                "KL is that of the tuned model's next-token distribution from the base's, over the whole vocabulary, "
                "on plain text without a chat template. Its intervals draw windows of text"
                + (", and training seeds." if any(one.seed is not None for one in tuned) else ", not training seeds.")
            )


@dataclass(slots=True)
class _Found:
    findings: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, learnt: Learnt) -> None:
        """Take over what was found along steps and ranks."""
        self.findings += learnt.findings
        self.charts += learnt.charts
        self.notes += learnt.notes
        self.values.update(learnt.values)


def _planned_adapters(kit: Kit) -> Adapters:
    """Return the adapters of the comparison, or of one that is only planned."""
    if kit.main is not None:
        return kit.main.adapters
    return Adapters(kit.bench, Knowledge(kit.bench, planning=True) if kit.bench.documents else None)


def _measured_on(windows: Mapping[str, Sequence[Window]], quiz: Quiz) -> str:
    texts = {"general": "of general text", "own": "that the base wrote itself"}
    parts = [
        f"{sum(window.tokens for window in of):,} tokens {texts[text]} ({len(of)} windows)"
        for text, of in windows.items()
    ]
    parts += [
        f"{len(quiz.facts)} questions of general knowledge",
        f"{len(quiz.instructions)} instructions",
        f"{len(quiz.reading)} passages with a question",
    ]
    return ", ".join(parts)
