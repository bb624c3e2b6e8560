"""BM25 by hand and against a plain reading of the formula; its files on disk; filters and ties."""

from __future__ import annotations

import subprocess
import sys
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import RagftError
from ragft.records import Passage, RankedPassage
from ragft.retrieval.bm25 import Bm25Index, _Numbered, best, bm25_name
from ragft.retrieval.words import words


def passage(id_: str, text: str, title: str = "", lang: str = "en") -> Passage:
    return Passage(id_, id_, title, text, 0, len(text), {"lang": lang})


HARBOUR = [
    passage("a", "the red red light"),  # 4 words
    passage("b", "the green light of the harbour"),  # 6 words
    passage("c", "otters", title="Red"),  # 2 words: the title counts
]


def index(folder: Path, passages: list[Passage], print_: str = "f") -> Bm25Index:
    return Bm25Index.opened(folder, print_, passages)


def scored(found: list[list[RankedPassage]]) -> list[tuple[str, float]]:
    return [(item.passage.id, item.score) for item in found[0]]


def test_scores_are_those_of_the_formula_by_hand(tmp_path: Path) -> None:
    """N = 3, mean length 4. `red`: in 2 passages; `light`: in 2. Twice in `a` (length 4), once in `c` (length 2)."""
    found = scored(index(tmp_path, HARBOUR).search(["Red light"], 5))
    idf = log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    in_a = idf * 2 / (2 + 1.5 * (0.25 + 0.75 * 4 / 4)) + idf * 1 / (1 + 1.5 * (0.25 + 0.75 * 4 / 4))
    in_b = idf * 1 / (1 + 1.5 * (0.25 + 0.75 * 6 / 4))
    in_c = idf * 1 / (1 + 1.5 * (0.25 + 0.75 * 2 / 4))
    assert [id_ for id_, _ in found] == ["a", "c", "b"]
    assert [score for _, score in found] == pytest.approx([in_a, in_c, in_b], rel=1e-6)


def test_a_word_that_is_asked_twice_counts_twice(tmp_path: Path) -> None:
    made = index(tmp_path, HARBOUR)
    once, twice = scored(made.search(["otters"], 5)), scored(made.search(["otters otters"], 5))
    assert twice == [("c", pytest.approx(2 * once[0][1]))]


def test_a_passage_without_a_word_of_the_query_is_not_found(tmp_path: Path) -> None:
    """Filling up to top_k with passages of score 0 would give hybrid retrieval ranks that mean nothing."""
    made = index(tmp_path, HARBOUR)
    assert [id_ for id_, _ in scored(made.search(["harbour"], 5))] == ["b"]
    assert made.search(["zebra", "", "!?"], 5) == [[], [], []]


def test_a_filter_is_filled_up_to_top_k_and_ties_go_by_id(tmp_path: Path) -> None:
    many = [passage(f"en{n}", "red light") for n in range(20)]
    many += [passage(f"de{n}", "red light x", "", "de") for n in (3, 1, 2)]
    made = index(tmp_path, many)
    assert [id_ for id_, _ in scored(made.search(["red"], 2, {"lang": "de"}))] == ["de1", "de2"]
    assert [id_ for id_, _ in scored(made.search(["red"], 3))] == ["en0", "en1", "en10"]
    assert [id_ for id_, _ in scored(made.search(["red"], 3, {"lang": ("de", "fr")}))] == ["de1", "de2", "de3"]


def test_the_index_is_made_once_and_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scored(index(tmp_path, HARBOUR).search(["red light"], 5))
    monkeypatch.setattr("ragft.retrieval.bm25._build", lambda *_: pytest.fail("made again"))
    again = index(tmp_path, HARBOUR[::-1])
    assert scored(again.search(["red light"], 5)) == first
    assert again._index is not None
    assert isinstance(again._index.scores["data"], np.memmap)


def test_other_passages_have_another_index(tmp_path: Path) -> None:
    """The trap: an index found by the name of the collection would answer with yesterday's passages."""
    index(tmp_path, HARBOUR, "yesterday")
    assert scored(index(tmp_path, [passage("z", "red")], "today").search(["red"], 5))[0][0] == "z"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([bm25_name("yesterday"), bm25_name("today")])
    with pytest.raises(RagftError, match="is not of these passages"):
        index(tmp_path, HARBOUR[:2], "yesterday")


def test_an_index_killed_while_it_was_written_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("bm25s.BM25.save", dies)
        index(tmp_path, HARBOUR)
    assert scored(index(tmp_path, HARBOUR).search(["otters"], 5))[0][0] == "c"


@pytest.mark.parametrize("passages", [[], [passage("a", "..."), passage("b", "")]])
def test_nothing_to_find_is_no_error(tmp_path: Path, passages: list[Passage]) -> None:
    for _ in range(2):
        assert index(tmp_path, passages).search(["red"], 5) == [[]]


TEXTS = st.lists(st.text("ab c", max_size=12), min_size=1, max_size=8)


@given(TEXTS, st.text("abc ", max_size=8), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_scores_are_those_of_a_plain_reading_of_the_formula(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], query: str, top_k: int
) -> None:
    passages = [passage(f"p{n}", text) for n, text in enumerate(texts)]
    found = scored(index(tmp_path_factory.mktemp("bm25"), passages).search([query], top_k))
    split = [words(text) for text in texts]
    mean = sum(map(len, split)) / len(split)
    expected: dict[str, float] = {}
    for number, row in enumerate(split):
        for word in words(query):
            n, f = sum(word in other for other in split), row.count(word)
            if f:
                weight = log(1 + (len(split) - n + 0.5) / (n + 0.5))
                score = weight * f / (f + 1.5 * (1 - 0.75 + 0.75 * len(row) / mean))
                expected[f"p{number}"] = expected.get(f"p{number}", 0.0) + score
    assert len(found) == min(top_k, len(expected))
    for id_, score in found:
        assert score == pytest.approx(expected[id_], rel=1e-4)
    left = [score for id_, score in expected.items() if id_ not in dict(found)]
    assert all(score <= found[-1][1] * 1.0001 for score in left)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=12), st.integers(1, 14))
@settings(max_examples=200, deadline=None)
def test_the_best_are_those_that_sorting_everything_gives(scores: list[float], count: int) -> None:
    order = sorted((n for n, score in enumerate(scores) if score > 0), key=lambda n: (-scores[n], n))
    assert best(np.array(scores, dtype=np.float32), count) == order[:count]


def test_an_index_knows_its_name_without_the_library(tmp_path: Path) -> None:
    """The trap: an import at the top of a module, and each command that finds its index in step waits a second more."""
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, ragft.index\nprint(sorted({'bm25s', 'scipy', 'chromadb', 'httpx'} & set(sys.modules)))",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert loaded.stdout.strip() == "[]"


def test_words_are_kept_in_four_bytes_each_and_read_as_lists() -> None:
    """Lists of Python's numbers take twice that and more, and for all passages at once they are the peak of a build."""
    numbered = _Numbered()
    numbered.add(["red", "red", "light"])
    numbered.add([])
    numbered.add(["light", "otters"])
    assert [list(row) for row in numbered.ids] == [[0, 0, 1], [], [1, 2]]
    assert [list(row) for row in numbered.ids] == [[0, 0, 1], [], [1, 2]]  # bm25s reads them three times
    assert (len(numbered.ids), numbered.vocab) == (3, {"red": 0, "light": 1, "otters": 2})
    assert numbered.ids.numbers.itemsize == 4
