"""One rule for filters: the test of a passage, BM25 and Chroma let the same pass, also where cells are text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.config import FieldNames
from ragft.config.knowledge import FilesSource
from ragft.data.sources import read_sources
from ragft.records import Passage, Scalar
from ragft.retrieval.bm25 import Bm25Index
from ragft.retrieval.embedding import Vectors
from ragft.retrieval.filters import passes
from ragft.retrieval.store import PassageStore

VALUES: list[Scalar] = [
    *(1911, 1911.0, "1911", "1911.0", "1911.00", "01911", "1,911", "1.911e3", " 1911"),
    *(7, "7", "007", 0, 0.0, -0.0, "0", "-0", "", -3, "-3", "+3", 0.5, "0.5", ".5", "1e-4", 1e-4),
    *(True, False, "true", "True", "TRUE", "tRUE", "yes", "1", 1, "false", "null", "None", "nan"),
    *("1911-05-01", "1911-05", "de", '"1911"', "[1911]", 2**53 + 1, str(2**53 + 1), 10**20, str(10**20)),
]


def holding(value: Scalar | None, number: int = 0) -> Passage:
    metadata = {} if value is None else {"field": value}
    return Passage(f"d{number:03}#0-4", f"d{number:03}", "", "word", 0, 4, metadata)


PASSAGES = [*(holding(value, number) for number, value in enumerate(VALUES)), holding(None, 999)]


def upwards(texts: Sequence[str]) -> Vectors:
    return np.tile(np.array([[0.0, 1.0]], dtype=np.float32), (len(texts), 1))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[PassageStore, Bm25Index]:
    folder = tmp_path_factory.mktemp("filters")
    store = PassageStore(folder / "chroma", "f" * 64, "upwards")
    store.sync(PASSAGES, upwards)
    return store, Bm25Index.opened(folder / "bm25", "f" * 64, PASSAGES)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(VALUES), max_size=3), st.booleans())
def test_the_three_agree(both: tuple[PassageStore, Bm25Index], wanted: list[Scalar], one: bool) -> None:
    """Where they did not, hybrid retrieval would mix passages of two rules."""
    chosen: dict[str, Scalar | tuple[Scalar, ...]] = {"field": wanted[0] if one and wanted else tuple(wanted)}
    expected = {passage.id for passage in PASSAGES if passes(passage, chosen)}
    store, words = both
    assert {item.passage.id for item in store.search(upwards(["x"]), 100, chosen)[0]} == expected
    assert {item.passage.id for item in words.search(["word"], 100, chosen)[0]} == expected


def test_words_are_not_found_by_the_filter_before(both: tuple[PassageStore, Bm25Index]) -> None:
    for wanted in (False, 0, (0.0,), (False,), True, 1, "1"):
        found = {item.passage.id for item in both[1].search(["word"], 100, {"field": wanted})[0]}
        assert found == {passage.id for passage in PASSAGES if passes(passage, {"field": wanted})}


@pytest.mark.parametrize(
    ("wanted", "passing"),
    [
        (1911, [1911, 1911.0, "1911", "1911.0"]),
        (1911.0, [1911, 1911.0, "1911", "1911.0"]),
        ("1911", ["1911"]),  # quoted in the experiment file: the text is meant
        (7, [7, "7"]),  # never "007", which is the name of something
        ("007", ["007"]),
        (0, [0, 0.0, -0.0, "0"]),
        (-3, [-3, "-3"]),
        (0.5, [0.5, "0.5"]),
        (1e-4, [1e-4]),
        (True, [True, "true", "True", "TRUE"]),
        (1, [1, "1"]),
        ("1911-05-01", ["1911-05-01"]),
        ("", [""]),
        (2**53 + 1, [2**53 + 1, str(2**53 + 1)]),
        ((7, "de"), [7, "7", "de"]),
        ((), []),
    ],
)
def test_what_passes_by_hand(wanted: Scalar | tuple[Scalar, ...], passing: list[Scalar]) -> None:
    found = [value for value in VALUES if passes(holding(value), {"field": wanted})]
    assert [(type(value), value) for value in found] == [
        (type(value), value) for value in VALUES if any(type(value) is type(p) and value == p for p in passing)
    ]


def test_a_passage_without_the_field_never_passes() -> None:
    for value in VALUES:
        assert not passes(holding(None), {"field": value})


def test_a_year_in_a_csv_file_is_found_by_its_number(tmp_path: Path) -> None:
    """The trap: cells are text, the filter of the experiment file is a number, and nothing was ever found."""
    (tmp_path / "harbours.csv").write_text("id,text,year,code,open\na,green,1911,007,true\nb,red,1923,7,false\n")
    source = FilesSource(path=tmp_path / "harbours.csv", metadata=("year", "code", "open"))
    reading = read_sources([source], FieldNames(), cache_dir=None)
    found = [Passage(d.id, d.id, d.title, d.text, 0, len(d.text), d.metadata) for d in reading.documents]
    for chosen, expected in [
        ({"year": 1911}, ["a"]),
        ({"year": (1911, 1923)}, ["a", "b"]),
        ({"code": 7}, ["b"]),
        ({"code": "007"}, ["a"]),
        ({"open": True}, ["a"]),
        ({"open": False, "year": 1923}, ["b"]),
    ]:
        assert [passage.id for passage in found if passes(passage, chosen)] == expected  # type: ignore[arg-type]
