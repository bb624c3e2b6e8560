"""What the page shows of each probe, drawn and in words. Must not know how a page is laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ragft.evaluation.probing import Chart, Excerpt, MarkedPassage, ProbeResult
from ragft.report import formatting
from ragft.report.contents import ReportData
from ragft.report.probe_plot import mark_words, probe_plots
from ragft.report.probe_series import Key, Look, legend, looks
from ragft.report.probe_tables import ProbeTable, chart_table, probe_table

MOST_ROWS = 8
"""Rows of a table among the charts: with more it would be higher than they are."""

Pieces = tuple[tuple[str, bool], ...]
"""A text in pieces: (piece, whether it is marked)."""


@dataclass(frozen=True, slots=True)
class ChartView:
    """A chart: its drawing for each size of a screen (none where nothing was scored), legend, marks and numbers."""

    title: str
    plots: tuple[tuple[str, Markup], ...]
    keys: tuple[Key, ...]
    marks: tuple[str, ...]
    note: str
    table: ProbeTable


@dataclass(frozen=True, slots=True)
class PassageView:
    """A passage of an excerpt in pieces, those marked that support the answer."""

    title: str
    cited: bool
    pieces: Pieces


@dataclass(frozen=True, slots=True)
class ExcerptView:
    """One answer with the passages that stood before it."""

    example_id: str
    question: str
    answer: str
    score: str
    passages: tuple[PassageView, ...]


@dataclass(frozen=True, slots=True)
class ProbeView:
    """One probe; `finding` is its first sentence, and `reason` says why it could not be run where it has none.

    The tables `beside` are small and stand among the charts. `excerpts` pairs each arm with its answers; `facts` say
    what was asked and how long it took.
    """

    key: str
    title: str
    asks: str
    skipped: bool
    reason: str
    hint: str
    finding: str
    findings: tuple[str, ...]
    charts: tuple[ChartView, ...]
    beside: tuple[ProbeTable, ...]
    tables: tuple[ProbeTable, ...]
    excerpts: tuple[tuple[str, tuple[ExcerptView, ...]], ...]
    notes: tuple[str, ...]
    metric: str
    facts: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that it found."""
        return (self.finding, *self.findings) if self.finding else ()

    @property
    def every_table(self) -> tuple[ProbeTable, ...]:
        """All tables, whatever their size."""
        return (*self.beside, *self.tables)


def probe_views(data: ReportData) -> list[ProbeView]:
    """Return every probe of the run, in its order."""
    by_name = looks(data.probes, [arm.name for arm in data.arms])
    return [_probe(probe, by_name) for probe in data.probes]


def _probe(probe: ProbeResult, by_name: Mapping[str, Look]) -> ProbeView:
    tables = [probe_table(table) for table in probe.tables]
    beside = [table for table in tables if probe.charts and table.is_small and len(table.rows) <= MOST_ROWS]
    return ProbeView(
        key=probe.probe,
        title=probe.title,
        asks=probe.asks,
        skipped=probe.status == "skipped",
        reason=probe.reason,
        hint=probe.hint,
        finding=probe.findings[0] if probe.findings else "",
        findings=probe.findings[1:],
        charts=tuple(_chart(chart, by_name) for chart in probe.charts),
        beside=tuple(beside),
        tables=tuple(table for table in tables if table not in beside),
        excerpts=tuple(_by_arm(probe.excerpts)),
        notes=probe.notes,
        metric=probe.metric,
        facts=probe_facts(probe),
    )


def _chart(chart: Chart, by_name: Mapping[str, Look]) -> ChartView:
    return ChartView(
        title=chart.title,
        plots=tuple(probe_plots(chart, by_name)),
        keys=tuple(legend(chart, by_name)),
        marks=tuple(mark_words(mark, chart) for mark in chart.marks),
        note=chart.note,
        table=chart_table(chart),
    )


def probe_facts(probe: ProbeResult) -> str:
    """Return what a probe asked and measured on, and how long it took, in sentences."""
    said = []
    if probe.n_examples:
        said.append(
            f"Asked {formatting.count(probe.n_examples)} of {formatting.count(probe.n_available)} examples."
            if probe.n_examples < probe.n_available
            else f"Asked all {formatting.count(probe.n_examples)} examples."
        )
    if probe.measured_on:
        said.append(f"Measured on {probe.measured_on.removesuffix('.')}.")
    if probe.seconds:
        said.append(f"Took {formatting.duration(probe.seconds)}.")
    return " ".join(said)


def _by_arm(excerpts: Sequence[Excerpt]) -> Iterator[tuple[str, tuple[ExcerptView, ...]]]:
    for arm in dict.fromkeys(excerpt.arm for excerpt in excerpts):
        yield arm, tuple(_excerpt(excerpt) for excerpt in excerpts if excerpt.arm == arm)


def _excerpt(excerpt: Excerpt) -> ExcerptView:
    return ExcerptView(
        excerpt.example_id,
        excerpt.question,
        excerpt.answer,
        formatting.score(excerpt.score),
        tuple(PassageView(one.title, one.cited, marked_pieces(one)) for one in excerpt.passages),
    )


def marked_pieces(passage: MarkedPassage) -> Pieces:
    """Return the text of a passage in pieces; spans that overlap are one, and none goes beyond the text."""
    pieces: list[tuple[str, bool]] = []
    here, length = 0, len(passage.text)
    for start, end in _merged(passage.spans):
        pieces += [(passage.text[here:start], False), (passage.text[start:end], True)]
        here = min(end, length)
    pieces.append((passage.text[here:], False))
    return tuple(piece for piece in pieces if piece[0])


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in their order, those that touch as one; one that begins before the text begins with it."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((max(0, start), end) for start, end in spans if start < end):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
