"""Groundedness and citations by hand: what an answer shares with its passages, and what it cites of them."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.evaluation.answers import normalise
from ragft.evaluation.claims import claims_of, sentences
from ragft.evaluation.grounding import without_marks
from ragft.evaluation.metrics import answer_metric, score_answers
from ragft.records import Answer, Example, Passage, Score

LIGHTHOUSE = "The lighthouse of Aldmoor is green. It was built in 1911 for 12,500 crowns."
HERONS = "Herons live below the lighthouse."
NO_PASSAGES, ABSTAINS = "the arm gave it no passages", "the answer abstains"
COUNTS = {"wasted_citations", "invented_citations"}
ALL = ["k_precision", "passage_support", "citation_precision", "citation_recall", *sorted(COUNTS)]


def passage(number: int, text: str = HERONS, document: str | None = None, title: str = "") -> Passage:
    return Passage(f"p{number}", document or f"d{number}", title, text, 0, len(text))


def score(
    metric: str,
    text: str,
    passages: list[Passage],
    *,
    cites: tuple[int, ...] = (),
    invented: int = 0,
    gold: tuple[str, ...] = (),
    error: str | None = None,
) -> Score:
    """Return the score as a user gets it: through the registry, with the passages looked up by id."""
    answer = Answer(
        arm="rag",
        example_id="q",
        text=text,
        prompt_tokens=1,
        output_tokens=1,
        seconds=0.0,
        finish_reason="stop" if error is None else "error",
        passage_ids=tuple(p.id for p in passages),
        citations=tuple(f"p{number}" for number in cites),
        invented_citations=invented,
        error=error,
    )
    (found,) = score_answers([answer], {"q": Example("q", "When?", (), gold)}, [metric], {p.id: p for p in passages})
    return found


def value(metric: str, text: str, passages: list[Passage], **given: object) -> float | None:
    return score(metric, text, passages, **given).value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lighthouse is green.", 3 / 3),  # lighthouse, is, green; "the" is an article
        ("The lighthouse is red.", 2 / 3),
        ("green green green", 1 / 3),  # multisets: the passages say it once
        ("green [1]", 1 / 1),  # the mark is not a token "1"
        ("...", 0.0),
        ("", 0.0),
    ],
)
def test_k_precision_by_hand(text: str, expected: float) -> None:
    assert value("k_precision", text, [passage(1, LIGHTHOUSE), passage(2)]) == expected


def test_k_precision_reads_all_passages_and_their_titles_as_one_text() -> None:
    both = [passage(1, LIGHTHOUSE), passage(2, HERONS, title="Birds")]
    assert value("k_precision", "green herons, birds, otters", both) == 3 / 4
    # "lighthouse" stands once in each passage, so it may be said twice, not three times.
    assert value("k_precision", "lighthouse lighthouse lighthouse", both) == 2 / 3


def test_k_precision_agrees_with_the_formula_of_its_authors_code() -> None:
    said, known = "Green was the tall lighthouse, built in 1911 in Aldmoor", f"{LIGHTHOUSE} {HERONS}"
    prediction, reference = normalise(said).split(), normalise(known).split()
    authors = sum((Counter(reference) & Counter(prediction)).values()) / len(prediction)
    assert value("k_precision", said, [passage(1, LIGHTHOUSE), passage(2)]) == authors == 7 / 9  # not: tall, 2nd in


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*LIGHTHOUSE.split(), "[2]", "5%", "naïve", "النيل"]), min_size=1, max_size=12), st.data()
)
def test_an_answer_copied_from_a_passage_is_wholly_grounded(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 1))
    copied = " ".join(words[start : data.draw(st.integers(start + 1, len(words)))])
    found = value("k_precision", copied, [passage(1, " ".join(words))])
    only_marks_and_articles = not normalise(re.sub(r"\[2\]", "", copied))
    assert found == (0.0 if only_marks_and_articles else 1.0)


@pytest.mark.parametrize(
    ("answer", "given"), [("緑色の灯台です", LIGHTHOUSE), ("1911", "灯台は1911年に建てられました")]
)
def test_shares_of_tokens_are_refused_where_spaces_do_not_part_words(answer: str, given: str) -> None:
    found = score("k_precision", answer, [passage(1, given)])
    assert found.value is None
    assert found.reason is not None
    assert "without spaces" in found.reason


def test_numbers_are_found_in_a_script_without_spaces() -> None:
    assert value("passage_support", "1911年と1912年", [passage(1, "灯台は1911年に建てられました")]) == 1 / 2


def test_arabic_is_scored() -> None:
    given = [passage(1, "بنيت المنارة الخضراء عام ١٩١١")]
    assert value("k_precision", "المنارة الخضراء قديمة", given) == 2 / 3
    assert value("passage_support", "عام 1911", given) == 1.0  # the same number in other digits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It cost 12500 crowns in Aldmoor.", 2 / 2),
        ("It cost 12 500 crowns in Brinbay.", 1 / 2),
        ("In 1911 or 1912, by NASA.", 1 / 3),
        ("It cost 12.5 crowns.", 0.0),  # the comma of the passage groups thousands
        ("Built in 1911. Yes, 1911 [7].", 1.0),  # said twice is one claim, and a mark is none
    ],
)
def test_passage_support_by_hand(text: str, expected: float) -> None:
    assert value("passage_support", text, [passage(1, LIGHTHOUSE)]) == expected


@pytest.mark.parametrize("text", ["Aldmoor", "it is green", "", "Herons live there."])
def test_passage_support_of_an_answer_that_shows_no_number_and_no_name_is_unscored(text: str) -> None:
    found = score("passage_support", text, [passage(1, LIGHTHOUSE)])
    assert (found.value, found.reason) == (None, "the answer holds no number and no name")


@pytest.mark.parametrize(
    ("said", "written", "same"),
    [
        ("1000", "1,000", True),
        ("1000", "1 000", True),
        ("1000", "1\u202f000", True),
        ("1000", "1'000", True),
        ("1,234,567.5", "1.234.567,5", True),
        ("123456", "1,23,456", True),
        ("3.5", "3,5", True),
        ("3,50", "3.5", True),
        ("35", "3,5", False),
        ("1", "1,000", False),
        ("0", "1 000", False),
        ("1.5", "1.500", True),
        ("1500", "1.500", True),
        ("5 %", "5%", True),
        ("12", "12 100", True),
        ("12 100", "12100", True),
        ("1999", "in 1999 200 people", True),
        ("12.03.2020", "12.03.2021", False),
        ("1999", "1999\u00b9", True),  # a footnote
        ("1", "H1N1", False),
        ("1990", "the 1990s", True),
    ],
)
def test_numbers_written_in_different_ways(said: str, written: str, same: bool) -> None:
    claims = claims_of(said)
    assert claims.count == 1
    assert claims.found_in(written) == same


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Marie Curie worked in Paris. She won.", {"curie", "paris"}),
        ("NASA and the U.S. Senate", {"nasa", "us", "senate"}),
        ("The capital is Köln's rival, I think", {"köln"}),
        ("iPhone", {"iphone"}),
        ("Dr. Ray met Mr. Poe", {"ray", "mr", "poe"}),  # no sentence ends after Dr. or Mr.
        ("- Paris\n- London", set()),
        ("THE ANSWER IS PARIS", set()),  # shouted: capitals are no sign
        ("القاهرة", set()),
        ("東京", set()),
    ],
)
def test_names_by_hand(text: str, names: set[str]) -> None:
    assert claims_of(text).names == names


def test_a_name_is_found_as_a_whole_word_in_any_case() -> None:
    assert claims_of("by Art").found_in("a party") == 0
    assert claims_of("by NASA").found_in("Nasa's probe") == 1
    assert claims_of("by NGOs").found_in("an NGO") == claims_of("an NGO").found_in("by NGOs") == 1


def test_the_numbers_of_a_list_are_not_claims() -> None:
    assert claims_of("1. green\n2) red\n3.5 metres").numbers == claims_of("3.5").numbers


FIVE = [passage(n) for n in range(1, 6)]


@pytest.mark.parametrize(
    ("cites", "invented", "precision", "recall", "wasted"),
    [
        ((1,), 0, 1.0, 1 / 2, 0),  # the right passage of a gold of two documents
        ((1, 2), 0, 1.0, 1.0, 0),
        ((3, 1), 0, 1 / 2, 1 / 2, 1),
        ((2,), 1, 1 / 2, 1 / 2, 0),  # "[2] [7]" with five passages: [7] is a wrong citation
        ((2, 2), 0, 1.0, 1 / 2, 0),  # "[2][2]" cites one passage
        ((2, 2, 3, 3, 3), 0, 1 / 2, 1 / 2, 1),  # and saying it again makes nothing righter or more wasted
        ((), 1, 0.0, 0.0, 0),
        ((4, 5), 0, 0.0, 0.0, 2),
    ],
)
def test_citations_by_hand(cites: tuple[int, ...], invented: int, precision: float, recall: float, wasted: int) -> None:
    def of(metric: str) -> float | None:
        return value(metric, "green", FIVE, cites=cites, invented=invented, gold=("d1", "d2"))

    assert (of("citation_precision"), of("citation_recall")) == (precision, recall)
    assert (of("wasted_citations"), of("invented_citations")) == (wasted, invented)


def test_an_answer_that_cites_nothing_has_no_precision_and_a_recall_of_zero() -> None:
    found = score("citation_precision", "green", FIVE, gold=("d1",))
    assert (found.value, found.reason) == (None, "the answer cites nothing")
    assert value("citation_recall", "green", FIVE, gold=("d1",)) == 0.0
    assert value("wasted_citations", "green", FIVE, gold=("d1",)) == 0.0


def test_what_was_not_retrieved_cannot_be_cited() -> None:
    assert value("citation_recall", "green", FIVE, cites=(1,), gold=("d1", "elsewhere")) == 1.0
    found = score("citation_recall", "green", FIVE, cites=(1,), gold=("elsewhere",))
    assert (found.value, found.reason) == (None, "no gold document was among its passages")
    assert value("citation_precision", "green", FIVE, cites=(1,), gold=("elsewhere",)) == 0.0


def test_two_passages_of_one_gold_document_are_one_document_to_cite() -> None:
    given = [passage(1, document="d"), passage(2, document="d"), passage(3)]
    assert value("citation_recall", "green", given, cites=(2,), gold=("d",)) == 1.0
    assert value("citation_precision", "green", given, cites=(1, 2, 3), gold=("d",)) == 2 / 3


@pytest.mark.parametrize("metric", ALL)
def test_no_metric_judges_an_abstention_a_failure_or_an_arm_without_passages(metric: str) -> None:
    gold = ("d1",)
    assert score(metric, "I don't know [1]", FIVE, cites=(1,), gold=gold).reason == ABSTAINS
    assert score(metric, "In 1911 by NASA", [], gold=gold).reason == NO_PASSAGES
    assert score(metric, "", FIVE, gold=gold, error="timed out").reason == "no answer was got: timed out"


def test_citations_need_gold_documents_and_groundedness_does_not() -> None:
    for metric in ("citation_precision", "citation_recall", "wasted_citations"):
        assert score(metric, "green", FIVE, cites=(1,)).reason == "the example has no gold documents"
    assert value("k_precision", "herons", FIVE) == 1.0
    assert value("invented_citations", "herons", FIVE, invented=3) == 3.0


def test_an_answer_is_not_judged_by_half_of_its_passages() -> None:
    given = [passage(1, LIGHTHOUSE), passage(2)]
    answer = Answer("rag", "q", "green herons", 1, 1, 0.0, "stop", passage_ids=("p1", "p2"))
    (found,) = score_answers([answer], {"q": Example("q", "?", ())}, ["k_precision"], {"p1": given[0]})
    assert (found.value, found.reason) == (None, "passages of its prompt are no longer there")


def test_the_counts_rank_no_arm_and_nothing_needs_references() -> None:
    assert {name for name in ALL if not answer_metric(name).ranks} == COUNTS
    assert not any(answer_metric(name).needs_references or answer_metric(name).binary for name in ALL)
    assert {answer_metric(name).source for name in ALL} == {"passages"}


def test_sentences_by_hand() -> None:
    said = without_marks("Dr. Ray came [1] [2, 3]. He[3]  left! [2]\n***\nWhy")
    assert sentences(said) == ["Dr. Ray came.", "He left!", "Why"]
    assert sentences("東京です。首都です。") == ["東京です。", "首都です。"]
    assert sentences(" ... ") == []
