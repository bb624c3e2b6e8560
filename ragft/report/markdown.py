"""The Markdown report: a summary short enough for a pull request."""

from __future__ import annotations

from ragft.report import formatting
from ragft.report.arm_rows import arm_rows
from ragft.report.contents import ReportData
from ragft.report.contrast_rows import contrast_groups
from ragft.report.environment import environment
from ragft.report.escaping import encodable
from ragft.report.page import short_answer


def render_markdown(data: ReportData) -> str:
    """Return the summary as Markdown; the same data give the same text."""
    text = (
        environment()
        .get_template("report.md.jinja")
        .render(
            data=data,
            answer=short_answer(data),
            level=formatting.percent(data.comparison.level),
            rows=arm_rows(data),
            declared=contrast_groups(data.comparison, data.demands.margin).declared,
        )
    )
    return encodable(text)
