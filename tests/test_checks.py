"""Checks of the data: what makes a comparison invalid stops it, and what a reader must know is said."""

from __future__ import annotations

import pytest

from ragft.config import ChecksConfig
from ragft.data.checks import (
    CheckedData,
    CheckScope,
    DataCheck,
    DataFinding,
    InvalidDataError,
    TooFewExamplesError,
    conclude,
    examine,
    known_check,
    length_check,
    normalised,
)
from ragft.data.checks.answers import AnswersIn
from ragft.data.examples import Splits
from ragft.errors import DataError, NotComparableError
from ragft.records import Document, Example, Turn
from ragft.tasks.qa import Qa

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
    scope = CheckScope(allow_leakage=allow_leakage, min_examples=min_examples)
    return list(conclude(examine(documents, Splits(train, dev, evaluation), scope)).findings)


def supports(text: str, example: Example) -> bool:
    return any(reference in text for reference in example.references)


SCOPE = CheckScope(supports=supports)


def one(
    name: str,
    *evaluation: Example,
    train: tuple[Example, ...] = (),
    dev: tuple[Example, ...] = (),
    documents: tuple[Document, ...] = DOCUMENTS,
    scope: CheckScope = SCOPE,
) -> DataCheck:
    """Return one check by name; it must have run."""
    return next(c for c in examine(documents, Splits(train, dev, evaluation), scope) if c.name == name)


def said(check: DataCheck) -> tuple[int, int, str, tuple[str, ...]]:
    return check.looked_at, check.found, check.severity, check.example_ids


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


def test_every_check_that_ran_is_kept_also_those_that_found_nothing() -> None:
    taught = Example("t1", "Is it wet?", ("wet",), ("sea",), group="f1")
    evaluation = Example("e1", "Where does it rain?", ("wet",), ("sea",), group="f2")
    scope = CheckScope(supports=supports, max_new_tokens=8)
    found = conclude(examine(DOCUMENTS, Splits((taught,), (asked("d1"),), (evaluation,)), scope))
    assert [check.name for check in found.checks] == [
        "too_few",
        "leak_exact",
        "leakage",
        "leak_near",
        "dev_in_train",
        "leak_facts",
        "gold_missing",
        "no_gold",
        "gold_lacks_answer",
        "repeats",
        "contradictions",
        "unanswerable",
        "blank_references",
        "long_references",
    ]
    assert {(check.found, check.severity) for check in found.checks} == {(0, "ok")}
    assert found.findings == ()


def test_every_error_is_told_at_once_and_the_table_goes_with_them() -> None:
    evaluation = (asked("e1", "who keeps the light", gold=("moon",)), asked("e2"))
    with pytest.raises(InvalidDataError) as caught:
        check(*evaluation, train=(LEAKED,))
    assert caught.value.message == (
        "1 of 2 eval inputs also stand in train or dev: e1 = t1\n"
        "1 gold document ids are not among the 2 documents: e1 -> moon"
    )
    assert caught.value.hint == (
        "remove them, or set data.allow_leakage: true and read the caveat; add the documents, or correct the ids"
    )
    assert [c.name for c in caught.value.checks if c.severity == "error"] == ["leakage", "gold_missing"]
    assert [c.name for c in caught.value.checks if c.name == "repeats"] == ["repeats"]  # those after the error, too


def test_too_few_examples_decide_the_exit_code_and_hide_no_other_error() -> None:
    with pytest.raises(TooFewExamplesError) as caught:
        check(AGAIN, train=(LEAKED,), min_examples=2)
    assert caught.value.exit_code == 4
    assert [line.split(" eval")[0] for line in caught.value.message.splitlines()] == ["1", "1 of 1"]


def test_a_note_is_shown_and_is_no_finding() -> None:
    note = DataCheck("leak_facts", "", 2, 1, "note", "said in the table", ("e1",))
    warning = DataCheck("repeats", "", 2, 1, "warning", "casts doubt", ("e2",))
    found = conclude((note, warning))
    assert found == CheckedData((note, warning))
    assert found.findings == (DataFinding("repeats", "casts doubt", ("e2",)),)
    with pytest.raises(InvalidDataError, match="^does not fit$"):
        conclude((note, DataCheck("lengths", "", 1, 1, "error", "does not fit"), warning))


def test_letter_for_letter_and_normalised_leaks_are_counted_apart() -> None:
    evaluation = (asked("e1", "Who keeps the light?"), asked("e2", "who keeps the light"), asked("e3"))
    scope = CheckScope(allow_leakage=True)
    assert said(one("leak_exact", *evaluation, train=(LEAKED,), scope=scope)) == (3, 1, "note", ("e1",))
    assert said(one("leakage", *evaluation, train=(LEAKED,), scope=scope)) == (3, 2, "warning", ("e1", "e2"))


def test_the_same_last_turn_of_another_conversation_is_another_input() -> None:
    sea, sky = Turn("What of the sea?", "It is wet."), Turn("What of the sky?", "It is blue.")
    taught = Example("t1", "And in winter?", ("cold",), history=(sea,))
    other = Example("e1", "And in winter?", ("grey",), history=(sky,))
    same = Example("e2", "and in winter", ("cold",), history=(sea,))
    assert said(one("leakage", other, train=(taught,), documents=()))[1] == 0
    assert one("leakage", other, same, train=(taught,), documents=()).example_ids == ("e2",)


def test_one_premise_with_two_hypotheses_of_a_custom_prompt_is_two_inputs() -> None:
    taught = Example("t1", "It rains.", ("yes",), columns={"hypothesis": "It is wet."})
    other = Example("e1", "It rains.", ("no",), columns={"hypothesis": "It is dry."})
    assert one("leak_exact", other, train=(taught,), documents=()).found == 0
    assert one("leak_exact", taught, train=(taught,), documents=()).found == 1


NEARLY = "in which year was the old harbour of aldmoor built"
"""50 characters, so 46 different 5-grams."""


def test_a_near_duplicate_is_a_warning_only_where_its_answer_is_the_same() -> None:
    # The 46 5-grams of the one are among the 52 of the other, which has 6 characters more: 46 / 52 = 0.885.
    taught = Example("t1", NEARLY, ("1911",))
    same, other = Example("e1", f"{NEARLY} first", ("1911",)), Example("e2", f"{NEARLY} again", ("1990",))
    far = Example("e3", "who was the first keeper of the light", ("Hob",))
    found = one("leak_near", other, same, far, train=(taught,), documents=())
    assert said(found) == (3, 2, "warning", ("e2", "e1"))
    assert found.message == (
        "2 of 3 eval inputs are nearly one of train or dev (70% of their character 5-grams or more), 1 of them with "
        "the same answer: e1 = t1, e2 = t1"
    )
    assert said(one("leak_near", other, far, train=(taught,), documents=())) == (2, 1, "note", ("e2",))
    assert said(one("leak_near", far, train=(taught,), documents=())) == (1, 0, "ok", ())


def test_a_near_duplicate_among_a_hundred_examples_and_more_is_a_note() -> None:
    # One of 101 moves a mean by less than 0.01.
    many = tuple(Example(f"e{n}", f"{n} {n * 7919 + 13}", ("x",)) for n in range(100))
    taught, same = Example("t1", NEARLY, ("1911",)), Example("e", f"{NEARLY} first", ("1911",))
    assert said(one("leak_near", *many, same, train=(taught,), documents=())) == (101, 1, "note", ("e",))
    assert said(one("leak_near", *many[1:], same, train=(taught,), documents=())) == (100, 1, "warning", ("e",))
    other = Example("o", f"{NEARLY} again", ("1990",))  # near, with another answer: it does not count towards the share
    found = one("leak_near", *many[1:], same, other, train=(taught,), documents=())
    assert said(found) == (101, 2, "note", ("e", "o"))


def test_what_stands_in_train_altogether_is_left_to_leakage() -> None:
    taught = Example("t1", NEARLY, ("1911",))
    same = Example("e1", NEARLY.upper(), ("1911",))
    scope = CheckScope(allow_leakage=True)
    assert one("leak_near", same, train=(taught,), documents=(), scope=scope).found == 0


def test_the_similarity_of_the_file_decides_what_is_near() -> None:
    taught, near = Example("t1", NEARLY, ("1911",)), Example("e1", f"{NEARLY} first", ("1911",))

    def found(similarity: float) -> int:
        scope = CheckScope(config=ChecksConfig(similarity=similarity))
        return one("leak_near", near, train=(taught,), documents=(), scope=scope).found

    assert (found(0.88), found(0.89)) == (1, 0)  # 46 / 52 = 0.885


def test_near_duplicates_can_be_left_alone() -> None:
    scope = CheckScope(config=ChecksConfig(near_duplicates="off"))
    taught, near = Example("t1", NEARLY, ("1911",)), Example("e1", f"{NEARLY} first", ("1911",))
    splits = Splits((taught,), (near,), (near,))
    found = {check.name: check for check in examine((), splits, CheckScope(allow_leakage=True))}
    assert found["dev_in_train"].found == 1
    found = {check.name: check for check in examine((), splits, scope)}
    assert "leak_near" not in found
    assert found["dev_in_train"].found == 0


def test_dev_inputs_that_stand_in_train_are_told_apart_from_near_ones() -> None:
    train = (Example("t1", NEARLY, ("1911",)), asked("t2", "Is it wet?"))
    dev = (Example("d1", f"{NEARLY} first", ("1911",)), asked("d2", "is it wet"), asked("d3", "Why?"))
    found = one("dev_in_train", asked("e1"), train=train, dev=dev)
    assert said(found) == (3, 2, "warning", ())
    assert "(1 the same, 1 nearly (70% of their character 5-grams or more))" in found.message
    assert found.message.endswith("d2 = t2, d1 = t1")
    assert said(one("dev_in_train", asked("e1"), train=train, dev=(dev[0], dev[2]))) == (2, 1, "note", ())
    many = tuple(Example(f"d{n}", f"{n} {n * 7919 + 13}", ("x",)) for n in range(3, 102))
    assert said(one("dev_in_train", asked("e1"), train=train, dev=(*dev[:2], *many))) == (101, 2, "note", ())


def test_facts_that_train_teaches_in_other_words_are_a_note() -> None:
    def about(id_: str, fact: str | None) -> Example:
        return Example(id_, f"{id_} on {fact}", ("wet",), ("sea",), group=fact)

    evaluation = (about("e1", "f1"), about("e2", "f2"), about("e3", "f3"), about("e4", None))
    train, dev = (about("t1", "f1"), about("t2", "f9")), (about("d1", "f2"), about("d2", "f9"))
    assert said(one("leak_facts", *evaluation, train=train, dev=dev)) == (3, 2, "note", ("e1", "e2"))
    assert said(one("dev_facts", *evaluation, train=train, dev=dev)) == (2, 1, "note", ())
    assert said(one("leak_facts", evaluation[2], train=train)) == (1, 0, "ok", ())
    ungrouped = examine(DOCUMENTS, Splits((about("t1", None),), (), evaluation), SCOPE)
    assert not [check for check in ungrouped if check.name == "leak_facts"]


def test_answers_in_the_documents_that_are_trained_on_are_counted_where_that_is_asked_for() -> None:
    evaluation = (asked("e1"), Example("e2", "Where?", ("on the moon", "the SKY, is")), Example("e3", "Who?", ("we",)))
    wanted = CheckScope(config=ChecksConfig(training_documents=True), training_documents=DOCUMENTS)
    found = one("leak_documents", *evaluation, scope=wanted)
    assert said(found) == (3, 2, "note", ("e1", "e2"))  # "we" stands in "wet", and is no word of it
    dry = (Document("d", "Dust", "All is dry."),)
    wanted = CheckScope(config=ChecksConfig(training_documents=True), training_documents=dry)
    assert said(one("leak_documents", *evaluation, scope=wanted)) == (3, 0, "ok", ())
    for scope in (CheckScope(training_documents=DOCUMENTS), CheckScope(config=ChecksConfig(training_documents=True))):
        assert "leak_documents" not in [check.name for check in examine((), Splits((), (), evaluation), scope)]


@pytest.mark.parametrize(
    ("answer", "stands"),
    [
        ("東京", True),
        ("大阪", False),
        ("blue, sky", True),
        ("sky blue", False),
        ("bl", False),
        ("art art", False),
        ("?", False),
        ("", False),
    ],
)
def test_answers_are_found_as_whole_words_or_as_text_where_nothing_parts_words(answer: str, stands: bool) -> None:
    documents = (Document("a", "", "The Blue Sky! A cart, art."), Document("b", "", "首都は東京です。"))
    assert AnswersIn(documents).holds(answer) is stands


def test_gold_documents_without_the_answer_are_named() -> None:
    evaluation = (asked("e1"), asked("e2", gold=("sky",)), asked("e3", gold=("sky", "sea")), asked("e4", gold=()))
    train = (asked("t1", gold=("sky",)), asked("t2"))
    found = one("gold_lacks_answer", *evaluation, train=train)
    assert said(found) == (3, 1, "warning", ("e2",))
    assert found.message.endswith("in the words of the reference: e2; of train and dev it is 1 of 2")
    assert said(one("gold_lacks_answer", asked("e1"), train=train)) == (1, 0, "note", ())
    assert said(one("gold_lacks_answer", asked("e1"))) == (1, 0, "ok", ())


def test_an_answer_in_the_title_of_a_gold_document_is_there() -> None:
    documents = (Document("sea", "wet things", "Nothing."),)
    assert one("gold_lacks_answer", asked("e1"), documents=documents).found == 0


@pytest.mark.parametrize(
    "text", ["sequenced in 1986—when two", "Hob 1986's light", "the ‘1986’ one", "a 1986-foot cliff"]
)
def test_an_answer_beside_a_dash_or_an_apostrophe_is_there_although_the_metric_does_not_see_it(text: str) -> None:
    example = Example("e1", "When?", ("1986",), ("sea",))
    document = Document("sea", "Sea", text)
    assert Qa().supports(text, example) is False
    assert one("gold_lacks_answer", example, documents=(document,), scope=CheckScope(supports=Qa().supports)).found == 0


def test_where_answers_do_not_stand_in_text_neither_gold_nor_contradictions_are_judged() -> None:
    names = [check.name for check in examine(DOCUMENTS, Splits((), (), (asked("e1"),)), CheckScope())]
    assert not {"gold_lacks_answer", "contradictions"} & set(names)  # two translations of a sentence may both be right


def test_the_same_input_with_another_answer_is_a_contradiction() -> None:
    def answered(id_: str, *references: str) -> Example:
        return Example(id_, "Is it wet?", references, answerable=bool(references))

    first = answered("e1", "wet", "damp")
    for agrees in ("Damp!", "It is very wet."):
        assert said(one("contradictions", first, answered("e2", agrees), documents=())) == (2, 0, "ok", ())
    assert one("contradictions", answered("e1"), answered("e2"), documents=()).found == 0
    assert one("contradictions", answered("e1", "art"), answered("e2", "cart"), documents=()).found == 1
    found = one("contradictions", first, answered("e2", "dry"), answered("e3"), documents=())
    assert said(found) == (3, 2, "warning", ("e2", "e3"))
    assert found.message == "2 of 3 eval inputs stand twice with answers that do not agree: e2 and e1, e3 and e1"
    taught = (answered("t1", "wet"), answered("t2", "dry"))
    scope = CheckScope(supports=supports, allow_leakage=True)
    assert said(one("contradictions", first, train=taught, documents=(), scope=scope)) == (1, 0, "note", ())


def test_the_share_of_unanswerable_examples_is_told() -> None:
    no = [asked(f"u{n}", gold=(), answerable=False) for n in range(3)]
    assert said(one("unanswerable", asked("e1"))) == (1, 0, "ok", ())
    half = one("unanswerable", asked("e1"), no[0])
    assert said(half) == (2, 1, "note", ("u0",))
    assert half.message == "1 of 2 eval examples cannot be answered (50%)"
    assert said(one("unanswerable", asked("e1"), no[0], no[1])) == (3, 2, "warning", ("u0", "u1"))
    untaught = one("unanswerable", asked("e1"), no[0], train=(asked("t1"),)).message
    assert untaught.endswith("and no example of train is such: nothing teaches an adapter to abstain")
    assert one("unanswerable", asked("e1"), no[0], train=(asked("t1"), no[2])).message == half.message


def test_references_that_no_metric_can_read_or_no_answer_can_hold_are_named() -> None:
    evaluation = (
        Example("e1", "one", ("?!", "_")),
        Example("e2", "two", ("...", "yes")),
        Example("e3", "three", ("a b c", "d e f g")),
        asked("e4", answerable=False),
    )
    scope = CheckScope(max_new_tokens=2)
    assert said(one("blank_references", *evaluation, documents=(), scope=scope)) == (3, 1, "warning", ("e1",))
    long = one("long_references", *evaluation, documents=(), scope=scope)
    assert said(long) == (3, 1, "warning", ("e3",))
    assert "the longest 3: no arm can say them in full: e3" in long.message
    assert one("long_references", *evaluation, documents=(), scope=CheckScope(max_new_tokens=3)).found == 0
    letters = CheckScope(max_new_tokens=3, n_tokens=len)
    assert one("long_references", *evaluation, documents=(), scope=letters).example_ids == ("e3",)
    assert one("blank_references", asked("e1", "four"), documents=()).severity == "ok"


def labelled(*labels: str, prefix: str = "e") -> tuple[Example, ...]:
    return tuple(Example(f"{prefix}{n}", f"{prefix} claim {n * 7919}", (label,)) for n, label in enumerate(labels))


LABELS = CheckScope(labels=("yes", "no", "maybe"))


def test_a_label_that_the_experiment_does_not_list_is_an_error() -> None:
    with pytest.raises(InvalidDataError) as caught:
        conclude(examine((), Splits(labelled("Yes", prefix="t"), (), labelled("no", "dunno")), LABELS))
    assert caught.value.message == "2 of 3 examples have a label that is not among task.labels: t0: Yes, e1: dunno"
    assert caught.value.hint == "correct them, or add them to task.labels (yes, no, maybe)"
    assert said(one("labels_unknown", *labelled("no"), scope=LABELS, documents=())) == (1, 0, "ok", ())


def test_labels_that_train_does_not_teach_are_named() -> None:
    found = one("labels_unseen", *labelled("yes", "no", "maybe"), train=labelled("no", prefix="t"), scope=LABELS)
    assert said(found) == (3, 2, "warning", ("e0", "e2"))
    assert found.message.endswith("that no example of train has: maybe, yes")
    assert one("labels_unseen", *labelled("no"), train=labelled("no", prefix="t"), scope=LABELS).severity == "ok"


def test_the_spread_of_labels_is_told_and_a_lopsided_one_is_a_warning() -> None:
    even = one("label_balance", *labelled("yes", "yes", "yes", "no"), scope=LABELS)  # 3 / 4 < 0.8
    assert said(even) == (4, 0, "ok", ())
    assert even.message == "always saying yes would be right in 75% (yes 3, no 1)"
    lopsided = one("label_balance", *labelled("yes", "yes", "yes", "yes", "no"), scope=LABELS)  # 4 / 5
    assert said(lopsided) == (5, 4, "warning", ())


def test_prompts_are_measured_against_the_context_with_room_for_the_answer() -> None:
    # 1..20: the median by nearest rank is the 10th, the 95th percentile the 19th, the longest the 20th.
    lengths = {"base": list(range(20, 0, -1)), "rag": [90, 92]}
    fits = length_check(lengths, limit=100, max_new_tokens=8)
    assert said(fits) == (22, 0, "ok", ())
    assert fits.message.startswith("base 10 / 19 / 20; rag 90 / 92 / 92; all fit the model's context of 100")
    ids = tuple(f"e{n}" for n in range(20))
    long = length_check(lengths, limit=99, max_new_tokens=8, example_ids=ids)  # 92 + 8 = 100 > 99
    assert said(long) == (22, 1, "error", ("e1",))
    assert long.message.startswith(
        "1 of 22 prompts do not fit the model's context of 99 less 8 for the answer: rag 1 (e1);"
    )
    assert length_check(lengths, limit=None, max_new_tokens=8).severity == "ok"


def test_a_model_that_knows_the_answers_shows_nothing_of_knowledge() -> None:
    assert said(known_check("base", "token_f1", 0.8, 10, 0.8)) == (10, 8, "warning", ())
    assert said(known_check("base", "token_f1", 0.79, 10, 0.8)) == (10, 0, "ok", ())
    assert said(known_check("base", "token_f1", None, 0, 0.8)) == (0, 0, "note", ())
    message = known_check("base", "token_f1", 0.85, 10, 0.8).message
    assert message.startswith("base scores 0.850 token_f1 closed-book (0.8 or more)")
