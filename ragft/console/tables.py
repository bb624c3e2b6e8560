"""The table of adapters: what training measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ragft.console.numbers import number


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
