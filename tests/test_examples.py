"""Rows as examples: foreign names, labels, faults at their line, samples that nest, and a dev split by groups."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.config import DataConfig, ExamplesFile, FieldNames
from ragft.data.examples import Splits, load_examples, load_splits, sample
from ragft.errors import DataError
from ragft.records import Document, Example

CALM = settings(deadline=None, max_examples=60)
NAMES = FieldNames(input="question")


def put(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def question(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"q{number}", "question": f"Question {number}?", "references": [f"answer {number}"], **more}


def load(path: Path, fields: FieldNames = NAMES, limit: int | None = None, seed: int = 17) -> tuple[Example, ...]:
    return load_examples(ExamplesFile(path=path, limit=limit), fields, seed)


def splits(tmp_path: Path, train: list[dict[str, Any]], seed: int = 17, **more: Any) -> Splits:
    evaluation = put(tmp_path / "eval.jsonl", question(900))
    training = put(tmp_path / "train.jsonl", *train)
    data = DataConfig(train=ExamplesFile(path=training), eval=ExamplesFile(path=evaluation), **more)
    return load_splits(data, "question", seed)


def test_every_field_of_an_example_is_read(tmp_path: Path) -> None:
    row = {
        "id": 7,
        "question": "  Who keeps the light? ",
        "references": ["Ada", " ", "Ada Voss"],
        "gold_document_ids": "lighthouse",
        "fact_id": 12,
        "variant": "plain",
        "ignored": {"x": 1},
    }
    assert load(put(tmp_path / "e.jsonl", row)) == (
        Example("7", "Who keeps the light?", ("Ada", "Ada Voss"), ("lighthouse",), True, "12", "plain"),
    )


def test_what_is_absent_or_null_has_its_default(tmp_path: Path) -> None:
    row = question(1, gold_document_ids=None, fact_id=None)
    assert load(put(tmp_path / "e.jsonl", row)) == (Example("q1", "Question 1?", ("answer 1",)),)


def test_foreign_field_names(tmp_path: Path) -> None:
    row = {"_id": "a", "claim": "The sea is dry.", "label": "REFUTES", "evidence": ["sea"], "can": True, "f": "x"}
    fields = FieldNames(
        example_id="_id", input="claim", references="label", gold_document_ids="evidence", answerable="can", group="f"
    )
    assert load(put(tmp_path / "e.jsonl", row), fields) == (
        Example("a", "The sea is dry.", ("REFUTES",), ("sea",), True, "x"),
    )


def test_the_tasks_input_field_is_used_unless_the_file_names_another(tmp_path: Path) -> None:
    path = put(tmp_path / "e.jsonl", {"id": 1, "input": "a", "text": "b", "references": "x"})
    assert load_splits(DataConfig(eval=ExamplesFile(path=path)), "input", 1).eval[0].input == "a"
    renamed = DataConfig(eval=ExamplesFile(path=path), fields=FieldNames(input="text"))
    assert load_splits(renamed, "input", 1).eval[0].input == "b"


def test_an_unanswerable_example_has_no_references(tmp_path: Path) -> None:
    rows = [{"id": 1, "question": "a?", "answerable": False}, {"id": 2, "question": "b?", "answerable": False}]
    rows[1]["references"] = []
    assert [(e.answerable, e.references) for e in load(put(tmp_path / "e.jsonl", *rows))] == [(False, ())] * 2


HAS = "; data.fields maps foreign names"
MARK = (
    "; where no answer is right, 'answerable' must be false, or `data.fields.answerable: references` makes every row "
    "without 'references' unanswerable"
)


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        ({"uid": 1, "question": "a?"}, "no 'id' (the example's id)", f"the row has uid, question{HAS}"),
        ({"id": "", "question": "a?"}, "no 'id' (the example's id)", f"the row has id, question{HAS}"),
        ({"id": 1, "query": "a?"}, "no 'question' (the example's input)", f"the row has id, query{HAS}"),
        ({"id": 1, "question": " "}, "no 'question' (the example's input)", f"the row has id, question{HAS}"),
        ({"id": 1, "question": 5}, "no 'question' (the example's input)", f"the row has id, question{HAS}"),
        (
            {"id": 1, "question": "a?", "answers": ["x"]},
            "no 'references' (the acceptable answers) for an answerable example",
            f"the row has id, question, answers{HAS}{MARK}",
        ),
        (
            {"id": 1, "question": "a?", "references": [" "]},
            "no 'references' (the acceptable answers) for an answerable example",
            f"the row has id, question, references{HAS}{MARK}",
        ),
        (
            {"id": 1, "question": "a?", "references": ["x"], "answerable": False},
            "'references' must be empty where 'answerable' is false",
            None,
        ),
        (
            {"id": 1, "question": "a?", "references": ["x"], "answerable": "false"},
            "'answerable' must be true or false, not 'false'",
            None,
        ),
        (
            {"id": 1, "question": "a?", "references": {"text": "x"}},
            "'references' must be a text or a list of texts, not {'text': 'x'}",
            None,
        ),
        (
            {"id": 1, "question": "a?", "references": [["x"]]},
            "'references' must be a text or a list of texts, not [['x']]",
            None,
        ),
        (
            {"id": 1, "question": "a?", "references": "x", "gold_document_ids": [{}]},
            "'gold_document_ids' must be a text or a list of texts, not [{}]",
            None,
        ),
        ({"id": 1.5, "question": "a?"}, "'id' must be a text or a whole number, not 1.5", None),
        ({"id": True, "question": "a?"}, "'id' must be a text or a whole number, not True", None),
        (
            {"id": 1, "question": "a?", "references": "x", "fact_id": {"a": 1}},
            "'fact_id' must be one text, not {'a': 1}",
            None,
        ),
    ],
)
def test_a_faulty_row_is_named_by_file_and_line(
    tmp_path: Path, row: dict[str, Any], message: str, hint: str | None
) -> None:
    path = put(tmp_path / "e.jsonl", question(0), row)
    with pytest.raises(DataError) as caught:
        load(path)
    assert (caught.value.message, caught.value.hint) == (f"{path}:2: {message}", hint)


def test_an_id_that_stands_twice_is_an_error_even_as_number_and_text(tmp_path: Path) -> None:
    path = put(tmp_path / "e.jsonl", question(1, id=1), question(2, id="2"), question(3, id="1"))
    with pytest.raises(DataError) as caught:
        load(path)
    assert caught.value.message == f"{path}:3: example id '1' stands twice in this file"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("empty.jsonl", "the file is empty", None),
        ("gone.jsonl", "no such file", "the section `data` names it; paths start at the experiment file"),
        ("folder", "is a folder, expected a file of examples", "`kind: hub` reads folders of data sets"),
        ("e.xlsx", "cannot read examples of this kind (known: .csv, .tsv, .json, .jsonl, .parquet)", None),
    ],
)
def test_a_file_that_gives_no_examples_is_an_error(tmp_path: Path, name: str, message: str, hint: str | None) -> None:
    put(tmp_path / "empty.jsonl")
    put(tmp_path / "e.xlsx", question(1))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError) as caught:
        load(tmp_path / name)
    assert (caught.value.message, caught.value.hint) == (f"{tmp_path / name}: {message}", hint)


def test_rows_without_ids_are_numbered_from_1_also_past_blank_lines(tmp_path: Path) -> None:
    rows = [{key: value for key, value in question(n).items() if key != "id"} for n in range(3)]
    path = tmp_path / "e.jsonl"
    path.write_text("\n\n".join(map(json.dumps, [rows[0], {**rows[1], "id": None}, rows[2]])), encoding="utf-8")
    assert [example.id for example in load(path)] == ["1", "2", "3"]
    few = load(path, limit=1)
    assert few[0].id == str(1 + [row["question"] for row in rows].index(few[0].input))  # numbered before the sampling


@pytest.mark.parametrize(("with_id", "line"), [([0, 1], 3), ([2], 1), ([1], 1), ([0, 2], 2)])
def test_ids_in_some_rows_only_are_an_error_at_the_row_without(tmp_path: Path, with_id: list[int], line: int) -> None:
    rows = [question(n) if n in with_id else {"question": "a?", "references": ["x"]} for n in range(3)]
    path = put(tmp_path / "e.jsonl", *rows)
    with pytest.raises(DataError) as caught:
        load(path)
    assert caught.value.message == f"{path}:{line}: no 'id' (the example's id)"


def test_an_id_column_that_the_experiment_names_is_never_replaced_by_numbers(tmp_path: Path) -> None:
    """A wrong name would else number the rows of every file, and nobody would see it."""
    path = put(tmp_path / "e.jsonl", question(1))
    with pytest.raises(DataError) as caught:
        load(path, FieldNames(input="question", example_id="uid"))
    assert caught.value.message == f"{path}:1: no 'uid' (the example's id)"


def test_references_may_be_numbers_and_truths_as_json_writes_them(tmp_path: Path) -> None:
    given: list[Any] = [3, 0.5, True, False, ["x", 5, None, " "], 10**30]
    path = put(tmp_path / "e.jsonl", *(question(n, references=value) for n, value in enumerate(given)))
    expected = [("3",), ("0.5",), ("true",), ("false",), ("x", "5"), (str(10**30),)]
    assert [example.references for example in load(path)] == expected


def test_what_utf8_cannot_hold_is_replaced_and_not_carried_on(tmp_path: Path) -> None:
    row = question(1, question="a\ud800b?", references=["x\x00"])
    (example,) = load(put(tmp_path / "e.jsonl", row))
    assert (example.input, example.references) == ("a\ufffdb?", ("x\ufffd",))


def test_terms_and_other_columns_travel_with_the_example(tmp_path: Path) -> None:
    rows = [question(1, terms=["wash", "hands"], year=1911, note=None), question(2, terms="mask", year=0.5, note="n")]
    data = DataConfig(eval=ExamplesFile(path=put(tmp_path / "e.jsonl", *rows)))
    found = load_splits(data, "question", 17, columns=("year", "note")).eval
    assert [example.terms for example in found] == [("wash", "hands"), ("mask",)]
    assert [example.columns for example in found] == [{"year": 1911, "note": ""}, {"year": 0.5, "note": "n"}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "no 'year' (a column that the prompt names)"),
        ({"year": [1911]}, "'year' must be a text, a number, true or false, not a value of type list"),
        ({"year": math.inf}, "'year' must be a text, a number, true or false, not the number inf"),
    ],
)
def test_a_column_that_a_prompt_could_not_show_is_named_by_line(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    path = put(tmp_path / "e.jsonl", question(1, year=1911), question(2, **row))
    with pytest.raises(DataError) as caught:
        load_splits(DataConfig(eval=ExamplesFile(path=path)), "question", 17, columns=("year",))
    assert caught.value.message == f"{path}:2: {message}"


def test_an_input_may_be_the_text_of_a_document_and_documents_are_read_once(tmp_path: Path) -> None:
    reads: list[int] = []

    def documents() -> list[Document]:
        reads.append(1)
        return [Document("a", "Title", " Text of a. "), Document("7", "", "Seven.")]

    rows = [
        {"id": 1, "input_document_id": "a", "references": "x"},
        {"id": 2, "input_document_id": 7, "references": "y"},
    ]
    path = put(tmp_path / "e.jsonl", *rows, {"id": 3, "input": "own", "input_document_id": "gone", "references": "z"})
    data = DataConfig(eval=ExamplesFile(path=path), train=ExamplesFile(path=path))
    found = load_splits(data, "input", 17, documents=documents)
    assert [example.input for example in found.eval] == ["Text of a.", "Seven.", "own"]
    assert reads == [1]
    plain = put(tmp_path / "plain.jsonl", question(1))
    load_splits(DataConfig(eval=ExamplesFile(path=plain)), "question", 17, documents=documents)
    assert reads == [1]


def test_an_input_document_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path / "e.jsonl", {"id": 1, "input_document_id": "b", "references": "x"})
    with pytest.raises(DataError) as caught:
        load_splits(DataConfig(eval=ExamplesFile(path=path)), "input", 17)
    assert caught.value.message == f"{path}:1: 'input_document_id' names the document 'b', which does not exist"
    assert caught.value.hint == "data.documents must give the document whose text is the input"


def test_a_dotted_name_reaches_into_objects_and_into_lists_of_them(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "translation": {"en": "sea", "es": "mar"}, "docs": [{"id": "a"}, {"id": "b"}, {}], "meta.group": "g"},
        {
            "id": 2,
            "translation": {"en": "bell", "es": ["campana"]},
            "docs": [],
            "meta.group": "h",
            "meta": {"group": 1},
        },
    ]
    fields = FieldNames(
        input="translation.en", references="translation.es", gold_document_ids="docs.id", group="meta.group"
    )
    assert load(put(tmp_path / "e.jsonl", *rows), fields) == (
        Example("1", "sea", ("mar",), ("a", "b"), True, "g"),
        Example("2", "bell", ("campana",), (), True, "h"),  # the column of that very name wins
    )


def test_lists_in_lists_of_objects_are_one_list(tmp_path: Path) -> None:
    """Several annotators, several answers each."""
    row = question(1, annotations=[{"answers": ["a", "b"]}, {"answers": []}, {"answers": ["c"]}])
    fields = FieldNames(input="question", references="annotations.answers")
    assert load(put(tmp_path / "e.jsonl", row), fields)[0].references == ("a", "b", "c")


SQUAD = [
    {
        "id": "56be",
        "title": "Super_Bowl_50",
        "context": "The Panthers defense gave up just 308 points.",
        "question": "How many points?",
        "answers": {"text": ["308", "308 points"], "answer_start": [34, 34]},
    },
    {
        "id": "5ad3",
        "title": "Normans",
        "context": "...",
        "question": "Who gave up?",
        "answers": {"text": [], "answer_start": []},
    },
]


def test_squad_is_read_as_it_is_and_its_unanswerable_questions_when_told_so(tmp_path: Path) -> None:
    path = put(tmp_path / "e.jsonl", *SQUAD)
    with pytest.raises(DataError) as caught:
        load(path, FieldNames(input="question", references="answers.text"))
    assert caught.value.message == f"{path}:2: no 'answers.text' (the acceptable answers) for an answerable example"
    assert "`data.fields.answerable: answers.text` makes every row without" in (caught.value.hint or "")
    told = FieldNames(input="question", references="answers.text", answerable="answers.text", group="title")
    assert load(path, told) == (
        Example("56be", "How many points?", ("308", "308 points"), (), True, "Super_Bowl_50"),
        Example("5ad3", "Who gave up?", (), (), False, "Normans"),
    )


def test_a_name_that_no_row_of_any_file_has_is_an_error(tmp_path: Path) -> None:
    """A group misspelt would else part the phrasings of one fact between train and dev, without a word."""
    train, evaluation = put(tmp_path / "t.jsonl", question(1, page="p")), put(tmp_path / "e.jsonl", question(2))
    both = {"train": ExamplesFile(path=train), "eval": ExamplesFile(path=evaluation)}
    assert load_splits(DataConfig(**both, fields=FieldNames(group="page")), "question", 17).train[0].group == "p"
    with pytest.raises(DataError) as caught:
        load_splits(DataConfig(**both, fields=FieldNames(group="pgae")), "question", 17)
    assert caught.value.message == "data.fields.group: no row of the examples has a column 'pgae'"


def numbered(n: int) -> tuple[Example, ...]:
    return tuple(Example(f"q{number}", f"Question {number}?", ("x",)) for number in range(n))


def test_a_limit_is_a_sample_by_the_seed_in_file_order(tmp_path: Path) -> None:
    path = put(tmp_path / "e.jsonl", *(question(number) for number in range(30)))
    everything, some = load(path), load(path, limit=10)
    assert len(some) == 10
    assert list(some) == [example for example in everything if example in some]
    assert some != everything[:10]
    assert load(path, limit=10) == some
    assert load(path, limit=10, seed=18) != some
    assert load(path, limit=30) == load(path, limit=31) == everything


@CALM
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 10))
def test_a_larger_sample_holds_every_smaller_one(n: int, one: int, other: int, seed: int) -> None:
    few, more = sorted((one, other))
    small, large = sample(numbered(n), few, seed), sample(numbered(n), more, seed)
    assert {example.id for example in small} <= {example.id for example in large}
    assert (len(small), len(large)) == (min(few, n), min(more, n))


def test_a_share_of_the_groups_is_held_out_and_no_group_is_parted(tmp_path: Path) -> None:
    rows = [question(number, fact_id=f"f{number // 3}") for number in range(60)]  # 20 groups of 3
    found = splits(tmp_path, rows, dev_share=0.2)
    assert (len(found.train), len(found.dev), len(found.eval)) == (48, 12, 1)
    assert not {example.group for example in found.train} & {example.group for example in found.dev}
    assert {example.id for example in (*found.train, *found.dev)} == {row["id"] for row in rows}
    assert splits(tmp_path, rows, dev_share=0.2) == found
    assert splits(tmp_path, rows, seed=18, dev_share=0.2).dev != found.dev


def test_examples_without_a_group_are_groups_of_one(tmp_path: Path) -> None:
    rows = [question(number) for number in range(8)] + [question(8, fact_id="q0"), question(9, fact_id="q0")]
    for seed in range(10):
        held = {example.id for example in splits(tmp_path, rows, seed, dev_share=0.4).dev}
        pair = held & {"q8", "q9"}  # their group is named as the first example's id, and is no kin of it
        assert len(pair) in (0, 2)
        assert len(held - pair) + len(pair) // 2 == 4  # round(0.4 * 9 groups)


def test_at_least_one_group_is_held_out_and_one_is_left_to_train_on(tmp_path: Path) -> None:
    two = [question(1), question(2)]
    assert [len(part) for part in (splits(tmp_path, two).train, splits(tmp_path, two).dev)] == [1, 1]
    alone = splits(tmp_path, [question(1, fact_id="f"), question(2, fact_id="f")])
    assert (len(alone.train), len(alone.dev)) == (2, 0)


def test_a_dev_file_leaves_train_whole(tmp_path: Path) -> None:
    dev = put(tmp_path / "dev.jsonl", question(500))
    found = splits(tmp_path, [question(1), question(2)], dev=ExamplesFile(path=dev))
    assert [[example.id for example in part] for part in (found.train, found.dev)] == [["q1", "q2"], ["q500"]]


def test_without_a_training_file_train_and_dev_are_empty(tmp_path: Path) -> None:
    data = DataConfig(eval=ExamplesFile(path=put(tmp_path / "eval.jsonl", question(1))))
    found = load_splits(data, "question", 17)
    assert (found.train, found.dev, len(found.eval)) == ((), (), 1)
