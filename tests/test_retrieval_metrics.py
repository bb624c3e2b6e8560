"""Metrics of rankings: by hand, against scikit-learn's nDCG, by property."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import DataError
from ragft.evaluation.retrieval import (
    answer_scores,
    by_level,
    deduplicate,
    gold_passages_of,
    ndcg_at,
    passage_scores,
    precision_at,
    ranked_document_ids,
    recall_at,
    reciprocal_rank,
    retrieval_scores,
)
from ragft.records import Example, Passage, RankedPassage, Ranking, Score

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


def test_mrr_looks_no_further_than_the_largest_cutoff() -> None:
    """Else a retriever would gain by returning a longer list, and the three lists differ in length."""
    examples = {"q1": Example("q1", "?", ("a",), gold_document_ids=("g",))}
    found = retrieval_scores([ranking("a", "b", "c", "g")], examples, arm="bm25", cutoffs=(1, 3))
    assert {score.metric: score.value for score in found}["mrr"] == 0.0


def passage(id_: str, document_id: str, text: str) -> Passage:
    return Passage(id_, document_id, "", text, 0, len(text))


BRIDGE = [passage("b1", "bridge", "It spans the river."), passage("b2", "bridge", "Built in 1911, opened 1911.")]
STRANGER = passage("s1", "stranger", "The mill burned down in 1911.")


def holds(found: Passage, example: Example) -> bool:
    return any(reference in found.text for reference in example.references)


def ranked(*passages: Passage) -> Ranking:
    return Ranking("q1", tuple(RankedPassage(p, -float(i)) for i, p in enumerate(passages)), seconds=0.0)


def values_of(scores: list[Score]) -> dict[str, float | None]:
    return {score.metric: score.value for score in scores}


def test_a_gold_passage_is_one_of_a_gold_document_in_which_a_reference_stands() -> None:
    """The traps: a passage of the right document without the answer, and the answer by chance in a wrong document."""
    example = Example("q1", "When?", ("1911",), gold_document_ids=("bridge",))
    gold = gold_passages_of(example, BRIDGE, holds)
    assert gold == {"b2"}
    one = ranked(STRANGER, BRIDGE[0], BRIDGE[1])
    found = values_of(passage_scores([one], {"q1": gold}, arm="dense", cutoffs=(1, 2, 3)))
    assert (found["passage_recall@2"], found["passage_recall@3"]) == (0.0, 1.0)
    assert (found["passage_mrr"], found["passage_precision@3"]) == (1 / 3, 1 / 3)
    assert found["passage_ndcg@3"] == pytest.approx(1 / log2(4))
    documents = values_of(retrieval_scores([one], {"q1": example}, arm="dense", cutoffs=(1, 2)))
    assert (documents["recall@1"], documents["recall@2"]) == (0.0, 1.0)
    answers = values_of(answer_scores([one], {"q1": example}, holds, arm="dense", cutoffs=(1, 2)))
    assert answers == {"answer_hit@1": 1.0, "answer_hit@2": 1.0}  # the mill's 1911: counted, and the docs say so


def test_an_answer_is_found_at_its_rank_and_not_before() -> None:
    example = {"q1": Example("q1", "When?", ("1911",))}
    scores = answer_scores([ranked(BRIDGE[0], BRIDGE[1])], example, holds, arm="dense", cutoffs=(1, 2, 5))
    assert values_of(scores) == {"answer_hit@1": 0.0, "answer_hit@2": 1.0, "answer_hit@5": 1.0}
    nothing = answer_scores([ranked()], example, holds, arm="dense", cutoffs=(1,))
    assert values_of(nothing) == {"answer_hit@1": 0.0}  # nothing found is a miss, not unscored


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example("q1", "?", ("1911",)), "the example has no gold documents"),
        (Example("q1", "?", (), ("bridge",), answerable=False), "the example has no references"),
        (Example("q1", "?", ("1912",), ("bridge",)), "no passage of its gold documents holds a reference"),
    ],
)
def test_without_a_gold_passage_the_passage_level_is_unscored_with_the_reason(example: Example, reason: str) -> None:
    gold = gold_passages_of(example, BRIDGE, holds)
    assert gold == reason
    scores = passage_scores([ranked(*BRIDGE)], {"q1": gold}, arm="dense")
    assert {(score.value, score.reason) for score in scores} == {(None, reason)}
    assert {"passage_mrr", "passage_recall@5", "passage_ndcg@10"} <= {score.metric for score in scores}


def test_an_unanswerable_example_has_no_answer_to_find() -> None:
    example = {"q1": Example("q1", "?", (), answerable=False)}
    (score,) = answer_scores([ranked(*BRIDGE)], example, holds, arm="dense", cutoffs=(5,))
    assert (score.value, score.reason) == (None, "the example has no references")


def test_metrics_are_grouped_by_what_is_to_be_found() -> None:
    assert by_level(["mrr", "passage_mrr", "recall@5", "answer_hit@5"]) == [
        ("documents", [("mrr", "mrr"), ("recall@5", "recall@5")]),
        ("passages", [("passage_mrr", "mrr")]),
        ("answers", [("answer_hit@5", "hit@5")]),
    ]
    assert by_level([]) == []
