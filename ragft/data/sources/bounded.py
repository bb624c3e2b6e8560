"""Opening files that a stranger may have written: only plain files, and never more bytes than the limit."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import IO

from ragft.data.sources.found import UnreadableError


def open_regular(file: Path) -> IO[bytes]:
    """Return a plain file opened for reading; raises UnreadableError for a pipe, which would wait for ever."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UnreadableError("not a regular file")
        return file.open("rb")
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None


def read_limited(file: Path, limit: int) -> bytes:
    """Return the bytes of a file; raises UnreadableError for one that is empty, too large, or cannot be read."""
    with open_regular(file) as stream:
        try:
            raw = stream.read(limit + 1)
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}") from None
    if len(raw) > limit:
        size = file.stat().st_size / 1e6
        raise UnreadableError(f"{size:.1f} MB, over the limit of {limit / 1e6:g} MB (max_megabytes)")
    if not raw.strip():
        raise UnreadableError("the file is empty")
    return raw
