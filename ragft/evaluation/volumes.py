"""Which of several systems is the cheapest by volume and by how often facts change, and where two of them cross.

Sees prices and what each system takes; must not know what a system is made of, nor which one is wanted. A month is
365 / 12 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragft.evaluation.cost import DAYS_PER_MONTH, CostRow, Payer, Prices, break_even, days_between, monthly


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to ship: what it takes, and its mean on the primary metric; `arm` is the arm whose answers it gives."""

    name: str
    arm: str
    payer: Payer
    mean: float | None

    def row(self, prices: Prices, queries: float, refreshes: float) -> CostRow:
        """Return what it costs with so many queries and so many changes of the facts a month.

        ValueError for one that these prices cannot price: those are sorted out before.
        """
        found = self.payer.cost(monthly(prices, queries), self.mean, days_between(refreshes))
        if found is None:
            raise ValueError(f"{self.name} has no price")
        return found

    @property
    def follows(self) -> bool:
        """Whether it can be brought up to date when facts change: there is an index or an adapter to renew."""
        return self.payer.usage.has_retrieval or self.payer.usage.has_adapter

    def is_priced(self, prices: Prices) -> bool:
        """Return whether these prices price it: something is priced, and all of that was measured."""
        return self.payer.cost(prices, self.mean) is not None


def undominated(offers: Sequence[Offer], prices: Prices) -> tuple[list[Offer], Mapping[str, str]]:
    """Return the offers that are the choice of somebody, and those that nobody would choose by the offer that is why.

    One is left out where another costs no more to run, to build and to refresh and scores no less, and is better in one
    of these; of two that are alike in all, the first stays. No volume and no cadence makes it the better choice.
    """
    left_out: dict[str, str] = {}
    for place, offer in enumerate(offers):
        mine = _burdens(offer, prices)
        for other_place, other in enumerate(offers):
            theirs = _burdens(other, prices)
            no_worse = all(b <= a for a, b in zip(mine, theirs, strict=True))
            if other is not offer and no_worse and (theirs != mine or other_place < place):
                left_out.setdefault(offer.name, other.name)
    kept = [offer for offer in offers if offer.name not in left_out]
    return kept, {name: _standing(left_out, by) for name, by in left_out.items()}


def _standing(left_out: Mapping[str, str], by: str) -> str:
    """Return the offer that is not left out itself at the end of a chain: being no worse is passed on."""
    while by in left_out:
        by = left_out[by]
    return by


def _burdens(offer: Offer, prices: Prices) -> tuple[float, float, float, float]:
    row = offer.row(prices, 1, 1)
    return row.running_per_1000, row.one_off, row.refresh_each, -(offer.mean if offer.mean is not None else -1.0)


def pairs(offers: Sequence[Offer], prices: Prices) -> list[tuple[Offer, Offer]]:
    """Return every pair of offers, in each the one first that is cheaper to run, and of equals that cheaper to build.

    So the first one can pay what it costs more to build with every query, and the second never can.
    """
    rows = {offer.name: offer.row(prices, 1, 0) for offer in offers}
    order = sorted(offers, key=lambda offer: (rows[offer.name].running_per_1000, rows[offer.name].one_off))
    return [(first, second) for place, first in enumerate(order) for second in order[place + 1 :]]


def break_even_a_month(first: Offer, second: Offer, prices: Prices, refreshes: float) -> float | None:
    """Return from how many queries a month `first` is the cheaper one: 0 from the first, None for never.

    What is paid once is spread over the horizon of the prices. Of two that are equally dear to run, the one that is
    cheaper to build and refresh is so at every volume.
    """
    one, other = first.row(prices, 1, refreshes), second.row(prices, 1, refreshes)
    if one.running_per_1000 == other.running_per_1000:
        return 0.0 if one.fixed <= other.fixed else None
    found = break_even(one, other)
    return None if found is None else found * DAYS_PER_MONTH / prices.horizon_days


def cheapest(offers: Sequence[Offer], prices: Prices, queries: float, refreshes: float) -> tuple[Offer, CostRow]:
    """Return the cheapest offer with what it costs; of equals, the first."""
    rows = [(offer, offer.row(prices, queries, refreshes)) for offer in offers]
    return min(rows, key=lambda pair: pair[1].per_1000)
