"""The tables and curves of the probe `cost`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ragft.arms.merged import Merging
from ragft.evaluation.cost import per_correct_interval
from ragft.evaluation.probing import Cell, Chart, Column, Curve, Form, Point, Row, Table, difference_cell
from ragft.evaluation.volumes import Offer, break_even_a_month, pairs
from ragft.probes.cost_wording import amount, cadence, count
from ragft.probes.costing import Books
from ragft.probes.kit import Kit
from ragft.probes.wording import listed

PER_DECADE = 8
"""Points of a curve between a volume and its tenfold."""


def costs_table(books: Books) -> Table:
    """Return what every offer costs at the experiment's own volume and cadence."""
    form: Form = "number" if books.in_hours else "money"
    columns = (
        Column("running, per 1000", form),
        Column("built once", form),
        Column("each refresh", form),
        Column("in all, per 1000", form),
        Column("per correct answer", form),
        Column("prompt tokens", "number"),
        Column("output tokens", "number"),
        Column("seconds per 1000", "seconds"),
        Column("memory, GB", "number"),
        Column("answers measured", "text"),
    )
    rows = tuple(Row(offer.name, _cost_cells(books, offer)) for offer in books.offers)
    title = f"Cost in {books.prices.currency}, at {count(books.queries)} queries a month, {cadence(books.refreshes)}"
    note = (
        f"Built once (labels, training, indexing) is spread over {books.prices.horizon_days:g} days. A correct answer "
        "is the cost of one query over the mean score. A merged arm has the seconds of its batched answers over the "
        "ratio that single questions have, which are counted behind them, and the score of the arm."
    )
    return Table("costs", title, "arm", columns, rows, note)


def _cost_cells(books: Books, offer: Offer) -> tuple[Cell, ...]:
    row, facts, usage = books.own_row(offer), books.facts[offer.arm], offer.payer.usage
    mean, n = books.means[offer.arm], facts["n"]
    seconds = usage.seconds_per_question
    merging = books.mergings.get(offer.arm) if offer.name != offer.arm else None
    memory = facts["memory_gb"] if merging is None else merging.merged_bytes / 1e9
    told = f"{n}" if merging is None else f"{n}; {len(merging.merged)} merged"
    return (
        Cell(row.running_per_1000, n=n),
        Cell(row.one_off),
        Cell(offer.row(books.prices, books.queries, 1).refresh_each),
        Cell(row.per_1000, n=n),
        Cell(row.per_correct, per_correct_interval(row, mean.interval), mean.n),
        Cell(usage.prompt_tokens_mean, n=n),
        Cell(usage.output_tokens_mean, n=n),
        Cell(None if seconds is None else 1000 * (seconds + usage.retrieval_seconds), n=n),
        Cell(memory),
        Cell(told),
    )


def merged_table(books: Books) -> Table:
    """Return what merging saves each arm that has an adapter."""
    columns = (
        Column("seconds, beside", "number"),
        Column("seconds, merged", "number"),
        Column("times as fast", "number"),
        Column("tokens/s, beside", "number"),
        Column("tokens/s, merged", "number"),
        Column("GB, beside", "number"),
        Column("GB, merged", "number"),
        Column("answered alike", "share"),
    )
    rows = tuple(Row(name, _merged_cells(one)) for name, one in books.mergings.items())
    note = (
        "The same questions, one at a time, with the adapter beside the base weights and merged into them (median "
        "seconds; retrieval is not in them). Merged, the base weights serve one arm only."
    )
    return Table("merged", "Adapters beside the base and merged into it", "arm", columns, rows, note)


def _merged_cells(one: Merging) -> tuple[Cell, ...]:
    n = len(one.beside)
    ways = (one.beside, one.merged)
    return (
        *(Cell(float(np.median([item.seconds for item in way])), n=n) for way in ways),
        Cell(one.ratio, n=len(one.ratios)),
        *(Cell(sum(item.output_tokens for item in way) / sum(item.seconds for item in way), n=n) for way in ways),
        *(Cell(value / 1e9) for value in (one.beside_bytes, one.merged_bytes)),
        Cell(one.same / n, n=n),
    )


def break_even_table(kit: Kit, books: Books, cadences: Sequence[float]) -> Table:
    """Return from which volume the first of each pair is the cheaper, at every cadence."""
    rows = []
    for first, second in pairs(books.kept, books.prices):
        found = [break_even_a_month(first, second, books.prices, refreshes) for refreshes in cadences]
        names = [(first.arm, second.arm)]
        differs = kit.contrasts(books.scores, books.examples, names) if first.arm != second.arm else []
        cells = (*(Cell(_from(queries)) for queries in found), difference_cell(differs))
        rows.append(Row(f"{first.name} instead of {second.name}", cells))
    columns = (
        *(Column(cadence(refreshes), "count") for refreshes in cadences),
        Column("score, first less second", "signed"),
    )
    note = (
        "Queries a month from which the first is the cheaper one; the first is the one that is cheaper to run. They "
        "are reckoned from means: seconds that are a little other move them much where two run alike. "
        f"{_left_out(books)}"
    )
    return Table("break_even", "Break-even in queries a month", "pair", columns, tuple(rows), note.strip())


def _from(queries: float | None) -> float | str:
    if queries is None:
        return "never"
    return float(math.ceil(queries)) if queries > 0 else "from the first query"


def _left_out(books: Books) -> str:
    if not books.left_out:
        return ""
    parts = [f"{name} ({by})" for name, by in books.left_out.items()]
    return f"Left out is what costs no less to run, build and refresh than another and scores no more: {listed(parts)}."


def cheapest_table(books: Books, volumes: Sequence[float], cadences: Sequence[float], *, good: bool) -> Table:
    """Return the cheapest contender by volume and cadence, of all or of those that are not worse than the best."""
    rows = [
        Row(count(queries), tuple(_choice(books, queries, refreshes, good=good) for refreshes in cadences))
        for queries in volumes
    ]
    columns = tuple(Column(cadence(refreshes), "text") for refreshes in cadences)
    title, key, which = "The cheapest of all arms", "cheapest", ""
    if good:
        title = f"The cheapest of the arms that are not worse than the best ({listed(sorted(books.good))})"
        key, which = "cheapest_good", " Where facts change, an arm that cannot follow them is passed over."
    note = f"In brackets: {books.prices.currency} per thousand queries, building and refreshing included.{which}"
    return Table(key, title, "queries a month", columns, tuple(rows), note)


def _choice(books: Books, queries: float, refreshes: float, *, good: bool) -> Cell:
    found = books.cheapest(queries, refreshes, good=good)
    return Cell("none" if found is None else f"{found[0].name} ({amount(found[1].per_1000)})")


def drawn_at(books: Books, cadences: Sequence[float]) -> list[float]:
    """Return the cadences that are drawn: the lowest, and the experiment's own or else the highest."""
    other = books.refreshes if books.refreshes != cadences[0] else cadences[-1]
    return list(dict.fromkeys((cadences[0], other)))


def chart_at(books: Books, volumes: Sequence[float], refreshes: float) -> Chart:
    """Return the cost of a thousand queries against the volume."""
    decades = math.log10(volumes[-1] / volumes[0])
    between = np.geomspace(volumes[0], volumes[-1], max(2, round(PER_DECADE * decades) + 1))
    xs = sorted({*(float(x) for x in between), *volumes})
    curves = tuple(
        Curve(
            offer.name,
            tuple(
                Point(x, count(x), offer.row(books.prices, x, refreshes).per_1000, n=books.facts[offer.arm]["n"])
                for x in xs
            ),
        )
        for offer in books.kept
    )
    currency = books.prices.currency
    title = f"{currency} per thousand queries by volume, {cadence(refreshes)}"
    note = f"{_left_out(books)} Reckoned from means, so without intervals.".strip()
    form: Form = "number" if books.in_hours else "money"
    return Chart(f"volume_{refreshes:g}", title, "queries a month", currency, curves, note=note, log_x=True, form=form)
