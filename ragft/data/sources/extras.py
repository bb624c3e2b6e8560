"""The libraries that only some formats need: each belongs to an extra of the package and is imported when used."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ragft.errors import DataError


def extra_module(module: str, extra: str, purpose: str) -> Any:  # noqa: ANN401 - modules, some of them without types
    """Return an imported module; raises DataError with the pip line of its extra where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise DataError(f"{purpose} needs {missing}, which is not installed", f"pip install 'ragft[{extra}]'") from None


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Keep a library's warnings off the screen while it parses: what matters becomes a reason in the list."""
    levels = [(logger, logger.level) for logger in map(logging.getLogger, loggers)]
    for logger, _ in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels:
            logger.setLevel(level)
