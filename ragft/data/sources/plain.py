"""Text and Markdown: decoding, and the first heading as the title."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragft.data.sources.found import UnreadableError

_HEADING = re.compile(r"\s*#[ \t]+(.*?\S)(?:[ \t]+#+)?[ \t]*(?:\n|\Z)")
"""A first heading of level 1 with its text, less the `#` signs that may close it (`# C#` is about C#)."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file or a page holds: its title, empty where it has none, and its text."""

    title: str
    text: str


def decoded(raw: bytes) -> str:
    """Return UTF-8 text, with or without a byte order mark, its line ends as Unix writes them.

    Raises UnreadableError with the position of the first byte that is not UTF-8.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def with_heading_as_title(text: str) -> Parsed:
    """Return Markdown with a first heading of level 1 as its title and the rest as its text.

    A text that is nothing but its heading keeps it as text too: a document without text could not be found.
    """
    heading = _HEADING.match(text)
    if heading is None:
        return Parsed("", text)
    body = text[heading.end() :].strip()
    return Parsed(heading.group(1), body or heading.group(1))
