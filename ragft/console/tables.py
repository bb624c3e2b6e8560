"""Tables of results: arms and adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

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


def adapters_table(trained: Sequence[Any]) -> Group:
    """Return a table of adapters (method, steps, losses, speed, whether each was reused) and the signs of trouble."""
    table = Table(header_style="bold", pad_edge=False)
    texts = ("adapter", "recipe", "method", "")
    for title in ("adapter", "recipe", "method", "examples", "steps", "batch", *LOSSES, "seconds", "tokens/s", ""):
        table.add_column(title, justify="left" if title in texts else "right")
    for item in trained:
        measured = item.record["training"]
        table.add_row(
            escape(item.name),
            item.record["recipe"],
            measured.get("method", ""),
            str(item.record["examples"]),
            str(measured["steps"]),
            batch_text(measured),
            number(measured["train_loss"]),
            number(measured["dev_loss"]),
            number(measured["seconds"], 1),
            number(measured["tokens_seen"] / max(measured["seconds"], 1e-9), 0),
            "trained" if item.trained else "reused",
        )
    return Group(table, *(line for item in trained for line in signs(item.name, item.record["training"])))


LOSSES = ("train loss", "dev loss")


def batch_text(measured: Mapping[str, Any]) -> str:
    """Return how many examples one optimiser step read, and in how many processes where there were several."""
    batch, processes = measured.get("effective_batch"), measured.get("processes", 1)
    if not batch:
        return ""
    return f"{batch} in {processes} processes" if processes > 1 else str(batch)


def _speed(measured: Mapping[str, Any]) -> str:
    seconds, tokens = measured.get("seconds"), measured.get("tokens_seen")
    return number(tokens / seconds, 0) if tokens and seconds else ""


TRAINED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "method": lambda measured: str(measured.get("method", "")),
    "steps": lambda measured: str(measured.get("steps")),
    "batch": batch_text,
    "train loss": lambda measured: number(measured.get("train_loss")),
    "dev loss": lambda measured: number(measured.get("dev_loss")),
    "seconds": lambda measured: number(measured.get("seconds"), 1),
    "tokens/s": _speed,
}
"""The columns of what training measured."""


def signs(name: str, measured: Mapping[str, Any]) -> list[Text]:
    """Return a yellow line for each sign of trouble that the training of an adapter showed."""
    return [Text(f"{name}: {sign}", style="yellow") for sign in measured.get("signs", ())]
