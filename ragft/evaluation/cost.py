"""What an arm costs: to build, to keep up to date, and to run. Numbers in, numbers out.

Sees measured seconds, tokens and labels, and prices; must not know which arm is which or which one is wanted. All
money is in the currency of the prices, and all of it is counted over their horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ragft.records import Interval

SECONDS_PER_HOUR = 3600.0

DAYS_PER_MONTH = 365 / 12


@dataclass(frozen=True, slots=True)
class Prices:
    """What things cost the user; None for what costs nothing that is to be counted."""

    currency: str = "USD"
    machine_hour: float | None = None
    """An hour of the machine that trains, indexes and answers."""
    label: float = 0.0
    """One labelled example."""
    million_prompt_tokens: float | None = None
    million_output_tokens: float | None = None
    queries_per_day: float = 1000.0
    horizon_days: float = 365.0
    """Days over which what is paid once is spread."""

    @property
    def priced(self) -> bool:
        """Return whether answering has a price.

        A price of a label alone does not count: it would rank arms by what is paid once and call running them free.
        """
        running = (self.machine_hour, self.million_prompt_tokens, self.million_output_tokens)
        return any(price is not None for price in running)

    @property
    def queries(self) -> float:
        """Return how many queries the horizon holds."""
        return self.queries_per_day * self.horizon_days


@dataclass(frozen=True, slots=True)
class Usage:
    """What one arm takes: None where it was not measured, 0 where there is nothing to take."""

    seconds_per_question: float | None
    """Wall time of one answer at full load (batched), in seconds, without finding its passages."""
    prompt_tokens_mean: float | None
    output_tokens_mean: float | None
    labels: int
    """Labelled examples that were used: training, dev and those shown in the prompt."""
    training_seconds: float | None
    index_seconds: float | None
    has_adapter: bool
    has_retrieval: bool
    retrieval_seconds: float = 0.0
    """Wall time of finding the passages of one question, in seconds."""


@dataclass(frozen=True, slots=True)
class CostRow:
    """What one arm costs.

    `one_off` is paid before the first query, `refresh_each` at each of the `refreshes_per_horizon` changes of the
    facts. `per_1000` is `running_per_1000` with both spread over the queries of the horizon. `per_correct` is the cost
    of one query over the mean of the primary metric, None where that is 0: for a graded metric, the cost of one full
    point.
    """

    currency: str
    running_per_1000: float
    one_off: float
    refreshes_per_horizon: float
    refresh_each: float
    per_1000: float
    per_correct: float | None

    @property
    def fixed(self) -> float:
        """Return what is paid over the horizon whether anybody asks or not."""
        return self.one_off + self.refreshes_per_horizon * self.refresh_each


def cost_row(
    usage: Usage, prices: Prices, mean: float | None, facts_change_days: float | None = None
) -> CostRow | None:
    """Return what the arm costs; None where nothing is priced, or where something priced was not measured.

    running = 1000 (seconds, retrieval included, / 3600 x machine hour + prompt tokens x price + output tokens x price);
    one-off = labels x price + (training + index seconds) / 3600 x machine hour; per 1000 = running + (one-off +
    refreshes) / thousands of queries in the horizon. Facts that change every d days make horizon / d refreshes (not
    rounded: an expected number). An arm that retrieves indexes again, at the price of the whole index: an upper bound,
    since only what changed need be embedded. One with an adapter and no retrieval trains again, without new labels: a
    lower bound. Any other does nothing, for it has no way to follow. `mean` is the arm's mean on the primary metric.
    """
    if not prices.priced or not _is_measured(usage, prices):
        return None
    hour = prices.machine_hour or 0.0
    training = (usage.training_seconds or 0.0) * hour / SECONDS_PER_HOUR if usage.has_adapter else 0.0
    index = (usage.index_seconds or 0.0) * hour / SECONDS_PER_HOUR if usage.has_retrieval else 0.0
    running = _running(usage, prices)
    one_off = usage.labels * prices.label + training + index
    follows = facts_change_days is not None and (usage.has_retrieval or usage.has_adapter)
    refreshes = prices.horizon_days / facts_change_days if follows and facts_change_days else 0.0
    refresh = (index if usage.has_retrieval else training) if follows else 0.0
    per_1000 = running + (one_off + refreshes * refresh) / (prices.queries / 1000)
    per_correct = per_1000 / 1000 / mean if mean else None
    return CostRow(prices.currency, running, one_off, refreshes, refresh, per_1000, per_correct)


def _is_measured(usage: Usage, prices: Prices) -> bool:
    """Return whether everything that has a price was measured."""
    needed: list[float | None] = []
    if prices.machine_hour is not None:
        needed.append(usage.seconds_per_question)
        needed += [usage.training_seconds] if usage.has_adapter else []
        needed += [usage.index_seconds] if usage.has_retrieval else []
    if prices.million_prompt_tokens is not None:
        needed.append(usage.prompt_tokens_mean)
    if prices.million_output_tokens is not None:
        needed.append(usage.output_tokens_mean)
    return None not in needed


def _running(usage: Usage, prices: Prices) -> float:
    """Return the price of a thousand queries, with nothing for building or refreshing."""
    seconds = (usage.seconds_per_question or 0.0) + usage.retrieval_seconds
    machine = seconds / SECONDS_PER_HOUR * (prices.machine_hour or 0.0)
    prompt = (usage.prompt_tokens_mean or 0.0) / 1e6 * (prices.million_prompt_tokens or 0.0)
    output = (usage.output_tokens_mean or 0.0) / 1e6 * (prices.million_output_tokens or 0.0)
    return 1000 * (machine + prompt + output)


def break_even(tuned: CostRow, retrieving: CostRow) -> float | None:
    """Return from how many queries over the horizon `tuned` is the cheaper of the two; 0 if from the first.

    N* = (F_tuned - F_retrieving) / (c_retrieving - c_tuned), F being what is paid whether anybody asks or not
    (refreshes included) and c the running cost of one query. None, for infinite, where c_retrieving <= c_tuned: no
    volume then pays back, though `tuned` may still be cheaper for a few queries if its F is the lower one.
    """
    saved = (retrieving.running_per_1000 - tuned.running_per_1000) / 1000
    if saved <= 0:
        return None
    queries = (tuned.fixed - retrieving.fixed) / saved
    return max(0.0, queries) if math.isfinite(queries) else None


@dataclass(frozen=True, slots=True)
class Payer:
    """What one arm takes, where its model runs, and what its tokens cost.

    `in_process` says whether its model runs here: the hours of another machine are not ours to count. `token_prices`
    are what a million of its prompt tokens and of its output tokens cost, None for the prices of all arms.
    """

    usage: Usage
    in_process: bool = True
    token_prices: tuple[float, float] | None = None

    def cost(self, prices: Prices, mean: float | None, facts_change_days: float | None = None) -> CostRow | None:
        """Return what the arm costs, by its own prices where it has some.

        None as `cost_row` has it, and for a model elsewhere of which no token has a price.
        """
        usage = self.usage
        if self.token_prices is not None:
            prompt, output = self.token_prices
            prices = replace(prices, million_prompt_tokens=prompt, million_output_tokens=output)
        if not self.in_process:
            if prices.million_prompt_tokens is None and prices.million_output_tokens is None:
                return None
            usage = replace(usage, seconds_per_question=0.0)
        return cost_row(usage, prices, mean, facts_change_days)


def monthly(prices: Prices, queries: float) -> Prices:
    """Return the prices with so many queries a month, a month being 365 / 12 days."""
    return replace(prices, queries_per_day=queries / DAYS_PER_MONTH)


def days_between(refreshes_per_month: float) -> float | None:
    """Return after how many days facts change that change so often a month, None for never."""
    return DAYS_PER_MONTH / refreshes_per_month if refreshes_per_month else None


def in_machine_hours(prices: Prices) -> Prices:
    """Return prices by which the hours of the machine are what is paid with: for arms of which nothing is priced."""
    return Prices("machine-hours", 1.0, queries_per_day=prices.queries_per_day, horizon_days=prices.horizon_days)


def per_correct_interval(row: CostRow, mean: Interval | None) -> Interval | None:
    """Return the interval of the cost of a correct answer from that of the mean; None where that reaches down to 0."""
    if mean is None or mean.low <= 0:
        return None
    each = row.per_1000 / 1000
    return Interval(each / mean.high, each / mean.low, mean.level, mean.method)
