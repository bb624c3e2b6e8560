"""The chunker: documents become sections, sections become spans, and no passage is longer than the embedder reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import assert_never

from tokenizers import Tokenizer

from ragft.config import ChunkingConfig
from ragft.data.chunking.counting import TokenCounter
from ragft.data.chunking.embedded import embedded_text
from ragft.data.chunking.fitting import fitted
from ragft.data.chunking.recursive import RecursiveCutter
from ragft.data.chunking.spans import Cutter, Section
from ragft.data.chunking.whole import whole_documents
from ragft.errors import DataError
from ragft.records import Document, Passage

_AT_ONCE = 256
"""Documents that are cut together, so that their tokens are counted in batches."""


class Chunker:
    """Cuts documents as `index.chunking` says.

    `chunk_tokens` bounds what the embedder reads of a passage: its title, its text and the special tokens.
    """

    def __init__(self, tokenizer: Tokenizer, config: ChunkingConfig, max_tokens: int | None) -> None:
        if max_tokens is not None and config.chunk_tokens > max_tokens:
            raise DataError(
                f"index.chunking.chunk_tokens is {config.chunk_tokens}, "
                f"and the embedder reads only {max_tokens} tokens",
                "the rest of each passage would silently not be embedded; lower chunk_tokens",
            )
        self._config = config
        self._max_tokens = max_tokens
        self._counter = TokenCounter(tokenizer)

    def passages(self, documents: Iterable[Document]) -> list[Passage]:
        """Return the passages of all documents, in order; the id of one is `document#start-end`.

        Raises DataError for a document that cannot be cut so that the embedder reads all of every passage.
        """
        kind, overlap = self._config.kind, self._config.overlap_tokens
        match kind:
            case "none":
                return whole_documents(documents, self._counter, self._config.chunk_tokens, self._max_tokens)
            case "recursive":
                return self._cut(documents, _undivided, RecursiveCutter(self._counter, overlap))
            case "sentence":
                from ragft.data.chunking.sentences import SentenceCutter

                cutter = SentenceCutter(self._counter, overlap, self._config.language)
                return self._cut(documents, _undivided, cutter)
            case "markdown":
                return self._cut(documents, self._headed, RecursiveCutter(self._counter, overlap))
            case _:
                assert_never(kind)

    def _cut(
        self, documents: Iterable[Document], divided: Callable[[Document], list[Section]], cutter: Cutter
    ) -> list[Passage]:
        passages: list[Passage] = []
        waiting = iter(documents)
        while page := list(islice(waiting, _AT_ONCE)):
            sections = [section for document in page for section in divided(document)]
            for section, spans in fitted(sections, cutter, self._counter, self._config.chunk_tokens):
                passages += [section.passage(*span) for span in spans]
        return passages

    def _headed(self, document: Document) -> list[Section]:
        from ragft.data.chunking.headings import headed_sections
        from ragft.data.chunking.titles import path_title

        return [
            Section(
                document,
                path_title(document.title, found.path, self._may_be_title),
                found.start,
                found.end,
                found.body - found.start,
            )
            for found in headed_sections(document.text)
        ]

    def _may_be_title(self, title: str) -> bool:
        """Return whether a path of headings takes a quarter of a passage at most."""
        empty, titled = self._counter.read(["", embedded_text(title, "")])
        return titled - empty <= self._config.chunk_tokens // 4


def _undivided(document: Document) -> list[Section]:
    return [Section(document, document.title, 0, len(document.text))]
