"""What the probe `cost` reckons with: what each arm takes, what that costs, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragft import provenance
from ragft.arms.asking import Arm
from ragft.arms.measuring import built_for, payer_of, usage_facts
from ragft.arms.merged import Merger, Merging
from ragft.arms.models import LocalModel
from ragft.arms.planning import is_adapted
from ragft.config import CostProbe
from ragft.errors import RagftError
from ragft.evaluation.cost import DAYS_PER_MONTH, CostRow, Payer, Prices, in_machine_hours
from ragft.evaluation.volumes import Offer, cheapest, undominated
from ragft.probes.kit import Kit
from ragft.records import ContrastResult, Estimate, Example, Score


@dataclass(frozen=True, slots=True)
class Books:
    """What the arms that could be shipped take and cost.

    `offers` are those that have a price: every arm, and after it the same arm with its adapter merged. `contenders`
    are those without the merged ones that are not clearly faster; of these `kept` are the undominated ones, `left_out`
    the others by the offer that dominates them. `good` are the arms that are not worse
    than `best`. `unpriced` are arms of which no cost is known, with the reason. `in_hours`: nothing is priced, and the
    hours of the machine are what is paid with.
    """

    prices: Prices
    in_hours: bool
    offers: tuple[Offer, ...]
    contenders: tuple[Offer, ...]
    kept: tuple[Offer, ...]
    left_out: Mapping[str, str]
    good: frozenset[str]
    best: str
    means: Mapping[str, Estimate]
    facts: Mapping[str, Mapping[str, Any]]
    mergings: Mapping[str, Merging]
    unpriced: Mapping[str, str]
    refreshes: float
    examples: tuple[Example, ...]
    scores: Mapping[str, Sequence[Score]]

    @property
    def queries(self) -> float:
        """The experiment's own volume, in queries a month."""
        return self.prices.queries_per_day * DAYS_PER_MONTH

    def own_row(self, offer: Offer) -> CostRow:
        """Return what an offer costs at the experiment's own volume and cadence."""
        return offer.row(self.prices, self.queries, self.refreshes)

    def cheapest(self, queries: float, refreshes: float, *, good: bool = False) -> tuple[Offer, CostRow] | None:
        """Return the cheapest contender with what it costs, or with `good` that of the arms not worse than the best.

        Of those, where facts change, one that can follow them; None where there is none.
        """
        offers = [offer for offer in self.contenders if not good or offer.arm in self.good]
        if good and refreshes:
            offers = [offer for offer in offers if offer.follows]
        return cheapest(offers, self.prices, queries, refreshes) if offers else None


def books_of(kit: Kit, config: CostProbe, names: Sequence[str]) -> Books:
    """Return the books of these arms; times the questions with merged adapters where that was not done yet.

    Raises RagftError where no arm has a price.
    """
    # Fewer examples would save no time here, so the limit of the command does not count.
    examples = kit.capped(None).examples(config)
    scores = {name: kit.scores(kit.asked[name].only(examples), name) for name in names}
    means = kit.estimates(scores, examples)
    arms = {name: kit.round.asking.arm(name) for name in names}
    facts = {name: _facts(kit, arm, examples) for name, arm in arms.items()}
    mergings = {name: merging for name, arm in arms.items() if (merging := _merging(kit, config, arm)) is not None}
    payers = {name: payer_of(arm, facts[name]) for name, arm in arms.items()}
    prices = Prices(**kit.bench.experiment.compare.prices.model_dump())
    every = [offer for name in names for offer in _offers(name, payers[name], means[name].mean, mergings.get(name))]
    in_hours = not any(offer.is_priced(prices) for offer in every)
    prices = in_machine_hours(prices) if in_hours else prices
    offers = [offer for offer in every if offer.is_priced(prices)]
    if not offers:
        raise RagftError(
            "no arm has a price: their models are behind a server, and no token of theirs has a price",
            "add prices under models.NAME, or million_prompt_tokens and million_output_tokens under compare.prices",
        )
    contenders = [offer for offer in offers if offer.name == offer.arm or mergings[offer.arm].is_faster]
    kept, left_out = undominated(contenders, prices)
    best, good = _good(kit, scores, means, examples)
    days = kit.bench.experiment.compare.requirements.facts_change_days
    return Books(
        prices=prices,
        in_hours=in_hours,
        offers=tuple(offers),
        contenders=tuple(contenders),
        kept=tuple(kept),
        left_out=left_out,
        good=good,
        best=best,
        means=means,
        facts=facts,
        mergings=mergings,
        unpriced={n: _why(payers[n]) for n in names if all(offer.arm != n for offer in offers)},
        refreshes=DAYS_PER_MONTH / days if days else 0.0,
        examples=examples,
        scores=scores,
    )


def _facts(kit: Kit, arm: Arm, examples: Sequence[Example]) -> dict[str, Any]:
    asked = kit.asked[arm.name].only(examples)
    facts = usage_facts(kit.bench, arm, asked, built_for(arm, kit.round.adapters, kit.index))
    return {**facts, "n": sum(answer.error is None for answer in asked.answers)}


def can_merge(kit: Kit, arm: Arm) -> bool:
    """Return whether an arm has an adapter that stands beside the weights of its model in this process."""
    return is_adapted(kit.bench, arm.adapter) and isinstance(kit.bench.model(arm.model), LocalModel)


def _merging(kit: Kit, config: CostProbe, arm: Arm) -> Merging | None:
    """Return what merging the adapter of an arm saves, None where there is nothing to merge."""
    if arm.adapter is None or not can_merge(kit, arm):
        return None
    merger = Merger(kit.bench, kit.round.asking)
    chosen = {example.id for example in merger.chosen(kit.bench.splits.eval, config.questions)}
    questions = [question for question in kit.asked[arm.name].questions if question.example.id in chosen]
    return merger.measure(arm, kit.round.adapters.folder(arm.adapter, arm.seed), questions)


def _offers(name: str, payer: Payer, mean: float | None, merging: Merging | None) -> list[Offer]:
    """Return an arm as it was measured, and with its adapter merged.

    Merged it takes the seconds of its batched answers over the ratio that single questions have.
    """
    offers = [Offer(name, name, payer, mean)]
    seconds = payer.usage.seconds_per_question
    if merging is not None and seconds is not None:
        usage = replace(payer.usage, seconds_per_question=seconds / merging.ratio)
        offers.append(Offer(f"{name} (merged)", name, replace(payer, usage=usage), mean))
    return offers


def _good(
    kit: Kit, scores: Mapping[str, Sequence[Score]], means: Mapping[str, Estimate], examples: Sequence[Example]
) -> tuple[str, frozenset[str]]:
    """Return (the best arm, the arms that are not worse than it): as the verdict tells them apart.

    An arm is worse if the interval of the paired difference lies above 0 and not below the margin.
    """
    known = {name: mean.mean for name, mean in means.items() if mean.mean is not None}
    if not known:
        raise RagftError("no answer could be scored, so no arm can be said to be worth its cost")
    best = max(known, key=lambda name: known[name])
    others = [name for name in known if name != best]
    margin = kit.bench.experiment.compare.requirements.margin
    contrasts = kit.contrasts(scores, examples, [(best, name) for name in others])
    worse = {one.second for one in contrasts if _is_worse(one, margin)}
    return best, frozenset({best, *(one.second for one in contrasts if one.second not in worse)})


def _is_worse(contrast: ContrastResult, margin: float) -> bool:
    interval = contrast.interval
    return interval is not None and interval.low > 0 and interval.high > margin


def _why(payer: Payer) -> str:
    if not payer.in_process and payer.token_prices is None:
        return "its model is behind a server, and its tokens have no price (models.NAME.prices)"
    return "something of it that has a price was not measured"


def measured_on(kit: Kit, books: Books, questions: int) -> str:
    """Return the machine, precision and batch that the numbers were measured on, and how many answers."""
    machine, settings = provenance.hardware(), kit.bench.experiment.generation
    model = kit.bench.model(None)
    precision = model.weights_identity["dtype"].removeprefix("torch.") if isinstance(model, LocalModel) else None
    parts = [
        f"{machine['processor']}, {machine['cores']} cores",
        *([precision] if precision else []),
        f"answers to {len(books.examples)} questions an arm, {settings.batch_size} at a time",
    ]
    if books.mergings:
        parts.append(f"merged adapters: {questions} questions, one at a time")
    return "; ".join(parts)
