"""Cutting at sentences: whole ones, as many as fit in a chunk.

Sentences are found by sentencex, the segmenter of the Wikimedia Foundation: lists of abbreviations for many languages,
character offsets that lose nothing, no model and no download. The sentence level of semantic-text-splitter, Unicode's,
ends a sentence after every "Dr.".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sentencex import get_sentence_boundaries

from ragft.data.chunking.counting import TokenCounter
from ragft.data.chunking.recursive import RecursiveCutter
from ragft.data.chunking.spans import Span, trimmed

_PAGE = 20_000
"""Characters that are segmented at once, at most."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, or a part of one that is too long for a chunk; `tokens` with the whitespace before it."""

    start: int
    end: int
    tokens: int
    is_whole: bool


class SentenceCutter:
    """Packs whole sentences up to the room; a sentence that is too long alone is cut recursively."""

    def __init__(self, counter: TokenCounter, overlap_tokens: int, language: str) -> None:
        self._counter = counter
        self._overlap_tokens = overlap_tokens
        self._language = language
        self._within = RecursiveCutter(counter, 0)

    def spans(self, text: str, room: int, head: int) -> list[Span]:
        """Return the chunks; each begins with the last sentences of the one before, as many as the overlap holds."""
        units = list(self._units(text, room))
        packs = list(_packed(units, room, min(self._overlap_tokens, room // 2)))
        if not self._overlap_tokens:
            packs = _evened(packs, units, room)
        return [(units[first].start, units[last - 1].end) for first, last in packs]

    def _units(self, text: str, room: int) -> Iterator[_Unit]:
        before = 0
        for start, end in _sentences(text, self._language):
            tokens = self._counter.estimate(text[before:end])
            if tokens <= room:
                yield _Unit(start, end, tokens, True)
            else:
                yield from self._parts(text, start, end, room)
            before = end

    def _parts(self, text: str, start: int, end: int, room: int) -> Iterator[_Unit]:
        parts = self._within.spans(text[start:end], room, 0)
        for first, last in parts:
            tokens = self._counter.estimate(text[start + first : start + last])
            yield _Unit(start + first, start + last, tokens, len(parts) == 1)


def _sentences(text: str, language: str) -> Iterator[Span]:
    """Yield the sentences, less the whitespace around them.

    The segmenter takes time by the square of the length where a text is full of quotation marks, so it is given pages.
    """
    begin = 0
    while begin < len(text):
        stop = _page_end(text, begin)
        for boundary in get_sentence_boundaries(language, text[begin:stop]):
            sentence = trimmed(text, begin + boundary["start_index"], begin + boundary["end_index"])
            if sentence is not None:
                yield sentence
        begin = stop


def _page_end(text: str, begin: int) -> int:
    """Return where a page that begins here ends: behind a paragraph, else a line, else a word, else at its length."""
    limit = begin + _PAGE
    if limit >= len(text):
        return len(text)
    ends = (text.rfind(mark, begin + 1, limit) + len(mark) for mark in ("\n\n", "\n", " "))
    return next((end for end in ends if end > begin + _PAGE // 2), limit)


def _packed(units: Sequence[_Unit], room: int, overlap_tokens: int) -> Iterator[Span]:
    """Yield the units of each chunk, from the first number up to, and without, the second."""
    first, last = 0, 0
    while last < len(units):
        last = _filled(units, first, room)
        yield first, last
        first = _repeated(units, first, last, room, overlap_tokens)


def _evened(packs: list[Span], units: Sequence[_Unit], room: int) -> list[Span]:
    """Return the chunks with the last two made about equal where the last fills less than a quarter of its room.

    Its one short sentence would rank for what its title says and answer little.
    """
    if len(packs) < 2 or _tokens(units, *packs[-1]) * 4 >= room:
        return packs
    (first, _), (_, last) = packs[-2:]
    split = min(range(first + 1, last), key=lambda at: max(_tokens(units, first, at), _tokens(units, at, last)))
    return [*packs[:-2], (first, split), (split, last)]


def _tokens(units: Sequence[_Unit], first: int, last: int) -> int:
    return sum(unit.tokens for unit in units[first:last])


def _filled(units: Sequence[_Unit], first: int, room: int) -> int:
    """Return the end of the chunk that begins with the unit `first`; that one is in it, whatever it counts."""
    last, total = first + 1, units[first].tokens
    while last < len(units) and total + units[last].tokens <= room:
        total += units[last].tokens
        last += 1
    return last


def _repeated(units: Sequence[_Unit], first: int, last: int, room: int, overlap_tokens: int) -> int:
    """Return the unit that the next chunk begins with, so early that it repeats whole sentences up to the overlap.

    The unit `last`, which is new, must still fit behind them: else the next chunk would hold nothing new.
    """
    left = min(overlap_tokens, room - units[last].tokens) if last < len(units) else 0
    begin = last
    while begin - 1 > first and units[begin - 1].is_whole and units[begin - 1].tokens <= left:
        begin -= 1
        left -= units[begin].tokens
    return begin
