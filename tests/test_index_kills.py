"""An index run killed at random moments ends as one that was never killed: a few kills of the benchmark's hundred."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import index_kills


@pytest.mark.slow
def test_an_index_that_was_killed_five_times_is_the_one_built_in_one_go(tmp_path: Path) -> None:
    killed, differences, compared = index_kills.tried(tmp_path / "ground", kills=5, seed=2, documents=80)
    assert differences == []
    assert killed.phases.total() == 5
    assert killed.inside > 0
    assert compared[0] > 80
    assert compared[1] == 3 * index_kills.QUESTIONS


def test_what_differs_is_told() -> None:
    """A benchmark that compares nothing would always pass."""
    one = index_kills.Held("f", {"a": "1"}, {"a": b"\0\0\0\0"}, {kind: [] for kind in index_kills.KINDS}, [])
    other = index_kills.Held(
        "g", {"a": "2"}, {"a": b"\0\0\x80?"}, {kind: [[kind]] for kind in index_kills.KINDS}, [[("a", 1.0)]]
    )
    assert index_kills.differences(one, one) == []
    assert index_kills.differences(one, other) == [
        "the fingerprints differ",
        "the passages differ: 1 against 1 rows",
        "the bytes of 1 of 1 vectors differ, by 1 at most",
        "the rankings by dense differ",
        "the rankings by bm25 differ",
        "the rankings by hybrid differ",
        "the answers of BM25 differ",
    ]
