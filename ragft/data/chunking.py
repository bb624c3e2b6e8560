"""Documents cut into passages by tokens of the embedder, with character spans that map back to the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer

from ragft.config import ChunkingConfig
from ragft.errors import DataError
from ragft.records import Document, Passage


class Chunker:
    """Cuts documents recursively: by paragraphs, then sentences, words and characters, until a chunk is small enough.

    `chunk_tokens` bounds what the embedder reads of a passage: its title, its text and the special tokens.
    """

    def __init__(self, tokenizer: Tokenizer, config: ChunkingConfig, max_tokens: int | None) -> None:
        if max_tokens is not None and config.chunk_tokens > max_tokens:
            raise DataError(
                f"index.chunking.chunk_tokens is {config.chunk_tokens}, and the embedder reads only {max_tokens} tokens",
                "the rest of each passage would silently not be embedded; lower chunk_tokens",
            )
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._config = config

    def passages(self, documents: Iterable[Document]) -> list[Passage]:
        """Return the passages of all documents, in order; the id of one is `document#start-end`."""
        return [passage for document in documents for passage in self._cut(document)]

    def _cut(self, document: Document) -> Iterator[Passage]:
        for offset, chunk in self._splitter(document).chunk_indices(document.text):
            end = offset + len(chunk)
            yield Passage(f"{document.id}#{offset}-{end}", document.id, document.title, chunk, offset, end)

    def _splitter(self, document: Document) -> TextSplitter:
        """Return a splitter with the room that the document's title leaves."""
        room = self._config.chunk_tokens - self._count(embedded_text(document.title, ""))
        if room < self._config.chunk_tokens // 4:
            raise DataError(f"document {document.id!r}: its title leaves {room} of {self._config.chunk_tokens} tokens")
        overlap = min(self._config.overlap_tokens, room - 1)
        return TextSplitter.from_huggingface_tokenizer(self._tokenizer, room, overlap)

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)


def embedded_text(title: str, text: str) -> str:
    """Return what is embedded of a passage: its document's title, then its text."""
    return f"{title}\n{text}" if title else text


def gold_passages(passages: Iterable[Passage], gold_ids: Iterable[str], contains: Callable[[str], bool]) -> list[Passage]:
    """Return the passages of the gold documents, those that hold an answer first, in document order otherwise."""
    wanted = set(gold_ids)
    gold = [passage for passage in passages if passage.document_id in wanted]
    return sorted(gold, key=lambda passage: not contains(passage.text))
