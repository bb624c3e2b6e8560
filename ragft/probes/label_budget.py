"""The probe `label_budget`: the score against the number of labelled examples, and what more of them would buy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ragft.config import LabelBudgetProbe, with_values
from ragft.data.examples import sample
from ragft.errors import RagftError
from ragft.evaluation.clustering import clusters
from ragft.evaluation.curves import Saturating, draw_curves, fit_saturating, gain_interval
from ragft.evaluation.probing import Cell, Chart, Column, Curve, Point, ProbeResult, Row, Table, cell, point
from ragft.probes.kit import Kit
from ragft.probes.probe import Condition, Load, Refusal
from ragft.probes.wording import scored, within
from ragft.records import Estimate, Interval, Score

STEP = 100
"""Labels beyond the last of which the worth is estimated."""

DRAWN = 20
"""Points of a fitted curve that are drawn."""

FEWEST = 8
"""Labels below which nothing is trained."""


@dataclass(frozen=True, slots=True)
class _Level:
    """One budget: its share of the labels, and what every arm scored, with the labels that each had."""

    share: float
    labels: Mapping[str, int]
    scores: Mapping[str, Sequence[Score]]


@dataclass(frozen=True, slots=True)
class _Worth:
    """What `STEP` more labels would bring an arm: the fitted curve, the gain, its interval, and the price."""

    fit: Saturating
    gain: float
    interval: Interval
    price: float | None


@dataclass(frozen=True, slots=True)
class LabelBudget:
    """An instance of Probe."""

    config: LabelBudgetProbe
    kind: str = "label_budget"
    title: str = "Label budget"
    asks: str = "How much do labelled examples buy, and would more of them be worth their price?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why there is no curve: no arm uses labels, or there are too few of them."""
        if not self._arms(kit):
            return Refusal("no arm uses labels", "add an arm with an adapter or with shots")
        if (n := len(kit.bench.splits.train)) < 2 * FEWEST:
            return Refusal(f"there are {n} labelled examples to part", f"add {2 * FEWEST - n} to data.train")
        return None

    def load(self, kit: Kit) -> Load:
        """Return the load of every budget; the whole one and none at all are mostly there already."""
        conditions = [self._unlabelled(kit)[0]]
        for share in self._shares(kit):
            conditions += self._conditions(kit, share)
        return replace(kit.load_of(conditions), arms=len(self._arms(kit)))

    def measure(self, kit: Kit) -> ProbeResult:
        """Train and ask on every budget, and fit a saturating curve to each arm."""
        notes = ["Every budget is trained with the adapter's own settings: fewer labels also mean fewer steps."]
        levels = [self._none(kit), *self._levels(kit, notes)]
        examples = kit.examples(self.config)
        means = {
            (arm, level.share): one for level in levels for arm, one in kit.estimates(level.scores, examples).items()
        }
        arms = self._arms(kit)
        # The first finding stands for the probe where probes are listed: that of the best arm.
        best = sorted(arms, key=lambda arm: means[arm, levels[-1].share].mean or 0.0, reverse=True)
        worth = {arm: found for arm in arms if (found := self._worth(kit, arm, levels)) is not None}
        if len(levels) < 3:
            notes.append("With fewer than two budgets that could be trained no curve is fitted.")
        return kit.result(
            self,
            arms=arms,
            n_examples=len(examples),
            n_available=len(kit.bench.splits.eval),
            findings=tuple(_finding(kit, arm, levels, means, worth.get(arm)) for arm in best),
            charts=(_chart(kit, arms, levels, means, worth),),
            tables=(_table(kit, arms, levels, means, worth),),
            notes=tuple(notes),
            values={arm: _values(levels, arm, means, worth.get(arm)) for arm in arms},
        )

    def _arms(self, kit: Kit) -> tuple[str, ...]:
        adapters = kit.bench.experiment.adapters

        def uses_labels(name: str) -> bool:
            arm = kit.config(name)
            trained = arm.adapter is not None and adapters[arm.adapter].reads_labels
            return arm.retrieval in ("none", "index") and (trained or arm.shots > 0)

        wanted = {name for name in kit.bench.experiment.compare.arms if uses_labels(name)}
        return tuple(name for name in kit.arms(self.config, lambda _: True) if name in wanted)

    def _shares(self, kit: Kit) -> tuple[float, ...]:
        """Return the shares in order; of several that come to the same labels for every arm, the last."""
        ordered = sorted({share for share in self.config.shares if share > 0})
        labels = {tuple(self._labels(kit, arm, share) for arm in self._arms(kit)): share for share in ordered}
        return tuple(labels.values())

    def _unlabelled(self, kit: Kit) -> tuple[Condition, dict[str, str]]:
        """Return every arm without its adapter and its shots, and what each is then called."""
        bench, twins = kit.twins(self._arms(kit), "unlabelled", adapter=None, shots=0)
        examples = kit.examples(self.config)
        return Condition("no labels", bench.stressed(eval=examples), tuple(twins.values())), twins

    def _none(self, kit: Kit) -> _Level:
        condition, twins = self._unlabelled(kit)
        told = kit.ask(condition)
        scores = {arm: kit.scores(told.asked[twin], arm) for arm, twin in twins.items()}
        return _Level(0.0, dict.fromkeys(twins, 0), scores)

    def _levels(self, kit: Kit, notes: list[str]) -> list[_Level]:
        levels = []
        for share in self._shares(kit):
            try:
                scores = {
                    arm: kit.scores(told.asked[arm], arm)
                    for condition in self._conditions(kit, share)
                    for told in [kit.ask(condition)]
                    for arm in condition.arms
                }
            except RagftError as error:
                notes.append(f"{share:.0%} of the labels could not be trained on: {error}.".replace("%", " %", 1))
                continue
            levels.append(_Level(share, {arm: self._labels(kit, arm, share) for arm in self._arms(kit)}, scores))
        return levels

    def _conditions(self, kit: Kit, share: float) -> list[Condition]:
        """Return the arms with a share of the labels: tuned ones trained anew, few-shot ones that draw from fewer."""
        bench, arms = kit.bench, self._arms(kit)
        examples, every = kit.examples(self.config), bench.splits.train
        tuned = tuple(arm for arm in arms if kit.config(arm).adapter is not None)
        shown = tuple(arm for arm in arms if arm not in tuned)
        label = f"{share:.0%} of the labels".replace("%", " %", 1)
        found = []
        if tuned:
            limits = {f"adapters.{kit.config(arm).adapter}.limit": self._labels(kit, arm, share) for arm in tuned}
            variant = bench.variant(with_values(bench.experiment, limits)).stressed(eval=examples)
            found.append(Condition(label, variant, tuned, retrained=share < 1))
        if shown:
            fewer = sample(every, max(FEWEST, round(share * len(every))), bench.experiment.seed)
            found.append(Condition(label, bench.stressed(eval=examples, train=fewer), shown))
        return found

    def _labels(self, kit: Kit, arm: str, share: float) -> int:
        """Return how many labelled examples an arm has at a share: those trained on, or those that shots come from."""
        name, train = kit.config(arm).adapter, len(kit.bench.splits.train)
        limit = None if name is None else kit.bench.experiment.adapters[name].limit
        return min(train, max(FEWEST, round(share * min(limit or train, train))))

    def _worth(self, kit: Kit, arm: str, levels: Sequence[_Level]) -> _Worth | None:
        """Return what more labels would bring, None where too few budgets were measured to say so."""
        if len(levels) < 3:
            return None
        settings, experiment = kit.bench.experiment.compare, kit.bench.experiment
        draws = draw_curves(
            {arm: [level.scores[arm] for level in levels]},
            clusters=clusters(kit.examples(self.config)),
            metric=kit.metric,
            resamples=min(2_000, settings.resamples),
            seed=experiment.seed,
        )
        if draws is None:
            return None
        xs = [level.labels[arm] for level in levels]
        means, drawn = draws.of(arm)
        fit = fit_saturating(xs, means[None])[0]
        interval = gain_interval(fit_saturating(xs, drawn), STEP, settings.confidence)
        price = settings.prices.label * STEP if settings.prices.label else None
        return _Worth(fit, fit.gain(STEP), interval, price)


_Means = Mapping[tuple[str, float], Estimate]


def _chart(
    kit: Kit, arms: Sequence[str], levels: Sequence[_Level], means: _Means, worth: Mapping[str, _Worth]
) -> Chart:
    curves = []
    for arm in arms:
        points = (point(level.labels[arm], str(level.labels[arm]), means[arm, level.share]) for level in levels)
        curves.append(Curve(arm, tuple(points)))
        if arm in worth:
            curves.append(Curve(f"{arm} (fitted)", _fitted(worth[arm].fit), kind="fit"))
    note = (
        "Each curve begins with the same arm without labels. Fitted by least squares: y = top - (top - base) "
        "exp(-labels / scale); its end, a hundred labels on, is an extrapolation."
    )
    return Chart(
        "labels", f"{kit.metric} by number of labels", "labelled examples", kit.metric, tuple(curves), note=note
    )


def _fitted(fit: Saturating) -> tuple[Point, ...]:
    end = fit.x_last + STEP
    places = [end * i / (DRAWN - 1) for i in range(DRAWN)]
    return tuple(Point(x, f"{x:.0f}", fit.at(x)) for x in places)


def _table(
    kit: Kit, arms: Sequence[str], levels: Sequence[_Level], means: _Means, worth: Mapping[str, _Worth]
) -> Table:
    prices = kit.bench.experiment.compare.prices
    columns = [Column("none" if not level.share else f"{level.share:.0%}".replace("%", " %")) for level in levels]
    columns += [Column("all labels", "count"), Column(f"next {STEP} labels", "signed")]
    columns += [Column(f"their price, {prices.currency}", "money")] if prices.label else []
    rows = []
    for arm in arms:
        cells = [cell(means[arm, level.share]) for level in levels]
        cells.append(Cell(levels[-1].labels[arm]))
        found = worth.get(arm)
        cells.append(Cell(None) if found is None else Cell(found.gain, found.interval))
        cells += [Cell(None if found is None else found.price)] if prices.label else []
        rows.append(Row(arm, tuple(cells)))
    note = "Subsets are nested. Few-shot arms draw their examples from as many labels as are trained on."
    return Table("budgets", f"{kit.metric} by share of the labels", "arm", tuple(columns), tuple(rows), note)


def _finding(kit: Kit, arm: str, levels: Sequence[_Level], means: _Means, worth: _Worth | None) -> str:
    first, last = levels[0], levels[-1]
    said = (
        f"{arm} goes from {kit.metric} {scored(means[arm, first.share].mean)} without labels "
        f"to {scored(means[arm, last.share].mean)} with {last.labels[arm]}"
    )
    if worth is None:
        return f"{said}."
    price = "" if worth.price is None else f", at {worth.price:g} {kit.bench.experiment.compare.prices.currency}"
    margin = kit.bench.experiment.compare.requirements.margin
    clear = "" if worth.interval.low > 0 or worth.interval.high < 0 else ", which may as well be nothing"
    clear = f", less than the margin of {margin:g} that matters" if abs(worth.gain) <= margin else clear
    straight = "" if worth.fit.bends else "; the curve has not begun to bend, so that is a straight line drawn on"
    gain = f"{worth.gain:+.3f}{within(worth.interval)}"
    return f"{said}; the next {STEP} labels would bring about {gain}{price}{clear}{straight}."


def _values(levels: Sequence[_Level], arm: str, means: _Means, worth: _Worth | None) -> dict[str, object]:
    return {
        "labels": [level.labels[arm] for level in levels],
        "means": [means[arm, level.share].mean for level in levels],
        "next_100_labels": None if worth is None else {"gain": worth.gain, "interval": worth.interval},
        "price_of_100_labels": None if worth is None else worth.price,
        "fit": None if worth is None else worth.fit,
    }
