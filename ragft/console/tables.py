"""Tables of results: arms, adapters, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ragft.console.numbers import number, with_interval


def arms_table(metrics: Mapping[str, Any], verdict: Any) -> Table:  # noqa: ANN401 - verdict.Verdict
    """Return the table of arms: the primary metric with its interval, the others, latency and tokens."""
    primary = metrics["primary_metric"]
    names = list(dict.fromkeys(row["metric"] for row in metrics["metrics"] if row["arm"] in metrics["arms"]))
    others = [name for name in names if name != primary]
    majority = metrics["task"]["majority_share"]
    caption = None if majority is None else f"always saying the commonest label would get {majority:.3f}"
    table = Table(header_style="bold", pad_edge=False, caption=caption, caption_justify="left")
    table.add_column("arm", no_wrap=True)
    table.add_column(f"{primary} [dim](interval)", justify="right", no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    for name in ("alone s", "prompt tokens", "cut off"):
        table.add_column(name, justify="right")
    apart = dict(verdict.not_comparable)
    cells = {(row["arm"], row["metric"]): row for row in metrics["metrics"]}
    for arm, facts in metrics["arms"].items():
        mark = " ← ship" if arm == verdict.arm else " (control)" if facts["control"] else ""
        mark += " (not comparable)" if arm in apart else ""
        table.add_row(
            f"{escape(arm)}{mark}",
            with_interval(cells[arm, primary]),
            *(number(cells[arm, name]["value"]) for name in others),
            number(facts["latency_s_p50"], 2),
            number(facts["prompt_tokens_mean"], 0),
            f"{facts['truncated_share']:.0%}",
            style="bold" if arm == verdict.arm else "dim" if facts["control"] or arm in apart else "",
        )
    return table


def estimates_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of metrics with their intervals and counts."""
    table = Table(header_style="bold", pad_edge=False)
    table.add_column("metric")
    table.add_column("mean (interval)", justify="right")
    table.add_column("n", justify="right")
    table.add_column("not scored", justify="right")
    for row in rows:
        table.add_row(row["metric"], with_interval(row), str(row["n"]), str(row["n_unscored"]))
    return table


def adapters_table(trained: Sequence[Any]) -> Table:
    """Return a table of adapters: recipe, examples, steps, losses, seconds, and whether each was reused."""
    table = Table(header_style="bold", pad_edge=False)
    for title in ("adapter", "recipe", "examples", "steps", "train loss", "dev loss", "seconds", "tokens/s", ""):
        table.add_column(title, justify="left" if title in ("adapter", "recipe", "") else "right")
    for item in trained:
        measured = item.record["training"]
        table.add_row(
            escape(item.name),
            item.record["recipe"],
            str(item.record["examples"]),
            str(measured["steps"]),
            number(measured["train_loss"]),
            number(measured["dev_loss"]),
            number(measured["seconds"], 1),
            number(measured["tokens_seen"] / max(measured["seconds"], 1e-9), 0),
            "trained" if item.trained else "reused",
        )
    return table
