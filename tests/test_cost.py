"""The cost model, by hand: what it takes to build, to refresh and to run, and from how many queries training pays."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from ragft.config.comparing import PricesConfig
from ragft.evaluation.cost import CostRow, Prices, Usage, break_even, cost_row

# One question takes 3.6 s, so a thousand take an hour; training takes two hours, indexing half an hour.
USAGE = Usage(3.6, 500.0, 20.0, 100, 7200.0, 1800.0, has_adapter=True, has_retrieval=True)
TUNED = replace(USAGE, has_retrieval=False, index_seconds=None)
RAG = replace(USAGE, has_adapter=False, training_seconds=None, labels=0)
BASE = replace(RAG, has_retrieval=False, index_seconds=None)
PRICES = Prices("EUR", machine_hour=2.0, label=0.5, queries_per_day=100.0, horizon_days=100.0)  # 10,000 queries


def row(usage: Usage, prices: Prices = PRICES, days: float | None = None, mean: float = 0.5) -> CostRow:
    found = cost_row(usage, prices, mean, days)
    assert found is not None
    return found


def test_a_machine_that_is_paid_by_the_hour() -> None:
    # Running: one hour for a thousand. One-off: 100 x 0.5 + (2 + 0.5) x 2 = 55, spread over ten thousands.
    expected = {
        "currency": "EUR",
        "running_per_1000": 2.0,
        "one_off": 55.0,
        "refreshes_per_horizon": 0.0,
        "refresh_each": 0.0,
        "per_1000": 7.5,
        "per_correct": 0.015,  # 0.0075 a query, and half of them are right
    }
    assert asdict(row(USAGE)) == pytest.approx(expected)


def test_a_model_that_is_paid_by_the_token() -> None:
    prices = Prices(million_prompt_tokens=3.0, million_output_tokens=10.0)
    # 1000 x (500 x 3 + 20 x 10) / 10^6; nothing is paid for hours, so training and indexing cost nothing.
    found = row(USAGE, prices)
    assert (found.running_per_1000, found.one_off) == pytest.approx((1.7, 0.0))


def test_tokens_and_hours_add_up() -> None:
    both = replace(PRICES, million_prompt_tokens=3.0, million_output_tokens=10.0)
    assert row(USAGE, both).running_per_1000 == pytest.approx(3.7)


@pytest.mark.parametrize(
    ("usage", "refreshes", "each"),
    [
        pytest.param(TUNED, 10.0, 4.0, id="an adapter alone is trained again: two hours"),
        pytest.param(RAG, 10.0, 1.0, id="retrieval indexes again: half an hour"),
        pytest.param(USAGE, 10.0, 1.0, id="both index again, for the facts are in the index and not in the weights"),
        pytest.param(BASE, 0.0, 0.0, id="a prompt alone cannot follow and pays nothing"),
    ],
)
def test_refreshes_when_facts_change_every_ten_of_a_hundred_days(usage: Usage, refreshes: float, each: float) -> None:
    still, found = row(usage), row(usage, days=10.0)
    assert (found.refreshes_per_horizon, found.refresh_each) == pytest.approx((refreshes, each))
    assert found.per_1000 - still.per_1000 == pytest.approx(refreshes * each / 10)
    assert found.one_off == still.one_off  # a refresh is not paid twice


def test_nothing_right_has_no_price() -> None:
    assert row(USAGE, mean=0.0).per_correct is None


@pytest.mark.parametrize(
    ("prices", "priced"),
    [
        (Prices(), False),
        (Prices(label=2.0), False),  # a label alone would call running free
        (Prices(machine_hour=0.0), True),
        (Prices(million_prompt_tokens=1.0), True),
        (Prices(million_output_tokens=1.0), True),
    ],
)
def test_what_counts_as_priced(prices: Prices, priced: bool) -> None:
    assert prices.priced is priced
    assert (cost_row(USAGE, prices, 0.5) is not None) is priced


@pytest.mark.parametrize(
    ("usage", "prices", "known"),
    [
        pytest.param(replace(USAGE, seconds_per_question=None), PRICES, False, id="hours cost and none were measured"),
        pytest.param(replace(USAGE, training_seconds=None), PRICES, False, id="training was not timed"),
        pytest.param(replace(USAGE, index_seconds=None), PRICES, False, id="indexing was not timed"),
        pytest.param(BASE, PRICES, True, id="a prompt alone has neither to time"),
        pytest.param(
            replace(USAGE, prompt_tokens_mean=None), Prices(million_prompt_tokens=1.0), False, id="prompts not counted"
        ),
        pytest.param(
            replace(USAGE, output_tokens_mean=None), Prices(million_output_tokens=1.0), False, id="outputs not counted"
        ),
        pytest.param(
            replace(USAGE, seconds_per_question=None), Prices(million_prompt_tokens=1.0), True, id="hours are free"
        ),
    ],
)
def test_what_was_not_measured_makes_the_cost_unknown_and_never_low(usage: Usage, prices: Prices, known: bool) -> None:
    assert (cost_row(usage, prices, 0.5) is not None) is known


def costs(running: float, one_off: float, refreshes: float = 0.0, each: float = 0.0) -> CostRow:
    return CostRow("EUR", running, one_off, refreshes, each, 0.0, None)


@pytest.mark.parametrize(
    ("tuned", "retrieving", "queries"),
    [
        # (50 - 10) / (0.003 - 0.001) a query
        pytest.param(costs(1.0, 50.0), costs(3.0, 10.0), 20_000.0, id="it pays after twenty thousand"),
        # (50 + 5 x 4 - 10 - 5 x 2) / 0.002
        pytest.param(costs(1.0, 50.0, 5, 4.0), costs(3.0, 10.0, 5, 2.0), 25_000.0, id="refreshes count on both sides"),
        pytest.param(costs(1.0, 10.0), costs(3.0, 50.0), 0.0, id="from the first query"),
        pytest.param(costs(3.0, 50.0), costs(3.0, 10.0), None, id="equal running costs never pay"),
        pytest.param(costs(4.0, 50.0), costs(3.0, 10.0), None, id="dearer to run never pays"),
    ],
)
def test_break_even(tuned: CostRow, retrieving: CostRow, queries: float | None) -> None:
    assert break_even(tuned, retrieving) == (None if queries is None else pytest.approx(queries))


def test_at_the_break_even_both_cost_the_same() -> None:
    queries = break_even(row(replace(TUNED, seconds_per_question=1.8)), row(RAG))
    assert queries is not None
    volume = replace(PRICES, queries_per_day=queries / PRICES.horizon_days)
    tuned, rag = row(replace(TUNED, seconds_per_question=1.8), volume), row(RAG, volume)
    assert tuned.per_1000 == pytest.approx(rag.per_1000)


def test_the_prices_of_the_experiment_file_are_these_prices() -> None:
    assert Prices(**PricesConfig().model_dump()) == Prices()
