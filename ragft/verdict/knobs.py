"""The numbers behind a verdict that can be turned: how far each goes, what it does to the case, and how it is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ragft.verdict.facts import Case
from ragft.verdict.rules import Decision, Judgement, judge

Direction = Literal["up", "down"]
Outcome = tuple[Decision, str | None]

GRID = 48
"""Values that are tried on each side of the current one."""

TEN_YEARS = 3650.0
ONE_HOUR = 1 / 24


def outcome_of(found: Judgement) -> Outcome:
    """Return what must stay the same for a verdict to be the same one."""
    return found.decision, found.arm


@dataclass(frozen=True, slots=True)
class Knob:
    """One number that can be turned from `start`, which means the same as `current`, to `low` or `high`."""

    subject: str
    current: float | None
    start: float
    low: float
    high: float
    turned: Callable[[float], Case]
    phrase: str
    """What is said of a value, with {} for it, such as "a margin of {}"."""
    geometric: bool = False

    def outcome(self, value: float) -> Outcome:
        """Return what the rules say at `value`."""
        return outcome_of(judge(self.turned(value)))

    def points(self, direction: Direction) -> list[float]:
        """Return the values to try on one side, the nearest first."""
        end = self.high if direction == "up" else self.low
        if not (end > self.start if direction == "up" else end < self.start):
            return []
        if self.geometric and self.start > 0 and end > 0:
            return [self.start * (end / self.start) ** (i / GRID) for i in range(1, GRID + 1)]
        return [self.start + (end - self.start) * i / GRID for i in range(1, GRID + 1)]


def knobs(case: Case) -> Iterator[Knob]:
    """Return every margin, requirement and price that applies to `case`."""
    yield _margin(case)
    yield _min_score(case)
    yield from _ceilings(case)
    yield from _prices(case)
    yield _cadence(case)


def _margin(case: Case) -> Knob:
    margin = case.requirements.margin
    ends = [abs(end) for c in case.comparison.contrasts if c.interval for end in (c.interval.low, c.interval.high)]
    high = 1.01 * max([*ends, margin])
    return Knob("margin", margin, margin, 0.0, high, _requiring(case, "margin"), "a margin of {}")


def _min_score(case: Case) -> Knob:
    current = case.requirements.min_score
    intervals = [i for arm in case.arms if (i := case.estimate(arm).interval)]
    low, high = min([0.0, *(i.low for i in intervals)]), 1.01 * max([0.0, *(i.high for i in intervals)])
    start = low if current is None else current
    return Knob(
        "min_score", current, start, low, max(high, start), _requiring(case, "min_score"), "a required score of {}"
    )


def _ceilings(case: Case) -> Iterator[Knob]:
    """Return the requirements that set a maximum; without one the greatest measured value is as good as none."""
    needs = case.requirements
    costs = [cost.per_1000 for arm in case.arms if (cost := case.cost(arm)) is not None]
    limits: tuple[tuple[str, float | None, Sequence[float | None], str], ...] = (
        ("max_latency_s", needs.max_latency_s, [f.latency_s for f in case.arms.values()], "a latency limit of {} s"),
        ("max_memory_gb", needs.max_memory_gb, [f.memory_gb for f in case.arms.values()], "a memory limit of {} GB"),
        (
            "max_cost_per_1000",
            needs.max_cost_per_1000,
            costs,
            f"a cost limit of {{}} {case.prices.currency} per 1000 queries",
        ),
    )
    for name, current, measured, phrase in limits:
        known = [value for value in measured if value is not None]
        if known:
            high = 1.01 * max([*known, current or 0.0])
            start = high if current is None else current
            yield Knob(name, current, start, 0.5 * min([*known, start]), high, _requiring(case, name), phrase)


def _prices(case: Case) -> Iterator[Knob]:
    """Return the prices that are set, a hundred times up and down; without any price arms are not ranked by cost."""
    prices = case.prices
    if not prices.priced:
        return
    unit = prices.currency
    named: tuple[tuple[str, float | None, str], ...] = (
        ("machine_hour", prices.machine_hour, f"a machine hour at {{}} {unit}"),
        ("label", prices.label, f"a label at {{}} {unit}"),
        ("million_prompt_tokens", prices.million_prompt_tokens, f"a million prompt tokens at {{}} {unit}"),
        ("million_output_tokens", prices.million_output_tokens, f"a million output tokens at {{}} {unit}"),
        ("queries_per_day", prices.queries_per_day, "{} queries a day"),
    )
    for name, current, phrase in named:
        if current is not None and (current > 0 or name == "label"):
            # A label that is free now may have a price that somebody must pay: from next to nothing to a thousand.
            start, high = (current, 100 * current) if current > 0 else (1e-3, 1e3)
            yield Knob(f"prices.{name}", current, start, start / 100, high, _priced(case, name), phrase, geometric=True)


def _cadence(case: Case) -> Knob:
    """Return the knob of facts_change_days; facts that never change are beyond the end of its scale."""
    current = case.requirements.facts_change_days
    turned = _requiring(case, "facts_change_days")
    start = math.inf if current is None else current
    high = TEN_YEARS if current is None else max(TEN_YEARS, current)
    return Knob("facts_change_days", current, start, min(ONE_HOUR, start), high, turned, "", geometric=True)


def _requiring(case: Case, name: str) -> Callable[[float], Case]:
    def turned(value: float) -> Case:
        change: dict[str, Any] = {name: value}
        return replace(case, requirements=replace(case.requirements, **change))

    return turned


def _priced(case: Case, name: str) -> Callable[[float], Case]:
    def turned(value: float) -> Case:
        change: dict[str, Any] = {name: value}
        return replace(case, prices=replace(case.prices, **change))

    return turned
