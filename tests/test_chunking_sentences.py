"""Passages of whole sentences: where they end, what they repeat, and what becomes of one that is too long."""

from __future__ import annotations

from typing import Any

import pytest
from sentencex import get_sentence_boundaries
from test_chunking import byte_tokenizer, cut, word_tokenizer, words

from ragft.config import ChunkingConfig
from ragft.data.chunking import Chunker
from ragft.records import Document, Passage


def sentence(first: int, last: int) -> str:
    """Return a sentence of as many tokens as the numbers are apart, and one for the full stop."""
    return f"{words(first, last).capitalize()}."


def sentences(text: str, overlap_tokens: int = 0, chunk_tokens: int = 16, title: str = "") -> list[str]:
    passages = cut(word_tokenizer(), text, title, chunk_tokens, overlap_tokens, "sentence")
    return [passage.text for passage in passages]


def in_language(text: str, language: str) -> list[str]:
    config = ChunkingConfig(kind="sentence", chunk_tokens=16, language=language)
    passages: list[Passage] = Chunker(word_tokenizer(), config, None).passages([Document("d", "", text)])
    return [passage.text for passage in passages]


def test_as_many_whole_sentences_as_fit_stand_in_a_passage() -> None:
    # 16 - 2 special tokens leave 14: sentences of 5, 6, 6 and 5 tokens are 5 + 6 and 6 + 5
    five, six, six_more, five_more = sentence(0, 4), sentence(4, 9), sentence(9, 14), sentence(14, 18)
    assert sentences(f"{five} {six} {six_more} {five_more}") == [f"{five} {six}", f"{six_more} {five_more}"]


def test_the_title_takes_room_from_the_sentences() -> None:
    five, six = sentence(0, 4), sentence(4, 9)
    assert sentences(f"{five} {six}", title="one two three") == [f"{five} {six}"]  # 14 - 3 = 5 + 6
    assert sentences(f"{five} {six}", title="one two three four") == [five, six]


def test_what_stands_between_sentences_stays_as_it_is() -> None:
    text = f"{sentence(0, 4)}\r\n\r\n\t{sentence(4, 9)}  \n{sentence(9, 14)}"
    assert sentences(text) == [f"{sentence(0, 4)}\r\n\r\n\t{sentence(4, 9)}", sentence(9, 14)]


def test_an_abbreviation_ends_no_sentence() -> None:
    """Unicode's sentence boundaries, which the recursive splitter goes by, stand behind `Dr.` and `e.g.` too."""
    # "Dr . Ada Byron keeps the light of St . Elm ." are 12 tokens, "It burns oil , e . g . from whales ." also 12
    first, second = "Dr. Ada Byron keeps the light of St. Elm.", "It burns oil, e.g. Kerosene from whales."
    assert sentences(f"{first} {second}") == [first, second]


def test_abbreviations_are_those_of_the_language() -> None:
    """`bzw.` ends a sentence for English rules: 5 + 8 tokens and 5 more. For German ones they are 5 and 13."""
    text = "Die Lampe ist hell. Das Licht ist zwölf Meter hoch bzw. Sehr hell am Abend."
    assert in_language(text, "de") == ["Die Lampe ist hell.", "Das Licht ist zwölf Meter hoch bzw. Sehr hell am Abend."]
    assert in_language(text, "en") == ["Die Lampe ist hell. Das Licht ist zwölf Meter hoch bzw.", "Sehr hell am Abend."]
    assert in_language(text, "xx") == in_language(text, "en")


@pytest.mark.parametrize(
    "parts",
    [
        ("これは一つ目の文です。", "二つ目の文ですか？", "はい！"),
        ("यह पहला वाक्य है।", "यह दूसरा वाक्य है।", "तीसरा।"),
        ("هذا هو النص.", "هل هذا نص؟", "نعم."),
    ],
    ids=["japanese", "hindi", "arabic"],
)
def test_sentences_end_at_the_marks_of_every_script(parts: tuple[str, ...]) -> None:
    text = (" " if " " in parts[0] else "").join(parts)
    longest = max(len(part.encode()) for part in parts)
    passages = cut(byte_tokenizer(), text * 3, "", longest, 0, "sentence")
    ends = {passage.text[-1] for passage in passages}
    assert ends <= set("。？！।؟.")
    assert len(passages) > 3


def test_an_overlap_repeats_whole_sentences() -> None:
    four = [sentence(n, n + 3) for n in range(0, 18, 3)]  # six sentences of 4 tokens, 3 to a chunk of 14
    assert sentences(" ".join(four), overlap_tokens=4) == [
        " ".join(four[0:3]),
        " ".join(four[2:5]),
        " ".join(four[4:6]),
    ]
    # 3 tokens hold no sentence of 4, 7 hold one
    assert sentences(" ".join(four), overlap_tokens=3) == [" ".join(four[0:3]), " ".join(four[3:6])]
    assert sentences(" ".join(four), overlap_tokens=7)[1] == " ".join(four[2:5])


def test_an_overlap_never_pushes_out_what_is_new() -> None:
    """A sentence of 13 behind one of 6: repeating the 6 would leave no room for it, and no end."""
    six, thirteen = sentence(0, 5), sentence(5, 17)
    assert sentences(f"{six} {thirteen} {six}", overlap_tokens=8) == [six, thirteen, six]


def test_a_sentence_that_is_too_long_is_cut_and_its_end_goes_on_with_the_next() -> None:
    long, short = sentence(0, 20), sentence(20, 24)  # 21 tokens are 14 + 7, and 7 + 5 fit
    assert sentences(f"{long} {short}") == [words(0, 14).capitalize(), f"{words(14, 20)}. {short}"]


def test_a_short_last_passage_takes_sentences_from_the_one_before() -> None:
    """Four sentences of 3 and one of 3: 12 + 3 would leave a passage of one short sentence; 9 + 6 says more."""
    three = [sentence(n, n + 2) for n in range(0, 10, 2)]
    assert sentences(" ".join(three)) == [" ".join(three[:2]), " ".join(three[2:])]


def test_a_long_text_is_segmented_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """For this text the segmenter takes time by the square of the length: hours for the 50 MB that a file may have."""
    lengths: list[int] = []

    def listening(language: str, text: str) -> Any:
        lengths.append(len(text))
        return get_sentence_boundaries(language, text)

    monkeypatch.setattr("ragft.data.chunking.sentences.get_sentence_boundaries", listening)
    text = "```\n" * 25_000
    assert "".join("".join(sentences(text, chunk_tokens=256)).split()) == "```" * 25_000
    assert (max(lengths), sum(lengths)) == (20_000, 100_000)


def test_a_page_ends_between_sentences_where_a_line_ends() -> None:
    lines = "\n".join(sentence(n, n + 5) for n in range(0, 20_000, 5))
    assert all(text.endswith(".") for text in sentences(lines))
