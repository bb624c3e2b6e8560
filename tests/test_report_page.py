"""The page: what its first screen and its sections show of synthetic run folders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from report_runs import METRICS, MINIMAL, Page, add_everything, change, rendered, write_run

from ragft import jsonl
from ragft.report import load_report, render_markdown
from ragft.report.formatting import score


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("full") / "run")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_everything(write_run(tmp_path_factory.mktemp("everything") / "run"))


def words_of(run: Path) -> str:
    return " ".join(Page(rendered(run)).text.split())


def test_the_first_screen_answers_the_question(full: Path) -> None:
    text = " ".join(Page(rendered(full)).text.split())
    verdict = json.loads((full / "verdict.json").read_text())
    assert "Fine-tune, retrieve, both, or just prompt? Both" in text
    assert verdict["headline"] in text and text.index(verdict["headline"]) < text.index("exact_match")
    for sentence in (*verdict["reasons"], *verdict["caveats"], *verdict["next_steps"]):
        assert sentence in text


def test_arms_stand_from_best_to_worst_and_controls_last(full: Path) -> None:
    html = rendered(full)
    html = html[: html.index('id="tradeoff"')]
    names = re.findall(r'<tr class="(\w+)">\s*<th scope="row">\s*<span class="name">(\w+)</span>', html)
    assert [kind for kind, _ in names] == ["shipped", *["arm"] * 5, "control", "control"]
    means = {
        m["arm"]: m["value"]
        for m in json.loads((full / "metrics.json").read_text())["metrics"]
        if m["metric"] == "token_f1"
    }
    shippable = [name for kind, name in names if kind != "control"]
    assert shippable == sorted(shippable, key=lambda name: -means[name])
    assert all(score(means[name]) in html for name in means)


def test_every_section_of_a_full_run_is_there(full: Path) -> None:
    text = " ".join(Page(rendered(full)).text.split())
    for words in ("recall@3", "answered, though unanswerable", "optimiser steps", "2 eval questions stand in train",
                  "latency p50 in seconds", "index: 60 passages unchanged", "Holm's correction", "name: harbour",
                  "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678", "uncommitted changes", "rag minus prompt"):  # fmt: skip
        assert words in text, words


def test_a_minimal_run_says_what_it_has_not(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=40, full=False)
    page = Page(rendered(run))
    assert "latency n/a" in page.text and "not timed" in page.text
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert not {"retrieval", "training"} & ids and {"contrasts", "questions", "provenance"} <= ids
    assert "| n/a |" in render_markdown(load_report(run))


def test_a_classification_run_shows_macro_f1_and_the_majority_share(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=40, full=False)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["task"] = {"kind": "classification", "labels": ["fault", "order"], "majority_share": 0.6125}
    metrics["arms"]["prompt"]["macro_f1"] = 0.4375
    jsonl.write_json(run / "metrics.json", metrics)
    page = Page(rendered(run))
    assert "Labels: fault, order." in page.text and "right in 0.613 of the cases" in page.text
    assert "0.438" in page.text and page.payload["metrics"] == list(METRICS)


def test_an_unscored_mean_is_not_a_number_and_says_why(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=40, full=False)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["metrics"].append(
        {
            "arm": "prompt",
            "metric": "groundedness",
            "version": 1,
            "value": None,
            "n": 0,
            "n_unscored": 40,
            "interval": None,
        }
    )
    jsonl.write_json(run / "metrics.json", metrics)
    for i in range(40):
        row = {"arm": "prompt", "example_id": f"eval-{i:04d}", "metric": "groundedness", "value": None}
        jsonl.append_row(run / "scores.jsonl", {**row, "reason": "the prompt holds no passage"})
    text = Page(rendered(run)).text
    assert "40 unscored: the prompt holds no passage" in text
    assert "not measured" in text  # the other arm


@pytest.mark.parametrize(
    ("decision", "words"), [("not_decided", "Not decided"), ("none_qualifies", "None of them, yet")]
)
def test_a_verdict_that_ships_nothing_names_no_arm_to_ship(
    full: Path, tmp_path: Path, decision: str, words: str
) -> None:
    run = write_run(tmp_path / "run", n=20)
    verdict = json.loads((run / "verdict.json").read_text())
    jsonl.write_json(
        run / "verdict.json", {**verdict, "decision": decision, "arm": None, "candidates": ["rag", "raft"]}
    )
    html = rendered(run)
    assert f'<p class="answer">{words}</p>' in html and "ship this" not in html
    assert html.count(">still open</span>") == 2


def test_the_same_folder_gives_the_same_bytes(full: Path) -> None:
    assert rendered(full) == rendered(full)
    assert render_markdown(load_report(full)) == render_markdown(load_report(full))


def test_a_run_without_the_newer_facts_shows_no_empty_place_for_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=20)
    verdict = json.loads((run / "verdict.json").read_text())
    older = {key: value for key, value in verdict.items() if key not in ("sensitivity", "not_comparable")}
    jsonl.write_json(run / "verdict.json", older)
    comparison = json.loads((run / "comparison.json").read_text())
    for contrast in comparison["contrasts"]:
        del contrast["n_more"], contrast["p_mid"]
    for estimate in comparison["estimates"]:
        del estimate["seed_means"]
    jsonl.write_json(run / "comparison.json", comparison)
    page = Page(rendered(run))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert not {"gates", "sweep", "effort-cost", "effort-memory"} & ids
    html = rendered(run)
    assert "What would change it" not in html and "<h3>Not comparable" not in html and "to decide</small>" not in html


def test_arms_that_are_not_comparable_are_named_with_the_reason(everything: Path) -> None:
    text = words_of(everything)
    assert "Not comparable few_shot: 0.58 of its answers were cut off, more than 0.50." in text
    assert re.search(
        r'few_shot</span>\s*(<span class="tag excluded">excluded</span>)?<span class="tag excluded">not comparable<',
        rendered(everything),
    )


def test_what_would_change_the_verdict_is_said(everything: Path) -> None:
    assert "What would change it With a margin above 0.18, rag would be shipped." in words_of(everything)


def test_gates_stand_on_the_first_screen_and_in_their_section(everything: Path) -> None:
    text = words_of(everything)
    assert text.index("1 of 2 gate checks hold") < text.index("Mean token_f1 with its")
    assert "Held against the baseline main, made 2026-11-20." in text
    assert "2. no regression no regression ✗ failed rag lost 0.1" in text


def test_all_requirements_are_listed(everything: Path) -> None:
    chips = re.findall(r'<span class="chip">([^<]+)</span>', rendered(everything))
    assert chips == [
        "score ≥ 0.300", "latency ≤ 2.00 s", "memory ≤ 2.00 GB", "EUR per 1,000 queries ≤ 1.50", "cites its sources",
        "facts change every 30 days", "data stay on the machine", "labels ≤ 400", "margin 0.020",
    ]  # fmt: skip


def test_costs_are_counted_by_arm_in_the_users_currency(everything: Path) -> None:
    text = words_of(everything)
    assert "EUR per 1,000 queries, all in" in text and "machine hour 0.9" in text
    assert "million prompt tokens" not in text  # null: not a price
    assert "12 1.25 each" in text and "0.000400" in text


def test_the_plot_can_be_switched_to_cost_and_memory_without_script(everything: Path) -> None:
    page = Page(rendered(everything))
    radios = [a["id"] for name, a in page.elements if name == "input" and a.get("type") == "radio"]
    assert radios == ["effort-latency", "effort-cost", "effort-memory"]
    assert "EUR per 1,000 queries, logarithmic" in page.text and "memory in GB" in page.text


def test_training_seeds_are_drawn_and_said(everything: Path) -> None:
    html = rendered(everything)
    row = html[html.index('<span class="name">raft</span>') :][:2500]
    assert row.count('class="seed"') == 3 and 'title="by training seed 0.611, 0.702, 0.733"' in row


def test_contrasts_say_how_many_more_questions_would_decide(everything: Path) -> None:
    text = words_of(everything)
    assert "80 more to decide" in text and "mid-p 0.031" in text


def test_retrieval_stands_beside_what_the_reader_makes_of_it(everything: Path) -> None:
    html = rendered(everything)
    section = " ".join(Page(html[html.index('id="retrieval"') : html.index('id="questions"')]).text.split())
    assert "0.713 n = 51 0.062 n = 9" in section
    comparison = json.loads((everything / "comparison.json").read_text())
    pair = next(c for c in comparison["contrasts"] if {c["first"], c["second"]} == {"rag", "oracle"})
    assert pair["first"] == "rag"  # the trap: the contrast is recorded the other way round
    assert f"+{-pair['difference']:.3f}" in section


def test_a_sweep_shows_its_trials_best_first_and_the_chosen_one(everything: Path) -> None:
    html = rendered(everything)
    section = html[html.index('id="sweep"') : html.index('id="training"')]
    assert re.findall(r'<th scope="row">(\d)', section) == ["2", "1", "3"]  # the one without a mean comes last
    assert section.count(">chosen<") == 1 and "token_f1 on dev by retrieval.top_k" in section


def test_a_page_made_before_the_run_ended_has_no_empty_row_for_its_end(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    change(run / "manifest.json", finished_at=None, status="started")
    text = words_of(run)
    assert "started 2026-11-23 14:12 UTC" in text and "ended" not in text


def test_a_comparison_that_could_not_be_made_ships_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=20)
    change(run / "verdict.json", decision="not_comparable", arm=None, candidates=[])
    assert '<p class="answer">Not comparable</p>' in rendered(run)
