"""The same examples from JSON Lines, JSON, CSV, TSV and Parquet, and what is wrong with a file, at its place."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft import jsonl
from ragft.config import DataConfig, ExamplesFile, FieldNames
from ragft.config.examples import HubExamples
from ragft.data.examples import example_files, load_examples, load_splits
from ragft.errors import DataError
from ragft.records import Document, Example, Turn

NAMES = FieldNames(input="question")
CALM = settings(deadline=None, max_examples=60)


def load(path: Path, fields: FieldNames = NAMES) -> tuple[Example, ...]:
    return load_examples(ExamplesFile(path=path), fields, 17)


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.Table.from_pylist(rows), path)
    return path


def delimited(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as a person would: lists as JSON, truths in small letters, nothing for null."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="," if path.suffix == ".csv" else "\t")
    writer.writerow(rows[0])
    writer.writerows([cell(row[name]) for name in rows[0]] for row in rows)
    return put(path, text.getvalue())


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return json.dumps(value)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    match path.suffix:
        case ".jsonl":
            return put(path, "\n".join(map(json.dumps, rows)))
        case ".json":
            return put(path, json.dumps({"version": "2", "data": rows}))
        case ".parquet":
            return parquet(path, rows)
        case _:
            return delimited(path, rows)


def fault(path: Path, fields: FieldNames = NAMES) -> tuple[str, str | None]:
    with pytest.raises(DataError) as caught:
        load(path, fields)
    return caught.value.message.removeprefix(str(path)), caught.value.hint


ROWS: list[dict[str, Any]] = [
    {
        "id": "a",
        "question": 'Who, and\nwhen: "now"?',
        "references": ["Ada", "Ada Voss"],
        "gold_document_ids": ["light"],
        "answerable": True,
        "fact_id": "f1",
        "variant": None,
    },
    {
        "id": "b",
        "question": "Why?",
        "references": [],
        "gold_document_ids": None,
        "answerable": False,
        "fact_id": None,
        "variant": "plain",
    },
]
EXAMPLES = (
    Example("a", 'Who, and\nwhen: "now"?', ("Ada", "Ada Voss"), ("light",), True, "f1"),
    Example("b", "Why?", (), (), False, None, "plain"),
)
SUFFIXES = ["jsonl", "json", "csv", "tsv", "parquet"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_format_gives_the_same_examples(tmp_path: Path, suffix: str) -> None:
    assert load(written(tmp_path / f"e.{suffix}", ROWS)) == EXAMPLES


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_without_ids_have_the_same_numbers_in_each_format(tmp_path: Path, suffix: str) -> None:
    rows = [{key: value for key, value in row.items() if key != "id"} for row in ROWS]
    assert [example.id for example in load(written(tmp_path / f"e.{suffix}", rows))] == ["1", "2"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_conversation_is_read_in_each_format(tmp_path: Path, suffix: str) -> None:
    talk = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
        {"role": "assistant", "content": "w"},
    ]
    path = written(tmp_path / f"e.{suffix}", [{"id": "1", "messages": talk}])
    assert load(path) == (Example("1", "z", ("w",), history=(Turn("x", "y"),)),)


def test_nested_columns_of_parquet_and_one_whose_own_name_has_a_dot(tmp_path: Path) -> None:
    squad = {"id": "1", "question": "a?", "answers": {"text": ["x", "y"], "answer_start": [0, 1]}, "unused": b"\xff"}
    fields = FieldNames(input="question", references="answers.text")
    assert load(parquet(tmp_path / "squad.parquet", [squad]), fields)[0].references == ("x", "y")
    both = {**squad, "answers.text": "own"}
    assert load(parquet(tmp_path / "both.parquet", [both]), fields)[0].references == ("own",)


def test_a_cell_of_csv_is_text_unless_it_holds_a_list_of_texts(tmp_path: Path) -> None:
    """A label such as 007 is no number, and [sic] is no list."""
    cells = ["007", "1.50", "True", "[sic]", "[1]", '["a", "b"]', "[", '[["a"]]']
    path = delimited(tmp_path / "e.csv", [{"id": n, "question": "?", "references": c} for n, c in enumerate(cells)])
    expected = [("007",), ("1.50",), ("True",), ("[sic]",), ("[1]",), ("a", "b"), ("[",), ('[["a"]]',)]
    assert [example.references for example in load(path)] == expected
    same = put(tmp_path / "e.jsonl", json.dumps({"id": 1, "question": "?", "references": '["a", "b"]'}))
    assert load(same)[0].references == ('["a", "b"]',)  # JSON has lists of its own


def test_truths_in_csv_are_words_and_in_json_only_truths(tmp_path: Path) -> None:
    rows = [
        {"id": n, "question": "?", "references": "", "answerable": word} for n, word in enumerate(("false", "FALSE"))
    ]
    assert [example.answerable for example in load(delimited(tmp_path / "e.csv", rows))] == [False, False]
    path = delimited(tmp_path / "no.csv", [{"id": 1, "question": "?", "references": "", "answerable": "no"}])
    assert fault(path) == (":2: 'answerable' must be true or false, not 'no'", None)


def test_an_empty_cell_of_csv_is_no_value(tmp_path: Path) -> None:
    """Taken for a text, it would be an input, a label, a group of its own, or neither true nor false."""
    row = {"id": "1", "input": "", "input_document_id": "d", "messages": "", "references": "x"}
    row |= {"answerable": "", "fact_id": ""}
    data = DataConfig(eval=ExamplesFile(path=delimited(tmp_path / "e.csv", [row])))
    found = load_splits(data, "input", 17, documents=lambda: [Document("d", "Title", "Text.")]).eval
    assert found == (Example("1", "Text.", ("x",), input_document_id="d"),)


def test_columns_of_csv_stay_text(tmp_path: Path) -> None:
    path = delimited(tmp_path / "e.csv", [{"id": "1", "question": "?", "references": "x", "year": "01911", "note": ""}])
    data = DataConfig(eval=ExamplesFile(path=path))
    found = load_splits(data, "question", 17, columns=("year", "note")).eval
    assert found[0].columns == {"year": "01911", "note": ""}


GOOD = '{"id": 1, "question": "a?", "references": "x"}'
NO_LABEL = "no 'references' (the acceptable answers) for an answerable example"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.jsonl", f'{GOOD}\n["a",', ":2: not valid JSON: Expecting value (column 6)"),
        ("e.jsonl", "[1]", ":1: expected an object, found list"),
        ("e.jsonl", b'{"id": "\xe9"}', ":1: not UTF-8 text (byte 8); save the file as UTF-8"),
        ("e.json", '[{"id": 1}, 2]', ": row 1: no 'question' (the example's input)"),
        (
            "e.json",
            '"x"',
            ": expected a list of objects, an object with one list of objects, or one with the field 'question'",
        ),
        ("e.json", "[]", ": the file is empty"),
        ("e.csv", "id,question,references\n", ": the file is empty"),
        ("e.csv", 'id,question,references\n1,"a\nb",x\n2,c\n', ":4: the row has 2 cells and the header 3"),
        ("e.csv", 'id,question,references\n1,"never', ":2: cannot be read from here on: unexpected end of data"),
        ("e.csv", "id,question,references\n1,a?,\n", f":2: {NO_LABEL}"),
        ("e.csv", "id,question,references\n1,a?,x\n1,b?,y\n", ":3: example id '1' stands twice in this file"),
        ("e.csv", "id,query,references\n1,a?,x\n", ": no column 'question'; the columns are id, query, references"),
        ("e.csv", "id,id,question\n", ": two columns are called 'id'"),
        ("e.tsv", "id\tquestion\treferences\n1\t\tx\n", ":2: no 'question' (the example's input)"),
    ],
)
def test_no_row_is_set_aside_and_each_fault_has_its_place(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    assert fault(put(tmp_path / name, content))[0] == message


def test_a_fault_in_parquet_is_named_by_its_row(tmp_path: Path) -> None:
    rows = [{"id": "1", "question": "a?", "references": ["x"]}, {"id": "2", "question": None, "references": ["y"]}]
    path = parquet(tmp_path / "e.parquet", rows)
    hint = "the row has id, references, question; data.fields maps foreign names"
    assert fault(path) == (": row 2: no 'question' (the example's input)", hint)
    missing = FieldNames(input="query", references="answers")
    said = ": no column 'query'; the columns are id, question, references"
    assert fault(path, missing) == (said, "data.fields maps foreign names")
    assert fault(put(tmp_path / "no.parquet", "no"))[0].startswith(": not a readable Parquet file: ")


def test_a_table_without_a_column_that_the_prompt_names_is_an_error_before_its_rows(tmp_path: Path) -> None:
    path = delimited(tmp_path / "e.csv", [{"id": "1", "question": "?", "references": "x"}])
    with pytest.raises(DataError) as caught:
        load_splits(DataConfig(eval=ExamplesFile(path=path)), "question", 17, columns=("year",))
    assert caught.value.message == f"{path}: no column 'year'; the columns are id, question, references"


def test_one_object_with_an_input_is_one_example(tmp_path: Path) -> None:
    """Also where it holds a list of objects: those are its messages or its evidence, not examples."""
    row = {"id": 1, "question": "a?", "references": "x", "evidence": [{"id": "p"}, {"id": "q"}]}
    assert [example.id for example in load(put(tmp_path / "e.json", json.dumps(row)))] == ["1"]


def test_the_files_of_the_examples_are_those_of_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "deep").mkdir(parents=True)
    inside = [put(folder / "b.jsonl", "{}"), put(folder / "deep" / "a.jsonl", "{}")]
    train = HubExamples(kind="hub", dataset=str(folder))
    data = DataConfig(
        train=train, dev=HubExamples(kind="hub", dataset="org/name"), eval=ExamplesFile(path=tmp_path / "e.csv")
    )
    assert example_files(data) == [*inside, tmp_path / "e.csv"]


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
ROW = st.fixed_dictionaries(
    {
        "question": TEXT,
        "references": st.lists(TEXT, min_size=2, max_size=3),
        "gold_document_ids": st.lists(TEXT, max_size=2),
        "answerable": st.just(True),
        "fact_id": st.none() | TEXT,
        "terms": st.lists(TEXT, max_size=2),
    }
)


@CALM
@given(st.lists(ROW, min_size=1, max_size=5), st.sampled_from([".csv", ".tsv"]))
def test_examples_of_a_table_written_as_json_lines_are_the_same_examples(
    rows: list[dict[str, Any]], suffix: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        identified = [{"id": f"q{number}", **row} for number, row in enumerate(rows)]
        first = load(delimited(Path(folder, f"e{suffix}"), identified))
        again = Path(folder, "e.jsonl")
        jsonl.write_rows(again, first)
        second = load(again, FieldNames(input="input", group="group"))
    assert second == first
    assert [(e.input, e.references) for e in first] == [(r["question"].strip(), tuple(r["references"])) for r in rows]
