"""The passage store on real Chroma: in step with the documents by the least embedding, and never another's vectors."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import RagftError
from ragft.records import Passage, Scalar
from ragft.retrieval.embedding import Vectors
from ragft.retrieval.filters import passes
from ragft.retrieval.store import PAGE, PassageStore, SyncReport, passages_fingerprint, row_id

EAST, NORTH, NORTH_EAST = (1.0, 0.0), (0.0, 1.0), (2**-0.5, 2**-0.5)


class Compass:
    """Embeds a text by the direction that its first word names, and remembers what it was asked to embed."""

    directions = {"east": EAST, "north": NORTH, "northeast": NORTH_EAST}

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return vectors(*(self.directions[text.split()[0]] for text in texts))


def vectors(*rows: tuple[float, float]) -> Vectors:
    return np.array(rows, dtype=np.float32)


def passage(id_: str, text: str, title: str = "") -> Passage:
    return Passage(id_, id_.split("#")[0], title, text, 0, len(text))


A, B, C = passage("a#0-6", "east 1"), passage("b#0-7", "north 1"), passage("c#0-5", "x y z", title="northeast")


@pytest.fixture
def store(tmp_path: Path) -> PassageStore:
    return PassageStore(tmp_path / "chroma", "f" * 64, "embedder-1")


def holds(store: PassageStore, passages: Sequence[Passage]) -> bool:
    """Return whether the store holds exactly these passages, texts and metadata included."""
    if len(store) != len({row_id(passage) for passage in passages}):
        return False
    try:
        store.vectors(passages)
    except RagftError:
        return False
    return True


def found(store: PassageStore, *rows: tuple[float, float], top_k: int = 10) -> list[list[str]]:
    return [[ranked.passage.id for ranked in ranking] for ranking in store.search(vectors(*rows), top_k)]


def test_a_first_sync_embeds_everything_and_a_second_one_nothing(store: PassageStore) -> None:
    embed = Compass()
    assert store.sync([A, B, C], embed) == SyncReport(added=3, removed=0, unchanged=0)
    assert embed.embedded == ["east 1", "north 1", "northeast\nx y z"]
    again = Compass()
    assert store.sync([C, B, A], again) == SyncReport(added=0, removed=0, unchanged=3)
    assert again.embedded == []


def test_what_is_stored_outlives_the_process(store: PassageStore, tmp_path: Path) -> None:
    store.sync([A, B, C], Compass())
    other = PassageStore(tmp_path / "chroma", "f" * 64, "embedder-1")
    embed = Compass()
    assert other.sync([A, B, C], embed).unchanged == 3
    assert embed.embedded == []
    assert [ranked.passage for ranked in other.search(vectors(EAST), 3)[0]] == [A, C, B]


def test_only_what_changed_is_embedded_and_what_went_is_gone(store: PassageStore) -> None:
    store.sync([A, B, C], Compass())
    embed = Compass()
    new = passage("d#0-6", "east 2")
    assert store.sync([A, C, new], embed) == SyncReport(added=1, removed=1, unchanged=2)
    assert embed.embedded == ["east 2"]
    assert found(store, NORTH) == [["c#0-5", "a#0-6", "d#0-6"]]
    assert holds(store, [A, C, new])


@pytest.mark.parametrize(
    ("edited", "text"),
    [(replace(A, text="north "), "north "), (replace(A, title="north"), "north\neast 1")],
)
def test_a_passage_edited_in_place_is_embedded_again(store: PassageStore, edited: Passage, text: str) -> None:
    """Its id, made of document and span, stays; only the text (of the same length) or the title differs."""
    assert (edited.id, len(edited.text)) == (A.id, len(A.text))
    store.sync([A, B], Compass())
    embed = Compass()
    assert store.sync([edited, B], embed) == SyncReport(added=0, removed=0, unchanged=1, changed=1)
    assert embed.embedded == [text]
    assert store.search(vectors(NORTH), 2)[0][0].passage == edited
    assert store.search(vectors(NORTH), 2)[0][0].score == pytest.approx(1.0, abs=1e-6)


def test_search_ranks_by_cosine_with_the_best_first(store: PassageStore) -> None:
    store.sync([A, B, C], Compass())
    east, north = store.search(vectors(EAST, (0.0, 3.0)), 3)
    assert [(ranked.passage, round(ranked.score, 5)) for ranked in east] == [(A, 1.0), (C, 0.70711), (B, 0.0)]
    assert [ranked.passage.id for ranked in north] == ["b#0-7", "c#0-5", "a#0-6"]
    assert north[0].score == pytest.approx(1.0, abs=1e-6)  # the length of the query does not count


def test_ties_are_broken_by_id(store: PassageStore) -> None:
    same = [passage(f"{letter}#0-6", "east 1") for letter in "dbeac"]
    store.sync([*same, B], Compass())
    assert found(store, EAST) == [["a#0-6", "b#0-6", "c#0-6", "d#0-6", "e#0-6", "b#0-7"]]


def test_a_tie_at_the_end_of_the_ranking_is_broken_by_id_too(store: PassageStore) -> None:
    same = [passage(f"{letter}#0-6", "east 1") for letter in "dbeac"]
    store.sync(same, Compass())
    assert found(store, EAST, top_k=2) == [["a#0-6", "b#0-6"]]


def test_no_more_is_found_than_there_is(store: PassageStore) -> None:
    assert store.search(vectors(EAST, NORTH), 5) == [[], []]
    store.sync([A, B, C], Compass())
    assert [len(ranking) for ranking in store.search(vectors(EAST, NORTH), 5)] == [3, 3]
    assert found(store, EAST, top_k=1) == [["a#0-6"]]


def test_the_vectors_of_another_embedder_are_refused(store: PassageStore, tmp_path: Path) -> None:
    store.sync([A], Compass())
    with pytest.raises(RagftError, match=r"was made by another embedder \(embedder-1\)") as caught:
        PassageStore(tmp_path / "chroma", "f" * 64, "embedder-2")
    assert "--rebuild" in (caught.value.hint or "")
    assert holds(store, [A])


def test_indexes_of_one_workspace_do_not_mix(store: PassageStore, tmp_path: Path) -> None:
    store.sync([A], Compass())
    other = PassageStore(tmp_path / "chroma", "0" * 64, "embedder-2")
    other.sync([B], Compass())
    assert (found(store, NORTH), found(other, NORTH)) == ([["a#0-6"]], [["b#0-7"]])


def test_a_store_that_was_emptied_behind_our_back_is_an_error(store: PassageStore) -> None:
    store.sync([A, B], Compass())
    store.check([A, B])
    store.check([B, A, B])
    for stale in ([A], [A, B, C], []):
        with pytest.raises(RagftError, match=f"holds 2 passages where the records say {len(stale)}") as caught:
            store.check(stale)
        assert caught.value.hint == "run: ragft index FILE --rebuild"


def test_a_sync_that_was_stopped_goes_on_where_it_was(store: PassageStore) -> None:
    many = [passage(f"p{number:04}#0-6", f"east {number}") for number in range(PAGE + 10)]

    def dies(texts: Sequence[str]) -> Vectors:
        if len(texts) < PAGE:
            raise KeyboardInterrupt
        return Compass()(texts)

    with pytest.raises(KeyboardInterrupt):
        store.sync(many, dies)
    assert not holds(store, many)
    embed = Compass()
    assert store.sync(many, embed) == SyncReport(added=10, removed=0, unchanged=PAGE)
    assert embed.embedded == [f"east {number}" for number in range(PAGE, PAGE + 10)]
    assert holds(store, many)


def test_more_rows_than_a_page_are_synchronised_and_taken_away(store: PassageStore) -> None:
    many = [passage(f"p{number:04}#0-6", f"east {number}") for number in range(2 * PAGE + 5)]
    embed = Compass()
    assert store.sync([*many, B], embed) == SyncReport(added=2 * PAGE + 6, removed=0, unchanged=0)
    assert len(embed.embedded) == 2 * PAGE + 6
    assert holds(store, [*many, B])
    assert store.sync([*many, B], embed).unchanged == 2 * PAGE + 6
    assert store.sync([B], embed) == SyncReport(added=0, removed=2 * PAGE + 5, unchanged=1)
    assert len(embed.embedded) == 2 * PAGE + 6
    assert found(store, EAST) == [["b#0-7"]]


def test_a_cleared_index_is_empty_and_can_be_filled_again(store: PassageStore) -> None:
    store.sync([A, B], Compass())
    store.clear()
    assert found(store, EAST) == [[]]
    assert store.sync([A], Compass()) == SyncReport(added=1, removed=0, unchanged=0)


def test_the_fingerprint_of_an_index_is_its_embedder_and_its_texts() -> None:
    first = passages_fingerprint("embedder-1", [A, B])
    assert passages_fingerprint("embedder-1", [B, A]) == first
    assert passages_fingerprint("embedder-2", [A, B]) != first
    assert passages_fingerprint("embedder-1", [A]) != first
    assert passages_fingerprint("embedder-1", [A, replace(B, text="north 2")]) != first


def of(document: str, start: int, text: str, **metadata: Scalar) -> Passage:
    return Passage(f"{document}#{start}-{start + len(text)}", document, "", text, start, start + len(text), metadata)


def test_a_report_counts_what_an_edit_moved_as_changed(store: PassageStore) -> None:
    """One document of two passages is edited (one stays), one shrinks, one goes, one comes."""
    edited = [of("edited", 0, "east 1"), of("edited", 6, "east 2")]
    shrunk = [of("shrunk", 0, "east 3"), of("shrunk", 6, "east 4")]
    store.sync([*edited, *shrunk, of("gone", 0, "north 1"), of("gone", 7, "north 2")], Compass())
    now = [edited[0], of("edited", 6, "east 2a"), of("edited", 13, "east 2b"), shrunk[0], of("new", 0, "north 3")]
    assert store.sync(now, Compass()) == SyncReport(added=1, removed=3, unchanged=2, changed=2)
    assert holds(store, now)


def test_metadata_comes_back_with_its_types_and_does_not_collide_with_ours(store: PassageStore) -> None:
    """A field that is called as ours would else replace the passage; 1, 1.0 and True are three values."""
    rich = of("a", 0, "east 1", passage="x", document_id="y", year=1, share=1.0, open=True, empty="")
    store.sync([rich], Compass())
    back = store.search(vectors(EAST), 1)[0][0].passage
    assert back == rich
    assert [type(back.metadata[key]) for key in ("year", "share", "open")] == [int, float, bool]


def test_metadata_that_changed_is_stored_again(store: PassageStore) -> None:
    store.sync([of("a", 0, "east 1", lang="de")], Compass())
    changed = of("a", 0, "east 1", lang="en")
    assert not holds(store, [changed])
    assert store.sync([changed], Compass()) == SyncReport(added=0, removed=0, unchanged=0, changed=1)
    assert store.search(vectors(EAST), 1)[0][0].passage.metadata == {"lang": "en"}


def test_texts_and_numbers_that_a_database_cannot_hold_come_back(store: PassageStore) -> None:
    """A lone surrogate is no UTF-8, a NUL ends a C string, and 10**20 has more than 64 bits."""
    odd = [of("a/../b\x00\x01", 0, "east \ud800 \x00 x", big=10**20), of("b", 0, "east 🚢", nothing=float("inf"))]
    store.sync(odd, Compass())
    assert holds(store, odd)
    assert {item.passage.text for item in store.search(vectors(EAST), 2)[0]} == {"east \ud800 \x00 x", "east 🚢"}
    assert [item.passage.id for item in store.search(vectors(EAST), 2, {"big": 10**20})[0]] == [odd[0].id]


def test_the_same_passage_twice_is_stored_once(store: PassageStore) -> None:
    assert store.sync([A, A, B], Compass()) == SyncReport(added=2, removed=0, unchanged=0)


def test_a_filter_is_filled_up_to_top_k_from_what_passes(store: PassageStore) -> None:
    """Filtering after the search would leave none: forty nearer passages do not pass."""
    others = [of(f"other{n:02}", 0, f"east {n}", lang="en") for n in range(40)]
    mine = [of(f"mine{n}", 0, f"north {n}", lang="de") for n in range(3)]
    store.sync([*others, *mine], Compass())
    found = [item.passage.document_id for item in store.search(vectors(EAST), 5, {"lang": "de"})[0]]
    assert found == ["mine0", "mine1", "mine2"]


VALUES: list[Scalar] = ["1", "", "de", 0, 1, 2, 1.0, 0.5, True, False, 2**53 + 1, 10**20]


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> tuple[PassageStore, list[Passage]]:
    """A store with a passage for each value of one field, and one without it."""
    store = PassageStore(tmp_path_factory.mktemp("varied"), "e" * 64, "embedder-1")
    passages = [of(f"d{n}", 0, f"east {n}", field=value, n=n) for n, value in enumerate(VALUES)]
    passages.append(of("without", 0, "east without"))
    store.sync(passages, Compass())
    return store, passages


@given(st.lists(st.sampled_from(VALUES), max_size=3), st.none() | st.integers(0, len(VALUES)))
@settings(max_examples=60, deadline=None)
def test_the_store_filters_as_the_test_of_a_passage_does(
    varied: tuple[PassageStore, list[Passage]], wanted: list[Scalar], number: int | None
) -> None:
    """Chroma lets 0.5 find 0, and Python takes 1 for True: both must follow one rule, else hybrid mixes two sets."""
    store, passages = varied
    chosen: dict[str, Scalar | tuple[Scalar, ...]] = {"field": tuple(wanted)}
    if number is not None:
        chosen["n"] = number
    found = {item.passage.id for item in store.search(vectors(EAST), 20, chosen)[0]}
    assert found == {passage.id for passage in passages if passes(passage, chosen)}


def test_one_is_one_point_zero_and_not_true() -> None:
    stored = of("a", 0, "text", whole=1, open=True)
    assert passes(stored, {"whole": 1.0})
    assert passes(stored, {"open": True, "whole": (3, 1)})
    assert not passes(stored, {"whole": True})
    assert not passes(stored, {"open": 1})
    assert not passes(stored, {"whole": "1"})
    assert not passes(stored, {"absent": 1})
    assert not passes(stored, {"whole": ()})


def test_stored_vectors_are_given_in_the_order_asked(store: PassageStore) -> None:
    store.sync([A, B, C], Compass())
    assert store.vectors([B, A]) == pytest.approx(vectors(NORTH, EAST), abs=1e-6)
    with pytest.raises(RagftError, match="does not hold the documents as they are now"):
        store.vectors([A, passage("z#0-6", "east 9")])


class PullThePlug(BaseException):
    """Stands for a kill: nothing between it and the test may catch it."""


@pytest.mark.parametrize("seed", range(12))
def test_an_index_that_was_killed_anywhere_ends_identical(store: PassageStore, seed: int) -> None:
    """The plug is pulled before or after any request to the store or the embedder, twice, then a sync runs through."""
    store._page = 8
    rng = random.Random(seed)
    before = [of(f"d{n}", 0, f"{rng.choice(('east', 'north'))} {n}") for n in range(40)]
    after = [p if rng.random() < 0.5 else of(p.document_id, 0, f"northeast {p.text}") for p in before[5:]]
    after += [of(f"new{n}", 0, f"east {n}") for n in range(10)]
    store.sync(before, Compass())
    for _ in range(2):
        fuse = Fuse(store._collection, rng.randrange(1, 30))
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(PullThePlug):
            patch.setattr(store, "_collection", fuse)
            store.sync(after, Compass())
    report = store.sync(after, Compass())
    assert holds(store, after)
    assert report.added + report.changed + report.unchanged == len(after) == len(store)
    everything = {item.passage.id: item.passage for item in store.search(vectors(EAST), 100)[0]}
    assert everything == {passage.id: passage for passage in after}
    for passage_ in after:
        expected = vectors(Compass.directions[passage_.text.split()[0]])
        assert store.vectors([passage_]) == pytest.approx(expected, abs=1e-6)


class Fuse:
    """A collection whose plug is pulled at one of its requests, before or after the store has done it."""

    def __init__(self, collection: Any, left: int) -> None:
        self._collection, self._left = collection, left

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)

        def burning(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 1:
                raise PullThePlug
            result = method(*arguments, **options)
            if self._left == 0:
                raise PullThePlug
            return result

        return burning


def test_a_store_that_is_damaged_says_where_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "chroma"
    folder.mkdir()
    (folder / "chroma.sqlite3").write_bytes(b"this is no database" * 100)
    with pytest.raises(RagftError, match="cannot be used") as caught:
        PassageStore(folder, "f" * 64, "embedder-1")
    assert str(folder) in caught.value.message
    assert "ragft index FILE" in (caught.value.hint or "")
