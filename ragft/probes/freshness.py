"""The probe `freshness`: facts change and documents are updated; who notices, when, and what each update takes."""

from __future__ import annotations

from dataclasses import dataclass

from ragft.config import FreshnessProbe
from ragft.evaluation.probing import ProbeResult
from ragft.probes import freshness_shown as shown
from ragft.probes.freshness_stages import INDEXED, PARTS, Found, Setting
from ragft.probes.kit import Kit
from ragft.probes.probe import Load, Refusal


@dataclass(frozen=True, slots=True)
class Freshness:
    """An instance of Probe."""

    config: FreshnessProbe
    kind: str = "freshness"
    title: str = "Freshness"
    asks: str = "When facts change, which arm notices, and what does the update take?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why nothing changes here, or why nobody could notice."""
        if kit.bench.experiment.data.update is None:
            return Refusal(
                "there is no second version of the documents",
                "add data.update: documents (the second version, under the same ids) and changed (questions with the "
                "new `references` and the `old_references`)",
            )
        setting = Setting(kit, self.config)
        known = len(setting.every_changed)
        if known < 2:
            return Refusal(
                f"{known or 'none'} of the {len(kit.bench.splits.changed)} examples of data.update.changed "
                f"{'has' if known == 1 else 'have'} old_references, and at least 2 are needed",
                "give the answers that were right before the update in the column old_references "
                "(data.fields.old_references maps another name)",
            )
        if not setting.readers and not setting.learners:
            return Refusal(
                "no arm reads the documents or is trained, so no update reaches any",
                "add an arm with retrieval: index, or one with an adapter",
            )
        return None

    def load(self, kit: Kit) -> Load:
        """Return the load of three rounds; arms that an update does not reach are asked once."""
        setting = Setting(kit, self.config)
        fixed_s = setting.step.expected_s() if setting.is_indexed else 0.0
        return kit.load_of([condition for condition in setting.conditions if condition.arms], fixed_s=fixed_s)

    def measure(self, kit: Kit) -> ProbeResult:
        """Ask before the update, then bring the index in step and ask again, then train again and ask again."""
        setting, found = Setting(kit, self.config), Found(kit)
        for condition in setting.conditions:
            if condition.label == INDEXED:
                found.update = setting.step.take()
            found.add(condition.label, kit.ask(condition) if condition.arms else None, setting)
        found.estimate()
        return kit.result(
            self,
            arms=setting.arms,
            n_examples=len(setting.changed) + len(setting.kept),
            n_available=len(setting.every_changed) + len(setting.every_kept),
            findings=(shown.headline(found, setting), *shown.findings(found, setting)),
            charts=tuple(shown.chart(part, found, setting) for part in PARTS if part != "kept" or setting.kept),
            tables=(shown.stages(found, setting), *shown.updates(found, setting)),
            notes=shown.notes(found, setting),
            measured_on=setting.measured_on,
            metric=found.measures[0],
            values=shown.values(found, setting),
        )
