"""Data sets in the form of the Hugging Face hub, read from local folders; the hub itself is out of reach here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasets")
import datasets

from ragft.config import FieldNames
from ragft.config.knowledge import HubSource
from ragft.data.sources import Reading, SetAside, read_sources
from ragft.errors import DataError
from ragft.records import Document

ROWS = [{"key": "b", "name": "Bee", "body": "two", "year": 2}, {"key": "a", "name": None, "body": "one", "year": None}]
NAMES = {"id": "key", "title": "name", "text": "body", "metadata": ("year",)}
BOTH = (Document("a", "", "one"), Document("b", "Bee", "two", {"year": 2}))


def read(folder: Path | str, cache_dir: Path | None = None, **options: Any) -> Reading:
    source = HubSource.model_validate({"kind": "hub", "dataset": str(folder), **options})
    return read_sources([source], FieldNames(), cache_dir=cache_dir)


def fault(folder: Path | str, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(folder, **options)
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one split of JSON Lines."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return tmp_path / "data"


def test_a_folder_of_json_lines_gives_its_rows(folder: Path) -> None:
    assert read(folder, **NAMES) == Reading(BOTH, ())


def test_a_folder_of_parquet_gives_its_split(tmp_path: Path) -> None:
    made = datasets.Dataset.from_list(ROWS)
    made.to_parquet(str(tmp_path / "validation.parquet"))
    assert read(tmp_path, split="validation", **NAMES) == Reading(BOTH, ())
    assert "the data set cannot be read" in fault(tmp_path, split="nosuch", **NAMES).message


def test_a_saved_data_set_gives_its_rows_and_its_splits(tmp_path: Path) -> None:
    made = datasets.Dataset.from_list(ROWS)
    made.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"dev": made}).save_to_disk(str(tmp_path / "two"))
    assert read(tmp_path / "one", **NAMES) == Reading(BOTH, ())
    assert read(tmp_path / "two", split="dev", **NAMES) == Reading(BOTH, ())
    assert fault(tmp_path / "two", **NAMES).message == f"{tmp_path / 'two'}: no split 'train'; the splits are dev"


def test_rows_without_an_id_are_numbered_only_where_no_id_was_named(folder: Path) -> None:
    assert [document.id for document in read(folder, text="body").documents] == ["0", "1"]
    error = fault(folder, text="body", id="id")
    assert error.message == f"{folder}: no column 'id'; the columns are key, name, body, year"
    error = fault(folder, metadata=("yaer",))
    assert error.message == f"{folder}: no column 'text' and 'yaer'; the columns are key, name, body, year"


def test_a_limit_takes_the_first_rows(folder: Path) -> None:
    assert [document.id for document in read(folder, limit=1, **NAMES).documents] == ["b"]
    assert len(read(folder, limit=2, **NAMES).documents) == 2


def test_a_row_without_text_is_set_aside(folder: Path) -> None:
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, [*ROWS, {**ROWS[0], "body": None}])))
    assert read(folder, **NAMES).set_aside == (
        SetAside(f"{folder}: row 2", "no 'body' (the document's text); the row has key, name, body, year"),
    )


def test_a_folder_that_does_not_exist_and_a_hub_out_of_reach_are_errors(tmp_path: Path) -> None:
    assert fault(tmp_path / "gone").message == f"{tmp_path / 'gone'}: no such folder"
    error = fault("ragft-tests/no-such-data-set")
    assert error.message.startswith("ragft-tests/no-such-data-set: the data set cannot be read: ")
    assert "HF_HUB_OFFLINE=1" in (error.hint or "")


def test_a_script_in_the_folder_is_not_executed(folder: Path, tmp_path: Path) -> None:
    """Data sets used to bring a Python file of their own name, which was run."""
    mark = tmp_path / "executed"
    (folder / "data.py").write_text(f"open({str(mark)!r}, 'w')")
    assert "Dataset scripts are no longer supported" in fault(folder, **NAMES).message
    assert not mark.exists()


def test_a_data_set_that_breaks_off_is_an_error_and_not_a_smaller_one(folder: Path) -> None:
    (folder / "train.jsonl").write_text("\n".join([*map(json.dumps, ROWS), '{"key": ']))
    assert fault(folder, **NAMES).message.startswith(f"{folder}: the data set cannot be read")


def test_nothing_is_written_beside_a_folder_that_is_read(folder: Path, tmp_path: Path) -> None:
    read(folder, tmp_path / "cache", **NAMES)
    assert sorted(path.name for path in folder.rglob("*")) == ["train.jsonl"]


BARS = """
import sys
import datasets
from huggingface_hub.utils import tqdm
from ragft.config.knowledge import HubSource
from ragft.data.sources.hub import read_hub
real = datasets.load_dataset

def loads(*given, **named):
    list(tqdm([1, 2], desc="downloads"))
    return real(*given, **named)

datasets.load_dataset = loads
print(len(list(read_hub(HubSource(kind="hub", dataset=sys.argv[1]), None))))
assert not datasets.utils.are_progress_bars_disabled()
"""


def test_no_progress_bar_but_ours_reaches_the_terminal(tmp_path: Path) -> None:
    """The library shows bars for many files and for downloads, in the middle of ours and although the user said -q."""
    for number in range(40):
        (tmp_path / f"train-{number}.jsonl").write_text('{"text": "t"}')
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BARS, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert (found.stdout, found.stderr, found.returncode) == ("40\n", "", 0)
