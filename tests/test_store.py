"""The passage store on real Chroma: in step with the documents by the least embedding, and never another's vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragft.errors import RagftError
from ragft.records import Passage
from ragft.retrieval.embedder import Vectors
from ragft.retrieval.store import PAGE, PassageStore, SyncReport, passages_fingerprint, text_print

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
    store.check([A, C, new])


@pytest.mark.parametrize(
    ("edited", "text"),
    [(replace(A, text="north "), "north "), (replace(A, title="north"), "north\neast 1")],
)
def test_a_passage_edited_in_place_is_embedded_again(store: PassageStore, edited: Passage, text: str) -> None:
    """Its id, made of document and span, stays; only the text (of the same length) or the title differs."""
    assert (edited.id, len(edited.text)) == (A.id, len(A.text))
    store.sync([A, B], Compass())
    embed = Compass()
    assert store.sync([edited, B], embed) == SyncReport(added=1, removed=1, unchanged=1)
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
    store.check([A])


def test_indexes_of_one_workspace_do_not_mix(store: PassageStore, tmp_path: Path) -> None:
    store.sync([A], Compass())
    other = PassageStore(tmp_path / "chroma", "0" * 64, "embedder-2")
    other.sync([B], Compass())
    assert (found(store, NORTH), found(other, NORTH)) == ([["a#0-6"]], [["b#0-7"]])


def test_an_index_out_of_step_is_an_error(store: PassageStore) -> None:
    store.sync([A, B], Compass())
    store.check([A, B])
    store.check([B, A])
    for stale in ([A], [A, B, C], [A, replace(B, text="north 2")], [A, replace(B, title="Sea")], []):
        with pytest.raises(RagftError, match="does not hold the documents as they are now") as caught:
            store.check(stale)
        assert caught.value.hint == "run: ragft index FILE"


def test_a_sync_that_was_stopped_goes_on_where_it_was(store: PassageStore) -> None:
    many = [passage(f"p{number:04}#0-6", f"east {number}") for number in range(PAGE + 10)]

    def dies(texts: Sequence[str]) -> Vectors:
        if len(texts) < PAGE:
            raise KeyboardInterrupt
        return Compass()(texts)

    with pytest.raises(KeyboardInterrupt):
        store.sync(many, dies)
    with pytest.raises(RagftError):
        store.check(many)
    embed = Compass()
    assert store.sync(many, embed) == SyncReport(added=10, removed=0, unchanged=PAGE)
    assert embed.embedded == [f"east {number}" for number in range(PAGE, PAGE + 10)]
    store.check(many)


def test_more_rows_than_a_page_are_synchronised_and_taken_away(store: PassageStore) -> None:
    many = [passage(f"p{number:04}#0-6", f"east {number}") for number in range(2 * PAGE + 5)]
    embed = Compass()
    assert store.sync([*many, B], embed) == SyncReport(added=2 * PAGE + 6, removed=0, unchanged=0)
    assert len(embed.embedded) == 2 * PAGE + 6
    store.check([*many, B])
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
    assert text_print(A) == text_print(replace(A, id="other"))
    assert text_print(A) != text_print(replace(A, title="east"))
