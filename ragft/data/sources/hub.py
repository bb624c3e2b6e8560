"""Documents from a data set of the Hugging Face hub or of a local folder: one for each row, by the library `datasets`.

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

from ragft.config.knowledge import HubSource
from ragft.data.sources.extras import extra_module, quiet
from ragft.data.sources.found import Item, brief, printable
from ragft.data.sources.rows import Columns
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
    where = printable(source.dataset)
    rows = _opened(source, cache_dir, where)
    columns = Columns(source.id, source.title, source.text, source.metadata)
    numbered = False
    try:
        for number, row in enumerate(islice(iter(rows), source.limit)):
            if number == 0:
                numbered = "id" not in source.model_fields_set and source.id not in row
                (replace(columns, id=columns.text) if numbered else columns).check(list(row), where)
            yield columns.item({**row, source.id: number} if numbered else row, f"{where}: row {number}")
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where}: the data set cannot be read: {brief(error)}", _hint(source)) from None


def _opened(source: HubSource, cache_dir: Path | None, where: str) -> Any:  # noqa: ANN401 - a data set, lazy or not
    datasets = extra_module("datasets", "hub", "reading a data set")
    folder = Path(source.dataset)
    is_local = _is_local(source)
    if is_local and not folder.is_dir():
        raise DataError(f"{where}: no such folder", "data.documents names it; paths start at the experiment file")
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


def _is_local(source: HubSource) -> bool:
    return Path(source.dataset).is_absolute() or source.dataset.startswith((".", "~"))


def _hint(source: HubSource) -> str | None:
    if _is_local(source):
        return None
    return "is the name right, and the hub within reach? HF_HUB_OFFLINE=1 reads only what was downloaded before"


def _saved(datasets: Any, source: HubSource) -> Any:  # noqa: ANN401
    saved = datasets.load_from_disk(source.dataset)
    if not hasattr(saved, "keys"):
        return saved
    if source.split not in saved:
        raise DataError(f"{source.dataset}: no split {source.split!r}; the splits are {', '.join(saved)}")
    return saved[source.split]


def _loaded(datasets: Any, source: HubSource, cache_dir: Path | None, *, is_local: bool) -> Any:  # noqa: ANN401
    """Return the rows of a data set: streamed where that saves a copy (a folder) or a download (a limit)."""
    streaming = is_local or source.limit is not None
    options: dict[str, Any] = {"split": source.split, "revision": source.revision, "streaming": streaming}
    if cache_dir is not None:
        options["cache_dir"] = str(cache_dir / "hub")
    return datasets.load_dataset(source.dataset, source.name, **options)
