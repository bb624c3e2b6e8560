"""Which plots of quality against effort a run can show: latency, and cost and memory where they were measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from ragft.report.arm_rows import arm_kind
from ragft.report.arm_tables import currency
from ragft.report.contents import ArmFacts, ReportData
from ragft.report.tradeoff import Effort, Point, pareto_front, tradeoff_plot

SIZES = (("wide", 520.0, 400.0), ("narrow", 345.0, 340.0))
"""Size in pixels of each plot on a wide page and on a phone: text keeps its size on both."""


@dataclass(frozen=True, slots=True)
class TradeoffChoice:
    """One plot: its effort, the drawing by size, the arms on the front, and those that could not be drawn."""

    effort: Effort
    plots: tuple[tuple[str, Markup], ...]
    front: tuple[str, ...]
    missing: tuple[str, ...]


def tradeoff_choices(data: ReportData) -> list[TradeoffChoice]:
    """Return the plots that have at least one point, latency first."""
    efforts: list[tuple[Effort, Callable[[ArmFacts], float | None]]] = [
        (Effort("latency", "latency", "latency p50 in seconds"), lambda arm: arm.latency_s_p50),
        (Effort("cost", "cost", f"{currency(data)} per 1,000 queries".strip()), _cost),
        (Effort("memory", "memory", "memory in GB"), lambda arm: arm.memory_gb),
    ]
    made = (_choice(data, effort, value) for effort, value in efforts)
    return [choice for choice in made if choice.plots]


def _cost(arm: ArmFacts) -> float | None:
    return None if arm.cost is None else arm.cost.per_1000


def _choice(data: ReportData, effort: Effort, takes: Callable[[ArmFacts], float | None]) -> TradeoffChoice:
    points, missing = [], []
    for arm in data.arms:
        mean, taken = data.value(arm.name, data.primary_metric), takes(arm)
        if taken is None or mean is None or mean.value is None:
            missing.append(arm.name)
        else:
            points.append(Point(arm.name, taken, mean.value, mean.interval, arm_kind(data, arm)))
    plots = tuple(
        (size, tradeoff_plot(points, data.primary_metric, effort, width=width, height=height))
        for size, width, height in SIZES
        if points
    )
    return TradeoffChoice(effort, plots, tuple(point.name for point in pareto_front(points)), tuple(missing))
