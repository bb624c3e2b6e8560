"""Answers from a file: which row answers, and what is said of a file that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragft.errors import DataError, RagftError
from ragft.generation.generator import AnswersSingly, Generation, Journal, ask
from ragft.generation.scripted import ScriptedGenerator

ROWS = [
    {"answer": "I don't know"},
    {"contains": "Aldmoor", "answer": " green [1]\n", "logprob": -0.25},
    {"contains": "moor", "answer": "red"},
]


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "script.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def prompt(*turns: str) -> str:
    roles = ("user", "assistant")
    said = [{"role": roles[place % 2], "content": turn} for place, turn in enumerate(turns)]
    return json.dumps([{"role": "system", "content": "Answer about Aldmoor."}, *said])


def test_the_first_row_that_stands_in_the_last_question_answers_it(tmp_path: Path) -> None:
    """The default row answers the rest wherever it stands; earlier turns and the system text are not looked at."""
    script = ScriptedGenerator(write(tmp_path, *ROWS))
    prompts = [prompt("Aldmoor?"), prompt("the moor"), prompt("Who?"), prompt("Aldmoor?", "green", "and Corvel?")]
    assert script.generate(prompts) == [
        Generation("green [1]", 4, 2, 0.0, "stop", -0.25),
        Generation("red", 5, 1, 0.0, "stop"),
        Generation("I don't know", 4, 3, 0.0, "stop"),
        Generation("I don't know", 7, 3, 0.0, "stop"),
    ]
    assert script.count_tokens(prompts[1]) == 5
    assert script.context_tokens is None


def test_a_prompt_that_is_plain_text_is_searched_whole(tmp_path: Path) -> None:
    assert ScriptedGenerator(write(tmp_path, *ROWS)).generate(["the moor"])[0].text == "red"


def test_a_prompt_that_no_row_answers_is_an_error_and_is_not_remembered(tmp_path: Path) -> None:
    path = write(tmp_path, *ROWS[1:])
    script, journal = ScriptedGenerator(path), Journal(tmp_path / "j.jsonl")
    found = ask(script, [prompt("Who?"), prompt("Aldmoor")], journal, batch_size=2)
    assert [(answer.text, answer.finish_reason) for answer in found] == [("", "error"), ("green [1]", "stop")]
    assert found[0].error == f"no row of {path} answers this prompt"
    assert journal.get(prompt("Who?")) is None


def test_a_script_is_asked_like_a_server(tmp_path: Path) -> None:
    script = ScriptedGenerator(write(tmp_path, *ROWS, {"contains": "long", "answer": "one two\nthree"}))
    assert isinstance(script, AnswersSingly)
    told: list[str] = []
    assert script.stream(prompt("long"), told.append).text == "one two\nthree"
    assert told == ["one", "one two", "one two\nthree"]
    script.cap(1)  # an answer stands in the file, however long it is
    with script.adapter(None):
        assert script.generate([prompt("long")])[0].finish_reason == "stop"
    with pytest.raises(RagftError, match="cannot be put into a script"), script.adapter(tmp_path):
        pass
    script.close()


def test_the_identity_is_the_content_of_the_file(tmp_path: Path) -> None:
    first = ScriptedGenerator(write(tmp_path, *ROWS)).identity
    (tmp_path / "other").mkdir()
    assert ScriptedGenerator(write(tmp_path / "other", *ROWS)).identity == first
    assert ScriptedGenerator(write(tmp_path, *ROWS[:2])).identity != first


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"contains": "a"}, "`answer` must be a text, found null"),
        ({"contains": "a", "answer": 5}, "`answer` must be a text, found 5"),
        ({"contains": "", "answer": "a"}, '`contains` must be a text that is not empty, found ""'),
        ({"contains": None, "answer": "a"}, "`contains` must be a text that is not empty, found null"),
        ({"contain": "a", "answer": "b"}, "unknown column 'contain'"),
        ({"contains": "a", "answer": "b", "logprob": 0.5}, "`logprob` must be a number of at most 0, found 0.5"),
        ({"contains": "a", "answer": "b", "logprob": True}, "`logprob` must be a number of at most 0, found true"),
        ({"contains": "a", "answer": "b", "logprob": None}, "`logprob` must be a number of at most 0, found null"),
        ({"answer": "again"}, "a second row without `contains`; the first one is in line 1"),
        ("{", "not valid JSON"),
    ],
)
def test_a_row_that_is_wrong_is_named_by_file_and_line(tmp_path: Path, row: Any, message: str) -> None:
    path = write(tmp_path, ROWS[0], row)
    with pytest.raises(DataError) as caught:
        ScriptedGenerator(path)
    assert caught.value.message.startswith(f"{path}:2: {message}")


def test_a_script_without_rows_and_one_that_is_not_there_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no answers"):
        ScriptedGenerator(write(tmp_path))
    with pytest.raises(DataError, match="no such file"):
        ScriptedGenerator(tmp_path / "none.jsonl")
