"""Vectors that were computed before: never again, across indexes and experiments, and whole after a kill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ragft.errors import RagftError
from ragft.records import Passage
from ragft.retrieval.embedding import Vectors, unit
from ragft.retrieval.store import PassageStore
from ragft.retrieval.vector_cache import BLOCK, VectorCache


class Lengths:
    """Embeds a text by its length, and remembers what it was asked to embed; may die at a block."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.blocks: list[list[str]] = []
        self._dies_at = dies_at

    @property
    def embedded(self) -> list[str]:
        return [text for block in self.blocks for text in block]

    def __call__(self, texts: Sequence[str]) -> Vectors:
        if len(self.blocks) == self._dies_at:
            raise KeyboardInterrupt
        self.blocks.append(list(texts))
        return unit([[1.0, len(text)] for text in texts])


def test_a_text_is_embedded_once_and_found_in_any_order(tmp_path: Path) -> None:
    cache, embed, told = VectorCache(tmp_path, "id"), Lengths(), []
    first = cache.documents(["bb", "a", "bb", "dddd"], embed, told.append)
    assert embed.embedded == ["dddd", "bb", "a"]  # by length, the repeated one once
    assert first == pytest.approx(unit([[1, 2], [1, 1], [1, 2], [1, 4]]))
    assert sum(told) == 4
    second = cache.documents(["dddd", "ccc", "a"], embed)
    assert embed.embedded[3:] == ["ccc"]
    assert second == pytest.approx(unit([[1, 4], [1, 3], [1, 1]]))
    assert first.dtype == second.dtype == np.float32


def test_vectors_come_back_bit_for_bit_in_another_process(tmp_path: Path) -> None:
    texts = [f"text {n}" * (n % 7 + 1) for n in range(50)]
    rng = np.random.default_rng(3)
    made = VectorCache(tmp_path, "id").documents(texts, lambda block: unit(rng.normal(size=(len(block), 16))))
    again = VectorCache(tmp_path, "id").documents(texts, Lengths(dies_at=0))
    assert np.array_equal(made, again)


def test_another_embedder_has_vectors_of_its_own(tmp_path: Path) -> None:
    VectorCache(tmp_path, "float32").documents(["a"], Lengths())
    embed = Lengths()
    VectorCache(tmp_path, "bfloat16").documents(["a"], embed)
    assert embed.embedded == ["a"]


def test_a_kill_loses_at_most_one_block(tmp_path: Path) -> None:
    texts = [f"{n:04}" for n in range(2 * BLOCK + 5)]
    cache = VectorCache(tmp_path, "id")
    with pytest.raises(KeyboardInterrupt):
        cache.documents(texts, Lengths(dies_at=1))
    cache.close()
    embed = Lengths()
    found = VectorCache(tmp_path, "id").documents(texts, embed)
    assert embed.embedded == texts[BLOCK:]
    assert len(found) == len(texts)


def test_no_texts_give_no_vectors(tmp_path: Path) -> None:
    assert len(VectorCache(tmp_path, "id").documents([], Lengths(dies_at=0))) == 0


def test_text_that_is_no_unicode_can_be_kept(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "id")
    cache.documents(["\ud800"], Lengths())
    cache.documents(["\ud800"], Lengths(dies_at=0))


def test_an_index_that_was_dropped_or_cut_anew_embeds_only_new_text(tmp_path: Path) -> None:
    """The same text in another collection, under another id and in another document, is not embedded again."""
    cache, embed = VectorCache(tmp_path / "vectors", "id"), Lengths()

    def passage(document: str, text: str) -> Passage:
        return Passage(f"{document}#0", document, "", text, 0, len(text))

    store = PassageStore(tmp_path / "chroma", "a" * 64, "e")
    store.sync([passage("d1", "one"), passage("d2", "three")], lambda texts: cache.documents(texts, embed))
    store.clear()
    store.sync([passage("d1", "one"), passage("d2", "three")], lambda texts: cache.documents(texts, embed))
    other = PassageStore(tmp_path / "chroma", "b" * 64, "e")
    other.sync([passage("d9", "three"), passage("d1", "seventh")], lambda texts: cache.documents(texts, embed))
    assert embed.embedded == ["three", "one", "seventh"]
    assert other.vectors([passage("d9", "three")]) == pytest.approx(unit([[1, 5]]), abs=1e-6)


def test_vectors_of_two_widths_are_refused(tmp_path: Path) -> None:
    """A server that changed its model under the same name would else mix two spaces in one index."""
    cache = VectorCache(tmp_path, "id")
    cache.documents(["a"], lambda texts: unit(np.ones((len(texts), 3))))
    with pytest.raises(RagftError, match="vectors of 2 and 3 dimensions under one embedder") as caught:
        cache.documents(["a", "b"], lambda texts: unit(np.ones((len(texts), 2))))
    assert str(cache.path) in (caught.value.hint or "")


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = VectorCache(tmp_path, "id").path
    for file in tmp_path.iterdir():
        file.unlink()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(RagftError, match="cannot be used") as caught:
        VectorCache(tmp_path, "id")
    assert "remove the file" in (caught.value.hint or "")
