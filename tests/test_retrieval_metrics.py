"""Metrics of rankings: by hand, against scikit-learn's nDCG, by property."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import DataError
from ragft.evaluation.retrieval import (
    deduplicate,
    ndcg_at,
    precision_at,
    ranked_document_ids,
    recall_at,
    reciprocal_rank,
    retrieval_scores,
)
from ragft.records import Example, Passage, RankedPassage, Ranking

CALM = settings(deadline=None)  # a busy machine is no fault of the code
IDS = [f"d{i}" for i in range(8)]
RANKED = st.permutations(IDS).flatmap(lambda ids: st.integers(0, len(ids)).map(lambda n: ids[:n]))
GOLD = st.sets(st.sampled_from([*IDS, "absent"]), min_size=1)


def ranking(*document_ids: str, example_id: str = "q1") -> Ranking:
    passages = [Passage(f"{d}#{i}", d, d, "text", 0, 4) for i, d in enumerate(document_ids)]
    return Ranking(example_id, tuple(RankedPassage(p, -float(i)) for i, p in enumerate(passages)), seconds=0.0)


def test_metrics_by_hand() -> None:
    ranked, gold = ["x", "g1", "y", "g2"], {"g1", "g2", "g3"}
    assert recall_at(ranked, gold, 1) == 0.0
    assert recall_at(ranked, gold, 3) == 1 / 3
    assert recall_at(ranked, gold, 10) == 2 / 3
    assert precision_at(ranked, gold, 4) == 2 / 4
    assert precision_at(ranked, gold, 10) == 2 / 10  # the six empty places are no hits
    assert reciprocal_rank(ranked, gold) == 1 / 2
    # Hits at ranks 2 and 4; the best would be ranks 1, 2, 3.
    by_hand = (1 / log2(3) + 1 / log2(5)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4))
    assert ndcg_at(ranked, gold, 5) == pytest.approx(by_hand)
    # Cut at 2, the best has two hits, not three.
    assert ndcg_at(ranked, gold, 2) == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)))


def test_an_empty_ranking_finds_nothing() -> None:
    assert [recall_at([], {"g"}, 5), precision_at([], {"g"}, 5), ndcg_at([], {"g"}, 5)] == [0.0, 0.0, 0.0]
    assert reciprocal_rank([], {"g"}) == 0.0


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="gold"):
        recall_at(["a"], set(), 1)
    with pytest.raises(ValueError, match="cutoff"):
        recall_at(["a"], {"a"}, 0)
    with pytest.raises(ValueError, match="deduplicate"):
        ndcg_at(["a", "a"], {"a", "b"}, 2)


def test_documents_keep_the_rank_of_their_best_passage() -> None:
    assert deduplicate(["b", "a", "b", "c", "a"]) == ("b", "a", "c")
    assert ranked_document_ids(ranking("b", "a", "b", "c")) == ("b", "a", "c")


@CALM
@given(ranked=RANKED, gold=GOLD, cutoff=st.integers(1, 12))
def test_metrics_stay_in_range_and_perfect_means_one(ranked: list[str], gold: set[str], cutoff: int) -> None:
    for metric in (recall_at, precision_at, ndcg_at):
        assert 0.0 <= metric(ranked, gold, cutoff) <= 1.0 + 1e-12
    assert recall_at(ranked, gold, cutoff) <= recall_at(ranked, gold, cutoff + 1)
    perfect = [*sorted(gold), *(id for id in ranked if id not in gold)]
    assert ndcg_at(perfect, gold, cutoff) == pytest.approx(1.0)
    assert reciprocal_rank(perfect, gold) == 1.0


@CALM
@given(ranked=st.permutations(IDS), gold=st.sets(st.sampled_from(IDS), min_size=1), cutoff=st.integers(1, 8))
def test_ndcg_agrees_with_scikit_learn(ranked: list[str], gold: set[str], cutoff: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    relevance = [[float(id in gold) for id in IDS]]
    position = [[-float(ranked.index(id)) for id in IDS]]
    assert ndcg_at(ranked, gold, cutoff) == pytest.approx(metrics.ndcg_score(relevance, position, k=cutoff))


def test_retrieval_scores_at_document_level() -> None:
    examples = {"q1": Example("q1", "?", ("a",), gold_document_ids=("g",))}
    # Three passages of x come first, yet g is the second document.
    scores = retrieval_scores([ranking("x", "x", "x", "g")], examples, arm="dense", cutoffs=(1, 2, 50))
    values = {score.metric: score.value for score in scores}
    assert values == {
        "recall@1": 0.0,
        "precision@1": 0.0,
        "ndcg@1": 0.0,
        "recall@2": 1.0,
        "precision@2": 0.5,
        "ndcg@2": pytest.approx(1 / log2(3)),
        "recall@50": 1.0,
        "precision@50": 1 / 50,
        "ndcg@50": pytest.approx(1 / log2(3)),
        "mrr": 0.5,
    }
    assert {score.arm for score in scores} == {"dense"}


def test_an_example_without_gold_documents_is_unscored_with_a_reason() -> None:
    scores = retrieval_scores([ranking("x")], {"q1": Example("q1", "?", ("a",))}, arm="bm25")
    assert {score.metric for score in scores} >= {"mrr", "recall@5", "ndcg@10", "precision@3"}
    assert all(score.value is None and score.reason == "the example has no gold documents" for score in scores)


def test_a_ranking_of_a_foreign_example_is_an_error() -> None:
    with pytest.raises(DataError, match="'q1'"):
        retrieval_scores([ranking("x")], {}, arm="dense")
