"""The rows of a source of examples, each with its place, from the readers that documents use too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

from ragft.config import DataConfig, ExamplesFile
from ragft.config.examples import ExamplesSource, HubExamples
from ragft.data.examples.cells import Cells
from ragft.data.examples.layout import Layout
from ragft.data.sources.found import SetAside, printable
from ragft.data.sources.listing import ROW_SUFFIXES
from ragft.data.sources.tables import read_rows
from ragft.errors import DataError

NO_LIMIT = 2**31 - 2
"""Bytes of the largest row: the csv module counts in 32 bits on some machines. The user's own labels need no other."""
DELIMITED = (".csv", ".tsv")


def example_files(data: DataConfig) -> list[Path]:
    """Return the files of this machine that the examples come from; those of a local data set are sorted."""
    later = (data.update.changed, data.update.unchanged) if data.update else ()
    sources = (data.train, data.dev, data.eval, *later)
    return [file for source in sources if source is not None for file in _files(source)]


def source_name(source: ExamplesSource) -> str:
    """Return what messages call a source: its file, or its data set."""
    return printable(source.path if isinstance(source, ExamplesFile) else source.dataset)


def example_rows(source: ExamplesSource, layout: Layout, cache_dir: Path | None) -> Iterator[Cells]:
    """Yield every row of a source.

    Raises DataError with the place of whatever is no row, for a file that does not exist, is empty or of an unknown
    kind, and for a data set that cannot be had.
    """
    match source:
        case ExamplesFile():
            yield from _rows_of_file(source.path, layout)
        case HubExamples():
            from ragft.data.sources.hub import hub_rows

            for where, row in hub_rows(source, cache_dir, "the section `data`", layout):
                yield Cells(where, row)
        case _:
            assert_never(source)


def _rows_of_file(path: Path, layout: Layout) -> Iterator[Cells]:
    where = printable(path)
    if not path.exists():
        raise DataError(f"{where}: no such file", "the section `data` names it; paths start at the experiment file")
    if path.is_dir():
        raise DataError(f"{where}: is a folder, expected a file of examples", "`kind: hub` reads folders of data sets")
    if path.suffix.lower() not in ROW_SUFFIXES:
        raise DataError(f"{where}: cannot read examples of this kind (known: {', '.join(ROW_SUFFIXES)})")
    textual = path.suffix.lower() in DELIMITED
    for row in read_rows(path, layout, NO_LIMIT):
        if isinstance(row, SetAside):
            raise DataError(f"{row.where}: {row.reason}")
        yield Cells(*row, textual=textual)


def _files(source: ExamplesSource) -> list[Path]:
    match source:
        case ExamplesFile():
            return [source.path]
        case HubExamples():
            from ragft.data.sources.hub import is_folder

            folder = Path(source.dataset)
            return sorted(file for file in folder.rglob("*") if file.is_file()) if is_folder(source) else []
        case _:
            assert_never(source)
