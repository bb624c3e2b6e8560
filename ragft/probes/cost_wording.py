"""The sentences of the probe `cost`: what costs least when, what merging saves, and what the numbers rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ragft.arms.merged import Merging
from ragft.evaluation.volumes import break_even_a_month, pairs
from ragft.probes.costing import Books
from ragft.probes.kit import Kit
from ragft.probes.wording import listed, scored

MOST_PAIRS = 3
"""Pairs whose break-even stands in the findings; all of them stand in the table."""


def findings_of(books: Books, cadences: Sequence[float]) -> list[str]:
    """Return what costs least and where it pays back, in sentences."""
    found = [_cheapest_told(books)]
    least = books.cheapest(books.queries, books.refreshes)
    if least is not None and least[0].arm not in books.good:
        offer, row = least
        scores = f"scores {scored(offer.mean)} where {books.best} scores {scored(books.means[books.best].mean)}"
        price = f"{amount(row.per_1000)} {books.prices.currency} per thousand"
        found.append(f"{offer.name} is the cheapest of all ({price}), and {scores}.")
    found += _correct(books)
    found += _pay_backs(books, cadences)
    return found + [_merging_told(name, one) for name, one in books.mergings.items()]


def _cheapest_told(books: Books) -> str:
    at = f"At {count(books.queries)} queries a month"
    found = books.cheapest(books.queries, books.refreshes, good=True)
    if found is None:
        return f"{at} no arm that is as good as {books.best} has a price and can follow the facts."
    offer, row = found
    costs = f"{amount(row.per_1000)} {books.prices.currency} per thousand"
    return f"{at} {offer.name} is the cheapest of the arms that are not worse than the best: {costs}."


def _correct(books: Books) -> list[str]:
    """Return whose correct answer costs least."""
    rows = [(offer.name, cost) for offer in books.kept if (cost := books.own_row(offer).per_correct) is not None]
    if len(rows) < 2:
        return []
    (first, low), *_, (last, high) = sorted(rows, key=lambda pair: pair[1])
    least = f"{amount(1000 * low)} {books.prices.currency} a thousand"
    return [f"A correct answer costs least with {first}, {least}, and most with {last}, {amount(1000 * high)}."]


def _pay_backs(books: Books, cadences: Sequence[float]) -> list[str]:
    """Return where an arm that is as good as the best becomes cheaper than another: the next best thing to both."""
    order = pairs(books.kept, books.prices)
    among = [pair for pair in order if pair[0].arm in books.good and pair[1].arm in books.good]
    found = []
    for first, second in (among or [pair for pair in order if pair[0].arm in books.good])[:MOST_PAIRS]:
        ends = list(dict.fromkeys((cadences[0], cadences[-1])))
        places = [_place(break_even_a_month(first, second, books.prices, refreshes)) for refreshes in ends]
        told = [f"{place} {_when(refreshes)}" for place, refreshes in zip(places, ends, strict=True)]
        if len(set(places)) == 1:
            told = [f"{places[0]}, however often facts change"]
        found.append(f"{first.name} is cheaper than {second.name} {listed(told)}.")
    return found


def _place(queries: float | None) -> str:
    if queries is None:
        return "at no volume"
    return f"from {count(math.ceil(queries))} queries a month" if queries else "from the first query"


def _when(refreshes: float) -> str:
    return "when facts never change" if refreshes == 0 else f"with {cadence(refreshes)}"


def _merging_told(name: str, one: Merging) -> str:
    low, high = min(one.ratios), max(one.ratios)
    seen = f"({len(one.ratios)} questions alone: {low:.2f} to {high:.2f})"
    alike = "" if one.same == len(one.beside) else f"; {one.same} of {len(one.beside)} answers stayed the same"
    if not one.is_faster:
        return f"Merging its adapter makes no clear difference to {name}: {one.ratio:.2f} times as fast {seen}{alike}."
    return f"Merging its adapter makes {name} {one.ratio:.2f} times as fast {seen}{alike}."


def notes_of(kit: Kit, books: Books) -> list[str]:
    """Return what the numbers rest on."""
    prices, found = books.prices, []
    if books.in_hours:
        found.append(
            "Nothing is priced, so the hours of this machine are what is paid with. For money, add to the experiment "
            "file, with your own numbers: compare: {prices: {currency: EUR, machine_hour: 0.80, label: 0.50}}; for a "
            "model that is paid by the token: million_prompt_tokens and million_output_tokens."
        )
        if kit.bench.experiment.compare.prices.label:
            found.append("The price of a label is left out: it cannot be added to hours of a machine.")
    found += [f"No cost is known of {name}: {why}." for name, why in books.unpriced.items()]
    if any(one.fresh for one in books.mergings.values()):
        found.append("Merged adapters were timed now; the next run finds these times.")
    elif books.mergings:
        found.append("Merged adapters were measured earlier on this machine, with the same prompts.")
    found.append(
        "A month is 365 / 12 days. A refresh indexes everything again where an arm retrieves (an upper bound: only "
        "what changed need be embedded), trains again where it has an adapter alone (without new labels: a lower "
        "bound), and costs nothing where an arm cannot follow the facts at all."
    )
    if prices.machine_hour is not None:
        found.append("Seconds are those of answers in batches: of a machine that is busy throughout.")
        reused = [name for name in books.facts if kit.asked[name].reused]
        if reused:
            found.append(
                f"Answers of {listed(reused)} are those of an earlier command, with the seconds they took then."
            )
    return found


def cadence(refreshes: float) -> str:
    """Return how often facts change, as a phrase."""
    if refreshes == 0:
        return "facts never change"
    return f"{refreshes:.3g} change{'' if refreshes == 1 else 's'} a month"


def count(value: float) -> str:
    """Return a whole number with its thousands apart."""
    return f"{value:,.0f}"


def amount(value: float) -> str:
    """Return an amount with two decimals or three figures, whichever is more."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"
