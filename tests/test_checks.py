"""Checks of the data: what makes a comparison invalid stops it, and what a reader must know is said."""

from __future__ import annotations

import pytest

from ragft.data.checks import DataFinding, check_data, normalised
from ragft.data.examples import Splits
from ragft.errors import DataError, NotComparableError
from ragft.records import Document, Example

DOCUMENTS = (Document("sea", "Sea", "The sea is wet."), Document("sky", "Sky", "The sky is blue."))


def asked(id_: str, text: str = "", gold: tuple[str, ...] = ("sea",), answerable: bool = True) -> Example:
    return Example(id_, text or f"Question {id_}?", ("wet",) if answerable else (), gold, answerable)


def check(
    *evaluation: Example,
    train: tuple[Example, ...] = (),
    dev: tuple[Example, ...] = (),
    documents: tuple[Document, ...] = DOCUMENTS,
    allow_leakage: bool = False,
    min_examples: int = 1,
) -> list[DataFinding]:
    splits = Splits(train, dev, evaluation)
    return check_data(documents, splits, allow_leakage=allow_leakage, min_examples=min_examples)


def test_sound_data_have_no_findings() -> None:
    assert check(asked("e1"), asked("e2", gold=("sea", "sky")), train=(asked("t1"),), dev=(asked("d1"),)) == []


def test_too_few_examples_make_no_comparison() -> None:
    assert check(asked("e1"), asked("e2"), min_examples=2) == []
    with pytest.raises(NotComparableError, match=r"1 eval examples are too few .*compare\.min_examples is 2") as caught:
        check(asked("e1"), min_examples=2)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("split", ["train", "dev", "eval"])
def test_gold_ids_without_a_document_are_named(split: str) -> None:
    lost = asked("x", gold=("sea", "moon"))
    parts = {"train": (), "dev": (), "eval": (asked("e1"),), split: (lost,)}
    with pytest.raises(DataError) as caught:
        check(*parts["eval"], train=parts["train"], dev=parts["dev"])
    assert caught.value.message == "1 gold document ids are not among the 2 documents: x -> moon"


def test_of_many_lost_gold_ids_five_are_named() -> None:
    with pytest.raises(DataError) as caught:
        check(*(asked(f"e{number}", gold=("moon",)) for number in range(7)))
    named = "e0 -> moon, e1 -> moon, e2 -> moon, e3 -> moon, e4 -> moon"
    assert caught.value.message == f"7 gold document ids are not among the 2 documents: {named} and 2 more"


def test_without_documents_gold_ids_are_not_looked_at() -> None:
    assert check(asked("e1", gold=("moon",)), asked("e2", gold=()), documents=()) == []


LEAKED = asked("t1", "Who keeps the light?")
AGAIN = asked("e1", "who  keeps the LIGHT")


@pytest.mark.parametrize("split", ["train", "dev"])
def test_an_eval_question_that_is_trained_on_is_an_error(split: str) -> None:
    held = (asked("t0"), LEAKED)
    with pytest.raises(DataError) as caught:
        check(AGAIN, asked("e2"), train=held if split == "train" else (), dev=held if split == "dev" else ())
    assert caught.value.message == "1 of 2 eval inputs also stand in train or dev: e1 = t1"
    assert "data.allow_leakage: true" in (caught.value.hint or "")


def test_leakage_that_is_allowed_is_a_finding() -> None:
    message = "1 of 2 eval inputs also stand in train or dev: e1 = t1"
    assert check(AGAIN, asked("e2"), train=(LEAKED,), allow_leakage=True) == [DataFinding("leakage", message, ("e1",))]


def test_repeats_among_the_eval_questions_are_a_finding() -> None:
    findings = check(
        asked("e1", "Is it wet?"), asked("e2", "is it wet"), asked("e3", "Is it dry?"), asked("e4", "is it wet.")
    )
    assert findings == [DataFinding("repeats", "2 eval inputs stand more than once", ("e2", "e4"))]


def test_answerable_questions_without_gold_documents_are_a_finding() -> None:
    findings = check(asked("e1"), asked("e2", gold=()), asked("e3", gold=(), answerable=False))
    message = "1 answerable eval examples name no gold document: retrieval is not measured on them"
    assert findings == [DataFinding("no_gold", message, ("e2",))]


def test_every_finding_comes() -> None:
    evaluation = (asked("e1", "Is it wet?", gold=()), asked("e2", "Is it wet", gold=()))
    findings = check(*evaluation, train=(asked("t1", "is it wet"),), allow_leakage=True)
    assert [finding.check for finding in findings] == ["leakage", "no_gold", "repeats"]


@pytest.mark.parametrize(
    ("text", "same"),
    [("  Who,\nkeeps\tIT?! ", "who keeps it"), ("été", "été"), ("snake_case", "snake_case"), (" ?! ", "?!"), ("", "")],
)
def test_texts_are_compared_without_case_punctuation_and_spacing(text: str, same: str) -> None:
    assert normalised(text) == same


def test_texts_of_symbols_alone_are_not_all_one() -> None:
    assert check(asked("e1", "👍"), asked("e2", "👎"), train=(asked("t1", "🙂"),)) == []
