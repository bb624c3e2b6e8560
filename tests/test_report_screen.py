"""The tables of arms and of checks as they are seen on a terminal, on a narrow one, and in a pipe."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from report_measures import CHECKS, JUDGE, UNAIDED, row
from report_runs import Json
from rich.console import Console, RenderableType

from ragft.console import arms_table, checks_table
from ragft.console.arms import family_tables
from ragft.console.terminal import PIPED, Terminal
from ragft.data.checks import DataCheck

NAMES = ("token_f1", "exact_match", "contains", "rouge1", "abstained", "k_precision", "citation_recall")


def facts(retrieval: str, **more: object) -> Json:
    made = {"retrieval": retrieval, "control": False, "errors": {}, "latency_s_p50": 1.234, "prompt_tokens_mean": 230.4}
    return {**made, "truncated_share": 0.08, **more}


def metrics(**arms: Json) -> Json:
    rows = [
        row(arm, name, None if of["retrieval"] == "none" and name in ("k_precision", "citation_recall") else 0.5)
        for arm, of in arms.items()
        for name in NAMES
    ]
    task = {"kind": "qa", "labels": [], "majority_share": None, "unaided": None}
    return {"primary_metric": "token_f1", "metrics": rows, "arms": arms, "task": task}


def verdict(arm: str | None = None, not_comparable: tuple[tuple[str, str], ...] = ()) -> Any:
    return SimpleNamespace(arm=arm, not_comparable=not_comparable)


def shown(what: RenderableType, width: int = 100) -> str:
    out = StringIO()
    Console(file=out, width=width).print(what)
    return out.getvalue()


BOTH = {"prompt": facts("none"), "rag": facts("index")}


def test_a_hundred_columns_hold_the_most_telling_metrics() -> None:
    lines = shown(arms_table(metrics(**BOTH), verdict("rag"))).splitlines()
    assert [word for line in lines[:2] for word in line.split()] == [
        "token_f1", "alone", "prompt", "cut",
        "arm", "(interval)", "exact_match", "contains", "rouge1", "k_precision", "s", "tokens", "off",
    ]  # fmt: skip
    assert [line.split() for line in lines[3:5]] == [
        ["prompt", "0.500", "[0.40,", "0.60]", "0.500", "0.500", "0.500", "n/a", "1.23", "230", "8%"],
        ["rag", "←", "ship", "0.500", "[0.40,", "0.60]", "0.500", "0.500", "0.500", "0.500", "1.23", "230", "8%"],
    ]
    assert lines[5].strip() == "2 further metrics are in the report and in `ragft runs show`"
    assert all(len(line.rstrip()) <= 100 for line in lines)


@pytest.mark.parametrize("width", [60, 72, 80, 90, 100, 120, 240])
def test_no_number_is_cut_at_any_width(width: int) -> None:
    arms = {"few_shot_similar_tuned": facts("none", errors={"HTTP 429": 3}), "rag": facts("index")}
    text = shown(arms_table(metrics(**arms), verdict("few_shot_similar_tuned")), width)
    assert "…" not in text
    assert text.count("0.500 [0.40, 0.60]") == 2 and text.count("1.23") == 2 and text.count("8%") == 2
    assert "errors" in text and ("k_precision" in text or width < 90)


def test_the_narrow_table_counts_what_it_leaves_out() -> None:
    assert "2 further metrics" in shown(arms_table(metrics(**BOTH), verdict()), 240)
    assert "4 further metrics" in shown(arms_table(metrics(**BOTH), verdict()), 72)


def test_without_passages_there_is_no_column_for_them() -> None:
    text = shown(arms_table(metrics(prompt=facts("none"), few_shot=facts("none")), verdict()))
    assert "k_precision" not in text and "errors" not in text


def test_an_arm_without_any_answer_has_no_numbers() -> None:
    lost = facts("none", errors={"gone": 12, "HTTP 500": 3}, latency_s_p50=None, prompt_tokens_mean=None)
    lines = shown(arms_table(metrics(prompt=lost | {"truncated_share": None}), verdict())).splitlines()
    assert [line.split()[-4:] for line in lines if line.startswith("prompt")] == [["15", "n/a", "n/a", "n/a"]]


def test_what_needs_no_model_is_said_below_and_marked_beside() -> None:
    arms = {name: facts("none") for name in ("prompt", "few_shot", "rag")}
    made = metrics(**arms)
    made["task"]["unaided"] = UNAIDED
    text = " ".join(shown(arms_table(made, verdict()), 240).split())
    assert "prompt ▼ 0.500 [0.40, 0.60]" in text and "few_shot ≈ 0.500" in text and "rag 0.500" in text
    assert (
        "Copying the input has token_f1 0.250 without any model. Worse than that: prompt. "
        "Not clearly better: few_shot, tuned. (▼ worse, ≈ not clearly better)" in text
    )


def test_a_run_of_an_older_version_says_its_majority_share() -> None:
    made = metrics(**BOTH)
    made["task"] = {"kind": "classification", "labels": ["a"], "majority_share": 0.6125}
    assert "always saying the commonest label would get 0.613" in shown(arms_table(made, verdict()))


def test_runs_show_has_every_metric_by_family() -> None:
    text = "".join(shown(part) for part in family_tables(metrics(**BOTH), "rag"))
    heads = [line.split() for line in text.splitlines() if line.split()[:1] == ["arm"]]
    assert heads == [
        ["arm", "token_f1", "(interval)", "exact_match", "contains", "rouge1"],
        ["arm", "k_precision", "citation_recall"],
        ["arm", "abstained"],
    ]


# ------------------------------------------------------------------------------------------------------------ checks


def checks() -> list[DataCheck]:
    return [DataCheck(**{**one, "example_ids": ()}) for one in CHECKS]


def test_checks_that_found_nothing_are_one_line() -> None:
    lines = shown(checks_table(checks())).splitlines()
    assert lines[0] == "Checks of the data"
    assert lines[-1] == "ok: 2 checks found nothing: too_few, repeats"
    assert lines[3].split()[:2] == ["warning", "title"] and "2 of 20" in lines[3]


LONG = DataCheck(
    name="lengths",
    title="references that are longer than an answer may be",
    looked_at=10,
    found=3,
    severity="warning",
    message="3 are longer than generation.max_new_tokens_of_a_very_long_name_indeed " + "and so on " * 30,
)


@pytest.mark.parametrize("width", [60, 100])
def test_a_long_message_is_folded_on_a_terminal_and_never_cut(width: int) -> None:
    text = shown(checks_table([LONG]), width)
    assert "…" not in text and text.split().count("so") == 30


def test_in_a_pipe_a_message_stands_as_wide_as_results_do(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().checks([LONG])
    text = capsys.readouterr().err
    assert "…" not in text and "generation.max_new_tokens_of_a_very_long_name_indeed" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) > 200 >= PIPED["width"] - 40


def test_no_check_at_all_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().checks([])
    assert capsys.readouterr() == ("", "")


def test_the_judge_of_the_tests_names_what_the_format_names() -> None:
    """The rows written by hand have the keys that `judge_rows` writes, or these tests would prove nothing."""
    from ragft.evaluation.judging import JudgeReport, PreferenceReport, QuestionReport, judge_rows

    question = QuestionReport("correctness", 1, 0, 0, 0, 0)
    preference = PreferenceReport("a", "b", 0, 0, 0, 0, None, None, 0, 0, 0, 0)
    written = judge_rows(JudgeReport("referee", (), 0.6, 0.1, (question,), (preference,), 1, 0))
    assert written.keys() == JUDGE.keys()
    assert written["questions"][0].keys() == JUDGE["questions"][0].keys()
    assert written["preferences"][0].keys() == JUDGE["preferences"][0].keys()
