"""Which system is the cheapest when, by hand: volumes, cadences, and where two of them cross."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragft.evaluation.cost import (
    DAYS_PER_MONTH,
    Payer,
    Prices,
    Usage,
    cost_row,
    days_between,
    in_machine_hours,
    monthly,
    per_correct_interval,
)
from ragft.evaluation.volumes import Offer, break_even_a_month, cheapest, pairs, undominated
from ragft.records import Interval

YEAR = Prices("EUR", machine_hour=2.0, label=0.5, queries_per_day=100.0, horizon_days=365.0)
# Half an hour for a thousand questions, two hours of training, 100 labels: 1 EUR running, 54 EUR built.
TUNED = Offer(
    "tuned", "tuned", Payer(Usage(1.8, 50.0, 5.0, 100, 7200.0, 0.0, has_adapter=True, has_retrieval=False)), 0.6
)
# An hour and a half for a thousand, of which half an hour is retrieval; half an hour of indexing: 3 EUR and 1 EUR.
RAG = Offer(
    "rag",
    "rag",
    Payer(Usage(3.6, 500.0, 5.0, 0, 0.0, 1800.0, has_adapter=False, has_retrieval=True, retrieval_seconds=1.8)),
    0.7,
)
BASE = Offer("base", "base", Payer(Usage(1.8, 40.0, 5.0, 0, 0.0, 0.0, has_adapter=False, has_retrieval=False)), 0.1)


def test_retrieval_takes_its_seconds_too() -> None:
    row = RAG.row(YEAR, 1000, 0)
    assert row.running_per_1000 == pytest.approx(2.0 * (3600 + 1800) / 3600)


def test_a_month_is_a_twelfth_of_a_year() -> None:
    assert monthly(YEAR, 1200.0).queries_per_day * 365 == pytest.approx(12 * 1200)
    assert days_between(0.0) is None
    assert days_between(4.0) == pytest.approx(365 / 12 / 4)
    assert pytest.approx(30.4166667) == DAYS_PER_MONTH


def test_break_even_in_queries_a_month() -> None:
    # (54 - 1) / (0.003 - 0.001) a query = 26,500 in a year, a twelfth of which a month.
    assert break_even_a_month(TUNED, RAG, YEAR, 0) == pytest.approx(26_500 / 12)
    # Four changes a month are 48 trainings of 4 EUR less 48 indexings of 1 EUR: 144 EUR more.
    assert break_even_a_month(TUNED, RAG, YEAR, 4) == pytest.approx((53 + 144) / 0.002 / 12)


def test_at_the_break_even_the_cheapest_one_changes() -> None:
    at = break_even_a_month(TUNED, RAG, YEAR, 1)
    assert at is not None
    assert cheapest([TUNED, RAG], YEAR, at * 0.99, 1)[0] is RAG
    assert cheapest([TUNED, RAG], YEAR, at * 1.01, 1)[0] is TUNED


def test_who_runs_no_dearer_and_builds_cheaper_is_cheaper_from_the_first_query() -> None:
    assert break_even_a_month(BASE, RAG, YEAR, 0) == 0.0
    assert break_even_a_month(BASE, TUNED, YEAR, 0) == 0.0  # equally dear to run, and nothing to build
    assert break_even_a_month(TUNED, BASE, YEAR, 0) is None


def test_pairs_begin_with_who_is_cheaper_to_run() -> None:
    named = [(first.name, second.name) for first, second in pairs([RAG, TUNED, BASE], YEAR)]
    assert named == [("base", "tuned"), ("base", "rag"), ("tuned", "rag")]


def test_what_nobody_would_choose_is_left_out_with_the_reason() -> None:
    worse = replace(RAG, name="worse", mean=0.65)
    worst = replace(worse, name="worst", mean=0.6)
    twin = replace(RAG, name="twin")
    kept, left_out = undominated([worst, worse, BASE, TUNED, RAG, twin], YEAR)
    # TUNED is cheaper to run than RAG and scores more than BASE; `worst` is named after what stays, not after `worse`.
    assert [offer.name for offer in kept] == ["base", "tuned", "rag"]
    assert left_out == {"worst": "rag", "worse": "rag", "twin": "rag"}
    # Paid by the token, TUNED (50 tokens, 50 EUR of labels) is dearer than one with its score, fewer tokens, no labels.
    tokens = Prices("EUR", label=0.5, million_prompt_tokens=1.0)
    assert undominated([TUNED, replace(BASE, mean=0.6)], tokens)[1] == {"tuned": "base"}


def test_an_arm_has_its_own_prices_and_only_our_hours_are_counted() -> None:
    hosted = Payer(RAG.payer.usage, in_process=False, token_prices=(10.0, 100.0))
    row = hosted.cost(YEAR, 0.7)
    assert row is not None
    # 500 x 10 + 5 x 100 a million are 5.50 a thousand; of our machine only the half hour of retrieval, 1 EUR.
    assert row.running_per_1000 == pytest.approx(6.5)
    assert Payer(RAG.payer.usage, in_process=False).cost(YEAR, 0.7) is None
    assert Payer(RAG.payer.usage).cost(YEAR, 0.7) == cost_row(RAG.payer.usage, YEAR, 0.7)


def test_hours_are_what_is_paid_with_where_nothing_is_priced() -> None:
    unpriced = Prices(label=3.0, queries_per_day=10.0, horizon_days=100.0)
    prices = in_machine_hours(unpriced)
    assert (prices.currency, prices.queries) == ("machine-hours", unpriced.queries)
    row = TUNED.row(prices, 1000, 0)
    assert (row.running_per_1000, row.one_off) == pytest.approx((0.5, 2.0))  # a label is no hour


def test_the_interval_of_a_correct_answer() -> None:
    row = RAG.row(YEAR, 1000, 0)
    found = per_correct_interval(row, Interval(0.5, 0.8, 0.95, "m"))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((row.per_1000 / 800, row.per_1000 / 500))
    assert per_correct_interval(row, Interval(0.0, 0.8, 0.95, "m")) is None
    assert per_correct_interval(row, None) is None


def test_what_has_no_price_is_an_error_of_the_caller() -> None:
    assert not TUNED.is_priced(Prices())
    with pytest.raises(ValueError, match="tuned has no price"):
        TUNED.row(Prices(), 1, 0)
