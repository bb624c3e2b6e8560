"""Rows of a data set of the Hugging Face hub or of a local folder, and documents made of them, by `datasets`.

The library runs no code that comes with a data set: it dropped loading scripts with its version 4. What it makes of a
data set lies in the workspace. The files as they were downloaded lie where the hub's own library keeps everything that
is named by a Hub id, models too (`HF_HOME`), since it can put them nowhere else and other programs share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from ragft.config.examples import HubExamples
from ragft.config.knowledge import HubSource
from ragft.data.sources.extras import extra_module, quiet
from ragft.data.sources.found import Item, brief, printable
from ragft.data.sources.rows import Columns, Shape
from ragft.errors import DataError

SAVED = ("dataset_info.json", "dataset_dict.json")
"""Files in a folder that `save_to_disk` wrote; any other folder holds data files."""


def read_hub(source: HubSource, cache_dir: Path | None) -> Iterator[Item]:
    """Yield a document for each row, in the order of the data set; rows without an id or a text are set aside.

    Args:
        source: The data set.
        cache_dir: Folder for the data set as the library keeps it; the library's own when None.

    Raises:
        DataError: A data set, configuration or split that cannot be had, and unknown columns.
    """
    columns = Columns(source.id, source.title, source.text, source.metadata)
    numbered = False
    for number, (where, row) in enumerate(hub_rows(source, cache_dir, "data.documents")):
        if number == 0:
            numbered = "id" not in source.model_fields_set and source.id not in row
            checked = replace(columns, id=columns.text) if numbered else columns
            checked.check(list(row), printable(source.dataset))
        yield columns.item({**row, source.id: number} if numbered else row, where)


def hub_rows(
    source: HubSource | HubExamples, cache_dir: Path | None, key: str, shape: Shape | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a data set as (place, values); the place counts from row 0, as `datasets` does.

    Args:
        source: The data set; of documents with a limit the first rows are read, of examples all of them.
        cache_dir: Folder for the data set as the library keeps it; the library's own when None.
        key: Dotted key of the experiment file that names the data set, for hints.
        shape: What is looked at: other columns are not read, and labels that the data set keeps as numbers are given
            by name (`ClassLabel`; None for -1, no label). Without it rows are given as they are.

    Raises:
        DataError: A data set, configuration or split that cannot be had, and columns that the shape misses.
    """
    where = printable(source.dataset)
    first = source.limit if isinstance(source, HubSource) else None
    rows = _opened(source, cache_dir, where, key)
    try:
        labels = {} if shape is None else _labels(rows)
        rows = rows if shape is None else _narrowed(rows, shape, where)
        for number, row in enumerate(islice(iter(rows), first)):
            named = {column: _by_name(row[column], labels[column]) for column in labels if column in row}
            yield f"{where}: row {number}", {**row, **named}
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where}: the data set cannot be read: {brief(error)}", _hint(source)) from None


def _narrowed(rows: Any, shape: Shape, where: str) -> Any:  # noqa: ANN401 - a data set, lazy or not
    """Return the data set with the columns that are looked at, so that no picture or sound is ever decoded."""
    names = rows.column_names
    if names is None:  # a streamed file without a schema tells its columns only row by row
        return rows
    shape.check(names, where)
    return rows.select_columns(shape.chosen(names))


def _labels(rows: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the features of the columns that hold labels as numbers, alone or in lists."""
    features = dict(rows.features or {})
    return {name: feature for name, feature in features.items() if hasattr(_innermost(feature), "int2str")}


def _innermost(feature: Any) -> Any:  # noqa: ANN401 - a feature of the library
    inner = getattr(feature, "feature", None)
    return feature if inner is None else _innermost(inner)


def _by_name(value: Any, feature: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_by_name(item, feature) for item in value]
    if not isinstance(value, int):
        return value
    return _innermost(feature).int2str(value) if value >= 0 else None


def _opened(source: HubSource | HubExamples, cache_dir: Path | None, where: str, key: str) -> Any:  # noqa: ANN401
    """Return the data set, lazy or not."""
    datasets = extra_module("datasets", "hub", "reading a data set")
    folder = Path(source.dataset)
    is_local = is_folder(source)
    if is_local and not folder.is_dir():
        raise DataError(f"{where}: no such folder", f"{key} names it; paths start at the experiment file")
    try:
        with quiet("datasets", "huggingface_hub"), _without_bars(datasets):
            if is_local and any((folder / name).is_file() for name in SAVED):
                return _saved(datasets, source)
            return _loaded(datasets, source, cache_dir, is_local=is_local)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where}: the data set cannot be read: {brief(error)}", _hint(source)) from None


@contextmanager
def _without_bars(datasets: Any) -> Iterator[None]:  # noqa: ANN401
    """Keep the progress bars of the library, and of the downloads under it, off the screen: ragft has its own."""
    hub = extra_module("huggingface_hub.utils", "hub", "reading a data set")
    shown = [library for library in (datasets.utils, hub) if not library.are_progress_bars_disabled()]
    for library in shown:
        library.disable_progress_bars()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bars()


def is_folder(source: HubSource | HubExamples) -> bool:
    """Return whether a source names a folder of this machine instead of a Hub id."""
    return Path(source.dataset).is_absolute() or source.dataset.startswith((".", "~"))


def _hint(source: HubSource | HubExamples) -> str | None:
    if is_folder(source):
        return None
    return "is the name right, and the hub within reach? HF_HUB_OFFLINE=1 reads only what was downloaded before"


def _saved(datasets: Any, source: HubSource | HubExamples) -> Any:  # noqa: ANN401
    saved = datasets.load_from_disk(source.dataset)
    if not hasattr(saved, "keys"):
        return saved
    if source.split not in saved:
        raise DataError(f"{source.dataset}: no split {source.split!r}; the splits are {', '.join(saved)}")
    return saved[source.split]


def _loaded(
    datasets: Any,  # noqa: ANN401 - the module
    source: HubSource | HubExamples,
    cache_dir: Path | None,
    *,
    is_local: bool,
) -> Any:  # noqa: ANN401
    """Return the rows of a data set: streamed where that saves a copy (a folder) or a download (the first rows).

    A limit on examples saves none: they are a sample of all rows.
    """
    streaming = is_local or (isinstance(source, HubSource) and source.limit is not None)
    options: dict[str, Any] = {"split": source.split, "revision": source.revision, "streaming": streaming}
    if cache_dir is not None:
        options["cache_dir"] = str(cache_dir / "hub")
    return datasets.load_dataset(source.dataset, source.name, **options)
