"""General text in files of the user's: plain files, or JSON Lines with a field `text`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ragft import jsonl
from ragft.errors import DataError


def general_texts(paths: Sequence[Path], key: str) -> Iterator[tuple[str, str]]:
    """Yield (id, text): one for each plain file, one for each row of a JSON Lines file.

    `key` names what holds the paths, for errors. Raises DataError for a row without text and a file that is none.
    """
    for path in paths:
        if path.suffix == ".jsonl":
            for number, row in jsonl.read_rows(path):
                if not isinstance(row.get("text"), str):
                    raise DataError(f"{path}:{number}: no 'text'", f"the row has {', '.join(row)}")
                yield f"{path.name}:{number}", row["text"]
        else:
            yield path.name, _plain(path, key)


def _plain(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})", "convert the file to UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", f"correct {key}") from None
