"""The sections of the page below its first screen, in their order.

Each is one function here and one template named after its key: a new section is one of both and one line in
`_SECTIONS`. A section that a run has nothing for is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragft.report import formatting, glossary
from ragft.report.arm_rows import other_metrics
from ragft.report.arm_tables import abstention_table, answer_table, cost_table, error_rows, metric_tables
from ragft.report.contents import ReportData
from ragft.report.contrast_rows import ContrastGroups, ContrastRow, contrast_groups
from ragft.report.explorer import explorer_json
from ragft.report.forest import difference_axis, forest_axis, forest_row
from ragft.report.judge_tables import judge_sentence, preference_table, question_table
from ragft.report.label_table import label_table
from ragft.report.losses import loss_curves
from ragft.report.probe_views import probe_views
from ragft.report.prompt_rows import prompt_rows
from ragft.report.reader import reader_rows
from ragft.report.requirement_words import limit_words
from ragft.report.retriever_tables import retriever_differences, retriever_tables
from ragft.report.sureness_plot import sureness_rows, without_sureness
from ragft.report.sweep_plot import sweep_curve, trial_rows


@dataclass(frozen=True, slots=True)
class Section:
    """One section: `key` is its anchor and names its template, `title` stands over it and in the page's menu."""

    key: str
    title: str
    facts: Mapping[str, Any]

    @property
    def template(self) -> str:
        """Name of the template that draws the section."""
        return f"sections/{self.key}.html.jinja"


def sections(data: ReportData) -> list[Section]:
    """Return the sections that the run has something for, in the order of the page."""
    return [section for make in _SECTIONS if (section := make(data)) is not None]


def _gates(data: ReportData) -> Section | None:
    return None if data.gates is None else Section("gates", "Gates", {"gates": data.gates})


def _contrasts(data: ReportData) -> Section:
    groups = contrast_groups(data.comparison, data.demands.margin)
    notes = [note for note in data.comparison.notes if note not in data.verdict.caveats]
    return Section("contrasts", "Contrasts", {"forests": _forests(groups, data.demands.margin), "notes": notes})


def _forests(groups: ContrastGroups, margin: float | None) -> dict[str, Any]:
    """Return axis and rows of each group's forest plot, None for a group without contrasts.

    The margin is one of the primary metric, so the contrasts on other metrics are drawn without it.
    """
    return {
        "declared": _forest(groups.declared, margin),
        "exploratory": _forest(groups.exploratory, margin),
        "secondary": _forest(groups.secondary, None),
    }


def _forest(rows: Sequence[ContrastRow], margin: float | None) -> dict[str, Any] | None:
    axis = difference_axis((row.source for row in rows), margin)
    drawn = [(row, forest_row(row.source, axis, margin)) for row in rows]
    return {"axis": forest_axis(axis), "rows": drawn} if rows else None


def _measures(data: ReportData) -> Section:
    found = (*metric_tables(data), answer_table(data), abstention_table(data))
    tables = [table for table in found if table is not None]
    facts = {"tables": tables, "errors": error_rows(data), "limits": limit_words(data)}
    return Section("measures", "Measures", facts)


def _labels(data: ReportData) -> Section | None:
    table = label_table(data)
    return None if table is None else Section("labels", "Labels", {"table": table})


def _prompts(data: ReportData) -> Section | None:
    rows = prompt_rows(data)
    return Section("prompts", "Prompts", {"rows": rows}) if rows else None


def _sureness(data: ReportData) -> Section | None:
    rows = sureness_rows(data)
    return Section("sureness", "Sureness", {"rows": rows, "without": without_sureness(data)}) if rows else None


def _judge(data: ReportData) -> Section | None:
    if data.judge is None:
        return None
    facts = {
        "said": judge_sentence(data.judge),
        "questions": question_table(data.judge),
        "preferences": preference_table(data.judge),
        "caveats": [f"{note[:1].upper()}{note[1:]}." for note in data.judge.caveats],
    }
    return Section("judge", "Judge", facts)


def _retrieval(data: ReportData) -> Section | None:
    tables = retriever_tables(data)
    if not tables and data.retrieval is None:
        return None
    facts = {"tables": tables, "differences": retriever_differences(data), "readers": reader_rows(data)}
    return Section("retrieval", "Retrieval", facts)


def _probes(data: ReportData) -> Section | None:
    views = probe_views(data)
    return Section("probes", "Probes", {"probes": views}) if views else None


def _questions(data: ReportData) -> Section:
    variants = sorted({example.variant for example in data.examples if example.variant})
    return Section("questions", "Questions", {"explorer": explorer_json(data), "variants": variants})


def _sweep(data: ReportData) -> Section | None:
    if data.sweep is None:
        return None
    facts = {"sweep": data.sweep, "curve": sweep_curve(data.sweep), "trials": trial_rows(data.sweep)}
    return Section("sweep", "Sweep", facts)


def _training(data: ReportData) -> Section | None:
    curves = [(adapter, loss_curves(adapter)) for adapter in data.adapters]
    return Section("training", "Training", {"curves": curves}) if curves else None


def _data(data: ReportData) -> Section:
    checked = {check.name for check in data.checks}
    findings = [finding for finding in data.findings if finding.check not in checked]
    return Section("data", "Data", {"findings": findings})


def _cost(data: ReportData) -> Section | None:
    table = cost_table(data)
    prices = [(name.replace("_", " "), value.removesuffix(".0")) for name, value in data.prices if value != "null"]
    return None if table is None else Section("cost", "Cost", {"tables": [table], "prices": prices})


def _provenance(data: ReportData) -> Section:
    versions = dict.fromkeys((value.metric, value.version or formatting.NA) for value in data.metrics)
    return Section("provenance", "Provenance", {"versions": list(versions)})


def _glossary(data: ReportData) -> Section:
    measured = [data.primary_metric, *other_metrics(data), *(value.metric for value in data.metrics)]
    return Section("glossary", "Glossary", {"entries": glossary.entries(measured)})


_SECTIONS: tuple[Callable[[ReportData], Section | None], ...] = (
    _gates,
    _contrasts,
    _measures,
    _labels,
    _prompts,
    _sureness,
    _judge,
    _retrieval,
    _probes,
    _questions,
    _sweep,
    _training,
    _data,
    _cost,
    _provenance,
    _glossary,
)
