"""JSON and JSON Lines on disk: reading with file and line in every error, writing that a crash cannot tear.

Standard library only. Knows nothing of what the rows mean.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ragft.errors import DataError

Row = dict[str, Any]


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield (line number, object) of a JSON Lines file; blank lines are passed over.

    Raises DataError as `file:line: what is wrong` for a missing file, text that is not UTF-8, broken JSON, and rows
    that are not objects.
    """
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        yield number, _row(line, f"{path}:{number}")


def _row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON: {error.msg} (column {error.colno})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise DataError(f"{where}: cannot be read: {error}") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected an object, found {type(row).__name__}")
    return row


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, with the number of the first line that is not UTF-8 in the error."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise DataError(f"{path}:{number}: not UTF-8 text", "save the file as UTF-8") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, expected a JSON Lines file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def plain(value: Any) -> Any:  # noqa: ANN401 - takes any record, gives any JSON value
    """Return `value` with dataclasses as dicts, paths as strings and tuples or sets as lists, ready for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    return str(value) if isinstance(value, Path) else value


def dumps(value: Any) -> str:  # noqa: ANN401
    """Return one line of JSON; NaN and infinities are refused, because other readers cannot parse them."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Write `text` whole or not at all: through a temporary file in the same folder and an atomic rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write one JSON value, indented, atomically."""
    write_text(path, json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write JSON Lines, atomically."""
    write_text(path, "".join(f"{dumps(row)}\n" for row in rows))


def append_row(path: Path, row: Any) -> None:  # noqa: ANN401
    """Append one line and wait until it is on the disk; after a crash at most the last line is torn."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{dumps(row)}\n")
        file.flush()
        os.fsync(file.fileno())


def read_journal(path: Path) -> list[Row]:
    """Return the rows of an append-only file, leaving out (and cutting off) a last line torn by a crash.

    Raises DataError as `file:line: what is wrong` for any other line that is not a JSON object.
    """
    if not path.exists():
        return []
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        os.truncate(path, len(whole))
    return [row for _, row in read_rows(path)]
