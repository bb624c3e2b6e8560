"""The Markdown report: a summary for a pull request, with what few will read folded away."""

from __future__ import annotations

from typing import Any

from ragft.report import formatting
from ragft.report.arm_rows import arm_rows
from ragft.report.arm_tables import abstention_table, answer_table, cost_table, currency, error_rows, metric_tables
from ragft.report.contents import ReportData
from ragft.report.contrast_rows import contrast_groups
from ragft.report.environment import environment
from ragft.report.escaping import encodable
from ragft.report.judge_tables import judge_sentence, preference_table, question_table
from ragft.report.label_table import label_table
from ragft.report.page import gate_line, short_answer
from ragft.report.probe_views import probe_views
from ragft.report.prompt_rows import prompt_rows
from ragft.report.requirement_words import requirement_words
from ragft.report.retriever_tables import retriever_differences, retriever_tables
from ragft.report.sureness_plot import sureness_rows
from ragft.report.sweep_plot import sorted_trials
from ragft.report.unaided_words import unaided_words


def render_markdown(data: ReportData) -> str:
    """Return the summary as Markdown; the same data give the same text."""
    rows = arm_rows(data)
    wide_tables = (*metric_tables(data), answer_table(data), abstention_table(data), cost_table(data))
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
            tables=[table for table in wide_tables if table is not None],
            unaided=unaided_words(data),
            errors=error_rows(data),
            labels=label_table(data),
            prompts=prompt_rows(data),
            sureness=sureness_rows(data),
            judge=_judge(data),
            probes=probe_views(data),
            found_nothing=[check.title for check in data.checks if check.severity == "ok"],
            found=[check for check in data.checks if check.severity != "ok"],
            retriever_tables=retriever_tables(data),
            retriever_differences=retriever_differences(data),
            trials=[] if data.sweep is None else sorted_trials(data.sweep),
        )
    )
    return encodable(text)


def _judge(data: ReportData) -> dict[str, Any] | None:
    if data.judge is None:
        return None
    tables = (question_table(data.judge), preference_table(data.judge))
    return {
        "said": judge_sentence(data.judge),
        "tables": [table for table in tables if table is not None],
        "caveats": data.judge.caveats,
    }
