"""What is highlighted in a passage: the answer, or the sentence that supports it, and nothing where nothing does."""

from __future__ import annotations

import pytest

from ragft.arms.support import Support, sentences
from ragft.records import Passage

CANTEEN = (
    "The canteen is a long table in the chart room. Dinner is at 12:15 sharp. Fish is never served on Thursdays. "
    "Staff who sleep in the bunk room may use the kitchen after 19:30."
)
PIER = "The pier was built in 1934. In 1934 there were 12 boats. Swimming from the pier is forbidden."


def marked(question: str, answer: str, text: str, title: str = "", *others: str) -> str | None:
    """Return what is highlighted in a passage, with how, or None."""
    passages = [Passage(f"d#{n}", "d", title, one, 0, len(one)) for n, one in enumerate((text, *others))]
    spans = Support(question, answer, passages).spans(passages[0])
    assert len(spans) <= 1
    return f"{spans[0].kind}: {text[spans[0].start : spans[0].end]}" if spans else None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "Go!" Then J. K. Rowling left.', ['He said "Go!"', "Then J. K. Rowling left."]),
        ("It costs 3.25 euros.\n\nDr. Who paid", ["It costs 3.25 euros.", "Dr. Who paid"]),
        ("灯台は白い。猫がいる。", ["灯台は白い。", "猫がいる。"]),
        (" \n ", []),
        ("", []),
    ],
)
def test_sentences_of_a_text(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == found


def test_an_answer_that_stands_there_is_marked_itself() -> None:
    assert marked("When is dinner?", "12:15 sharp.", CANTEEN) == "answer: 12:15 sharp"
    assert marked("When is dinner?", "12:15  SHARP", CANTEEN) == "answer: 12:15 SHARP".replace("SHARP", "sharp")


def test_of_two_places_the_one_beside_the_question_is_marked() -> None:
    passage = Passage("p", "d", "", PIER, 0, len(PIER))
    (span,) = Support("When were there 12 boats?", "1934", [passage]).spans(passage)
    assert PIER[: span.start].endswith("In ")
    (span,) = Support("When was the pier built?", "1934", [passage]).spans(passage)
    assert PIER[: span.start].endswith("built in ")


def test_half_a_word_is_not_the_answer() -> None:
    assert marked("What lives at the pier?", "cod", "The barcode of the pier is codified.") is None


def test_a_number_that_stands_there_by_chance_is_not_marked() -> None:
    assert marked("How many lighthouses has Aldmoor?", "12", "Payment is due in 12 days.") is None


def test_an_answer_in_other_words_marks_the_sentence_that_supports_it() -> None:
    said = "No, fish is not served there on a Thursday"
    assert marked("Can I eat fish on Thursday?", said, CANTEEN) == "sentence: Fish is never served on Thursdays."
    said = "They may use the kitchen"
    assert marked("Where do sleeping staff cook?", said, CANTEEN) == (
        "sentence: Staff who sleep in the bunk room may use the kitchen after 19:30."
    )


def test_yes_marks_the_sentence_that_holds_most_of_the_question() -> None:
    assert (
        marked("Is swimming from the pier forbidden?", "Yes", PIER) == "sentence: Swimming from the pier is forbidden."
    )
    assert marked("Is there a cinema in the town?", "Yes", PIER) is None


@pytest.mark.parametrize("answer", ["a wooden bird", "Quern Mill", "nine o'clock"])
def test_what_no_sentence_says_marks_nothing(answer: str) -> None:
    """The words of the question alone are no support: every passage that was retrieved has some of them."""
    assert marked("When is dinner in the canteen?", answer, CANTEEN) is None


def test_less_than_half_of_what_is_said_or_asked_is_no_support() -> None:
    said = "They are served with wine and candles"
    assert marked("How are guests received?", said, CANTEEN) is None  # one word of three stands in a sentence
    assert marked("Is swimming from the lighthouse allowed at night?", "Yes", PIER) is None  # one word of four


def test_a_word_of_the_title_alone_is_no_support() -> None:
    text = "It serves a hot meal. Guests pay double."
    assert marked("What is this about?", "The canteen", text, "The canteen of the mill") is None


def test_numbers_are_no_kin_of_other_numbers() -> None:
    assert marked("When was it built?", "in 19345", "It was built in 19341.") is None


def test_regular_expressions_in_an_answer_are_text() -> None:
    assert marked("What is the code?", "a+b (c", "The code is a+b (c today.") == "answer: a+b (c"
