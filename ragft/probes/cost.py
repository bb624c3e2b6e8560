"""The probe `cost`: what each arm costs, which is the cheapest when, and from where one pays back against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Asking
from ragft.arms.knowledge import Knowledge
from ragft.arms.merged import Merger
from ragft.arms.planning import alone_seconds
from ragft.config import CostProbe
from ragft.evaluation.probing import ProbeResult
from ragft.evaluation.volumes import break_even_a_month, pairs
from ragft.probes.cost_tables import break_even_table, chart_at, cheapest_table, costs_table, drawn_at, merged_table
from ragft.probes.cost_wording import findings_of, notes_of
from ragft.probes.costing import Books, books_of, can_merge, measured_on
from ragft.probes.kit import Kit
from ragft.probes.probe import Load, Refusal


@dataclass(frozen=True, slots=True)
class Cost:
    """An instance of Probe."""

    config: CostProbe
    kind: str = "cost"
    title: str = "Cost"
    asks: str = (
        "What does each arm cost, which one is the cheapest when, and from where does one pay back against another?"
    )

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why there is no arm whose cost matters."""
        if self._arms(kit):
            return None
        return Refusal(
            "every arm that it would look at is a control, which nobody can ship", "name an arm without gold passages"
        )

    def load(self, kit: Kit) -> Load:
        """Return the load of timing questions with every adapter beside the base and merged into it."""
        bench, asking = kit.bench, _asking(kit)
        merger = Merger(bench, asking)
        some = merger.chosen(bench.splits.eval, self.config.questions)
        arms = [arm for arm in map(asking.arm, self._arms(kit)) if can_merge(kit, arm)]
        left = [merger.missing(arm, asking.questions(arm, some)) for arm in arms]
        # Each way one question more, which does not count, and one whose memory is measured.
        passes = sum(len(some) + 2 for missing in left if missing)
        each = sum(alone_seconds(bench, bench.local, adapted=beside) for beside in (True, False)) if passes else 0.0
        return Load(
            arms=len(self._arms(kit)),
            conditions=2 if arms else 1,
            examples=len(some) if arms else 0,
            prompts=2 * len(some) * len(arms),
            answered=2 * sum(len(some) - missing for missing in left),
            fixed_s=passes * each * kit.pace.asking,
        )

    def measure(self, kit: Kit) -> ProbeResult:
        """Reckon with what the comparison measured, and time the adapters merged."""
        books = books_of(kit, self.config, self._arms(kit))
        cadences = sorted({*self.config.refreshes_per_month, books.refreshes})
        volumes = sorted({*map(float, self.config.queries_per_month), books.queries})
        tables = [
            costs_table(books),
            *([merged_table(books)] if books.mergings else []),
            *([break_even_table(kit, books, cadences)] if len(books.kept) > 1 else []),
            cheapest_table(books, volumes, cadences, good=False),
            cheapest_table(books, volumes, cadences, good=True),
        ]
        return kit.result(
            self,
            arms=self._arms(kit),
            n_examples=len(books.examples),
            n_available=len(kit.bench.splits.eval),
            findings=findings_of(books, cadences),
            charts=[chart_at(books, volumes, refreshes) for refreshes in drawn_at(books, cadences)],
            tables=tables,
            notes=notes_of(kit, books),
            measured_on=measured_on(kit, books, self.config.questions),
            values=_values(books, volumes, cadences),
        )

    def _arms(self, kit: Kit) -> tuple[str, ...]:
        """Return the arms that could be shipped."""
        controls = ("oracle", "random")
        names = kit.arms(self.config, lambda arm: True)
        return tuple(name for name in names if kit.config(name).retrieval not in controls)


def _asking(kit: Kit) -> Asking:
    """Return what asks the arms: that of the comparison, or while a plan is made one that builds nothing."""
    if kit.main is not None:
        return kit.main.asking
    knowledge = Knowledge(kit.bench, planning=True) if kit.bench.documents else None
    return Asking(kit.bench, knowledge, Adapters(kit.bench, knowledge))


def _values(books: Books, volumes: Sequence[float], cadences: Sequence[float]) -> dict[str, Any]:
    """Return the numbers by name."""
    prices = books.prices
    return {
        "currency": prices.currency,
        "queries_per_month": books.queries,
        "refreshes_per_month": books.refreshes,
        "arms": {offer.name: asdict(books.own_row(offer)) for offer in books.offers},
        "left_out": dict(books.left_out),
        "good": sorted(books.good),
        "break_even": {
            f"{first.name} / {second.name}": {f"{r:g}": break_even_a_month(first, second, prices, r) for r in cadences}
            for first, second in pairs(books.kept, prices)
        },
        "cheapest": _names(books, volumes, cadences, good=False),
        "cheapest_good": _names(books, volumes, cadences, good=True),
        "merged": {
            name: {"times_as_fast": one.ratio, "low": min(one.ratios), "high": max(one.ratios), "same": one.same}
            for name, one in books.mergings.items()
        },
    }


def _names(
    books: Books, volumes: Sequence[float], cadences: Sequence[float], *, good: bool
) -> dict[str, dict[str, str | None]]:
    return {f"{queries:g}": {f"{r:g}": _name(books, queries, r, good) for r in cadences} for queries in volumes}


def _name(books: Books, queries: float, refreshes: float, good: bool) -> str | None:
    found = books.cheapest(queries, refreshes, good=good)
    return None if found is None else found[0].name
