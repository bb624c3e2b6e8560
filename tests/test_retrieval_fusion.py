"""Fusion and diversity: the arithmetic by hand, and what must hold for any rankings."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.records import Passage, RankedPassage
from ragft.retrieval.embedding import unit
from ragft.retrieval.fusion import diversified, fused

CALM = settings(max_examples=100, deadline=None)


def ranking(*ids: str, scores: tuple[float, ...] = ()) -> list[RankedPassage]:
    given_ = scores or tuple(float(len(ids) - n) for n in range(len(ids)))
    return [RankedPassage(Passage(i, i, "", i, 0, 1), score) for i, score in zip(ids, given_, strict=True)]


def ids(found: list[RankedPassage]) -> list[str]:
    return [item.passage.id for item in found]


def test_fusion_by_hand() -> None:
    """`b` is second and first, `a` first and absent, `c` third and second; the scores of the lists do not count."""
    found = fused([ranking("a", "b", "c"), ranking("b", "c", scores=(900, 1))], (1.0, 1.0), 60, 5)
    assert ids(found) == ["b", "c", "a"]
    assert [item.score for item in found] == pytest.approx([1 / 62 + 1 / 61, 1 / 63 + 1 / 62, 1 / 61])


def test_weights_and_the_constant_by_hand() -> None:
    found = fused([ranking("a", "b"), ranking("b", "a")], (2.0, 0.5), 1, 5)
    assert [(item.passage.id, item.score) for item in found] == [
        ("a", pytest.approx(2 / 2 + 0.5 / 3)),
        ("b", pytest.approx(2 / 3 + 0.5 / 2)),
    ]


def test_a_list_without_weight_brings_nothing_in() -> None:
    assert ids(fused([ranking("a"), ranking("z")], (1.0, 0.0), 60, 5)) == ["a"]


def test_equal_sums_go_by_id() -> None:
    assert ids(fused([ranking("b", "a"), ranking("a", "b")], (1, 1), 60, 5)) == ["a", "b"]


LISTS = st.lists(st.permutations("abcdef").map(lambda p: p[: len(p) // 2 + 1]), min_size=1, max_size=4)


@given(LISTS, st.randoms(), st.integers(1, 100))
@CALM
def test_fusion_does_not_depend_on_the_order_of_the_lists(lists: list[list[str]], rng: random.Random, k: int) -> None:
    shuffled = list(lists)
    rng.shuffle(shuffled)
    one = fused([ranking(*row) for row in lists], [1.0] * len(lists), k, 6)
    other = fused([ranking(*row) for row in shuffled], [1.0] * len(lists), k, 6)
    assert {item.passage.id: pytest.approx(item.score) for item in one} == {i.passage.id: i.score for i in other}


@given(LISTS)
@CALM
def test_one_list_alone_keeps_its_order(lists: list[list[str]]) -> None:
    assert ids(fused([ranking(*lists[0])], [0.3], 60, 9)) == lists[0]


def test_diversity_by_hand() -> None:
    """`b` repeats `a`, `c` is less relevant and new. Relevance scaled: 1, 0.9, 0. With 0.5 `c` gets 0, `b` -0.05."""
    found = ranking("a", "b", "c", scores=(1.0, 0.9, 0.0))
    vectors = unit([[1, 0], [1, 0], [0, 1]])
    assert ids(diversified(found, vectors, 0.5, 2)) == ["a", "c"]
    assert ids(diversified(found, vectors, 0.6, 2)) == ["a", "b"]  # 0.54 - 0.4 > 0
    assert [item.score for item in diversified(found, vectors, 0.5, 3)] == [1.0, 0.0, 0.9]


def test_the_scale_of_the_scores_does_not_count() -> None:
    """Without scaling, BM25 scores of 20 would drown every cosine, and fused ones of 0.02 would be drowned."""
    vectors = unit([[1, 0], [1, 0], [0, 1]])
    for factor, shift in ((1, 0), (200, 7), (0.001, -3)):
        found = ranking("a", "b", "c", scores=tuple(factor * s + shift for s in (1.0, 0.9, 0.0)))
        assert ids(diversified(found, vectors, 0.5, 2)) == ["a", "c"]


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=8), st.floats(0, 1), st.integers(1, 10))
@CALM
def test_diversity_chooses_among_the_candidates_each_once(scores: list[float], trade: float, top_k: int) -> None:
    scores.sort(reverse=True)
    rng = np.random.default_rng(len(scores))
    vectors = unit(rng.normal(size=(len(scores), 4)))
    given_ = ranking(*(f"p{n}" for n in range(len(scores))), scores=tuple(scores))
    found = ids(diversified(given_, vectors, trade, top_k))
    assert len(found) == len(set(found)) == min(top_k, len(scores))
    assert found[0] == "p0"
    assert ids(diversified(given_, vectors, 1.0, top_k)) == ids(given_)[:top_k]


def test_nothing_to_choose_from_is_no_error() -> None:
    assert diversified([], unit(np.empty((0, 2))), 0.5, 3) == []
    assert fused([[], []], (1, 1), 60, 3) == []
