"""Rows of CSV, TSV, JSON, JSON Lines and Parquet as documents, and what is wrong with those that are none."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ragft.config import FieldNames
from ragft.config.knowledge import FilesSource
from ragft.data.sources import Reading, SetAside, read_sources
from ragft.errors import DataError
from ragft.records import Document

NAMES = FieldNames()
NO_OBJECTS = "expected a list of objects, an object with one list of objects, or one with the field 'text'"


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path, fields: FieldNames = NAMES, **options: Any) -> Reading:
    return read_sources([FilesSource(path=path, **options)], fields, cache_dir=None)


def fault(path: Path, fields: FieldNames = NAMES, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, fields, **options)
    return caught.value


def reasons(reading: Reading, path: Path) -> list[tuple[str, str]]:
    return [(item.where.removeprefix(str(path)), item.reason) for item in reading.set_aside]


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.Table.from_pylist(rows), path)
    return path


ROWS: list[dict[str, Any]] = [
    {"_id": "b", "name": "Bee", "body": 'two\nlines, a "quote"', "kind": "insect", "unused": "x"},
    {"_id": "a", "name": "", "body": "one", "kind": "letter", "unused": "y"},
]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "wrapped.json", "jsonl", "parquet"])
def test_each_format_gives_the_same_documents(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    cells = [[str(value).replace('"', '""') for value in row.values()] for row in ROWS]
    match suffix:
        case "csv" | "tsv":
            separator = "," if suffix == "csv" else "\t"
            lines = [separator.join(ROWS[0]), *(separator.join(f'"{cell}"' for cell in row) for row in cells)]
            put(path, "\ufeff" + "\r\n".join(lines))
        case "json":
            put(path, json.dumps(ROWS))
        case "wrapped.json":
            put(path, json.dumps({"version": 2, "tags": ["a"], "rows": ROWS}))
        case "jsonl":
            put(path, "\ufeff" + "\n\n".join(map(json.dumps, ROWS)))
        case _:
            parquet(path, ROWS)
    fields = FieldNames(document_id="_id", document_title="name", document_text="body")
    assert read(path, fields, metadata=("kind",)) == Reading(
        (
            Document("a", "", "one", {"kind": "letter"}),
            Document("b", "Bee", 'two\nlines, a "quote"', {"kind": "insect"}),
        ),
        (),
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_unknown_column_is_named_with_those_that_exist(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        put(path, "id,title,body\n1,t,x\n")
    else:
        parquet(path, [{"id": "1", "title": "t", "body": "x"}])
    error = fault(path)
    assert error.message == f"{path}: no column 'text'; the columns are id, title, body"
    assert error.hint == "data.fields maps foreign names"
    body = FieldNames(document_text="body")
    assert fault(path, body, metadata=("year",)).message == f"{path}: no column 'year'; the columns are id, title, body"
    named = FieldNames(document_text="body", document_title="headline")
    assert fault(path, named).message == f"{path}: no column 'headline'; the columns are id, title, body"
    assert read(path, body).documents == (Document("1", "t", "x"),)


def test_a_metadata_field_that_no_object_has_is_a_wrong_name(tmp_path: Path) -> None:
    path = put(tmp_path / "c.jsonl", '{"id": "a", "text": "x", "year": 1911}\n{"id": "b", "text": "y"}\n')
    assert [d.metadata for d in read(path, metadata=("year",)).documents] == [{"year": 1911}, {}]
    assert fault(path, metadata=("yaer",)).message == f"{path}: no column 'yaer'; the columns are id, text, year"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"_id": "a", "text": "x"}', "no 'id' (the document's id); the row has _id, text"),
        ('{"id": "", "text": "x"}', "no 'id' (the document's id); the row has id, text"),
        ('{"id": ["a"], "text": "x"}', "no 'id' (the document's id); the row has id, text"),
        ('{"id": true, "text": "x"}', "no 'id' (the document's id); the row has id, text"),
        ('{"id": 1.5, "text": "x"}', "no 'id' (the document's id); the row has id, text"),
        ('{"id": "a", "body": "x"}', "no 'text' (the document's text); the row has id, body"),
        ('{"id": "a", "text": " \\n"}', "no 'text' (the document's text); the row has id, text"),
        ('{"id": "a", "text": null}', "no 'text' (the document's text); the row has id, text"),
    ],
)
def test_a_row_without_its_fields_is_set_aside_with_the_fields_it_has(tmp_path: Path, row: str, reason: str) -> None:
    path = put(tmp_path / "c.jsonl", '{"id": "0", "text": "x"}\n' + row)
    got = read(path)
    assert reasons(got, path) == [(":2", f"{reason}; data.fields maps foreign names")]
    assert [document.id for document in got.documents] == ["0"]


def test_broken_lines_are_set_aside_and_the_others_read(tmp_path: Path) -> None:
    lines = [b'{"id": 1, "text": "x"}', b'{"id": 2,', b"[1]", '{"id": "é"}'.encode("latin-1"), b"[" * 5000, b"9" * 5000]
    path = put(tmp_path / "c.jsonl", b"\n".join([*lines, b'{"id": 7, "text": "y"}']))
    got = read(path)
    assert [document.id for document in got.documents] == ["1", "7"]
    found = reasons(got, path)
    assert found[:3] == [
        (":2", "not valid JSON: Expecting property name enclosed in double quotes (column 10)"),
        (":3", "expected an object, found list"),
        (":4", "not UTF-8 text (byte 45); save the file as UTF-8"),
    ]
    assert [where for where, _ in found[3:]] == [":5", ":6"]


def test_the_byte_of_a_wrong_encoding_is_counted_from_the_start_of_the_file(tmp_path: Path) -> None:
    raw = '{"id": 1, "text": "x"}\n{"id": "é"}'.encode("latin-1")
    assert raw[31] == 0xE9
    path = put(tmp_path / "c.jsonl", raw)
    assert reasons(read(path), path) == [(":2", "not UTF-8 text (byte 31); save the file as UTF-8")]
    raw = 'id,text\n1,x\n2,"é\ny"\n3,z\n'.encode("latin-1")
    assert raw[15] == 0xE9
    path = put(tmp_path / "c.csv", raw)
    got = read(path)
    assert reasons(got, path) == [(":3", "not UTF-8 text (byte 15); save the file as UTF-8")]
    assert [document.id for document in got.documents] == ["1", "3"]


def test_csv_rows_of_another_length_and_a_quote_that_never_ends(tmp_path: Path) -> None:
    path = put(tmp_path / "c.csv", 'id,text\n1,x\n2\n\n3,y,z\n4,"two\nlines"\n5,"never ends\n6,w\n')
    got = read(path)
    assert [document.id for document in got.documents] == ["1", "4"]
    assert reasons(got, path) == [
        (":3", "the row has 1 cells and the header 2"),
        (":5", "the row has 3 cells and the header 2"),
        (":8", "cannot be read from here on: unexpected end of data"),
    ]


def test_a_long_text_in_csv_is_read_and_one_over_the_limit_is_not(tmp_path: Path) -> None:
    """The csv module's own limit is 131,072 characters, less than many a document."""
    path = put(tmp_path / "c.csv", f"id,text\n1,{'x' * 500_000}\n")
    assert len(read(path).documents[0].text) == 500_000
    got = read(path, max_megabytes=0.4)
    assert reasons(got, path) == [("", "a line is over the limit of 0.4 MB (max_megabytes)")]


def test_a_line_of_json_over_the_limit_is_passed_over(tmp_path: Path) -> None:
    small, large = '{"id": "%d", "text": "x"}', json.dumps({"id": "big", "text": "x" * 5000})
    path = put(tmp_path / "c.jsonl", "\n".join([small % 1, large, small % 2, '{"id": "é"}']).encode("latin-1"))
    got = read(path, max_megabytes=0.002)
    assert [document.id for document in got.documents] == ["1", "2"]
    byte = path.read_bytes().index(b"\xe9")
    assert reasons(got, path) == [
        (":2", "over the limit of 0.002 MB (max_megabytes)"),
        (":4", f"not UTF-8 text (byte {byte}); save the file as UTF-8"),
    ]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "c.csv", "id,text,text\n1,x,y\n")
    assert reasons(read(path), path) == [("", "two columns are called 'text'")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"text"', NO_OBJECTS),
        ('{"a": [{}], "b": [{}]}', NO_OBJECTS),
        ('{"id": "a", "body": "x"}', NO_OBJECTS),
        ('[{"id": 1}\n,', "not valid JSON: Expecting value (line 2, column 2)"),
        ("[]", "the file is empty"),
        (" ", "the file is empty"),
    ],
)
def test_json_of_another_shape_is_set_aside(tmp_path: Path, text: str, reason: str) -> None:
    path = put(tmp_path / "c.json", text)
    assert reasons(read(path), path) == [("", reason)]


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.tsv"])
def test_an_empty_table_is_set_aside(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, "")
    assert read(path) == Reading((), (SetAside(str(path), "the file is empty"),))


def test_metadata_keeps_its_type_and_times_become_text(tmp_path: Path) -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    row = {"id": 7, "text": "x", "s": "t", "i": 3, "f": 0.5, "b": True, "n": None, "nan": math.nan, "when": when}
    row |= {"day": when.date(), "price": Decimal("1.25")}
    path = parquet(tmp_path / "c.parquet", [row, {**row, "id": 8, "n": "there"}])
    got = read(path, metadata=("s", "i", "f", "b", "n", "nan", "when", "day", "price"))
    expected = {"s": "t", "i": 3, "f": 0.5, "b": True, "when": "2026-01-02T03:04:05+00:00", "day": "2026-01-02"}
    expected["price"] = 1.25
    assert got.documents == (Document("7", "", "x", expected), Document("8", "", "x", {**expected, "n": "there"}))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('["a"]', "a value of type list"),
        ('{"a": 1}', "a value of type dict"),
        ("1e999", "the number inf"),
        (str(2**63), f"the number {2**63}"),
    ],
)
def test_metadata_that_no_filter_could_compare_is_an_error(tmp_path: Path, value: str, said: str) -> None:
    path = put(tmp_path / "c.jsonl", f'{{"id": "a", "text": "x", "m": {value}}}')
    expected = f"{path}:1: column 'm' holds {said}; metadata is text, numbers and true or false"
    assert fault(path, metadata=("m",)).message == expected
    assert len(read(path).documents) == 1


def test_broken_parquet_is_set_aside(tmp_path: Path) -> None:
    good = parquet(tmp_path / "good.parquet", [{"id": str(n), "text": "x" * 100 + str(n)} for n in range(1000)])
    assert len(read(good).documents) == 1000
    raw = bytearray(good.read_bytes())
    raw[4:200] = bytes(196)
    for name, content in (
        ("head.parquet", b"PAR1 no"),
        ("cut.parquet", bytes(raw[:300])),
        ("page.parquet", bytes(raw)),
    ):
        path = put(tmp_path / name, content)
        (item,) = read(path).set_aside
        assert item.reason.startswith(("not a readable Parquet file: ", "cannot be read from row 1 on: "))


def test_text_as_bytes_must_be_utf8(tmp_path: Path) -> None:
    rows = [{"id": UUID(int=1).hex, "text": "é".encode()}, {"id": "2", "text": b"ab\xe9"}]
    path = parquet(tmp_path / "c.parquet", rows)
    got = read(path)
    assert [document.text for document in got.documents] == ["é"]
    assert reasons(got, path) == [(": row 2", "the text is not UTF-8 (byte 2)")]


def test_one_object_with_a_text_is_one_document(tmp_path: Path) -> None:
    """Also where it holds a list of objects: those are parts of it, not documents."""
    path = put(tmp_path / "c.json", '{"id": "a", "text": "x", "parts": [{"id": "p", "page": 1}]}')
    assert read(path) == Reading((Document("a", "", "x"),), ())


def test_a_row_of_parquet_over_the_limit_is_passed_over(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "x" * 100}, {"id": "b", "text": "y" * 102}]
    path = parquet(tmp_path / "c.parquet", rows)
    reading = read(path, max_megabytes=0.000102)
    assert [document.id for document in reading.documents] == ["a"]
    assert reasons(reading, path) == [(": row 2", "over the limit of 0.000102 MB (max_megabytes)")]


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    """Pyarrow gives a row the last of the two without a word."""
    path = tmp_path / "c.parquet"
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.table([["a"], ["x"], ["y"]], names=["id", "text", "text"]), path)
    assert reasons(read(path), path) == [("", "two columns are called 'text'")]


def test_nested_columns_of_parquet_are_read_past_and_are_no_metadata(tmp_path: Path) -> None:
    nested = {"id": "a", "text": "x", "tags": ["b", "c"], "deep": {"id": "other", "text": "other"}}
    path = parquet(tmp_path / "c.parquet", [nested])
    assert read(path) == Reading((Document("a", "", "x"),), ())
    with pytest.raises(DataError, match="row 1: column 'tags' holds a value of type list"):
        read(path, metadata=("tags",))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_dotted_name_reaches_into_a_column(tmp_path: Path, suffix: str) -> None:
    rows = [{"meta": {"key": "a", "year": 1911}, "body": {"text": "x"}}]
    path = tmp_path / f"c.{suffix}"
    path = parquet(path, rows) if suffix == "parquet" else put(path, json.dumps(rows[0]))
    fields = FieldNames(document_id="meta.key", document_text="body.text")
    assert read(path, fields, metadata=("meta.year",)) == Reading((Document("a", "", "x", {"meta.year": 1911}),), ())
