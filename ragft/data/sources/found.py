"""What reading a source gives: documents with the place where each stands, and what was set aside and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ragft.errors import DataError
from ragft.records import Document, Scalar

SHOWN_REASONS = 5
REASON_LENGTH = 300

_NEVER_IN_TEXT = re.compile("[\x00\ud800-\udfff]")
"""NUL, and halves of surrogate pairs: neither can be written as UTF-8 text to a store or a file."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What moves a terminal's cursor, breaks a line, or is not a character at all."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """One document that could not be read: where it stands and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """One document and the place where it stands, as `file`, `file:line` or an address."""

    where: str
    document: Document


Item = Found | SetAside


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that the sources gave: the documents, sorted by id, and what was set aside, in reading order."""

    documents: tuple[Document, ...]
    set_aside: tuple[SetAside, ...]


class UnreadableError(Exception):
    """One document cannot be read; the message is the reason. Stays inside this package: it becomes a SetAside."""


class TooLargeError(UnreadableError):
    """What was to be read is larger than it may be."""


def check_failures(reading: Reading, max_failures: float) -> None:
    """Raise DataError with the first reasons when more was set aside than allowed, or when no document was read.

    Args:
        reading: What the sources gave.
        max_failures: `index.max_failures`: below 1 a share of everything that was seen, else a number.
    """
    failed, seen = len(reading.set_aside), len(reading.set_aside) + len(reading.documents)
    if not reading.documents:
        raise DataError(_with_reasons("no document could be read", reading), "mend the sources in data.documents")
    allowed = max_failures * seen if max_failures < 1 else max_failures
    if failed > allowed:
        limit = f"{max_failures:.0%} of them" if 0 < max_failures < 1 else f"{max_failures:g}"
        message = f"{failed} of {seen} documents could not be read, and index.max_failures allows {limit}"
        raise DataError(_with_reasons(message, reading), "mend them, leave them out, or raise index.max_failures")


def _with_reasons(message: str, reading: Reading) -> str:
    shown = [f"  {item.where}: {item.reason}" for item in reading.set_aside[:SHOWN_REASONS]]
    more = len(reading.set_aside) - len(shown)
    rest = [f"  and {more} more"] if more > 0 else []
    return "\n".join([f"{message}:" if shown else message, *shown, *rest])


def new_document(id_: str, title: str, text: str, metadata: Mapping[str, Scalar] | None = None) -> Document:
    """Return a document whose parts can be stored and shown; raises UnreadableError for an id that could not.

    The id is refused, not mended, where it holds control characters: examples name documents by it, and two mended ids
    could become one. In text and metadata, what UTF-8 cannot hold becomes U+FFFD; a title with line breaks or control
    characters becomes one line.
    """
    control = _CONTROL.search(id_)
    if control:
        raise UnreadableError(f"the id {ascii(id_[:80])} holds a control character (U+{ord(control.group()):04X})")
    values = {key: clean(value) if isinstance(value, str) else value for key, value in (metadata or {}).items()}
    return Document(id_, one_line(title) if _CONTROL.search(title) else title, clean(text), values)


def clean(text: str) -> str:
    """Return the text with U+FFFD for what UTF-8 cannot hold: NUL and lone halves of surrogate pairs."""
    return _NEVER_IN_TEXT.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return the text in one line, with single spaces and without control characters."""
    return " ".join(_CONTROL.sub(" ", text).split())


def printable(text: object) -> str:
    r"""Return a path or an address as it may be shown: control characters are written out, as in `\x1b`."""
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], str(text))


def brief(error: BaseException) -> str:
    """Return what an error of a library says, in one line of at most 300 characters."""
    said = one_line(str(error))
    return f"{type(error).__name__}: {said}"[:REASON_LENGTH] if said else type(error).__name__
