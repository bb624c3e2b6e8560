"""Probes on the screen: the plan before they are run, and what they found, at every width that a terminal has."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from report_probes import all_probes, context, explainability, knowledge_quality, label_budget, skipped
from rich.cells import cell_len
from rich.console import Console

from ragft.arms.planning import Load, PlannedProbe, Refusal
from ragft.console import probe_plan, probes_text
from ragft.evaluation.probing import Chart, Curve, Point, ProbeResult

PLANNED = (
    PlannedProbe("label_budget", "Label budget", Load(6, 8, 200, 9600, 1200, 2_880_000, 4, 1000.0, 800.0)),
    PlannedProbe("knowledge_quality", "Knowledge quality", Load(8, 12, 200, 19_200, 1600, 12_345_678, 0, 6000.0, 0.0)),
    PlannedProbe("freshness", "Freshness", Load(), Refusal("there is no second version", "name it under data.update")),
)


def shown(*parts: Any, width: int) -> list[str]:
    """Return the lines that a terminal of this width shows, without white space at their ends."""
    console = Console(width=width, no_color=True, highlight=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return [line.rstrip() for line in captured.get().splitlines()]


def single(lines: list[str]) -> str:
    """Return all lines as one, with one space for any number of them."""
    return " ".join(" ".join(lines).split())


def widest(lines: list[str]) -> int:
    return max(map(cell_len, lines))


def numbers(lines: list[str]) -> list[str]:
    return re.findall(r"\d[\d.,]*\d|\d", single(lines))


# ----------------------------------------------------------------------------------------------------------- the plan


def test_a_wide_plan_has_a_column_for_each_number_and_a_total() -> None:
    lines = shown(probe_plan(PLANNED, None), width=120)
    said = [" ".join(line.split()) for line in lines]
    assert "probe arms conditions questions prompts answered tokens trainings time" in said
    assert "label_budget 6 8 200 9,600 1,200 2,880,000 4 30 min" in said
    assert "knowledge_quality 8 12 200 19,200 1,600 12,345,678 0 1 h 40 min" in said
    assert "in all 28,800 2,800 15,225,678 4 2 h 10 min" in said
    assert widest(lines) <= 120 and len(lines) == 8


def test_a_narrow_plan_fits_80_columns_in_one_table() -> None:
    lines = shown(probe_plan(PLANNED, None), width=80)
    said = [" ".join(line.split()) for line in lines]
    assert "knowledge_quality 8×12×200 19,200 (1,600) 12.3 M 0 1 h 40 min" in said
    assert "in all 28,800 (2,800) 15.2 M 4 2 h 10 min" in said
    assert widest(lines) <= 80 and single(lines).count("knowledge_quality") == 1


def test_a_refused_probe_says_why_and_what_to_add_and_counts_for_nothing() -> None:
    for width in (80, 120):
        lines = shown(probe_plan(PLANNED, None), width=width)
        assert "Freshness: skipped: there is no second version; try: name it under data.update" in single(lines)
    assert single(shown(probe_plan(PLANNED[2:], 60.0), width=80)).endswith("try: name it under data.update")


@pytest.mark.parametrize(
    ("budget_s", "said"),
    [
        (600.0, "to keep within the budget of 10 min, fewer examples are asked, the same of all arms"),
        (7800.0, "all of it should fit into the budget of 2 h 10 min"),
    ],
)
def test_a_budget_is_explained(budget_s: float, said: str) -> None:
    assert said in single(shown(probe_plan(PLANNED, budget_s), width=80))
    assert "budget of" not in single(shown(probe_plan(PLANNED, None), width=80))


# -------------------------------------------------------------------------------------------------------- the results


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 240])
def test_no_line_is_wider_than_the_screen_and_no_number_is_lost(width: int) -> None:
    lines = shown(*probes_text(all_probes()), width=width)
    assert widest(lines) <= width and "…" not in single(lines)
    wide = numbers(shown(*probes_text(all_probes()), width=400))
    assert sorted(set(wide)) == sorted(set(numbers(lines)))
    assert len(numbers(lines)) >= len(wide)  # names of rows and columns are repeated where columns are parted


def test_a_chart_is_a_table_of_its_curves_with_their_intervals() -> None:
    said = [" ".join(line.split()) for line in shown(*probes_text([context()]), width=120)]
    assert "passages 1 3 5 10" in said
    assert "rag 0.520 [0.44, 0.60] 0.660 [0.58, 0.74] 0.670 [0.59, 0.75] 0.610 [0.53, 0.69]" in said
    assert "95 % intervals; n = 60 throughout." in said


def test_a_long_curve_is_thinned_and_says_so() -> None:
    result = label_budget()
    one = Curve("tuned", tuple(Point(float(x), f"p{x}", x / 100) for x in range(25)))
    long = dataclasses.replace(result, charts=(Chart("long", "A long curve", "x", "y", (one,)),))
    text = single(shown(*probes_text([long]), width=160))
    places = re.findall(r"\bp(\d+)", text)
    assert places == ["0", "3", "6", "9", "12", "15", "18", "21", "24"]
    assert "9 of 25 places; the report has all of them." in text


def test_a_chart_whose_table_has_all_of_it_is_not_shown_beside_it() -> None:
    result = label_budget()
    table = dataclasses.replace(result.tables[0], title=result.charts[0].title)
    chart = dataclasses.replace(result.charts[0], note="What the chart alone says.")
    text = single(shown(*probes_text([dataclasses.replace(result, charts=(chart,), tables=(table,))]), width=160))
    assert text.count(chart.title) == 1
    assert text.count(chart.note) == 1


def test_intervals_go_to_a_second_line_before_columns_are_parted() -> None:
    lines = shown(*probes_text([context()]), width=80)
    said = [" ".join(line.split()) for line in lines]
    place = said.index("rag 0.520 0.660 0.670 0.610")
    assert said[place + 1] == "[0.44, 0.60] [0.58, 0.74] [0.59, 0.75] [0.53, 0.69]"
    heads = [line for line in said if line.startswith("arm")]
    assert len(heads) == 3 and heads[2] == "arm reads best"  # nine columns in three tables


def test_differences_money_and_seconds_are_written_as_such() -> None:
    said = single(shown(*probes_text([label_budget()]), width=120))
    assert "tuned +0.012 [\u22120.004, +0.041] 120 3 min 14 s" in said
    assert "+0.190 [+0.110, +0.270]" in single(shown(*probes_text([context()]), width=400))


def test_findings_come_before_the_numbers_and_notes_after_them() -> None:
    said = single(shown(*probes_text([label_budget()]), width=120))
    parts = (
        "Label budget What do more labels buy?",
        "• The next 100 labels",
        "• tuned has gained",
        "few_shot 0.120",
        "Fitted by least squares",
        "The next hundred labels",
        "One training seed",
        "Asked all 60 examples.",
    )
    places = [said.index(part) for part in parts]
    assert places == sorted(places)


def test_marked_places_are_said_and_what_was_not_scored_is_not_a_number() -> None:
    said = single(shown(*probes_text([knowledge_quality()]), width=120))
    assert "raft falls under tuned: 79.3 %, 95 % interval 68 % or more" in said
    assert "rag n/a n = 0, 60 unscored" in said and "Asked 60 of 120 examples." in said


def test_excerpts_are_counted_and_not_printed() -> None:
    said = single(shown(*probes_text([explainability()]), width=120))
    assert "The report shows 2 answers with the passages behind them." in said
    assert "The council met" not in said


def test_a_skipped_probe_is_one_line_with_its_reason_and_hint() -> None:
    lines = [line for line in shown(*probes_text([skipped()]), width=120) if line]
    reason = "the experiment has no second version of its documents"
    assert lines == [f"  Freshness: skipped: {reason}; try: name it under data.update"]


def test_text_of_documents_is_no_markup() -> None:
    hostile = "[bold]x[/bold] [/] [link=file:///]"
    probe = dataclasses.replace(context(), title=hostile, findings=(hostile,), notes=(hostile,), tables=(), charts=())
    assert single(shown(*probes_text([probe]), width=120)).count(hostile) == 3


def test_a_piped_page_has_no_white_space_up_to_its_edge() -> None:
    console = Console(width=240, soft_wrap=True)
    with console.capture() as captured:
        for part in probes_text(all_probes()):
            console.print(part)
    assert not any(len(line) - len(line.rstrip()) > 120 for line in captured.get().splitlines())


def test_no_probe_prints_nothing() -> None:
    nothing: tuple[ProbeResult, ...] = ()
    assert list(probes_text(nothing)) == []
