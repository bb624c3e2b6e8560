"""Examples from JSON Lines: foreign names, faults at their line, samples that nest, and a dev split by groups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.config import DataConfig, ExamplesFile, FieldNames
from ragft.data.examples import Splits, load_examples, load_splits, sample
from ragft.errors import DataError
from ragft.records import Example

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
            f"the row has id, question, answers{HAS}",
        ),
        (
            {"id": 1, "question": "a?", "references": [" "]},
            "no 'references' (the acceptable answers) for an answerable example",
            f"the row has id, question, references{HAS}",
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
        ({"id": 1, "question": "a?", "references": ["x", 5]}, "'references' must be a list of strings", None),
        ({"id": 1, "question": "a?", "references": {"text": "x"}}, "'references' must be a list of strings", None),
        (
            {"id": 1, "question": "a?", "references": "x", "gold_document_ids": 0},
            "'gold_document_ids' must be a list of strings",
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


def test_an_empty_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    for path, message in [(put(tmp_path / "e.jsonl"), "the file is empty"), (tmp_path / "gone", "no such file")]:
        with pytest.raises(DataError) as caught:
            load(path)
        assert caught.value.message == f"{path}: {message}"


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
    assert set(small) <= set(large)
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
