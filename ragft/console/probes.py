"""Probes on the screen: what they would take before they are run, and what they found.

Tables are as wide as the screen allows: where it is narrow, intervals go to a second line, and then columns to a table
of their own. Nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ragft.console.fitted import INDENT, Fitted, indented
from ragft.console.numbers import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ragft.arms.planning import Load, PlannedProbe
    from ragft.evaluation.probing import Chart, Form, ProbeResult
    from ragft.records import Interval
    from ragft.report.probe_tables import ProbeTable

PLACES = 9
"""Places of one curve that are shown at most."""

# ----------------------------------------------------------------------------------------------------------- the plan


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """The plan of the probes: a row for each that can be run, the total, then those that cannot, and the budget."""

    planned: Sequence[PlannedProbe]
    budget_s: float | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with one column for each number if that fits, else with the sizes in one column."""
        yield Text("Probes", style="bold")
        running = [plan for plan in self.planned if plan.refusal is None]
        if running:
            wide = _wide(running)
            yield wide if wide.width <= options.max_width else _narrow(running)
        for plan in self.planned:
            if plan.refusal is not None:
                yield _skipped(plan.title, plan.refusal.reason, plan.refusal.hint)
        seconds = sum(plan.load.seconds for plan in running)
        if self.budget_s is not None and running:
            yield indented(Text(_budget_words(self.budget_s, seconds), style="dim"))


def probe_plan(planned: Sequence[PlannedProbe], budget_s: float | None) -> ProbePlan:
    """Return what the probes would take, and what a budget in seconds would change."""
    return ProbePlan(planned, budget_s)


_WIDE = ("probe", "arms", "conditions", "questions", "prompts", "answered", "prompt tokens", "trainings", "time")
_NARROW = ("probe", "arms× conditions× questions", "prompts (answered)", "prompt tokens", "trainings", "time")


def _wide(running: Sequence[PlannedProbe]) -> Fitted:
    """Return the plan with a column for each number."""
    rows = []
    for name, sizes, load in _loads(running):
        work = (f"{n:,}" for n in (load.prompts, load.answered, load.prompt_tokens, load.trainings))
        rows.append((name, (*(sizes or ("", "", "")), *work, duration(load.seconds))))
    return _plan_table(_WIDE, rows)


def _narrow(running: Sequence[PlannedProbe]) -> Fitted:
    """Return the plan with the numbers that belong together in one column, and tokens in thousands or millions."""
    rows = []
    for name, sizes, load in _loads(running):
        prompts = f"{load.prompts:,} ({load.answered:,})"
        trainings, time = f"{load.trainings:,}", duration(load.seconds)
        rows.append((name, ("×".join(sizes), prompts, _rounded(load.prompt_tokens), trainings, time)))
    return _plan_table(_NARROW, rows)


def _loads(running: Sequence[PlannedProbe]) -> Iterator[tuple[str, tuple[str, ...], Load]]:
    """Yield (name, arms and conditions and questions, load) of each probe, and of all together without the sizes."""
    for plan in running:
        load = plan.load
        yield plan.kind, tuple(f"{n:,}" for n in (load.arms, load.conditions, load.examples)), load
    yield "in all", (), _sum([plan.load for plan in running])


def _sum(loads: Sequence[Load]) -> Load:
    first = loads[0]
    return replace(
        first,
        prompts=sum(load.prompts for load in loads),
        answered=sum(load.answered for load in loads),
        prompt_tokens=sum(load.prompt_tokens for load in loads),
        trainings=sum(load.trainings for load in loads),
        asking_s=sum(load.asking_s for load in loads),
        fixed_s=sum(load.fixed_s for load in loads),
    )


def _rounded(tokens: int) -> str:
    if tokens < 10_000:
        return f"{tokens:,}"
    return f"{tokens / 1e3:,.0f} k" if tokens < 1_000_000 else f"{tokens / 1e6:,.1f} M"


def _plan_table(titles: Sequence[str], rows: Sequence[tuple[str, tuple[str, ...]]]) -> Fitted:
    from ragft.report.probe_tables import Shown  # kept out of commands that plan no probe

    shown = tuple((name, tuple(map(Shown, cells))) for name, cells in rows)
    return Fitted(titles[0], titles[1:], shown, total=True)


def _budget_words(budget_s: float, seconds: float) -> str:
    if seconds <= budget_s:
        return f"all of it should fit into the budget of {duration(budget_s)}"
    return (
        f"to keep within the budget of {duration(budget_s)}, fewer examples are asked, the same of all arms; "
        "a probe that would be left with too few is skipped"
    )


def _skipped(title: str, reason: str, hint: str) -> Padding:
    text = Text(f"{title}: skipped: ", style="yellow").append(reason, style="default")
    if hint:
        text.append(f"; try: {hint}", style="dim")
    return indented(text)


# -------------------------------------------------------------------------------------------------------- the results


def probes_text(results: Sequence[ProbeResult]) -> Iterator[RenderableType]:
    """Yield what each probe found: question, findings, curves and tables as tables, notes; a skipped one in a line."""
    for result in results:
        if result.status == "skipped":
            yield Text()
            yield _skipped(result.title, result.reason, result.hint)
        else:
            yield from _probe(result)


def _probe(result: ProbeResult) -> Iterator[RenderableType]:
    from ragft.report.probe_tables import chart_table, probe_table  # kept out of commands that show no probe

    yield Text(f"\n{result.title}", style="bold").append(f"  {result.asks}", style="dim")
    for number, finding in enumerate(result.findings):
        yield _bullet(finding, "bold" if number == 0 else "")
    titles = {table.title for table in result.tables}
    for chart in result.charts:
        if chart.title not in titles:  # else a table has the numbers of its chart
            yield from _table(_thinned(chart_table(chart, _bracketed)))
            yield from _said_of(chart)
    charts = {chart.title: chart for chart in result.charts}
    for table in result.tables:
        yield from _table(probe_table(table, _bracketed))
        if table.title in charts:
            yield from _said_of(charts[table.title])
    yield from map(_dimmed, (*result.notes, *_facts(result)))


def _bullet(sentence: str, style: str) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=INDENT + 1, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row("•", Text(sentence, style=style))
    return grid


def _facts(result: ProbeResult) -> list[str]:
    """Return what was asked, how long it took, and how many answers the report shows."""
    from ragft.report.probe_views import probe_facts

    n = len(result.excerpts)
    behind = f"{n} answers with the passages behind them" if n > 1 else "1 answer with the passages behind it"
    facts = [probe_facts(result), *([f"The report shows {behind}."] if n else [])]
    return [" ".join(part for part in facts if part)] if any(facts) else []


def _said_of(chart: Chart) -> Iterator[RenderableType]:
    """Yield the marked places of a chart, and its note."""
    from ragft.report.probe_plot import mark_words

    said = [*(mark_words(mark, chart) for mark in chart.marks), *([chart.note] if chart.note else [])]
    yield from map(_dimmed, said)


def _thinned(table: ProbeTable) -> ProbeTable:
    """Return a table of a curve with as many of its places as stand side by side on a screen, both ends among them."""
    n = len(table.columns)
    if n <= PLACES:
        return table
    kept = [round(place * (n - 1) / (PLACES - 1)) for place in range(PLACES)]
    said = f"{PLACES} of {n} places; the report has all of them."
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        words=tuple(table.words[place] for place in kept),
        rows=tuple((name, tuple(cells[place] for place in kept)) for name, cells in table.rows),
        note=f"{table.note} {said}" if table.note else said,
    )


def _table(table: ProbeTable) -> Iterator[RenderableType]:
    yield _title(table.title)
    yield Fitted(table.first, table.columns, table.rows, table.words)
    if table.note:
        yield _dimmed(table.note)


def _dimmed(text: str) -> Padding:
    return indented(Text(text, style="dim"))


def _title(title: str) -> Padding:
    return indented(Text(title, style="cyan"), 1)


def _bracketed(interval: Interval | None, form: Form) -> str:
    """Return an interval as `[0.38, 0.56]`: those of a score or share with two decimals."""
    from ragft.report.probe_forms import written

    if interval is None:
        return ""
    short = form in ("score", "share")
    low, high = (f"{end:.2f}" if short else written(end, form) for end in (interval.low, interval.high))
    return f"[{low}, {high}]"
