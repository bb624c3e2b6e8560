"""Addresses of databases: a relative SQLite file starts at the experiment file, like every other path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationInfo

from ragft.config.sections import FilePath

_SQLITE_FILE = re.compile(r"sqlite(?:\+\w+)?:///(?:file:)?(?=[^?])")
_PATH: TypeAdapter[Path] = TypeAdapter(FilePath)


def relative_part(address: str) -> int | None:
    """Return where the relative path of a SQLite file begins in an address, None where there is none."""
    found = _SQLITE_FILE.match(address)
    if found is None:
        return None
    path, _, options = address[found.end() :].partition("?")
    if path == ":memory:" or "mode=memory" in options.split("&") or Path(path).is_absolute():
        return None
    return found.end()


def _anchored_database(address: str, info: ValidationInfo) -> str:
    start = relative_part(address)
    if start is None:
        return address
    path, mark, options = address[start:].partition("?")
    anchored = _PATH.validate_python(path, context=info.context)
    return f"{address[:start]}{anchored}{mark}{options}"


DatabaseUrl = Annotated[str, AfterValidator(_anchored_database)]
"""SQLAlchemy's address of a database; the loader makes the path of a SQLite file absolute."""
