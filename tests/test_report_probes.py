"""Probes in the reports: read back as they were written, drawn where their numbers lie, every form of number said."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from report_probes import ARMS, all_probes, context, explainability, knowledge_quality, label_budget, skipped, within
from report_probes import write_probes as write
from report_runs import Page, rendered, write_run

from ragft import jsonl
from ragft.errors import RagftError
from ragft.evaluation.probing import Cell, Chart, Curve, Mark, MarkedPassage, Point, ProbeResult, probe_from_dict
from ragft.records import Interval
from ragft.report import load_report, render_markdown
from ragft.report.probe_axes import ticks
from ragft.report.probe_forms import ends, place, written
from ragft.report.probe_plot import SIZES, mark_words, probe_plots
from ragft.report.probe_reading import read_probe, read_probes
from ragft.report.probe_series import Look, looks
from ragft.report.probe_tables import chart_table, probe_table
from ragft.report.probe_views import marked_pieces

FRAME = dict(SIZES)["wide"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "run", probes=all_probes())


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return rendered(run)


@pytest.fixture(scope="module")
def markdown(run: Path) -> str:
    return render_markdown(load_report(run))


def section(html: str) -> str:
    return html[html.index('<section id="probes"') : html.index('<section id="questions"')]


def article(html: str, probe: str) -> str:
    return html[html.index(f'<article class="probe" id="probe-{probe}"') :].split("</article>")[0]


def words(html: str) -> str:
    return " ".join(Page(html).text.split())


# ------------------------------------------------------------------------------------------------------------- reading


def test_probes_are_read_as_they_were_written_in_the_order_in_which_they_are_run(tmp_path: Path) -> None:
    odd = dataclasses.replace(skipped(), probe="a_probe_of_tomorrow")
    write(tmp_path, (odd, *reversed(all_probes())))
    assert read_probes(tmp_path / "probes") == (*all_probes(), odd)


def test_both_readers_of_a_probe_agree(tmp_path: Path) -> None:
    write(tmp_path, [context()])
    path = tmp_path / "probes" / "context.json"
    assert read_probe(path) == probe_from_dict(json.loads(path.read_text())) == context()


def test_a_run_without_probes_has_no_section(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=20)
    assert load_report(run).probes == ()
    assert 'id="probes"' not in rendered(run) and "Probe" not in render_markdown(load_report(run))


BROKEN: list[tuple[list[Any], Any, str]] = [
    (["probe"], "phrasing", r"probe: expected 'context', as the file is named"),
    (["status"], "done", r"status: expected one of measured, skipped"),
    (["title"], None, r"title: expected a string, found nothing"),
    (["charts"], {}, r"charts: expected a list, found dict"),
    (["charts", 0, "form"], "percent", r"charts\[0\]\.form: expected one of score, signed"),
    (["charts", 0, "curves", 1, "points", 2, "value"], "high", r"curves\[1\]\.points\[2\]\.value: expected a finite"),
    (["charts", 0, "curves", 0, "points", 0, "x"], None, r"points\[0\]\.x: expected a finite number, found nothing"),
    (["charts", 0, "curves", 0, "kind"], "line", r"curves\[0\]\.kind: expected one of arm, control, fit"),
    (["charts", 0, "curves", 0, "points", 0, "interval"], {"low": 1}, r"interval\.high: expected a finite number"),
    (["tables", 0, "rows", 1, "cells"], [], r"rows\[1\]\.cells: expected 9 cells, one for each column"),
    (["tables", 0, "rows", 0, "cells", 0, "value"], [0.1], r"cells\[0\]\.value: expected a finite number, found list"),
    (["excerpts"], [{"arm": "rag"}], r"excerpts\[0\]\.example_id: expected a string"),
    (["values"], [1], r"values: expected an object, found list"),
]


@pytest.mark.parametrize(("keys", "value", "fault"), BROKEN)
def test_a_broken_probe_is_named_with_its_file_and_key(
    tmp_path: Path, keys: list[Any], value: object, fault: str
) -> None:
    run = write_run(tmp_path / "run", n=20, probes=[context()])
    path = run / "probes" / "context.json"
    data = here = json.loads(path.read_text())
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = value
    jsonl.write_json(path, data)
    with pytest.raises(RagftError, match=rf"context\.json: .*{fault}|context\.json: {fault}"):
        load_report(run)


def test_spans_that_are_none_are_named(tmp_path: Path) -> None:
    write(tmp_path, [explainability()])
    path = tmp_path / "probes" / "explainability.json"
    path.write_text(path.read_text().replace("32", '"32"'))
    with pytest.raises(RagftError, match=r"passages\[0\]\.spans\[0\]: expected a pair of whole numbers"):
        read_probe(path)


# ------------------------------------------------------------------------------------------------------------- numbers


def test_every_form_of_number_has_its_words() -> None:
    forms = ("score", "share", "signed", "count", "seconds", "number", "money", "text")
    assert [written(0.0414, form) for form in forms] == [
        "0.041", "0.041", "+0.041", "0", "0.041 s", "0.0414", "0.0414", "0.0414",
    ]  # fmt: skip
    assert [written(-1402.5, form) for form in ("count", "number", "money")] == ["\u22121,402"] * 3
    assert [written(None, form) for form in forms] == ["n/a"] * 8
    assert written("never", "money") == "never"
    assert written(4020.0, "seconds") == "1 h 7 min"


def test_open_ends_of_intervals_are_words() -> None:
    closed, inf = Interval(0.1, 0.2, 0.95, "m"), math.inf
    found = [dataclasses.replace(closed, low=low, high=high) for low, high in ((0.1, inf), (-inf, 0.2), (-inf, inf))]
    assert [ends(one, "score") for one in found] == ["0.100 or more", "0.200 or less", "not known"]
    assert (ends(closed, "signed"), ends(None, "score")) == ("+0.100 to +0.200", "")


def test_places_are_in_per_cent_where_the_labels_of_the_axis_are() -> None:
    assert [place(x) for x in (0.6346, 63.46, 12345.6, -2)] == ["0.635", "63.5", "12,346", "\u22122"]
    assert place(0.6346, "25 %") == "63.5 %"
    missing = knowledge_quality().charts[0]
    assert mark_words(missing.marks[1], missing) == "raft falls under tuned: 79.3 %, 95 % interval 68 % or more"
    counts = dataclasses.replace(label_budget().charts[0], marks=(Mark(120.0, "enough"),))
    assert mark_words(counts.marks[0], counts) == "enough: 120"


def test_a_number_of_items_that_all_values_share_stands_once_and_others_with_their_values() -> None:
    shared = chart_table(label_budget().charts[0])
    assert shared.note == "95 % intervals; n = 60 throughout."
    assert shared.columns == ("0", "26", "66", "132", "264") and len(shared.rows) == 2  # no row for the fit
    assert [cell.text for cell in shared.rows[1][1]] == ["0.120", "0.160", "0.170", "n/a", "n/a"]
    table = probe_table(context().tables[0])
    assert table.note == "A hit has a passage of a gold document in its prompt. 95 % intervals."
    assert table.rows[0][1][1].notes == ("0.690 to 0.850", "n = 51")
    assert [cell.text for cell in table.rows[0][1][4:8]] == ["+0.190", "0.140", "1,402", "1.21 s"]
    assert table.words == (False,) * 8 + (True,) and not table.is_small


def test_spans_that_touch_are_marked_as_one_and_none_goes_beyond_the_text() -> None:
    def pieces(*spans: tuple[int, int]) -> tuple[tuple[str, bool], ...]:
        return marked_pieces(MarkedPassage("", "abcdef", spans, cited=False))

    assert pieces() == (("abcdef", False),)
    assert pieces((3, 5), (1, 4)) == (("a", False), ("bcde", True), ("f", False))
    assert pieces((4, 99), (-3, 1), (50, 60), (3, 2)) == (("a", True), ("bcd", False), ("ef", True))


# ------------------------------------------------------------------------------------------------------------ drawings


def chart(*values: float | None, **facts: Any) -> Chart:
    points = tuple(Point(float(x), f"{x}", value, None, 9) for x, value in enumerate(values))
    return dataclasses.replace(Chart("c", "a title", "across", "up", (Curve("rag", points),)), **facts)


def drawn(one: Chart) -> str:
    by_name = {curve.name: Look(slot) for slot, curve in enumerate(one.curves)}
    return str(dict(probe_plots(one, by_name))["wide"])


def test_a_curve_is_drawn_where_its_values_lie() -> None:
    # Across: 484 px from 60 for -0.07 to 1.07. Up: 248 px from 262 for 0 (0.2 is near it) to 0.6 + 0.08 * 0.4.
    assert 'points="89.7,183.5 514.3,26.6"' in drawn(chart(0.2, 0.6))
    assert "<title>rag, across 1: 0.600, n = 9</title>" in drawn(chart(0.2, 0.6))


def test_a_line_is_not_drawn_over_a_place_without_a_value() -> None:
    found = drawn(chart(0.2, 0.3, None, 0.5, 0.6, None, 0.7))
    assert found.count("<polyline") == 2 and found.count('class="marker') == 5  # the last point stands alone


def test_a_chart_in_which_nothing_was_scored_has_no_drawing() -> None:
    assert probe_plots(chart(None, None), {"rag": Look(0)}) == []


def test_points_at_the_same_place_stand_side_by_side_with_their_whiskers() -> None:
    points = (Point(0.0, "0", 0.5, within(0.5)), Point(1.0, "1", 0.5, within(0.5)))
    found = drawn(dataclasses.replace(chart(), curves=tuple(Curve(name, points) for name in ARMS)))
    places = [float(x) for x in re.findall(r'<path class="marker[^>]*translate\(([\d.]+)', found)]
    assert len(set(places)) == 16 and sorted(places)[1] - sorted(places)[0] == pytest.approx(5.0)
    assert found.count('<line class="whisker') == 3 * 16


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors_and_none_for_zero() -> None:
    points = tuple(Point(x, f"{x:g}", 0.5) for x in (1.0, 10.0, 100.0))
    curves = (Curve("rag", points),)
    found = drawn(chart(curves=curves, log_x=True))
    first, second, third = (float(x) for x in re.findall(r"translate\(([\d.]+)", found))
    assert second - first == pytest.approx(third - second) and "across, logarithmic" in found
    assert "logarithmic" not in drawn(chart(0.1, 0.2, log_x=True))  # 0 has no logarithm


def test_a_mark_has_a_line_a_name_and_a_band_that_an_open_end_takes_to_the_edge() -> None:
    marks = (
        Mark(0.5, "closed", Interval(0.25, 0.75, 0.95, "m")),
        Mark(0.5, "open", Interval(0.25, math.inf, 0.95, "m")),
    )
    found = drawn(chart(0.2, 0.6, marks=marks))
    bands = re.findall(r'<rect class="reach" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', found)
    assert bands[0] == ("195.86", "212.28")  # 484 px for 1.14: 0.25 lies at 60 + 0.32 * 424.56, and 0.5 is 212.28 wide
    assert float(bands[1][0]) + float(bands[1][1]) == pytest.approx(FRAME.wall)
    assert found.count('<line class="mark" x1="302" x2="302"') == 2 and ">closed</text>" in found


def test_a_fit_is_a_line_with_a_band_and_without_points() -> None:
    found = drawn(label_budget().charts[0])
    assert found.count('class="band') == 1 and 'class="series series-1 fit"' in found
    assert found.count('class="marker') == 8  # five and three measured points


def test_names_along_the_axis_are_broken_between_words_and_never_cover_each_other() -> None:
    axis = FRAME.across(-0.1, 2.1)
    long = {
        0.0: "not corrupted",
        1.0: "a twentieth of all the letters misread",
        2.0: "a seventh of all letters misread",
    }
    found = ticks(long, axis, FRAME)
    assert found[0].lines == ("not corrupted",)
    assert found[1].lines == ("a twentieth of all the letters", "misread")
    crowd = ticks({x / 40: f"step{x}" for x in range(41)}, FRAME.across(0, 1), FRAME)
    assert crowd[0].lines == ("step0",) and crowd[-1].lines == ("step40",) and 5 < len(crowd) < 12
    assert not any(a.covers(b) for a, b in zip(crowd, crowd[1:], strict=False))


def test_no_two_curves_look_alike_and_one_name_looks_the_same_in_every_chart() -> None:
    found = looks(all_probes(), ARMS)
    names = [name for name in found if not name.endswith("(fitted)")]
    assert len({(found[name].colour, found[name].shape, found[name].dash) for name in names}) == len(names) == 9
    assert found["tuned"] == found["tuned (fitted)"] == Look(2)
    many = [Look(slot) for slot in range(24)]
    assert len({(look.colour, look.shape) for look in many}) == 24


# -------------------------------------------------------------------------------------------------------- both reports


def test_the_section_begins_with_a_line_for_each_probe(html: str) -> None:
    assert '<a href="#probes">Probes</a>' in html
    overview = section(html).split('<ul class="overview">')[1].split("</ul>")[0]
    assert re.findall(r'href="#(probe-\w+)"', overview) == [
        "probe-label_budget", "probe-knowledge_quality", "probe-context", "probe-explainability",
    ]  # fmt: skip
    assert "rag is best with 5 passages (token_f1 0.670)." in overview
    assert words(overview).count("skipped") == 1
    assert "no second version of its documents. To run it: name it under data.update" in words(overview)


def test_a_skipped_probe_has_no_article(html: str) -> None:
    assert section(html).count("<article") == 4 and "probe-freshness" not in html


def test_an_article_holds_the_question_the_findings_the_numbers_and_what_they_rest_on(html: str) -> None:
    said, quality = (words(article(html, name)) for name in ("label_budget", "knowledge_quality"))
    assert "What do more labels buy? The next 100 labels would add +0.012" in said
    assert "tuned +0.012 \u22120.004 to +0.041 120 3 min 14 s" in said
    assert said.endswith(
        "Asked all 60 examples. Measured on the eval examples, SmolLM2-135M-Instruct. Took 6 min 52 s."
    )
    assert "Asked 60 of 120 examples." in words(article(html, "knowledge_quality"))
    assert "n/a: nothing in this chart could be scored." in words(article(html, "knowledge_quality"))
    assert words(article(html, "context")).count("n/a") == 9  # a row that was not measured


def test_every_chart_has_its_drawing_in_two_sizes_its_legend_and_its_numbers(html: str) -> None:
    said = article(html, "knowledge_quality")
    assert said.count("<figure>") == 3 and said.count('class="plot-wide"') == said.count('class="plot-narrow"') == 2
    legend = words(said.split('<ul class="keys"')[1].split("</ul>")[0].split(">", 1)[1])
    order = [legend.rindex(name) for name in ("oracle", "few_shot", "prompt", "random_context")]
    assert order == sorted(order)  # as the curves stand at their right ends
    assert said.count("<summary>Numbers</summary>") == 3


def test_excerpts_are_folded_with_the_supporting_spans_marked(html: str) -> None:
    said = article(html, "explainability")
    assert '<details class="excerpts">' in said and "rag: 2 answers with the passages behind them" in said
    assert re.findall("<mark>(.*?)</mark>", said) == [explainability().excerpts[0].passages[0].text[32:108]]
    assert said.count('class="passage cited"') == 1 and "(empty answer)" in said and "token_f1 n/a" in said


def test_markdown_folds_each_probe_and_says_in_a_line_why_one_was_skipped(markdown: str) -> None:
    assert markdown.count("<summary>Probe: ") == 4
    assert "- rag is best with 5 passages (token_f1 0.670)." in markdown
    assert "| rag | 0.520 (0.440 to 0.600) | 0.660 (0.580 to 0.740) |" in markdown
    reason = "the experiment has no second version of its documents"
    assert f"Probe skipped: Freshness: {reason}. To run it: name it under data.update." in markdown
    tables = [block.splitlines() for block in markdown.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({line.count("|") - line.count("\\|") for line in table}) == 1


def test_the_same_probes_give_the_same_bytes(run: Path, html: str, markdown: str) -> None:
    assert rendered(run) == html and render_markdown(load_report(run)) == markdown


def test_a_probe_that_found_nothing_yet_still_renders(tmp_path: Path) -> None:
    bare = ProbeResult("cost", "Cost", "", "measured")
    empty = Chart("none", "no curve", "x", "y", ())
    write(tmp_path, [dataclasses.replace(bare, charts=(empty,))])
    run = write_run(tmp_path / "run", n=20, probes=read_probes(tmp_path / "probes"))
    assert "n/a: it has no finding." in rendered(run)
    assert "<summary>Probe: Cost</summary>" in render_markdown(load_report(run))


def test_a_cell_without_a_value_has_no_interval_either() -> None:
    table = context().tables[0]
    assert all(cell == Cell(None) for cell in table.rows[2].cells)
    assert all(cell.notes == () for cell in probe_table(table).rows[2][1])
