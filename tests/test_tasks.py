"""The tasks: what a model is trained to say, and which answer stands in what it said."""

from __future__ import annotations

import pytest

from ragft.config import ClassificationTask, QaTask
from ragft.errors import DataError
from ragft.prompts import ABSTENTION, TEMPLATES
from ragft.records import Example
from ragft.tasks import Task, task_of

QA = task_of(QaTask(kind="qa"))


def classes(*labels: str) -> Task:
    return task_of(ClassificationTask(kind="classification", labels=labels))


FEVER = classes("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")


def example(*references: str) -> Example:
    return Example("e1", "Who?", references, answerable=bool(references))


@pytest.mark.parametrize(("task", "field"), [(QA, "question"), (FEVER, "input")])
def test_a_task_has_its_own_template_and_input_field(task: Task, field: str) -> None:
    assert TEMPLATES[task.prompt].task == task.kind
    assert task.input_field == field


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Paris", "Paris"),
        ("  Paris \n", "Paris"),
        ("\n\nParis\nis the capital of France.", "Paris"),
        ("The answer is: Paris", "Paris"),
        ("the answer is Paris", "Paris"),
        ("Answer: Paris", "Paris"),
        ("ANSWER : Paris", "Paris"),
        ("A: Paris", "Paris"),
        ("The answer to the question is Paris", "Paris"),
        ("Answer to this question: Paris", "Paris"),
        ("The answer is:\nParis", "Paris"),
        ("Answer:\n\nParis\nLyon", "Paris"),
        ("Paris [2]", "Paris"),
        ("Paris [1][12], France [3].", "Paris, France."),
        ("[2]", ""),
        ("", ""),
        (" \n ", ""),
        ("The answer:", ""),
        ("A Paris", "A Paris"),
        ("Answering machines", "Answering machines"),
        ("The answer isn't known", "The answer isn't known"),
        ("Answer is in Paris", "in Paris"),
        ("An array [i]", "An array [i]"),
    ],
)
def test_an_answer_is_the_first_line_without_lead_in_and_citations(said: str, answer: str) -> None:
    assert QA.parse(said) == answer


def test_a_model_is_trained_to_say_the_first_reference_or_to_abstain() -> None:
    assert QA.completion(example("Ada", "Ada Voss")) == "Ada"
    assert QA.completion(example()) == ABSTENTION


@pytest.mark.parametrize(
    ("text", "supports"),
    [("It was Ada Voss.", True), ("It was ADA  voss!", True), ("Adas Voss", False), ("Voss, Ada", False), ("", False)],
)
def test_a_passage_supports_an_answer_that_stands_in_it_as_whole_words(text: str, supports: bool) -> None:
    assert QA.supports(text, example("Nobody", "Ada Voss")) is supports


def test_no_passage_supports_a_question_without_an_answer() -> None:
    assert QA.supports("It was Ada Voss.", example()) is False


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("SUPPORTS", "SUPPORTS"),
        ("supports.", "SUPPORTS"),
        ("It Refutes the claim, and nothing SUPPORTS it", "REFUTES"),
        ("Label: not enough info", "NOT ENOUGH INFO"),
        ("**REFUTES**", "REFUTES"),
        ("SUPPORTSX then REFUTES", "REFUTES"),
        ("unSUPPORTS", "unSUPPORTS"),
        ("NOT ENOUGH  INFO", "NOT ENOUGH  INFO"),
        ("  no idea \n", "no idea"),
        ("", ""),
    ],
)
def test_a_label_is_found_as_whole_words_in_any_case_and_the_first_one_counts(said: str, label: str) -> None:
    assert FEVER.parse(said) == label


def test_of_labels_that_begin_at_one_place_the_longest_counts() -> None:
    assert classes("not", "not true").parse("That is not true") == "not true"
    assert classes("C", "C++").parse("C++") == "C++"
    assert classes("true", "not true").parse("not true") == "not true"


@pytest.mark.parametrize("labels", [("A", "a"), ("a", "A")])
def test_of_labels_that_differ_in_case_the_one_that_is_spelled_so_counts(labels: tuple[str, str]) -> None:
    assert [classes(*labels).parse(said) for said in ("a", "A")] == ["a", "A"]


def test_a_label_with_the_characters_of_a_pattern_is_taken_as_text() -> None:
    assert classes("a.c", "(b)").parse("abc (b)") == "(b)"


def test_the_prompt_lists_the_labels() -> None:
    assert FEVER.prompt_values == {"labels": "SUPPORTS, REFUTES or NOT ENOUGH INFO"}
    assert classes("yes", "no").prompt_values == {"labels": "yes or no"}


def test_a_model_is_trained_to_say_the_label() -> None:
    assert FEVER.completion(example("REFUTES")) == "REFUTES"


@pytest.mark.parametrize("references", [("refutes",), ("UNKNOWN",), ()])
def test_a_label_that_the_experiment_does_not_list_is_an_error_that_names_the_example(
    references: tuple[str, ...],
) -> None:
    with pytest.raises(DataError, match=r"example 'e1': its label .* is not among task\.labels") as caught:
        FEVER.completion(example(*references))
    assert caught.value.hint == "labels: SUPPORTS, REFUTES, NOT ENOUGH INFO"


def test_any_passage_of_a_gold_document_may_be_the_evidence_of_a_label() -> None:
    assert FEVER.supports("anything", example("REFUTES"))
