"""The Markdown report: a summary for a pull request, with what few will read folded away."""

from __future__ import annotations

from ragft.report import formatting
from ragft.report.arm_rows import arm_rows
from ragft.report.arm_tables import answer_table, cost_table, currency, metric_table
from ragft.report.contents import ReportData
from ragft.report.contrast_rows import contrast_groups
from ragft.report.environment import environment
from ragft.report.escaping import encodable
from ragft.report.page import gate_line, short_answer
from ragft.report.requirement_words import requirement_words
from ragft.report.retriever_tables import retriever_differences, retriever_tables
from ragft.report.sweep_plot import sorted_trials


def render_markdown(data: ReportData) -> str:
    """Return the summary as Markdown; the same data give the same text."""
    rows = arm_rows(data)
    groups = contrast_groups(data.comparison, data.demands.margin)
    text = (
        environment()
        .get_template("report.md.jinja")
        .render(
            data=data,
            answer=short_answer(data),
            gate_line=gate_line(data),
            level=formatting.percent(data.comparison.level),
            rows=rows,
            required=requirement_words(data),
            currency=currency(data),
            has_cost=any(row.cost.text != formatting.NA for row in rows),
            has_memory=any(row.memory.text != formatting.NA for row in rows),
            groups=groups,
            has_more=any(row.more for row in groups.declared),
            tables=[table for table in (metric_table(data), answer_table(data), cost_table(data)) if table is not None],
            retriever_tables=retriever_tables(data),
            retriever_differences=retriever_differences(data),
            trials=[] if data.sweep is None else sorted_trials(data.sweep),
        )
    )
    return encodable(text)
