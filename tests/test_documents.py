"""Documents from folders, text, Markdown and JSON Lines: each has an id, a title and a text, or its file is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragft.config import FieldNames, FilesSource
from ragft.data.documents import load_documents, source_files
from ragft.errors import DataError
from ragft.records import Document

NAMES = FieldNames()


def load(*paths: Path, fields: FieldNames = NAMES) -> list[Document]:
    return load_documents([FilesSource(path=path) for path in paths], fields)


def put(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def fault(*paths: Path, fields: FieldNames = NAMES) -> DataError:
    with pytest.raises(DataError) as caught:
        load(*paths, fields=fields)
    return caught.value


def test_a_folder_is_read_with_its_subfolders_and_sorted_by_id(tmp_path: Path) -> None:
    put(tmp_path / "d" / "z.txt", "last")
    put(tmp_path / "d" / "sub" / "deep" / "tide_table.MD", "first")
    put(tmp_path / "d" / "rows.jsonl", '{"id": "m", "text": "middle"}\n')
    put(tmp_path / "d" / "image.png", b"\x89PNG")
    (tmp_path / "d" / "folder.md").mkdir()
    assert load(tmp_path / "d") == [
        Document("m", "", "middle"),
        Document("sub/deep/tide_table", "tide table", "first"),
        Document("z", "z", "last"),
    ]


def test_several_sources_are_one_knowledge_base(tmp_path: Path) -> None:
    one, two = put(tmp_path / "b.txt", "b"), put(tmp_path / "x" / "a.txt", "a")
    assert [document.id for document in load(one, two.parent)] == ["a", "b"]
    sources = [FilesSource(path=path) for path in (one, two.parent, one.parent)]
    assert source_files(sources) == [one, two]


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Tide table\n\nHigh at six.\n", "Tide table", "High at six."),
        ("\n\n#  Tide table  ##  \nHigh at six.", "Tide table", "High at six."),
        ("# C#\nA language.\n", "C#", "A language."),
        ("# Only a title", "Only a title", "Only a title"),
        ("# Only a title\n", "Only a title", "Only a title"),
        ("#\n\nHigh at six.\n", "sea level", "#\n\nHigh at six.\n"),
        ("#Tide\nHigh at six.\n", "sea level", "#Tide\nHigh at six.\n"),
        ("## Second level\nHigh at six.\n", "sea level", "## Second level\nHigh at six.\n"),
        ("High at six.\n\n# Later\n", "sea level", "High at six.\n\n# Later\n"),
        ("\ufeff# Tide table\r\nHigh at six.\r\n", "Tide table", "High at six."),
    ],
)
def test_the_first_heading_of_a_markdown_file_is_its_title(tmp_path: Path, text: str, title: str, body: str) -> None:
    assert load(put(tmp_path / "sea-level.md", text)) == [Document("sea-level", title, body)]


def test_a_text_file_has_no_headings(tmp_path: Path) -> None:
    assert load(put(tmp_path / "a.txt", "# 1 is a number\n2")) == [Document("a", "a", "# 1 is a number\n2")]


def test_json_lines_with_foreign_field_names(tmp_path: Path) -> None:
    path = put(tmp_path / "c.jsonl", '{"_id": 7, "name": "Seven", "body": "text of 7"}\n{"_id": "8", "body": " x"}\n')
    fields = FieldNames(document_id="_id", document_title="name", document_text="body")
    assert load(path, fields=fields) == [Document("7", "Seven", "text of 7"), Document("8", "", " x")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"_id": "a", "text": "x"}', "no 'id' (the document's id)"),
        ('{"id": "", "text": "x"}', "no 'id' (the document's id)"),
        ('{"id": ["a"], "text": "x"}', "no 'id' (the document's id)"),
        ('{"id": "a", "body": "x"}', "no 'text' (the document's text)"),
        ('{"id": "a", "text": " \\n"}', "no 'text' (the document's text)"),
        ('{"id": "a", "text": null}', "no 'text' (the document's text)"),
    ],
)
def test_a_row_without_its_fields_is_named_with_the_fields_it_has(tmp_path: Path, row: str, message: str) -> None:
    path = put(tmp_path / "c.jsonl", '{"id": "0", "text": "x"}\n' + row)
    error = fault(path)
    keys = [part.split('"')[1] for part in row.split(", ")]
    assert error.message == f"{path}:2: {message}"
    assert error.hint == f"the row has {', '.join(keys)}; data.fields maps foreign names"


def test_two_documents_with_one_id_are_named_with_both_places(tmp_path: Path) -> None:
    rows = put(tmp_path / "c.jsonl", '{"id": 1, "text": "x"}\n\n{"id": "1", "text": "y"}\n')
    assert fault(rows).message == f"{rows}:3: document id '1' stands already at {rows}:1"
    text, markdown = put(tmp_path / "d" / "a.md", "x"), put(tmp_path / "d" / "a.txt", "y")
    assert fault(tmp_path / "d").message == f"{markdown}: document id 'a' stands already at {text}"
    assert "document id 'a' stands already" in fault(text, text).message


@pytest.mark.parametrize(("name", "text"), [("a.txt", ""), ("a.md", " \n\n"), ("a.jsonl", ""), ("a.jsonl", "\n\n")])
def test_an_empty_file_is_named(tmp_path: Path, name: str, text: str) -> None:
    path = put(tmp_path / name, text)
    assert fault(tmp_path).message == f"{path}: the file is empty"


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "a.md", "abc é".encode("latin-1"))
    assert fault(path).message == f"{path}: not UTF-8 text (byte 4)"
    assert fault(path).hint == "save the file as UTF-8"
    rows = put(tmp_path / "a.jsonl", '{"id": "é", "text": "x"}'.encode("latin-1"))
    assert fault(rows).message == f"{rows}:1: not UTF-8 text"


def test_a_source_that_gives_nothing_is_named(tmp_path: Path) -> None:
    assert fault(tmp_path / "gone").message == f"{tmp_path / 'gone'}: no such file or folder"
    assert "paths start at the experiment file" in (fault(tmp_path / "gone").hint or "")
    (tmp_path / "empty").mkdir()
    assert fault(tmp_path / "empty").message.startswith(
        f"{tmp_path / 'empty'}: no documents in this folder (looked for"
    )
    path = put(tmp_path / "paper.pdf", b"%PDF")
    assert fault(path).message.startswith(f"{path}: cannot read documents of this kind (known: .txt, ")


def test_a_link_to_a_file_that_is_gone_is_not_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "a.md", "text")
    (tmp_path / "b.md").symlink_to(tmp_path / "gone.md")
    assert fault(tmp_path).message == f"{tmp_path / 'b.md'}: cannot be read: No such file or directory"
