"""Synthetic probes for the tests of the reports and of the screen: every form of chart and cell, and attacks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from ragft import jsonl
from ragft.evaluation.probing import (
    Cell,
    Chart,
    Column,
    Curve,
    Excerpt,
    Mark,
    MarkedPassage,
    Point,
    ProbeResult,
    Row,
    Table,
)
from ragft.records import Interval

PERCENTILE = "cluster bootstrap (percentile)"
ARMS = ("prompt", "few_shot", "tuned", "rag", "tuned_rag", "raft", "oracle", "random_context")


def within(value: float, half: float = 0.08) -> Interval:
    return Interval(value - half, value + half, 0.95, PERCENTILE)


def points(
    xs: Sequence[float], values: Sequence[float | None], labels: Sequence[str], n: int = 60
) -> tuple[Point, ...]:
    return tuple(
        Point(x, label, value, None if value is None else within(value), 0 if value is None else n)
        for x, value, label in zip(xs, values, labels, strict=True)
    )


def label_budget() -> ProbeResult:
    """Two curves with their fits and a money column."""
    xs, labels = (0, 26, 66, 132, 264), ("0", "26", "66", "132", "264")
    tuned = Curve("tuned", points(xs, (0.12, 0.19, 0.26, 0.31, 0.33), labels))
    shots = Curve("few_shot", points(xs[:4], (0.12, 0.16, 0.17, None), labels[:4]))
    fitted = tuple(
        Point(
            float(x), f"{x}", 0.34 - 0.22 * math.exp(-x / 70), within(0.34 - 0.22 * math.exp(-x / 70), 0.02 + x / 5000)
        )
        for x in range(0, 365, 14)
    )
    chart = Chart(
        "labels", "token_f1 by number of labels", "labelled examples", "token_f1",
        (tuned, Curve("tuned (fitted)", fitted, "fit"), shots),
        note="Fitted by least squares: y = top - (top - base) exp(-labels / scale).",
    )  # fmt: skip
    columns = (Column("gain of the next 100", "signed"), Column("EUR for them", "money"), Column("training", "seconds"))
    rows = (Row("tuned", (Cell(0.0123, Interval(-0.004, 0.041, 0.95, PERCENTILE), 60), Cell(120.0), Cell(194.2))),)
    return ProbeResult(
        "label_budget", "Label budget", "What do more labels buy?", "measured",
        findings=("The next 100 labels would add +0.012 to tuned (95 % interval -0.004 to 0.041), at 120 EUR.",
                  "tuned has gained 94 % of what the fitted curve says labels can bring."),
        charts=(chart,), tables=(Table("next", "The next hundred labels", "arm", columns, rows),),
        notes=("One training seed for each size: the intervals cover the choice of questions alone.",),
        measured_on="the eval examples, SmolLM2-135M-Instruct", arms=("tuned", "few_shot"), metric="token_f1",
        n_examples=60, n_available=60, seconds=412.3,
    )  # fmt: skip


def knowledge_quality() -> ProbeResult:
    """Eight arms over shares, marks with closed and open ends, and a chart of two long names over words."""
    xs, labels = (0.0, 0.25, 0.5, 1.0), ("as it is", "25 %", "50 %", "100 %")
    ends = {"prompt": (0.12, 0.12), "few_shot": (0.17, 0.17), "tuned": (0.33, 0.33), "rag": (0.66, 0.14),
            "tuned_rag": (0.69, 0.27), "raft": (0.79, 0.21), "oracle": (0.86, 0.86),
            "random_context": (0.1, 0.1)}  # fmt: skip
    curves = tuple(
        Curve(arm, points(xs, [a + (b - a) * x for x in xs], labels), "control" if i > 5 else "arm")
        for i, (arm, (a, b)) in enumerate(ends.items())
    )
    marks = (
        Mark(0.6346, "rag falls under tuned", Interval(0.41, 0.93, 0.95, PERCENTILE)),
        Mark(0.793, "raft falls under tuned", Interval(0.68, math.inf, 0.95, PERCENTILE)),
    )
    missing = Chart(
        "missing", "token_f1 as gold documents go missing", "share of gold documents missing", "token_f1", curves, marks
    )
    words = ("not corrupted", "a twentieth of all letters misread", "a seventh of all letters misread")
    names = ("rag with a name that goes on and on, as names of arms in large experiments do", "tuned")
    noise = Chart(
        "noise", "Change of token_f1 under noise", "noise", "change of token_f1",
        tuple(Curve(name, points((0, 1, 2), (0.0, -0.08 - i / 20, -0.21), words)) for i, name in enumerate(names)),
        form="signed",
    )  # fmt: skip
    return ProbeResult(
        "knowledge_quality", "Knowledge quality", "What if the documents are worse than they are today?", "measured",
        findings=("rag falls under tuned once 63 % of the gold documents are missing (95 % interval 41 % to 93 %).",
                  "Noise costs rag 0.210 at a seventh of all letters."),
        charts=(missing, noise, empty_chart()), measured_on="the eval examples", arms=ARMS, metric="token_f1",
        n_examples=60, n_available=120, seconds=1210.0,
    )  # fmt: skip


def empty_chart() -> Chart:
    curve = Curve("rag", (Point(1.0, "1", None, None, 0, 60),))
    return Chart("stale", "token_f1 by share of stale documents", "share stale", "token_f1", (curve,))


def context() -> ProbeResult:
    """A logarithmic axis, and a wide table with cells of every kind."""
    xs, labels = (1, 3, 5, 10), ("1", "3", "5", "10")
    curves = (
        Curve("rag", points(xs, (0.52, 0.66, 0.67, 0.61), labels)),
        Curve("raft", points(xs, (0.6, 0.78, 0.79, 0.8), labels)),
    )
    chart = Chart("top_k", "token_f1 by number of passages", "passages", "token_f1", curves, log_x=True)
    columns = (
        Column("as retrieved"), Column("given a hit"), Column("given a miss"), Column("gold passages"),
        Column("lost by retrieval", "signed"), Column("lost by reading", "share"), Column("prompt tokens", "count"),
        Column("median latency", "seconds"), Column("reads best", "text"),
    )  # fmt: skip
    rows = tuple(
        Row(arm, (Cell(own, within(own), 60), Cell(own + 0.1, within(own + 0.1), 51), Cell(0.04, within(0.04, 0.03), 9),
                  Cell(0.86, within(0.86), 60), Cell(0.86 - own, within(0.86 - own), 60), Cell(0.14), Cell(1402.0),
                  Cell(1.21), Cell("where the gold passage stands first, and no other one names the same place")))
        for arm, own in (("rag", 0.67), ("raft", 0.79))
    )  # fmt: skip
    unmeasured = Row("tuned_rag", tuple(Cell(None) for _ in columns))
    table = Table(
        "parts",
        "What retrieval and what reading cost",
        "arm",
        columns,
        (*rows, unmeasured),
        "A hit has a passage of a gold document in its prompt.",
    )
    return ProbeResult(
        "context", "Context", "How many passages help, and what do retrieval and reading each cost?", "measured",
        findings=("rag is best with 5 passages (token_f1 0.670).",), charts=(chart,), tables=(table,),
        arms=("rag", "raft"), metric="token_f1", n_examples=60, n_available=60, seconds=95.0,
    )  # fmt: skip


def explainability(attack: str = "") -> ProbeResult:
    """Excerpts whose spans overlap and go beyond the text; no chart."""
    text = (
        "The council met above the mill. It was resolved that the inspection of the mill be held on day 3 of May 1991. "
    )
    text += attack
    gold = MarkedPassage("Minutes: mill, part 0", text + attack, ((32, 60), (50, 108), (900, 950)), cited=True)
    other = MarkedPassage("", "The quay was closed.", (), cited=False)
    excerpt = Excerpt(
        "rag", "eval-0001", "Which day is set aside for the mill?", "day 3 of May 1991 [1]", 1.0, (gold, other)
    )
    columns = (Column("citation precision"), Column("citation recall"), Column("answers with a span", "share"))
    rows = (Row("rag", (Cell(0.61, within(0.61), 48), Cell(0.55, within(0.55), 48), Cell(0.7, within(0.7), 60))),)
    return ProbeResult(
        "explainability", "Explainability", "Can an answer be traced to what it was made from?", "measured",
        findings=("rag supports 70 % of its answers with a span.",),
        tables=(Table("citations", "Citations", "arm", columns, rows),),
        excerpts=(excerpt, dataclasses.replace(excerpt, example_id="eval-0002", answer="", score=None, passages=())),
        arms=("rag",), metric="token_f1", n_examples=60, n_available=60, seconds=0.4,
    )  # fmt: skip


def skipped() -> ProbeResult:
    return ProbeResult(
        "freshness", "Freshness", "Who notices when facts change?", "skipped",
        reason="the experiment has no second version of its documents", hint="name it under data.update",
    )  # fmt: skip


def all_probes(attack: str = "") -> tuple[ProbeResult, ...]:
    """Every synthetic probe in the order of the page; `attack` goes into every kind of text of them."""
    found = (label_budget(), knowledge_quality(), skipped(), context(), explainability(attack))
    return tuple(hostile(probe, attack) for probe in found) if attack else found


def hostile(probe: ProbeResult, attack: str) -> ProbeResult:
    """Return a probe with an attack in its title, sentences, names, labels and cells."""
    replace = dataclasses.replace
    charts = tuple(
        replace(
            chart, title=attack, x_label=attack, y_label=attack, note=attack,
            curves=tuple(
                replace(
                    curve, name=f"{attack}{i}",
                    points=tuple(replace(point, label=f"{attack} {point.x}") for point in curve.points),
                )
                for i, curve in enumerate(chart.curves)
            ),
            marks=tuple(replace(mark, label=attack) for mark in chart.marks),
        )
        for chart in probe.charts
    )  # fmt: skip
    tables = tuple(
        replace(
            table, title=attack, first=attack, note=attack,
            columns=tuple(replace(column, title=attack) for column in table.columns),
            rows=tuple(
                replace(row, name=attack, cells=tuple(replace(cell, value=attack) for cell in row.cells))
                for row in table.rows
            ),
        )
        for table in probe.tables
    )  # fmt: skip
    excerpts = tuple(
        replace(one, arm=attack, example_id=attack, question=attack, answer=attack) for one in probe.excerpts
    )
    texts = dict.fromkeys(("title", "asks", "reason", "hint", "measured_on", "metric"), attack)
    lists = dict.fromkeys(("findings", "notes"), (attack, attack))
    return replace(probe, **texts, **lists, charts=charts, tables=tables, excerpts=excerpts)


def write_probes(run: Path, probes: Sequence[ProbeResult]) -> None:
    """Write each probe into a run folder, an open end of an interval as null."""
    (run / "probes").mkdir(exist_ok=True)
    for probe in probes:
        jsonl.write_json(run / "probes" / f"{probe.probe}.json", _closed(jsonl.plain(probe)))


def _closed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _closed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_closed(item) for item in value]
    return None if value == math.inf else value
