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
                f"index.chunking.chunk_tokens is {config.chunk_tokens}, "
                f"and the embedder reads only {max_tokens} tokens",
                "the rest of each passage would silently not be embedded; lower chunk_tokens",
            )
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._config = config
        self._splitters: dict[int, TextSplitter] = {}

    def passages(self, documents: Iterable[Document]) -> list[Passage]:
        """Return the passages of all documents, in order; the id of one is `document#start-end`."""
        return [passage for document in documents for passage in self._cut(document)]

    def _cut(self, document: Document) -> Iterator[Passage]:
        for offset, chunk in self._chunks(document, self._room(document)):
            end = offset + len(chunk)
            id_ = f"{document.id}#{offset}-{end}"
            yield Passage(id_, document.id, document.title, chunk, offset, end, document.metadata)

    def _room(self, document: Document) -> int:
        """Return the tokens that the document's title and the special tokens leave for its text."""
        room = self._config.chunk_tokens - self._longest([embedded_text(document.title, "")])
        if room < self._config.chunk_tokens // 4:
            raise DataError(
                f"document {document.id!r}: its title leaves {room} of {self._config.chunk_tokens} tokens",
                "shorten the title, or raise index.chunking.chunk_tokens",
            )
        return room

    def _chunks(self, document: Document, room: int) -> list[tuple[int, str]]:
        """Return (offset, text) of each chunk.

        The splitter counts a chunk alone and without special tokens. Some tokenizers make more tokens of a text that
        follows a title than of the two apart, so what is embedded is counted, and cut smaller where it is too long.
        """
        while room > 0:
            chunks: list[tuple[int, str]] = self._splitter(room).chunk_indices(document.text)
            excess = self._longest(embedded_text(document.title, chunk) for _, chunk in chunks)
            excess -= self._config.chunk_tokens
            if excess <= 0:
                return chunks
            room -= excess
        raise DataError(
            f"document {document.id!r}: cannot be cut into chunks of {self._config.chunk_tokens} tokens",
            "raise index.chunking.chunk_tokens",
        )

    def _splitter(self, room: int) -> TextSplitter:
        """Return the splitter for chunks of `room` tokens; each costs a copy of the tokenizer, so it is kept."""
        if room not in self._splitters:
            overlap = min(self._config.overlap_tokens, room - 1)
            self._splitters[room] = TextSplitter.from_huggingface_tokenizer(self._tokenizer, room, overlap)
        return self._splitters[room]

    def _longest(self, texts: Iterable[str]) -> int:
        """Return the most tokens that the embedder reads of any of these texts, special ones included."""
        return max((len(encoded.ids) for encoded in self._tokenizer.encode_batch(list(texts))), default=0)


def embedded_text(title: str, text: str) -> str:
    """Return what is embedded of a passage: its document's title, then its text."""
    return f"{title}\n{text}" if title else text


def gold_passages(
    passages: Iterable[Passage], gold_ids: Iterable[str], contains: Callable[[str], bool]
) -> list[Passage]:
    """Return the passages of the gold documents, those that hold an answer first, in document order otherwise."""
    wanted = set(gold_ids)
    gold = [passage for passage in passages if passage.document_id in wanted]
    return sorted(gold, key=lambda passage: not contains(passage.text))
