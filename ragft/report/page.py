"""The HTML report: one file that needs no network and runs nothing but its own script.

The content security policy allows exactly the style sheet and the script that stand in the page, by their SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ragft.report import formatting, glossary
from ragft.report.arm_rows import ArmRow, Cell, arm_kind, arm_rows, other_metrics
from ragft.report.bars import difference_axis, forest_axis, forest_row, score_axis, score_bar
from ragft.report.contents import ReportData
from ragft.report.contrast_rows import ContrastGroups, ContrastRow, contrast_groups
from ragft.report.environment import environment
from ragft.report.escaping import encodable
from ragft.report.explorer import explorer_json
from ragft.report.loading import ABSTENTION_SHARES, RETRIEVAL_PREFIX
from ragft.report.losses import loss_curves
from ragft.report.tradeoff import Point, pareto_front, tradeoff_plot


def render_html(data: ReportData) -> str:
    """Return the report as one HTML document; the same data give the same text, byte for byte."""
    style = environment().get_template("style.css.jinja").render()
    script = environment().get_template("explorer.js.jinja").render()
    page = environment().get_template("report.html.jinja")
    html = page.render(
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        explorer=explorer_json(data),
        **_context(data),
    )
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
    groups = contrast_groups(data.comparison, data.demands.margin)
    return {
        "data": data,
        "answer": short_answer(data),
        "level": formatting.percent(data.comparison.level),
        "rows": rows,
        "bars": _bars(rows),
        "others": other_metrics(data),
        "shipped": next((row for row in rows if row.kind == "shipped"), None),
        "groups": groups,
        "forests": _forests(groups, data.demands.margin),
        "notes": [note for note in data.comparison.notes if note not in data.verdict.caveats],
        "retrieval_metrics": [value for value in data.metrics if value.arm.startswith(RETRIEVAL_PREFIX)],
        "abstention": _abstention(data),
        "curves": [(adapter, loss_curves(adapter)) for adapter in data.adapters],
        "versions": list(dict.fromkeys((value.metric, value.version or formatting.NA) for value in data.metrics)),
        "glossary": glossary.entries(_measured(data)),
        "variants": sorted({example.variant for example in data.examples if example.variant}),
        **_tradeoff(data),
    }


def short_answer(data: ReportData) -> str:
    """Return the answer to "Fine-tune, retrieve, both, or just prompt?" in a word or three."""
    arm = next((arm for arm in data.arms if arm.name == data.verdict.arm), None)
    if data.verdict.decision == "none_qualifies":
        return "None of them, yet"
    if data.verdict.decision != "ship" or arm is None:
        return "Not decided"
    if arm.retrieval == "none":
        return "Fine-tune" if arm.adapter else "Just prompt"
    return "Both" if arm.adapter else "Retrieve"


def _measured(data: ReportData) -> list[str]:
    return [data.primary_metric, *other_metrics(data), *(value.metric for value in data.metrics)]


def _bars(rows: list[ArmRow]) -> dict[str, Markup]:
    ends = [[row.value, *((row.interval.low, row.interval.high) if row.interval else ())] for row in rows]
    axis = score_axis(value for values in ends for value in values if value is not None)
    return {row.name: score_bar(row.value, row.interval, axis, row.kind) for row in rows}


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


def _tradeoff(data: ReportData) -> dict[str, Any]:
    """Return the plot in two sizes (a wide page, a phone), and the arms that have no latency to be drawn at."""
    points, missing = [], []
    for arm in data.arms:
        value = data.value(arm.name, data.primary_metric)
        if arm.latency_s_p50 is None or value is None or value.value is None:
            missing.append(arm.name)
        else:
            points.append(Point(arm.name, arm.latency_s_p50, value.value, value.interval, arm_kind(data, arm)))
    metric = data.primary_metric
    return {
        "plots": [
            (kind, tradeoff_plot(points, metric, width=width, height=height))
            for kind, width, height in (("wide", 600.0, 390.0), ("narrow", 345.0, 340.0))
            if points
        ],
        "front": [point.name for point in pareto_front(points)],
        "not_plotted": missing,
    }


def _abstention(data: ReportData) -> list[tuple[str, list[Cell]]]:
    """Return name and cells of every arm whose abstentions the run counted."""
    rows = []
    for arm in data.arms:
        if arm.abstention is not None:
            shares = [arm.abstention[name] for name in ABSTENTION_SHARES]
            cells = [Cell(formatting.score(s.value), f"n = {formatting.count(s.n)}") for s in shares]
            rows.append((arm.name, cells))
    return rows
