"""Rows of CSV, TSV, JSON, JSON Lines and Parquet files, read one after another where the format allows it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ragft.data.sources.bounded import open_regular, read_limited
from ragft.data.sources.extras import extra_module
from ragft.data.sources.found import Item, SetAside, UnreadableError, brief, printable
from ragft.data.sources.plain import decoded
from ragft.data.sources.rows import Columns, Row, Shape, column_of
from ragft.errors import DataError

PARQUET_ROWS_AT_ONCE = 256


def read_table(file: Path, columns: Columns, limit: int) -> Iterator[Item]:
    """Yield a document for each row of a file; a row, or the rest of a broken file, is set aside with its place.

    Args:
        file: A .csv, .tsv, .json, .jsonl or .parquet file.
        columns: What is read.
        limit: Largest row in bytes, and largest file where the format must be read whole (.json).

    Raises:
        DataError: Columns that the file does not have; a metadata field that no object of a JSON file has, at the end.
    """
    never_seen, fields = set(columns.metadata), dict[str, None]()
    for row in read_rows(file, columns, limit):
        if isinstance(row, SetAside):
            yield row
            continue
        where, values = row
        if never_seen:
            never_seen = {name for name in never_seen if column_of(name, values) is None}
            fields.update(dict.fromkeys(values))
        yield columns.item(values, where)
    if never_seen and fields:
        name = next(column for column in columns.metadata if column in never_seen)
        raise DataError(f"{printable(file)}: no column {name!r}; the columns are {', '.join(fields)}")


def read_rows(file: Path, shape: Shape, limit: int) -> Iterator[Row]:
    """Yield the rows of a file as (place, values), and in place of what cannot be read the reason.

    The place is `file:line`, or `file: row N` (from 1) in Parquet and in the list of a JSON file. A file without any
    row gives one reason: that it is empty.

    Args:
        file: A .csv, .tsv, .json, .jsonl or .parquet file.
        shape: Which columns there must be, and which are looked at.
        limit: Largest row in bytes, and largest file where the format must be read whole (.json).

    Raises:
        DataError: Columns that the file does not have.
    """
    where = printable(file)
    n_rows = 0
    try:
        for row in _rows(file, shape, limit, where):
            n_rows += 1
            yield row
        if n_rows == 0:
            raise UnreadableError("the file is empty")
    except UnreadableError as error:
        yield SetAside(where, str(error))
    except OSError as error:
        yield SetAside(where, f"cannot be read: {error.strerror or brief(error)}")


def _rows(file: Path, shape: Shape, limit: int, where: str) -> Iterator[Row]:
    match file.suffix.lower():
        case ".csv":
            return _csv(file, shape, limit, where, ",")
        case ".tsv":
            return _csv(file, shape, limit, where, "\t")
        case ".jsonl":
            return _json_lines(file, limit, where)
        case ".json":
            # Never more than the file has: reading sets that much memory aside at once.
            raw = read_limited(file, min(limit, file.stat().st_size))
            return _json_rows(decoded(raw), where, shape.marks)
        case _:
            return _parquet(file, shape, limit, where)


class _Lines:
    """The lines of a file as text for the csv module; remembers the first byte of the last rows that is not UTF-8."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.bad_byte: int | None = None

    def __iter__(self) -> Iterator[str]:
        offset = 0
        while line := self._stream.readline(self._limit + 1):
            if len(line) > self._limit:
                raise UnreadableError(f"a line is over the limit of {self._limit / 1e6:g} MB (max_megabytes)")
            encoding = "utf-8" if offset else "utf-8-sig"
            try:
                yield line.decode(encoding)
            except UnicodeDecodeError as error:
                self.bad_byte = offset + error.start if self.bad_byte is None else self.bad_byte
                yield line.decode(encoding, "replace")
            offset += len(line)


def _csv(file: Path, shape: Shape, limit: int, where: str, delimiter: str) -> Iterator[Row]:
    # The limit is the module's own state; it is only ever raised, since others may rely on theirs.
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    with open_regular(file) as stream:
        lines = _Lines(stream, limit)
        # Not strict, an unclosed quote would swallow the rest of the file into one text.
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        start = 1
        try:
            header = next(reader, None)
            if header is None:
                return
            _check_header(header, lines.bad_byte)
            shape.check(header, where)
            start = reader.line_num + 1
            for cells in reader:
                if cells:
                    yield _csv_row(header, cells, f"{where}:{start}", lines)
                start = reader.line_num + 1
        except csv.Error as error:
            yield SetAside(f"{where}:{start}", f"cannot be read from here on: {error}")


def _check_header(header: list[str], bad_byte: int | None) -> None:
    if bad_byte is not None:
        raise UnreadableError(f"not UTF-8 text (byte {bad_byte}); save the file as UTF-8")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UnreadableError(f"two columns are called {twice!r}")


def _csv_row(header: list[str], cells: list[str], where: str, lines: _Lines) -> Row:
    bad_byte, lines.bad_byte = lines.bad_byte, None
    if bad_byte is not None:
        return SetAside(where, f"not UTF-8 text (byte {bad_byte}); save the file as UTF-8")
    if len(cells) != len(header):
        return SetAside(where, f"the row has {len(cells)} cells and the header {len(header)}")
    return where, dict(zip(header, cells, strict=True))


def _json_lines(file: Path, limit: int, where: str) -> Iterator[Row]:
    with open_regular(file) as stream:
        number = offset = 0
        while line := stream.readline(limit + 1):
            number += 1
            place = f"{where}:{number}"
            if len(line) > limit:
                while line and not line.endswith(b"\n"):
                    offset += len(line)
                    line = stream.readline(limit + 1)
                yield SetAside(place, f"over the limit of {limit / 1e6:g} MB (max_megabytes)")
            elif line.strip():
                yield _json_line(line, place, offset)
            offset += len(line)


def _json_line(line: bytes, place: str, offset: int) -> Row:
    try:
        return _row(_loaded(line.decode("utf-8" if offset else "utf-8-sig").strip()), place)
    except UnicodeDecodeError as error:
        return SetAside(place, f"not UTF-8 text (byte {offset + error.start}); save the file as UTF-8")
    except UnreadableError as error:
        return SetAside(place, str(error))


def _json_rows(text: str, where: str, marks: Sequence[str]) -> Iterator[Row]:
    """Yield the objects of a JSON file: of its list, of the one list of objects in its object, or the object itself."""
    value = _loaded(text)
    if isinstance(value, dict) and any(column_of(mark, value) is not None for mark in marks):
        yield where, value
        return
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and any(isinstance(i, dict) for i in item)]
        value = lists[0] if len(lists) == 1 else None
    if not isinstance(value, list):
        raise UnreadableError(
            f"expected a list of objects, an object with one list of objects, or one with the field {marks[0]!r}"
        )
    for number, row in enumerate(value, start=1):
        yield _row(row, f"{where}: row {number}")


def _loaded(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise UnreadableError(f"not valid JSON: {error.msg} ({line}column {error.colno})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UnreadableError(f"cannot be read: {error}") from None


def _row(value: object, place: str) -> Row:
    if not isinstance(value, dict):
        return SetAside(place, f"expected an object, found {type(value).__name__}")
    return place, value


def _parquet(file: Path, shape: Shape, limit: int, where: str) -> Iterator[Row]:
    parquet = extra_module("pyarrow.parquet", "parquet", "reading Parquet")
    open_regular(file).close()
    try:
        table = parquet.ParquetFile(file)
        names = table.schema_arrow.names
    except Exception as error:
        raise UnreadableError(f"not a readable Parquet file: {brief(error)}") from None
    with table:
        _check_header(names, None)
        shape.check(names, where)
        yield from _parquet_rows(table, shape.chosen(names), limit, where)


def _parquet_rows(table: Any, chosen: list[str], limit: int, where: str) -> Iterator[Row]:  # noqa: ANN401 - pyarrow's
    batches = table.iter_batches(batch_size=PARQUET_ROWS_AT_ONCE, columns=chosen)
    number = 0
    while True:
        try:
            rows = next(batches).to_pylist()
        except StopIteration:
            return
        except Exception as error:  # a broken page, text that is not UTF-8
            raise UnreadableError(f"cannot be read from row {number + 1} on: {brief(error)}") from None
        for row in rows:
            number += 1
            place = f"{where}: row {number}"
            if sum(len(value) for value in row.values() if isinstance(value, str | bytes)) > limit:
                yield SetAside(place, f"over the limit of {limit / 1e6:g} MB (max_megabytes)")
            else:
                yield place, row
