"""Sections of documents and spans inside them: the nouns of cutting. Standard library and records only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ragft.records import Document, Passage

Span = tuple[int, int]
"""Characters from the first number up to, and without, the second."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document that is cut on its own, from `start` to `end` in characters; `title` heads its passages.

    The first `head` characters are headings, which are no passage without what follows them.
    """

    document: Document
    title: str
    start: int
    end: int
    head: int = 0

    @property
    def text(self) -> str:
        """The characters of the section."""
        return self.document.text[self.start : self.end]

    def passage(self, start: int, end: int) -> Passage:
        """Return the passage of a span, which counts from the beginning of the section."""
        first, last = self.start + start, self.start + end
        source = self.document
        text = source.text[first:last]
        return Passage(f"{source.id}#{first}-{last}", source.id, self.title, text, first, last, source.metadata)


class Cutter(Protocol):
    """Cuts one text into spans."""

    def spans(self, text: str, room: int, head: int) -> list[Span]:
        """Return spans of the text in order, each of about `room` tokens at most and none of them only whitespace.

        The first `head` characters are headings and stay with what follows them, where there is room. The caller counts
        what is embedded exactly, and asks again with less room where a span came out too long.
        """
        ...


def trimmed(text: str, start: int, end: int) -> Span | None:
    """Return the span less the whitespace at its ends, None where nothing else is in it."""
    inner = text[start:end]
    kept = inner.strip()
    if not kept:
        return None
    first = start + len(inner) - len(inner.lstrip())
    return first, first + len(kept)
