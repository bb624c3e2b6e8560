"""Recursive cutting: at paragraphs, then lines, sentences, words and characters, until a chunk is small enough."""

from __future__ import annotations

from semantic_text_splitter import TextSplitter

from ragft.data.chunking.counting import TokenCounter
from ragft.data.chunking.spans import Span, trimmed


class RecursiveCutter:
    """Cuts by semantic-text-splitter, which fills a chunk with the largest units that fit."""

    def __init__(self, counter: TokenCounter, overlap_tokens: int) -> None:
        self._counter = counter
        self._overlap_tokens = overlap_tokens

    def spans(self, text: str, room: int, head: int) -> list[Span]:
        """Return the chunks; a heading that the splitter leaves alone is joined to a smaller first chunk behind it."""
        chunks = self._chunks(text, 0, room)
        taken = self._counter.estimate(text[:head])
        if len(chunks) < 2 or chunks[0][1] > head or taken > room // 2:
            return chunks
        behind = self._chunks(text, head, room - taken)
        rest = self._chunks(text, behind[1][0], room) if len(behind) > 1 else []
        return [(chunks[0][0], behind[0][1]), *rest]

    def _chunks(self, text: str, begin: int, room: int) -> list[Span]:
        """Return the chunks of what stands from `begin` on.

        Half of the room at most is repeated: behind a long title a chunk might else hold one new word.
        """
        if self._counter.estimate(text[begin:]) <= room:
            chunks = [(begin, len(text))]
        else:
            overlap = min(self._overlap_tokens, room // 2)
            splitter = TextSplitter.from_callback(self._counter.estimate, room, overlap)
            found = splitter.chunk_indices(text[begin:])
            chunks = [(begin + start, begin + start + len(chunk)) for start, chunk in found]
        return [span for start, end in chunks if (span := trimmed(text, start, end))]
