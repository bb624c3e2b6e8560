"""All sources in one list: ids, places, what was set aside and how much of it is allowed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.config import FieldNames
from ragft.config.knowledge import FilesSource, WebSource
from ragft.data.sources import Reading, SetAside, check_failures, extras, read_sources, source_files
from ragft.data.sources.found import UnreadableError, brief, new_document, printable
from ragft.errors import DataError
from ragft.records import Document


def put(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(*paths: Path) -> Reading:
    return read_sources([FilesSource(path=path) for path in paths], FieldNames(), cache_dir=None)


def test_documents_of_several_sources_are_sorted_and_counted_as_they_come(tmp_path: Path) -> None:
    one, two = put(tmp_path / "b.txt", "b"), put(tmp_path / "x" / "a.txt", "a")
    put(tmp_path / "x" / "empty.txt", "")
    counts: list[int] = []
    sources = [FilesSource(path=one), FilesSource(path=two.parent)]
    reading = read_sources(sources, FieldNames(), cache_dir=None, on_document=counts.append)
    assert [document.id for document in reading.documents] == ["a", "b"]
    assert reading.set_aside == (SetAside(str(tmp_path / "x" / "empty.txt"), "the file is empty"),)
    assert counts == [1, 2, 3]
    web = WebSource(kind="web", urls=("http://example.com",))
    assert source_files([*sources, web, FilesSource(path=tmp_path)]) == [one, two, tmp_path / "x" / "empty.txt"]


def test_two_documents_with_one_id_are_named_with_both_places(tmp_path: Path) -> None:
    rows = put(tmp_path / "c.jsonl", '{"id": 1, "text": "x"}\n\n{"id": "1", "text": "y"}\n')
    with pytest.raises(DataError) as caught:
        read(rows)
    assert caught.value.message == f"{rows}:3: document id '1' stands already at {rows}:1"
    markdown, text = put(tmp_path / "d" / "a.md", "x"), put(tmp_path / "d" / "a.txt", "y")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d")
    assert caught.value.message == f"{text}: document id 'a' stands already at {markdown}"


def reading(n_documents: int, n_set_aside: int) -> Reading:
    documents = tuple(Document(str(n), "", "text") for n in range(n_documents))
    return Reading(documents, tuple(SetAside(f"f{n}.pdf", f"reason {n}") for n in range(n_set_aside)))


@pytest.mark.parametrize(
    ("n_documents", "n_set_aside", "max_failures"),
    [(9, 1, 0.1), (3, 0, 0), (1, 2, 2), (1, 1, 1), (1, 1, 0.5), (99, 9, 0.1)],
)
def test_as_many_failures_as_allowed_pass(n_documents: int, n_set_aside: int, max_failures: float) -> None:
    check_failures(reading(n_documents, n_set_aside), max_failures)


@pytest.mark.parametrize(
    ("n_documents", "n_set_aside", "max_failures", "first_line"),
    [
        (8, 1, 0.1, "1 of 9 documents could not be read, and index.max_failures allows 10% of them:"),
        (9, 1, 0, "1 of 10 documents could not be read, and index.max_failures allows 0:"),
        (9, 3, 2, "3 of 12 documents could not be read, and index.max_failures allows 2:"),
    ],
)
def test_one_failure_more_is_an_error(n_documents: int, n_set_aside: int, max_failures: float, first_line: str) -> None:
    with pytest.raises(DataError) as caught:
        check_failures(reading(n_documents, n_set_aside), max_failures)
    assert caught.value.message.split("\n")[:2] == [first_line, "  f0.pdf: reason 0"]


def test_nothing_read_is_an_error_whatever_is_allowed() -> None:
    with pytest.raises(DataError) as caught:
        check_failures(reading(0, 7), 100)
    lines = caught.value.message.split("\n")
    assert lines[0] == "no document could be read:"
    assert lines[1:] == [*(f"  f{n}.pdf: reason {n}" for n in range(5)), "  and 2 more"]


def test_a_missing_library_names_its_pip_line() -> None:
    with pytest.raises(DataError) as caught:
        extras.extra_module("ragft_has_no_such_module", "pdf", "reading PDF")
    assert caught.value.message == "reading PDF needs ragft_has_no_such_module, which is not installed"
    assert caught.value.hint == "pip install 'ragft[pdf]'"


@pytest.mark.parametrize(
    "id_", ["a/b", "../../etc/passwd", "/abs", "C:\\x", "é ü", "a#0-5", "日本", "a.b", "\U0001f600"]
)
def test_ids_of_any_shape_are_kept_as_they_are(id_: str, tmp_path: Path) -> None:
    path = put(tmp_path / "c.jsonl", json.dumps({"id": id_, "text": "x"}))
    assert [document.id for document in read(path).documents] == [id_]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.jsonl"]


@pytest.mark.parametrize(
    ("id_", "code"), [("a\nb", "000A"), ("\x1b[2J", "001B"), ("a\x00", "0000"), ("\x9b", "009B"), ("\ud800", "D800")]
)
def test_ids_with_control_characters_are_refused_and_shown_harmlessly(id_: str, code: str, tmp_path: Path) -> None:
    path = put(tmp_path / "c.jsonl", json.dumps({"id": id_, "text": "x"}) + '\n{"id": "good", "text": "y"}')
    (item,) = read(path).set_aside
    assert item == SetAside(f"{path}:1", f"the id {ascii(id_)} holds a control character (U+{code})")
    assert item.reason.isprintable()


@settings(max_examples=200, deadline=None)
@given(id_=st.text(st.characters(categories=None), min_size=1), text=st.text(st.characters(categories=None)))
def test_whatever_is_read_can_be_written_and_whatever_is_not_can_be_shown(id_: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"id": id_, "text": text, "title": id_, "m": text}, {"id": "fixed", "text": "y"}]
        path = put(Path(folder) / "c.jsonl", "\n".join(map(json.dumps, rows)))
        source = FilesSource(path=path, metadata=("m",))
        got = read_sources([source], FieldNames(), cache_dir=None) if id_ != "fixed" else Reading((), ())
    for document in got.documents:
        whole = f"{document.id}{document.title}{document.text}{document.metadata}"
        assert whole.encode("utf-8")
        assert document.id in (id_, "fixed")
        assert document.text.strip()
        assert "\n" not in document.title
    for item in got.set_aside:
        assert f"{item.where}{item.reason}".encode()
        assert not any(ord(character) < 32 or character == "\x7f" for character in item.reason)


def test_parts_of_a_document_that_utf8_cannot_hold_are_replaced() -> None:
    made = new_document("a", "one\ntwo\x07", "x\x00y\ud800", {"m": "\udfff", "n": 3})
    assert made == Document("a", "one two", "x\ufffdy\ufffd", {"m": "\ufffd", "n": 3})
    assert new_document("a", "two  spaces", "x").title == "two  spaces"
    with pytest.raises(UnreadableError):
        new_document("a\tb", "", "x")


def test_places_and_foreign_errors_are_shown_in_one_harmless_line() -> None:
    assert printable(Path("a\x1b[2J\udce9.txt")) == "a\\x1b[2J\\udce9.txt"
    assert brief(ValueError("first\nsecond " + "x" * 500)).startswith("ValueError: first second xxx")
    assert len(brief(ValueError("x" * 500))) == 300
    assert brief(KeyError()) == "KeyError"
