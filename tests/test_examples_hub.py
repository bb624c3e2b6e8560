"""Examples from data sets in the form of the Hugging Face hub, read from local folders; the hub is out of reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasets")
import datasets

from ragft.config import DataConfig, FieldNames
from ragft.config.examples import HubExamples
from ragft.data.examples import load_splits
from ragft.errors import DataError
from ragft.records import Example

ROWS: list[dict[str, Any]] = [
    {"id": "a", "question": "Who?", "answers": {"text": ["Ada"], "answer_start": [0]}, "extra": 1},
    {"id": "b", "question": "When?", "answers": {"text": ["1911", "in 1911"], "answer_start": [3, 0]}, "extra": 2},
]
SQUAD = FieldNames(input="question", references="answers.text")
BOTH = (Example("a", "Who?", ("Ada",)), Example("b", "When?", ("1911", "in 1911")))


def load(
    folder: Path, fields: FieldNames = SQUAD, columns: tuple[str, ...] = (), **options: Any
) -> tuple[Example, ...]:
    source = HubExamples.model_validate({"kind": "hub", "dataset": str(folder), **options})
    return load_splits(DataConfig(eval=source, fields=fields), "input", 17, columns=columns).eval


def fault(folder: Path, fields: FieldNames = SQUAD, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        load(folder, fields, **options)
    return caught.value


@pytest.mark.parametrize("kind", ["saved", "splits", "parquet", "jsonl"])
def test_each_kind_of_local_data_set_gives_the_same_examples(tmp_path: Path, kind: str) -> None:
    made = datasets.Dataset.from_list(ROWS)
    match kind:
        case "saved":
            made.save_to_disk(str(tmp_path / "set"))
        case "splits":
            datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "set"))
        case "parquet":
            (tmp_path / "set").mkdir()
            made.to_parquet(str(tmp_path / "set" / "train.parquet"))
        case _:
            (tmp_path / "set").mkdir()
            (tmp_path / "set" / "train.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    assert load(tmp_path / "set") == BOTH
    assert load(tmp_path / "set", columns=("extra",))[1].columns == {"extra": 2}


def test_labels_kept_as_numbers_are_given_by_name(tmp_path: Path) -> None:
    """A model asked for 2 where the people who labelled said `sports` would be measured on a guess."""
    names = datasets.ClassLabel(names=["world", "sports"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names, "tags": datasets.List(names)})
    rows = {"text": ["a", "b"], "label": [1, 0], "tags": [[0, 1], [1]]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "set"))
    found = load(tmp_path / "set", FieldNames(input="text", references="label"))
    assert [(example.id, example.references) for example in found] == [("1", ("sports",)), ("2", ("world",))]
    tagged = load(tmp_path / "set", FieldNames(input="text", references="tags"))
    assert [example.references for example in tagged] == [("world", "sports"), ("sports",)]


def test_a_row_without_a_label_is_an_error_and_not_the_last_label(tmp_path: Path) -> None:
    """Data sets write -1 for the labels of a hidden test split, which as an index is the last name."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, -1]}, features=features)
    made.save_to_disk(str(tmp_path / "set"))
    error = fault(tmp_path / "set", FieldNames(input="text", references="label"))
    assert error.message == (
        f"{tmp_path / 'set'}: row 1: no 'label' (the acceptable answers) for an answerable example"
    )


def test_pairs_of_languages_are_read_by_dotted_names(tmp_path: Path) -> None:
    features = datasets.Features({"translation": datasets.Translation(languages=["en", "es"])})
    made = datasets.Dataset.from_dict({"translation": [{"en": "sea", "es": "mar"}]}, features=features)
    made.save_to_disk(str(tmp_path / "set"))
    fields = FieldNames(input="translation.en", references="translation.es")
    assert load(tmp_path / "set", fields) == (Example("1", "sea", ("mar",)),)


def test_a_limit_is_a_sample_of_all_rows_and_not_the_first_ones(tmp_path: Path) -> None:
    rows = [{"input": f"{n}?", "references": "x"} for n in range(30)]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "set"))
    found = [int(example.id) for example in load(tmp_path / "set", FieldNames(), limit=10)]
    assert len(found) == 10
    assert found == sorted(found)
    assert max(found) > 10


def test_columns_that_nothing_reads_are_never_decoded(tmp_path: Path) -> None:
    """Pictures and sounds would need libraries that nobody who reads the texts has to have."""
    features = datasets.Features({"input": datasets.Value("string"), "references": datasets.Value("string")})
    rows = {"input": ["a?"], "references": ["x"], "picture": [{"bytes": b"no picture", "path": None}]}
    made = datasets.Dataset.from_dict(rows, features=datasets.Features({**features, "picture": datasets.Image()}))
    made.save_to_disk(str(tmp_path / "set"))
    assert load(tmp_path / "set", FieldNames()) == (Example("1", "a?", ("x",)),)


def test_faults_of_a_data_set_name_the_set_and_the_row_as_the_library_counts_it(tmp_path: Path) -> None:
    datasets.Dataset.from_list([*ROWS, {**ROWS[0], "id": "c", "question": None}]).save_to_disk(str(tmp_path / "set"))
    error = fault(tmp_path / "set")
    assert error.message == f"{tmp_path / 'set'}: row 2: no 'question' (the example's input)"
    error = fault(tmp_path / "set", FieldNames(input="query"))
    assert error.message == f"{tmp_path / 'set'}: no column 'query'; the columns are id, question, answers, extra"
    error = fault(tmp_path / "gone")
    assert error.message == f"{tmp_path / 'gone'}: no such folder"
    assert error.hint == "the section `data` names it; paths start at the experiment file"
    datasets.Dataset.from_list(ROWS[:1] * 2).save_to_disk(str(tmp_path / "twice"))
    error = fault(tmp_path / "twice")
    assert error.message == f"{tmp_path / 'twice'}: row 1: example id 'a' stands twice in this data set"
