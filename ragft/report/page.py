"""The HTML report: one file that needs no network and runs nothing but its own script.

The content security policy allows exactly the style sheet and the script that stand in the page, by their SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from markupsafe import Markup

from ragft.report import formatting
from ragft.report.arm_rows import ArmRow, arm_rows
from ragft.report.arm_tables import currency
from ragft.report.bars import score_axis, score_bar
from ragft.report.contents import ReportData
from ragft.report.environment import environment
from ragft.report.escaping import encodable
from ragft.report.requirement_words import requirement_words
from ragft.report.sections import sections
from ragft.report.tradeoff_choices import tradeoff_choices
from ragft.report.unaided_words import unaided_words


def render_html(data: ReportData) -> str:
    """Return the report as one HTML document; the same data give the same text, byte for byte."""
    style = environment().get_template("style.css.jinja").render()
    script = environment().get_template("explorer.js.jinja").render()
    page = environment().get_template("report.html.jinja")
    html = page.render(policy=_policy(style, script), style=Markup(style), script=Markup(script), **_context(data))
    return encodable(html)


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _context(data: ReportData) -> dict[str, Any]:
    rows = arm_rows(data)
    return {
        "data": data,
        "answer": short_answer(data),
        "level": formatting.percent(data.comparison.level),
        "rows": rows,
        "kinds": {row.name: row.kind for row in rows},
        "bars": _bars(rows, None if data.unaided is None else data.unaided.mean),
        "unaided": unaided_words(data),
        "currency": currency(data),
        "has_cost": any(row.cost.text != formatting.NA for row in rows),
        "has_memory": any(row.memory.text != formatting.NA for row in rows),
        "shipped": next((row for row in rows if row.kind == "shipped"), None),
        "required": requirement_words(data),
        "tradeoffs": tradeoff_choices(data),
        "sections": sections(data),
        "gate_line": gate_line(data),
    }


def short_answer(data: ReportData) -> str:
    """Return the answer to "Fine-tune, retrieve, both, or just prompt?" in a word or three."""
    arm = next((arm for arm in data.arms if arm.name == data.verdict.arm), None)
    if data.verdict.decision == "none_qualifies":
        return "None of them, yet"
    if data.verdict.decision == "not_comparable":
        return "Not comparable"
    if data.verdict.decision != "ship" or arm is None:
        return "Not decided"
    if arm.retrieval == "none":
        return "Fine-tune" if arm.adapter else "Just prompt"
    return "Both" if arm.adapter else "Retrieve"


def gate_line(data: ReportData) -> str:
    """Return how many checks of the gates hold, such as "2 of 3 gate checks hold", "" for a run without gates.

    A gate on several arms is one check for each.
    """
    if data.gates is None:
        return ""
    held = sum(gate.status == "passed" for gate in data.gates.gates)
    return f"{held} of {len(data.gates.gates)} gate checks hold"


def _bars(rows: list[ArmRow], reference: float | None) -> dict[str, Markup]:
    ends = [[row.value, *((row.interval.low, row.interval.high) if row.interval else ())] for row in rows]
    axis = score_axis(value for values in [*ends, [reference]] for value in values if value is not None)
    return {
        row.name: score_bar(row.name, row.value, row.interval, axis, row.kind, row.seed_means, reference)
        for row in rows
    }
