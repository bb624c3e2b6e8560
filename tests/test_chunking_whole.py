"""Whole documents as passages, and the error where one is too long."""

from __future__ import annotations

import pytest
from test_chunking import cut, word_tokenizer, words

from ragft.config import ChunkingConfig
from ragft.data.chunking import Chunker
from ragft.errors import DataError
from ragft.records import Document, Passage


def whole(*lengths: int, max_tokens: int | None = None) -> list[Passage]:
    documents = [Document(f"d{number}", "t", words(0, length)) for number, length in enumerate(lengths)]
    config = ChunkingConfig(kind="none", chunk_tokens=16)
    return Chunker(word_tokenizer(), config, max_tokens).passages(documents)


def test_a_document_is_one_passage_up_to_chunk_tokens() -> None:
    # 16 - 2 special tokens - 1 of the title leave 13 words
    assert [passage.text for passage in whole(13, 2)] == [words(0, 13), words(0, 2)]


def test_the_passage_is_the_document_less_the_space_around_it() -> None:
    (passage,) = cut(word_tokenizer(), "\r\n one\n\n# two \n", kind="none")
    assert (passage.id, passage.text) == ("d#3-13", "one\n\n# two")


def test_documents_that_are_too_long_are_counted_and_the_longest_named() -> None:
    with pytest.raises(DataError) as caught:
        whole(14, 3, 20, 15, 30)
    assert caught.value.message == (
        "index.chunking.kind is none, and 4 of 5 documents are longer than index.chunking.chunk_tokens (16 tokens): "
        "'d4' (33), 'd2' (23), 'd3' (18), and 1 more"
    )
    assert caught.value.hint == (
        "cut them with index.chunking.kind: recursive, sentence or markdown, or raise index.chunking.chunk_tokens to 33"
    )


def test_the_hint_never_asks_for_more_than_the_embedder_reads() -> None:
    with pytest.raises(DataError) as caught:
        whole(14, 30, max_tokens=32)
    assert caught.value.hint == (
        "cut them with index.chunking.kind: recursive, sentence or markdown, or name an index.embedder that reads "
        "33 tokens (this one reads 32)"
    )
    with pytest.raises(DataError) as caught:
        whole(29, max_tokens=32)
    assert (caught.value.hint or "").endswith("raise index.chunking.chunk_tokens to 32")
    assert "1 of 1 documents is longer" in caught.value.message


def test_a_title_may_take_more_than_its_share_of_a_whole_document() -> None:
    (passage,) = cut(word_tokenizer(), "one", title=words(0, 13), kind="none")
    assert passage.text == "one"
