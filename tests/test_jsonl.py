"""JSON on disk: every unreadable row is named by file and line, and no failure leaves half a file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft import jsonl
from ragft.errors import DataError

CALM = settings(deadline=None, max_examples=40)


@dataclass(frozen=True, slots=True)
class Point:
    where: Path
    parts: tuple[int, ...]
    tags: frozenset[str]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_rows_come_with_their_line_numbers_and_blank_lines_count(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", b'\n{"a": 1}\n  \n\n{"a": 2}')
    assert list(jsonl.read_rows(path)) == [(2, {"a": 1}), (5, {"a": 2})]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_row(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"a": "x"}\r\n{"a": "y"}\r\n')
    assert [row for _, row in jsonl.read_rows(path)] == [{"a": "x"}, {"a": "y"}]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'{"a": 1}\n{"a": }\n', "a.jsonl:2: not valid JSON: Expecting value (column 7)"),
        (b'{"a": 1\n', "a.jsonl:1: not valid JSON: Expecting ',' delimiter (column 1)"),
        (b'{"a": 1} {"a": 2}\n', "a.jsonl:1: not valid JSON: Extra data (column 10)"),
        (b'\n["a"]\n', "a.jsonl:2: expected an object, found list"),
        (b"null\n", "a.jsonl:1: expected an object, found NoneType"),
        (b'{"a": 1}\n\n{"a": "\xe9"}\n', "a.jsonl:3: not UTF-8 text"),
        ('{"a": 1}'.encode("utf-16"), "a.jsonl:1: not UTF-8 text"),
        (b'{"a": 1}\n{"a": ' + b"9" * 5000 + b"}\n", "a.jsonl:2: cannot be read: Exceeds the limit"),
        (b'{"a": ' + b"[" * 100_000 + b"\n", "a.jsonl:1: cannot be read: maximum recursion depth"),
    ],
    ids=["value", "open", "two", "list", "null", "latin-1", "utf-16", "digits", "depth"],
)
def test_a_row_that_cannot_be_read_is_named_by_file_and_line(tmp_path: Path, data: bytes, fault: str) -> None:
    path = written(tmp_path / "a.jsonl", data)
    with pytest.raises(DataError) as caught:
        list(jsonl.read_rows(path))
    assert caught.value.message.startswith(f"{tmp_path}/{fault}")


def test_rows_before_a_bad_one_are_given(tmp_path: Path) -> None:
    rows = jsonl.read_rows(written(tmp_path / "a.jsonl", b'{"a": 1}\nno\n'))
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(DataError, match=r"a\.jsonl:2: "):
        next(rows)


def test_a_file_that_is_missing_a_folder_or_beneath_a_file_is_an_error_of_the_user(tmp_path: Path) -> None:
    written(tmp_path / "file", b"")
    for path, fault in [
        (tmp_path / "no.jsonl", "no such file"),
        (tmp_path, "is a folder, expected a JSON Lines file"),
        (tmp_path / "file" / "a.jsonl", "cannot be read: Not a directory"),
    ]:
        with pytest.raises(DataError) as caught:
            list(jsonl.read_rows(path))
        assert caught.value.message == f"{path}: {fault}"


def test_records_paths_tuples_and_sets_become_plain_json() -> None:
    point = Point(Path("a/b"), (1, 2), frozenset({"y", "x"}))
    assert jsonl.plain({1: [point]}) == {"1": [{"where": "a/b", "parts": [1, 2], "tags": ["x", "y"]}]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path, value: Any) -> None:
    path = written(tmp_path / "a.json", b"old")
    for write in (jsonl.write_json, lambda to, item: jsonl.write_rows(to, [{"b": 1}, item])):
        with pytest.raises(ValueError, match="Out of range"):
            write(path, value)
    with pytest.raises(ValueError, match="Out of range"):
        jsonl.append_row(path, value)
    assert path.read_bytes() == b"old"


def test_a_value_that_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", b"old")
    with pytest.raises(TypeError):
        jsonl.write_rows(path, [{"a": 1}, {"a": object()}])
    with pytest.raises(UnicodeEncodeError):
        jsonl.write_text(path, "half \ud800")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    path = written(tmp_path / "a.json", b"old")
    monkeypatch.setattr(*((os, "fsync", fails) if step == "fsync" else (Path, "replace", fails)))
    with pytest.raises(OSError, match="No space left"):
        jsonl.write_json(path, {"a": 1})
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_a_written_file_ends_with_a_newline_and_keeps_its_letters(tmp_path: Path) -> None:
    jsonl.write_json(tmp_path / "a.json", {"b": "é", "a": None})
    jsonl.write_rows(tmp_path / "a.jsonl", [{"b": "é"}, {"b": "\n"}])
    assert (tmp_path / "a.json").read_bytes() == '{\n  "b": "é",\n  "a": null\n}\n'.encode()
    assert (tmp_path / "a.jsonl").read_bytes() == '{"b": "é"}\n{"b": "\\n"}\n'.encode()


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert jsonl.read_journal(tmp_path / "no.jsonl") == []


@pytest.mark.parametrize("torn", [b'{"n": 3', b'{"n": 3}', b'{"n": "\xc3'])
def test_a_torn_last_line_is_cut_off_and_the_journal_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "j.jsonl"
    jsonl.append_row(path, {"n": 1})
    jsonl.append_row(path, {"n": 2})
    path.write_bytes(path.read_bytes() + torn)
    assert jsonl.read_journal(path) == [{"n": 1}, {"n": 2}]
    jsonl.append_row(path, {"n": 4})
    assert path.read_text() == '{"n": 1}\n{"n": 2}\n{"n": 4}\n'
    assert jsonl.read_journal(path) == [{"n": 1}, {"n": 2}, {"n": 4}]


def test_a_journal_whose_only_line_is_torn_is_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "j.jsonl", b'{"n"')
    assert jsonl.read_journal(path) == []
    assert path.read_bytes() == b""


def test_a_broken_line_inside_a_journal_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "j.jsonl", b'{"n": 1}\n{"n"\n{"n": 2}\n')
    with pytest.raises(DataError, match=r"j\.jsonl:2: not valid JSON"):
        jsonl.read_journal(path)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x1e", "\x0c"])
def test_a_line_separator_in_a_text_tears_no_row(tmp_path: Path, mark: str) -> None:
    """`str.splitlines` breaks at all of these, JSON Lines only at a newline."""
    path = tmp_path / "j.jsonl"
    jsonl.append_row(path, {"text": f"a{mark}b"})
    assert jsonl.read_journal(path) == [{"text": f"a{mark}b"}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@CALM
@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4))
def test_any_rows_survive_the_disk(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    jsonl.write_rows(path, rows)
    assert [row for _, row in jsonl.read_rows(path)] == rows
    assert jsonl.read_journal(path) == rows
    assert [json.loads(jsonl.dumps(row)) for row in rows] == rows
