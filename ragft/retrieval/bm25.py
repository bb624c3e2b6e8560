"""Passages found by their words: a BM25 index on disk, beside the collection. The only code that knows bm25s.

An index lies in a folder named by the fingerprint of its passages, so that it can never be out of step: other passages
have another folder. It is written beside its place and renamed, so that a folder that is there is whole.
"""

from __future__ import annotations

import os
import shutil
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragft.data.chunking import embedded_text
from ragft.errors import RagftError
from ragft.provenance import fingerprint
from ragft.records import Passage, RankedPassage
from ragft.retrieval.filters import Filter, passes, where
from ragft.retrieval.words import TOKENIZER_VERSION, words

if TYPE_CHECKING:
    import bm25s

K1, B = 1.5, 0.75
"""Saturation of repeated words, and how much the length of a passage counts: the usual values, as in bm25s."""

Scores = np.ndarray[tuple[int], np.dtype[np.float32]]


class Bm25Index:
    """The words of a set of passages.

    A passage scores, over the words w of the query (a repeated word counts as often as it stands there),
    sum of ln(1 + (N - n + 0.5) / (n + 0.5)) * f / (f + K1 * (1 - B + B * length / mean length)), where f is how often
    w stands in it and n in how many of the N passages: Robertson and Zaragoza 2009, in the variant of Lucene.
    """

    def __init__(self, passages: Sequence[Passage], index: bm25s.BM25 | None) -> None:
        """Keep the passages, sorted by id, and their index, None where they hold no word at all."""
        self._passages = passages
        self._index = index
        self._allowed: tuple[dict[str, Any] | None, np.ndarray[tuple[int], np.dtype[np.bool_]]] | None = None

    @classmethod
    def opened(
        cls,
        folder: Path,
        index_fingerprint: str,
        passages: Sequence[Passage],
        on_passages: Callable[[int], None] = lambda _: None,
    ) -> Bm25Index:
        """Return the index of these passages, memory-mapped from `folder`, made there first where it is missing.

        `index_fingerprint` is `passages_fingerprint` of the same passages; `on_passages` is told how many more were
        read while the index is made.
        """
        import bm25s  # a third of a second, and not every command that knows of the index searches it

        ordered = sorted(passages, key=lambda passage: passage.id)
        target = folder / bm25_name(index_fingerprint)
        if not target.exists():
            _build(target, ordered, on_passages)
        try:
            empty = (target / "empty").exists()
            index = None if empty else bm25s.BM25.load(target, mmap=True, show_progress=False)
        except (OSError, ValueError, KeyError) as error:
            raise RagftError(f"{target}: the BM25 index cannot be read: {error}", f"remove {target}") from error
        if index is not None and index.scores["num_docs"] != len(ordered):
            raise RagftError(f"{target}: the BM25 index is not of these passages", f"remove {target}")
        return cls(ordered, index)

    def search(self, queries: Sequence[str], top_k: int, filter: Filter | None = None) -> list[list[RankedPassage]]:
        """Return the best passages of each query that share a word with it and pass `filter`, ties broken by id."""
        allowed = self._mask(filter or {})
        return [self._ranked(self._scores(query), top_k, allowed) for query in queries]

    def _scores(self, query: str) -> Scores:
        """Return the score of every passage, 0 where it shares no word with the query."""
        known = self._index.get_tokens_ids(words(query)) if self._index is not None else []
        if self._index is None or not known:
            return np.zeros(len(self._passages), dtype=np.float32)
        scores: Scores = self._index.get_scores_from_ids(known)
        return scores

    def _mask(self, filter: Filter) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
        if not filter:
            return None
        rule = where(filter, "")  # as text: in Python false equals 0, and here it does not
        if self._allowed is None or self._allowed[0] != rule:
            mask = np.fromiter((passes(passage, filter) for passage in self._passages), bool, len(self._passages))
            self._allowed = (rule, mask)
        return self._allowed[1]

    def _ranked(
        self, scores: Scores, top_k: int, allowed: np.ndarray[tuple[int], np.dtype[np.bool_]] | None
    ) -> list[RankedPassage]:
        positions = best(scores if allowed is None else np.where(allowed, scores, np.float32(0)), top_k)
        return [RankedPassage(self._passages[position], float(scores[position])) for position in positions]


def best(scores: Scores, count: int) -> list[int]:
    """Return the positions of the `count` highest scores above 0, best first, the earlier first among equals."""
    if len(scores) > count:
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        positions = np.flatnonzero(scores >= max(threshold, np.finfo(np.float32).tiny))  # every tie at the end, too
    else:
        positions = np.flatnonzero(scores > 0)
    order = np.argsort(-scores[positions], kind="stable")[:count]
    return [int(position) for position in positions[order]]


def bm25_name(index_fingerprint: str) -> str:
    """Return the name of the folder of a BM25 index."""
    return fingerprint({"passages": index_fingerprint, "words": TOKENIZER_VERSION, "k1": K1, "b": B})[:32]


def _build(target: Path, passages: Sequence[Passage], on_passages: Callable[[int], None]) -> None:
    numbered = _Numbered()
    for passage in passages:
        numbered.add(words(embedded_text(passage.title, passage.text)))
        on_passages(1)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        _write(temporary, numbered)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The words of each passage as numbers, 4 bytes each; a row is a list only while bm25s reads it."""

    numbers: array[int] = field(default_factory=lambda: array("i"))
    ends: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for end in self.ends:
            yield self.numbers[start:end].tolist()
            start = end


@dataclass(frozen=True, slots=True)
class _Numbered:
    """The words of all passages: `ids` and `vocab` are the names by which bm25s asks for the rows and their words."""

    ids: _Rows = field(default_factory=_Rows)
    vocab: dict[str, int] = field(default_factory=dict)

    def add(self, found: Sequence[str]) -> None:
        """Append the words of one passage."""
        self.ids.numbers.extend(self.vocab.setdefault(word, len(self.vocab)) for word in found)
        self.ids.ends.append(len(self.ids.numbers))


def _write(folder: Path, numbered: _Numbered) -> None:
    import bm25s

    if not numbered.vocab:
        (folder / "empty").touch()
        return
    index: Any = bm25s.BM25(k1=K1, b=B, method="lucene")
    index.index(numbered, create_empty_token=False, show_progress=False)
    index.save(folder, show_progress=False)
