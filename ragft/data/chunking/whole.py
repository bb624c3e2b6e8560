"""Whole documents as passages: nothing is cut, so a document that is too long is an error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ragft.data.chunking.counting import TokenCounter
from ragft.data.chunking.embedded import embedded_text
from ragft.data.chunking.spans import Section, trimmed
from ragft.errors import DataError
from ragft.records import Document, Passage

_NAMED = 3


def whole_documents(
    documents: Iterable[Document], counter: TokenCounter, chunk_tokens: int, max_tokens: int | None
) -> list[Passage]:
    """Return one passage for each document, all of it but the whitespace at its ends; none for an empty one.

    Raises DataError where documents have more than `chunk_tokens` with title and special tokens; it says how many and
    names the longest. `max_tokens` is how many tokens the embedder reads, None where that is not known.
    """
    passages = [passage for document in documents if (passage := _whole(document))]
    sizes = counter.read(embedded_text(passage.title, passage.text) for passage in passages)
    long = [item for item in zip(sizes, passages, strict=True) if item[0] > chunk_tokens]
    if long:
        raise _too_long(sorted(long, key=lambda item: -item[0]), len(passages), chunk_tokens, max_tokens)
    return passages


def _whole(document: Document) -> Passage | None:
    span = trimmed(document.text, 0, len(document.text))
    return Section(document, document.title, 0, len(document.text)).passage(*span) if span else None


def _too_long(
    long: Sequence[tuple[int, Passage]], n_passages: int, chunk_tokens: int, max_tokens: int | None
) -> DataError:
    named = ", ".join(f"{passage.document_id!r} ({size})" for size, passage in long[:_NAMED])
    more = f", and {len(long) - _NAMED} more" if len(long) > _NAMED else ""
    longest, are = long[0][0], "is" if len(long) == 1 else "are"
    if max_tokens is None or longest <= max_tokens:
        other = f"raise index.chunking.chunk_tokens to {longest}"
    else:
        other = f"name an index.embedder that reads {longest} tokens (this one reads {max_tokens})"
    return DataError(
        f"index.chunking.kind is none, and {len(long)} of {n_passages} documents {are} longer than "
        f"index.chunking.chunk_tokens ({chunk_tokens} tokens): {named}{more}",
        f"cut them with index.chunking.kind: recursive, sentence or markdown, or {other}",
    )
