"""The table of arms: as much as fits beside each other on a screen, and where the rest stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ragft.console.numbers import number, with_interval

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ragft.report.unaided_words import Standing

MOST_METRICS = 3
"""Metrics beside the primary one that the screen shows; reports and `ragft runs show` have all."""

UNBOUNDED = 10_000
"""A width at which nothing is folded, to measure what a table would need."""

FAITHFUL = "k_precision"
"""The one metric of passages that the screen shows, where arms read any."""


@dataclass(frozen=True, slots=True)
class ArmsTable:
    """The table of arms as wide as the screen allows: where it is narrow, fewer of the other metrics stand in it."""

    metrics: Mapping[str, Any]
    shipped: str | None
    not_comparable: Collection[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the widest table that fits, and the lines below it."""
        free = options.update(width=UNBOUNDED)

        def fits(table: Table) -> bool:
            return Measurement.get(console, free, table).minimum <= options.max_width

        shown = self._others()
        table = self._table(shown, " ")
        if not fits(table):
            table = self._table(shown, "\n")
        while shown and not fits(table):
            rest = [name for name in shown if name != FAITHFUL]
            shown = [*rest[:-1], *(name for name in shown if name == FAITHFUL)] if rest else []
            table = self._table(shown, "\n")
        yield table
        yield from unaided_lines(self.metrics)
        n_further = len(set(self._measured())) - 1 - len(shown)
        if n_further:
            those = f"{n_further} further metrics are" if n_further > 1 else "1 further metric is"
            yield Text(f"{those} in the report and in `ragft runs show`", style="dim")

    def _measured(self) -> list[str]:
        return [row["metric"] for row in self.metrics["metrics"] if row["arm"] in self.metrics["arms"]]

    def _others(self) -> list[str]:
        """Return the metrics beside the primary one that are worth a column, the most telling first."""
        from ragft.report.families import by_family

        families = [(family.key, name) for family, names in by_family(self._measured()) for name in names]
        others = [(key, name) for key, name in families if name != self.metrics["primary_metric"]]
        reads = any(facts["retrieval"] != "none" for facts in self.metrics["arms"].values())
        faithful = [name for _, name in others if name == FAITHFUL and reads]
        return [name for key, name in others if key != "passages"][:MOST_METRICS] + faithful

    def _table(self, shown: Sequence[str], space: str) -> Table:
        """Return the table with these metrics; `space` stands in the titles where they may be broken."""
        table = Table(box=SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
        errors = ["errors"] if _has_errors(self.metrics) else []
        primary = f"{self.metrics['primary_metric']} [dim](interval)"
        titles = [primary, *shown, *errors, "alone s", "prompt tokens", "cut off"]
        rows = {arm: list(self._row(arm, facts, shown)) for arm, facts in self.metrics["arms"].items()}
        table.add_column("arm", overflow="fold")
        for place, title in enumerate(titles, start=1):
            head = title.replace(" ", space)
            least = max(_width(head), *(_width(row[place]) for row in rows.values()))
            table.add_column(head, justify="right", no_wrap=True, min_width=least)
        for arm, row in rows.items():
            left_out = self.metrics["arms"][arm]["control"] or arm in self.not_comparable
            table.add_row(*row, style="bold" if arm == self.shipped else "dim" if left_out else "")
        return table

    def _row(self, arm: str, facts: Mapping[str, Any], shown: Sequence[str]) -> Iterator[str]:
        cells = {row["metric"]: row for row in self.metrics["metrics"] if row["arm"] == arm}
        yield _name(arm, facts, shipped=arm == self.shipped, apart=arm in self.not_comparable)
        yield _primary(cells[self.metrics["primary_metric"]], standings(self.metrics).get(arm))
        yield from (number(cells[name]["value"]) if name in cells else "" for name in shown)
        yield from _effort(self.metrics, facts)


def arms_table(metrics: Mapping[str, Any], verdict: Any) -> ArmsTable:  # noqa: ANN401 - verdict.Verdict
    """Return the table of arms (primary metric with interval, a few others, seconds, tokens), and lines below it.

    The lines say what an answer without a model scores, and how many further metrics there are.
    """
    return ArmsTable(metrics, verdict.arm, dict(verdict.not_comparable).keys())


def _width(markup: str) -> int:
    """Return how many columns of a terminal the widest line takes."""
    return max(Text.from_markup(line).cell_len for line in markup.split("\n"))


def _has_errors(metrics: Mapping[str, Any]) -> bool:
    return any(facts.get("errors") for facts in metrics["arms"].values())


def _effort(metrics: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    if _has_errors(metrics):
        yield str(sum((facts.get("errors") or {}).values()))
    yield number(facts["latency_s_p50"], 2)
    yield number(facts["prompt_tokens_mean"], 0)
    yield "n/a" if facts["truncated_share"] is None else f"{facts['truncated_share']:.0%}"


def _name(arm: str, facts: Mapping[str, Any], *, shipped: bool, apart: bool) -> str:
    made = f"{escape(arm)}{' ← ship' if shipped else ' (control)' if facts['control'] else ''}"
    return f"{made} (not comparable)" if apart else made


def _primary(row: Mapping[str, Any], one: Standing | None) -> str:
    from ragft.report.unaided_words import SIGNS

    sign = "" if one is None else SIGNS[one]
    return f"[red]{sign}[/red] {escape(with_interval(row))}" if sign else escape(with_interval(row))


def standings(metrics: Mapping[str, Any]) -> dict[str, Standing]:
    """Return how the arms stand against an answer without a model; empty where there is none to be held against."""
    from ragft.report.unaided_words import standing_of

    found = {}
    for one in ((metrics.get("task") or {}).get("unaided") or {}).get("contrasts") or ():
        ends = one.get("interval") or {}
        found[one["first"]] = standing_of(one["difference"], ends.get("low"), ends.get("high"))
    return {arm: one for arm, one in found.items() if one is not None}


def unaided_lines(metrics: Mapping[str, Any]) -> Iterator[Text]:
    """Yield what an answer without a model scores and which arms are no better, if the run has it."""
    from ragft.report.unaided_words import unaided_sentence

    task = metrics.get("task") or {}
    one, found = task.get("unaided"), standings(metrics)
    if one:
        signs = "  (▼ worse, ≈ not clearly better)" if {"worse", "unsure"} & set(found.values()) else ""
        said = unaided_sentence(one["what"], one["metric"], one["mean"], found)
        yield Text(said, style="yellow" if signs else "dim").append(signs, style="dim")
    elif task.get("majority_share") is not None:
        yield Text(f"always saying the commonest label would get {task['majority_share']:.3f}", style="dim")


def family_tables(metrics: Mapping[str, Any], shipped: str | None) -> Iterator[RenderableType]:
    """Yield every metric of every arm of a run, a table for each family, the primary one first with its interval."""
    from ragft.report.families import by_family  # kept out of `runs list`

    rows = [row for row in metrics.get("metrics") or () if isinstance(row, dict) and "value" in row]
    primary = metrics.get("primary_metric")
    cells = {(row["arm"], row["metric"]): row for row in rows}
    arms = [arm for arm in dict.fromkeys(row["arm"] for row in rows) if (arm, primary) in cells]
    if not arms:
        return
    names = [metric for arm, metric in cells if arm in arms]
    for _, family in by_family(sorted(names, key=lambda name: name != primary)):
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("arm", overflow="fold")
        for name in family:
            table.add_column(f"{name} (interval)" if name == primary else name, justify="right", overflow="fold")
        for arm in arms:
            label = f"{escape(arm)} ← ship" if arm == shipped else escape(arm)
            values = (_value(cells.get((arm, name)), with_its_interval=name == primary) for name in family)
            table.add_row(label, *values, style="bold" if arm == shipped else "")
        yield table
    yield from unaided_lines(metrics)


def _value(row: Mapping[str, Any] | None, *, with_its_interval: bool) -> str:
    if row is None:
        return ""
    return escape(with_interval(row)) if with_its_interval else number(row["value"])
