"""The user's requirements and limits in a few words each, as both reports list them."""

from __future__ import annotations

from ragft.report import formatting
from ragft.report.arm_tables import currency
from ragft.report.contents import ReportData


def requirement_words(data: ReportData) -> list[str]:
    """Return one short phrase for each requirement that was stated, the margin last."""
    asked = data.demands
    unit = currency(data) or dict(data.prices).get("currency", "")
    said = [
        _bound("score \u2265", asked.min_score, formatting.score),
        _bound("latency \u2264", asked.max_latency_s, formatting.seconds),
        _bound("memory \u2264", asked.max_memory_gb, formatting.gigabytes),
        _bound(f"{unit} per 1,000 queries \u2264".strip(), asked.max_cost_per_1000, formatting.amount),
        "cites its sources" if asked.citations else "",
        _bound("facts change every", asked.facts_change_days, lambda days: f"{days:g} days"),
        "data stay on the machine" if asked.local_only else "",
        _bound("labels \u2264", asked.labels, formatting.count),
        _bound("margin", asked.margin, formatting.score),
    ]
    return [phrase for phrase in said if phrase]


def _bound(words: str, value: float | None, written: formatting.Written) -> str:
    return "" if value is None else f"{words} {written(value)}"


_LIMITS = {"truncated_share": "cut off", "abstained_share": "declined, though answerable", "failed_share": "failed"}


def limit_words(data: ReportData) -> str:
    """Return the shares of answers above which an arm is not comparable, "" for a run that names none."""
    return ", ".join(f"{_LIMITS.get(name, name)} {value}" for name, value in data.limits)
