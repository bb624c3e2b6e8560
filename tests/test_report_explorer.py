"""What the page's question explorer is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_runs import FULL, Page, passage, rendered, write_run

from ragft import jsonl


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("full") / "run")


def test_the_explorer_pairs_answers_scores_and_passages_by_id(full: Path) -> None:
    data = Page(rendered(full)).payload
    scores = {(s["arm"], s["example_id"], s["metric"]): s["value"] for _, s in jsonl.read_rows(full / "scores.jsonl")}
    for arm in data["arms"]:
        for item, said in zip(data["examples"], arm["answers"], strict=True):
            expected = [scores[arm["name"], item[0], metric] for metric in data["metrics"]]
            assert said[1] == pytest.approx(expected, abs=1e-4)
    ids = [row[0] for row in data["passages"]]
    assert len(ids) == len(set(ids)) == 60
    rag = data["arms"][3]["answers"][0]
    assert [ids[place] for place in rag[2]] == [passage(0).id, passage(1).id, passage(5).id]


def test_a_passage_or_an_answer_that_the_run_does_not_hold_is_null(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=20)
    jsonl.write_rows(run / "passages.jsonl", [])
    (run / "answers" / "rag.jsonl").write_text("")
    data = Page(rendered(run)).payload
    assert {tuple(row[1:]) for row in data["passages"]} == {(None, None, None)}
    assert data["arms"][3]["answers"] == [None] * 20


def test_a_thousand_questions_and_six_arms_stay_under_three_megabytes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", dict(list(FULL.items())[:6]), n=1000)
    assert len(rendered(run).encode()) < 3_000_000


def test_scores_of_several_training_seeds_become_their_mean(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=20)
    rows = [row for _, row in jsonl.read_rows(run / "scores.jsonl") if row["arm"] != "raft"]
    seeds = [
        {"arm": "raft", "example_id": "eval-0000", "metric": "token_f1", "value": value, "reason": None, "seed": seed}
        for seed, value in ((1, 1.0), (2, 0.25), (3, None))
    ]
    jsonl.write_rows(run / "scores.jsonl", [*rows, *seeds])
    comparison = json.loads((run / "comparison.json").read_text())
    for estimate in comparison["estimates"]:
        if estimate["arm"] == "raft":
            estimate["seed_means"] = [0.5, 0.6, 0.7]
    jsonl.write_json(run / "comparison.json", comparison)
    raft = Page(rendered(run)).payload["arms"][list(FULL).index("raft")]
    assert raft["seeds"] == 3 and raft["answers"][0][1] == [0.625, None, None, None]


def test_each_passage_is_stored_once_however_many_arms_read_it(full: Path) -> None:
    html = rendered(full)
    assert html.count(json.dumps(passage(1).text)) == 1
