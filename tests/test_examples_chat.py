"""Conversations as examples: turns, the last answer as the reference, and every way in which roles can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragft.config import DataConfig, ExamplesFile, FieldNames
from ragft.data.examples import load_splits
from ragft.errors import DataError
from ragft.records import Example, Turn

Message = dict[str, Any]


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def load(tmp_path: Path, *rows: dict[str, Any], fields: FieldNames | None = None) -> tuple[Example, ...]:
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    data = DataConfig(eval=ExamplesFile(path=path), fields=fields or FieldNames())
    return load_splits(data, "input", 17).eval


def one(tmp_path: Path, messages: Any, **more: Any) -> Example:
    (example,) = load(tmp_path, {"id": "c", "messages": messages, **more})
    return example


def fault(tmp_path: Path, messages: Any, **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        one(tmp_path, messages, **more)
    return caught.value.message.removeprefix(f"{tmp_path / 'chat.jsonl'}:1: ")


TALK = [
    system("Be brief."),
    user("Who keeps the light?"),
    assistant("Ada."),
    user(" Since when? "),
    assistant("1911."),
]


def test_the_last_answer_is_the_reference_and_what_stands_before_is_history(tmp_path: Path) -> None:
    assert one(tmp_path, TALK) == Example(
        "c", "Since when?", ("1911.",), history=(Turn("Who keeps the light?", "Ada."),), instructions="Be brief."
    )


def test_without_a_last_answer_the_references_are_those_of_the_row(tmp_path: Path) -> None:
    found = one(tmp_path, TALK[:-1], references=["1911", "in 1911"], gold_document_ids=["light"])
    assert (found.input, found.references) == ("Since when?", ("1911", "in 1911"))
    assert found.gold_document_ids == ("light",)
    unanswerable = one(tmp_path, TALK[:-1], answerable=False)
    assert (unanswerable.references, unanswerable.answerable) == ((), False)


def test_sharegpt_is_read_by_its_own_names(tmp_path: Path) -> None:
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    rows = [{"from": names[message["role"]], "value": message["content"]} for message in TALK]
    (found,) = load(tmp_path, {"id": "c", "conversations": rows}, fields=FieldNames(messages="conversations"))
    assert found == one(tmp_path, TALK)


@pytest.mark.parametrize(
    "messages", [json.dumps(TALK), {"role": [m["role"] for m in TALK], "content": [m["content"] for m in TALK]}]
)
def test_messages_as_json_text_and_as_an_object_of_lists(tmp_path: Path, messages: Any) -> None:
    assert one(tmp_path, messages) == one(tmp_path, TALK)


def test_messages_that_follow_one_another_are_one(tmp_path: Path) -> None:
    developer = {"role": "developer", "content": "B."}
    talk = [system("A."), developer, user("x"), user("y"), assistant("z"), user("w")]
    found = one(tmp_path, talk, references="v")
    assert (found.instructions, found.history, found.input) == ("A.\n\nB.", (Turn("x\n\ny", "z"),), "w")


TOOLS = "only system, user and assistant messages are understood, since no arm has tools"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([assistant("a"), user("b")], "roles out of order: the assistant's message 1 comes before any user message"),
        (
            [system("s"), user("a"), assistant("b"), assistant("c")],
            "roles out of order: the assistant's message 4 follows another one",
        ),
        ([user("a"), system("s"), user("b")], "roles out of order: message 2 is a system message, not the first"),
        ([user("a"), assistant(" ")], "message 2 (assistant) has no text"),
        ([user("a"), {"role": "assistant", "content": None}], "message 2 (assistant) has no text"),
        ([user("a"), {"role": "tool", "content": "42"}], f"message 2 is of role 'tool'; {TOOLS}"),
        (
            [user("a"), {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}],
            f"message 2 is of role 'assistant' that calls a tool; {TOOLS}",
        ),
        ([{"speaker": "user", "content": "a"}], "message 1 has no `role` (or `from`); it has speaker, content"),
        (["hello"], "message 1 must be an object, not str"),
        ([], "no user message"),
        ([system("s")], "no user message"),
        (5, "must be a list of messages, not int"),
        ("[{]", "not valid JSON: Expecting property name enclosed in double quotes: line 1 column 3 (char 2)"),
    ],
)
def test_what_is_no_conversation_is_named_by_its_message(tmp_path: Path, messages: Any, message: str) -> None:
    assert fault(tmp_path, messages) == f"'messages': {message}"


def test_labels_that_contradict_a_conversation_are_errors(tmp_path: Path) -> None:
    assert (
        fault(tmp_path, TALK[:-1]) == "no 'references' (the acceptable answers) for an answerable example"
    )  # the user speaks last
    assert (
        fault(tmp_path, TALK, answerable=False) == "'messages' must end with a user message where 'answerable' is false"
    )


def test_a_row_with_an_input_and_messages_is_read_as_the_experiment_says(tmp_path: Path) -> None:
    """Read from its input alone, it would lose its history without a word."""
    row = {"id": "c", "input": "own", "messages": TALK, "references": "x"}
    assert load(tmp_path, row)[0].input == "Since when?"
    assert load(tmp_path, row)[0].history
    assert load(tmp_path, row, fields=FieldNames(input="input"))[0].input == "own"
