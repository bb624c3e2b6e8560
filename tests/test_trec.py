"""Rankings as TREC files: read back, held against trec_eval's own metrics, ids that the format cannot hold."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.evaluation.retrieval import ndcg_at, precision_at, recall_at, reciprocal_rank
from ragft.evaluation.trec import escaped, qrels_text, run_text, unescaped
from ragft.jsonl import read_rows
from ragft.records import Passage
from ragft.retrieval.bm25 import Bm25Index

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CALM = settings(deadline=None)


def test_the_lines_are_those_of_the_format() -> None:
    assert run_text({"q1": [("d1", 0.5), ("d2", 0.25)]}, "bm25") == "q1 Q0 d1 1 0.5 bm25\nq1 Q0 d2 2 0.25 bm25\n"
    assert qrels_text({"q1": {"d2", "d1"}, "q2": {"d3"}}) == "q1 0 d1 1\nq1 0 d2 1\nq2 0 d3 1\n"
    assert run_text({"q1": []}, "bm25") == ""


def test_ids_with_white_space_are_escaped_and_come_back() -> None:
    assert escaped("notes/first draft.md") == "notes/first%20draft.md"
    assert escaped("a%20b") == "a%2520b"  # the trap: an id that looks escaped already
    assert escaped("é\u00a0ü\u2028") == "é%C2%A0ü%E2%80%A8"  # spaces beyond ASCII part columns in some readers
    assert unescaped("a%2520b") == "a%20b"


@CALM
@given(st.text())
def test_any_id_comes_back_as_it_was(id_: str) -> None:
    assert unescaped(escaped(id_)) == id_
    assert not any(character.isspace() for character in escaped(id_))


@pytest.mark.parametrize(
    "scores",
    [
        [0.9, 0.2, 0.7],  # diversity takes a less relevant passage before a more relevant one
        [0.5, 0.5, 0.5],  # ties are broken by id here, and in other ways elsewhere
        [0.3, 0.1 + 1e-9, 0.1],  # fall in 64 bits, and are equal in the 32 that trec_eval keeps
    ],
)
def test_where_scores_do_not_fall_the_rank_makes_them(scores: list[float]) -> None:
    text = run_text({"q1": list(zip("abc", scores, strict=True))}, "mmr")
    assert [line.split()[2:5] for line in text.splitlines()] == [
        ["a", "1", "1"],
        ["b", "2", "0.5"],
        ["c", "3", "0.333333333"],
    ]


def test_scores_that_fall_stay_for_that_query_alone() -> None:
    text = run_text({"q1": [("a", 0.5), ("b", 0.5)], "q2": [("a", 9.5), ("b", 9.25)]}, "dense")
    assert [line.split()[4] for line in text.splitlines()] == ["1", "0.5", "9.5", "9.25"]


@CALM
@given(st.lists(st.floats(-100, 100, width=32), max_size=40))
def test_whoever_sorts_by_the_score_gets_our_order(scores: list[float]) -> None:
    text = run_text({"q": [(f"d{n}", score) for n, score in enumerate(scores)]}, "x")
    read = [np.float32(line.split()[4]) for line in text.splitlines()]
    assert all(later < earlier for earlier, later in zip(read, read[1:], strict=False))


def drawn(rng: random.Random) -> tuple[dict[str, list[tuple[str, float]]], dict[str, set[str]]]:
    """Return 60 rankings of 0 to 15 of twenty ids, many with ties, and one to four gold ids each, some never ranked."""
    ids = [f"d {n}" for n in range(20)]
    rankings, gold = {}, {}
    for n in range(60):
        found = rng.sample(ids, rng.choice([0, 1, 7, 15]))
        scores = sorted((float(rng.randint(0, 6)) for _ in found), reverse=True)
        rankings[f"q {n}"] = list(zip(found, scores, strict=True))
        gold[f"q {n}"] = {*rng.sample([*ids, "never"], rng.randint(1, 4))}
    return rankings, gold


def read_files(run: str, qrels: str) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Return both files as pytrec_eval wants them, read by nothing of ours."""
    scores: dict[str, dict[str, float]] = {}
    for line in run.splitlines():
        query, _, id_, _, score, _ = line.split()
        scores.setdefault(query, {})[id_] = float(score)
    judged: dict[str, dict[str, int]] = {}
    for line in qrels.splitlines():
        query, _, id_, relevance = line.split()
        judged.setdefault(query, {})[id_] = int(relevance)
    return scores, judged


@pytest.mark.parametrize("seed", range(3))
def test_our_metrics_are_those_of_trec_eval_on_the_files_that_we_write(seed: int) -> None:
    """Ties and empty rankings included. trec_eval breaks ties by id from the end, so a tie left in would show."""
    rankings, gold = drawn(random.Random(seed))
    n_judged = held_against_trec_eval(rankings, gold)
    assert 0 < n_judged < len(rankings)  # empty rankings have no line, and no result there


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets do not lie beside the checkout")
def test_our_metrics_are_those_of_trec_eval_on_real_questions(tmp_path: Path) -> None:
    """Every eval question of XQuAD, the ten paragraphs that BM25 finds for it, and the one that answers it."""
    found, asked = (list(read_rows(DATA / "qa-xquad" / f"{name}.jsonl")) for name in ("documents", "eval"))
    passages = [Passage(row["id"], row["id"], "", row["text"], 0, len(row["text"])) for _, row in found]
    searched = Bm25Index.opened(tmp_path, "f", passages).search([row["question"] for _, row in asked], 10)
    rankings = {
        row["id"]: [(item.passage.id, item.score) for item in items]
        for (_, row), items in zip(asked, searched, strict=True)
    }
    gold = {row["id"]: set(row["gold_doc_ids"]) for _, row in asked}
    assert held_against_trec_eval(rankings, gold) == len(asked) > 400
    ranks = [reciprocal_rank([id_ for id_, _ in ranked], gold[query]) for query, ranked in rankings.items()]
    assert len(set(ranks)) > 4  # some are found at once, some late, some never
    assert 0.5 < sum(ranks) / len(ranks) < 1.0


def held_against_trec_eval(rankings: dict[str, list[tuple[str, float]]], gold: dict[str, set[str]]) -> int:
    """Compare every metric of every ranking with trec_eval's, and return how many rankings it judged."""
    reference: Any = pytest.importorskip("pytrec_eval")
    run, judged = read_files(run_text(rankings, "ours"), qrels_text(gold))
    measures = {"recall.1,3,5,10", "P.5", "ndcg_cut.10", "recip_rank"}
    theirs = reference.RelevanceEvaluator(judged, measures).evaluate(run)
    for query, ranked in rankings.items():
        ids = [id_ for id_, _ in ranked]
        ours = {f"recall_{k}": recall_at(ids, gold[query], k) for k in (1, 3, 5, 10)}
        ours |= {"P_5": precision_at(ids, gold[query], 5), "ndcg_cut_10": ndcg_at(ids, gold[query], 10)}
        ours["recip_rank"] = reciprocal_rank(ids, gold[query])
        assert ours == pytest.approx(theirs.get(escaped(query), dict.fromkeys(ours, 0.0)))
    return len(theirs)
