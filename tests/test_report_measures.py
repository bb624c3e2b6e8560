"""What the reports show of every metric, label, prompt and check: exact words and numbers of a run chosen by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from report_measures import HOSTILE, add_measures
from report_runs import MINIMAL, Page, change, rendered, write_run

from ragft.report import load_report, render_markdown
from ragft.report.contents import ReportData
from ragft.report.families import by_family, family_key
from ragft.report.sureness_plot import sureness_rows
from ragft.report.unaided_words import standing_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_measures(write_run(tmp_path_factory.mktemp("measures") / "run", n=20))


@pytest.fixture(scope="module")
def data(run: Path) -> ReportData:
    return load_report(run)


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return rendered(run)


@pytest.fixture(scope="module")
def markdown(data: ReportData) -> str:
    return render_markdown(data)


def section(html: str, key: str) -> str:
    """Return the words of one section of the page."""
    part = html[html.index(f'<section id="{key}"') :]
    return " ".join(Page(part[: part.index("</section>")]).text.split())


# ------------------------------------------------------------------------------------------- what needs no model


@pytest.mark.parametrize(
    ("difference", "low", "high", "expected"),
    [
        (-0.1, -0.2, -0.01, "worse"),
        (-0.1, -0.2, 0.0, "worse"),
        (0.1, -0.1, 0.3, "unsure"),
        (0.1, 0.01, 0.3, "better"),
        (0.0, 0.0, 0.0, "unsure"),  # the very same answers: the trap is to call them worse
        (None, None, None, None),
        (0.1, None, None, None),
    ],
)
def test_how_an_arm_stands_against_an_answer_without_a_model(
    difference: float | None, low: float | None, high: float | None, expected: str | None
) -> None:
    assert standing_of(difference, low, high) == expected


def test_arms_no_better_than_a_copy_are_named_on_the_first_screen(html: str) -> None:
    first = html[: html.index('id="tradeoff"')]
    words = " ".join(Page(first).text.split())
    assert (
        "Copying the input has token_f1 0.250 without any model. Worse than that: prompt. "
        "Not clearly better: few_shot, tuned." in words
    )
    marks = dict(re.findall(r'<span class="name">(\w+)</span>(?:(?!</tr>).)*?aria-label="([^"]+input)"', first, re.S))
    assert marks == {
        "prompt": "worse than copying the input",
        "few_shot": "not clearly better than copying the input",
        "tuned": "not clearly better than copying the input",
    }
    assert first.count('class="reference"') == 8  # one line in the bar of every arm


def test_the_summary_marks_the_same_arms(markdown: str) -> None:
    first = markdown[: markdown.index("Copying the input has token_f1 0.250 without any model.")]
    marks = dict(re.findall(r"^\| (\w+) \| [^|]+ \| [\d.]+ ([▼≈]) \|", first, re.M))
    assert marks == {"prompt": "▼", "few_shot": "≈", "tuned": "≈"}
    assert "Worse than that: prompt. Not clearly better: few_shot, tuned. ▼ worse, ≈ not clearly better." in markdown


def test_a_run_in_which_every_arm_is_better_says_so(tmp_path: Path) -> None:
    other = add_measures(write_run(tmp_path / "run", MINIMAL | {"rag": (None, "index", 0, False, 0.6, 1.2, 402)}, n=20))
    better = {"first": "rag", "second": "unaided", "metric": "token_f1", "difference": 0.4, "n": 20, "test": "x",
              "interval": {"low": 0.3, "high": 0.5, "level": 0.95, "method": "x"}}  # fmt: skip
    unaided = {"what": "the beginning of the input", "metric": "token_f1", "mean": None, "contrasts": [better]}
    change(other / "metrics.json", task={"kind": "qa", "labels": [], "majority_share": None, "unaided": unaided})
    text = render_markdown(load_report(other))
    assert "The beginning of the input has token_f1 n/a without any model. Every arm is better." in text
    assert "▼" not in text and "≈" not in text


# ------------------------------------------------------------------------------------------------------- families


def test_metrics_stand_in_families() -> None:
    measured = ["token_f1", "abstained", "chrf", "macro_f1", "k_precision", "similarity", "judge_correctness", "mine"]
    assert [(family.title, names) for family, names in by_family([*measured, "chrf"])] == [
        ("Answer quality", ["token_f1", "chrf"]),
        ("All answers together", ["macro_f1"]),
        ("Passages and citations", ["k_precision"]),
        ("Measured by a model", ["similarity"]),
        ("Judge", ["judge_correctness"]),
        ("Other", ["abstained", "mine"]),
    ]
    assert [family_key(name) for name in ("wasted_citations", "gold_bits_per_byte", "answer_words")] == [
        "passages",
        "model",
        "other",
    ]


def test_each_family_has_a_heading(html: str) -> None:
    part = html[html.index('<section id="measures"') :]
    titles = re.findall("<h3>([^<]+)</h3>", part[: part.index("</section>")])
    assert titles == [
        "Answer quality", "All answers together", "Passages and citations", "Measured by a model", "Judge", "Other",
        "Answers", "Declining to answer", "Answers that could not be got",
    ]  # fmt: skip


def test_an_arm_without_passages_has_no_groundedness_and_says_why(html: str) -> None:
    words = section(html, "measures")
    grounded = words[words.index("Passages and citations") : words.index("Measured by a model")]
    assert "rag 0.720 0.620 to 0.820; n = 15" in grounded
    assert grounded.count("n/a has no passages") == 3  # prompt, few_shot, tuned


def test_models_prompts_and_chosen_examples_are_named(html: str) -> None:
    words = section(html, "arms")
    assert "prompt only, on hosted, 4 examples shown, those most like the input" in words
    assert "retrieval, on the main model, asked with 2 prompts" in words


def test_errors_stand_by_arm_and_reason(html: str, markdown: str) -> None:
    assert section(html, "measures").endswith(f"few_shot HTTP 429 {HOSTILE} 3 few_shot gone 1")
    assert "<summary>Answers that could not be got (4)</summary>" in markdown
    assert r"| few_shot | HTTP 429 \<img src=x onerror=alert(1)\> \| a | 3 |" in markdown


# ------------------------------------------------------------------------------------- labels, prompts, sureness


def test_labels_show_f1_with_precision_and_recall(tmp_path: Path) -> None:
    run = add_measures(write_run(tmp_path / "run", n=20))
    rows = (run / "examples.jsonl").read_text().splitlines()
    labelled = [
        re.sub(r'"references": \[[^]]*\]', f'"references": ["{"fault" if i < 15 else "order"}"]', row)
        for i, row in enumerate(rows)
    ]
    (run / "examples.jsonl").write_text("\n".join(labelled) + "\n")
    task = {"kind": "classification", "labels": ["fault", "order"], "majority_share": 0.75}
    change(run / "metrics.json", task=task)
    words = section(rendered(run), "labels")
    assert "Always saying the commonest label would be right in 0.750 of the cases." in words
    assert "fault commonest 15 75.0 % 0.667 precision 0.500, recall 1.000" in words
    assert words.endswith("macro F1 0.333 no label at all 2 of 20")
    assert "| fault (commonest) | 15 (75.0 %) | 0.667 (precision 0.500, recall 1.000) |" in render_markdown(
        load_report(run)
    )


def test_prompts_stand_as_dots_around_their_average(html: str, markdown: str) -> None:
    assert section(html, "prompts").endswith(f"0.625 0.250 qa-short-1 0.500 {HOSTILE} 0.750")
    part = html[html.index('<section id="prompts"') :][:3000]
    assert re.findall(r'<circle class="dot arm" cx="([\d.]+)%"', part) == ["50.00", "73.50"]  # 3 % + 94 % of the mean
    assert 'class="whisker" x1="61.75%"' in part  # their average, 0.625
    assert "| rag | 0.625 | 0.250 | qa-short-1 0.500, " in markdown


def test_the_curve_is_drawn_where_its_points_lie(data: ReportData, html: str) -> None:
    rows = sureness_rows(data)
    assert [row.arm for row in rows] == ["rag", "prompt"]
    # 232 px for all answers from x = 46; the axis of means is 0.57 to 0.93 (a tenth more on each side) over 138 px
    assert 'points="69.2,23.5 173.6,81.0 278.0,138.5"' in rows[0].plot
    assert "<desc>100 % kept: 0.600; 55 % kept: 0.750; 10 % kept: 0.900</desc>" in rows[0].plot
    words = section(html, "sureness")
    assert "rag 0.600 n = 18 0.750 55 % kept +0.150 +0.050 to +0.250 0.310 0.125 2" in words
    assert "prompt 0.600 n = 18 0.750 55 % kept n/a 0.310" in words
    without = words[words.index("No curve, for fewer than ten answers could be placed on one: ") :]
    assert all(name in without for name in ("few_shot", "tuned", "raft", "oracle"))


# ------------------------------------------------------------------------------------------------ judge and checks


def test_the_judge_stands_with_its_agreement_and_its_position_bias(html: str, markdown: str) -> None:
    words = section(html, "judge")
    assert "referee judged (judge-correctness-1); 1,200 prompts asked now, 5 answered before." in words
    assert "correctness 0.788 0.550 to 0.950 0.900 n = 40 yes 90 4 more without asking 6 1" in words
    assert "faithfulness n/a nobody has labelled any answer n/a no 50 50 0" in words
    assert "rag over prompt 10 5 3 0.694 0.450 to 0.870 0.235 4 2" in words
    assert f"The judge referee may not decide on faithfulness: {HOSTILE}." in words
    assert "| rag over prompt | 10 | 5 | 3 | 0.694 (0.450 to 0.870) | 0.235 (4) | 2 |" in markdown


def test_every_check_stands_in_the_page_and_each_message_once(tmp_path: Path, html: str, markdown: str) -> None:
    words = section(html, "data")
    assert "title of too_few ✓ ok 0 20 20 eval examples" in words
    assert f"title of leak_exact ! warning 2 20 2 leaked {HOSTILE} remove them 1 example eval-0001" in words
    assert "2 eval questions stand in train too" in words  # a finding that is no check
    assert "(1 of 3 found something)" in markdown
    assert "Found nothing: title of too_few; title of repeats." in markdown
    run = add_measures(write_run(tmp_path / "run", n=20))
    data = {"findings": [{"check": "leak_exact", "message": "2 leaked", "example_ids": []}], "checks": []}
    change(run / "metrics.json", data=data)
    assert section(rendered(run), "data").count("2 leaked") == 1  # without checks the finding stands alone


def test_signatures_stand_with_the_versions(html: str) -> None:
    assert "sacrebleu signatures corpus_bleu nrefs:2|case:mixed|eff:no|tok:13a" in section(html, "provenance")


# ---------------------------------------------------------------------------------------------------- explorer


def test_the_explorer_has_the_conversation_and_what_was_not_got(html: str) -> None:
    payload = Page(html).payload
    assert payload["examples"][0][6] == [[f"Before? {HOSTILE}", "So it was."]]
    assert len(payload["examples"][1]) == 6
    few_shot = next(arm for arm in payload["arms"] if arm["name"] == "few_shot")
    assert few_shot["answers"][0][7:] == [2, "HTTP 429"]
    assert next(arm for arm in payload["arms"] if arm["name"] == "rag")["prompts"] == 2


def test_hostile_names_stay_text(html: str, markdown: str) -> None:
    assert "<img" not in html and html.count("&lt;img src=x") >= 6
    assert "<img" not in markdown.replace("\\<", "")


def test_a_run_without_any_of_it_has_no_section_for_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    ids = {attributes.get("id") for _, attributes in Page(rendered(run)).elements}
    assert not {"labels", "prompts", "sureness", "judge"} & ids
    text = render_markdown(load_report(run))
    assert "without any model" not in text and "Checks of the data" not in text
