"""Sections cut so that the embedder reads all of every passage: what is embedded is counted, not guessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragft.data.chunking.counting import TokenCounter
from ragft.data.chunking.embedded import embedded_text
from ragft.data.chunking.spans import Cutter, Section, Span
from ragft.errors import DataError


def fitted(
    sections: Sequence[Section], cutter: Cutter, counter: TokenCounter, chunk_tokens: int
) -> Iterator[tuple[Section, list[Span]]]:
    """Yield each section with its spans, none of which has more than `chunk_tokens` with title and special tokens.

    A cutter counts a text apart from its title and word by word. Some tokenizers make more tokens of the whole than of
    its parts, so what is embedded is counted, and a section is cut smaller where a passage of it is too long.

    Raises DataError where a title leaves less than a quarter of the tokens, and where a character alone is too long.
    """
    rooms = _rooms(sections, counter, chunk_tokens)
    done: dict[int, list[Span]] = {}
    waiting = list(range(len(sections)))
    while waiting:
        cut = {n: cutter.spans(sections[n].text, rooms[n], sections[n].head) for n in waiting}
        texts = [_embedded(sections[number], span) for number, spans in cut.items() for span in spans]
        sizes = iter(counter.read(texts))
        waiting = []
        for number, spans in cut.items():
            excess = max((next(sizes) for _ in spans), default=0) - chunk_tokens
            if excess <= 0:
                done[number] = spans
            else:
                rooms[number] = _less(rooms[number], excess, sections[number], chunk_tokens)
                waiting.append(number)
    for number, section in enumerate(sections):
        yield section, done[number]


def _embedded(section: Section, span: Span) -> str:
    return embedded_text(section.title, section.document.text[section.start + span[0] : section.start + span[1]])


def _rooms(sections: Sequence[Section], counter: TokenCounter, chunk_tokens: int) -> list[int]:
    """Return the tokens that the title and the special tokens leave for the text of each section."""
    titles = list(dict.fromkeys(section.title for section in sections))
    taken = dict(zip(titles, counter.read(embedded_text(title, "") for title in titles), strict=True))
    for section in sections:
        if (room := chunk_tokens - taken[section.title]) < chunk_tokens // 4:
            raise DataError(
                f"document {section.document.id!r}: its title leaves {room} of {chunk_tokens} tokens",
                "shorten the title, or raise index.chunking.chunk_tokens",
            )
    return [chunk_tokens - taken[section.title] for section in sections]


def _less(room: int, excess: int, section: Section, chunk_tokens: int) -> int:
    if room <= excess:
        raise DataError(
            f"document {section.document.id!r}: cannot be cut into chunks of {chunk_tokens} tokens",
            "raise index.chunking.chunk_tokens",
        )
    return room - excess
