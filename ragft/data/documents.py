"""Documents from folders of text and Markdown files and from JSON Lines, each with a unique id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ragft import jsonl
from ragft.config import FieldNames, FilesSource
from ragft.errors import DataError
from ragft.records import Document

TEXT_SUFFIXES = (".txt", ".md", ".markdown")
SUFFIXES = (*TEXT_SUFFIXES, ".jsonl")

_HEADING = re.compile(r"\s*#[ \t]+(.*?\S)(?:[ \t]+#+)?[ \t]*(?:\n|\Z)")
"""A first heading of level 1 with its text, less the `#` signs that may close it (`# C#` is about C#)."""


def load_documents(sources: Sequence[FilesSource], fields: FieldNames) -> list[Document]:
    """Return every document of every source, sorted by id.

    Raises DataError for a missing or empty source, a document without text, and two documents with one id.
    """
    seen: dict[str, str] = {}
    documents: list[Document] = []
    for source in sources:
        for document, where in _read_source(source, fields):
            if document.id in seen:
                raise DataError(f"{where}: document id {document.id!r} stands already at {seen[document.id]}")
            seen[document.id] = where
            documents.append(document)
    return sorted(documents, key=lambda document: document.id)


def source_files(sources: Iterable[FilesSource]) -> list[Path]:
    """Return the files that the sources read, sorted; raises DataError where a source gives none."""
    return sorted({file for source in sources for file in _files(source)})


def _files(source: FilesSource) -> list[Path]:
    path = source.path
    if not path.exists():
        raise DataError(
            f"{path}: no such file or folder", "data.documents names it; paths start at the experiment file"
        )
    named = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    files = [path] if path.is_file() else sorted(file for file in named if not file.is_dir())
    if not files:
        raise DataError(f"{path}: no documents in this folder (looked for {', '.join(SUFFIXES)})")
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: cannot read documents of this kind (known: {', '.join(SUFFIXES)})")
    return files


def _read_source(source: FilesSource, fields: FieldNames) -> Iterator[tuple[Document, str]]:
    """Yield (document, where it stands); files of a folder are named by their path in it, without the suffix."""
    root = source.path if source.path.is_dir() else source.path.parent
    for file in _files(source):
        if file.suffix.lower() == ".jsonl":
            yield from _read_jsonl(file, fields)
        else:
            name = file.relative_to(root).with_suffix("").as_posix()
            yield _read_text(file, name), str(file)


def _read_jsonl(file: Path, fields: FieldNames) -> Iterator[tuple[Document, str]]:
    number = 0
    for number, row in jsonl.read_rows(file):
        where = f"{file}:{number}"
        id_, text = row.get(fields.document_id), row.get(fields.document_text)
        if not isinstance(id_, str | int) or id_ == "":
            raise DataError(f"{where}: no {fields.document_id!r} (the document's id)", _fields_hint(row))
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: no {fields.document_text!r} (the document's text)", _fields_hint(row))
        yield Document(str(id_), str(row.get(fields.document_title) or ""), text), where
    if number == 0:
        raise DataError(f"{file}: the file is empty")


def _fields_hint(row: jsonl.Row) -> str:
    return f"the row has {', '.join(row)}; data.fields maps foreign names"


def _read_text(file: Path, name: str) -> Document:
    """Return a text or Markdown file as a document; a Markdown file's first heading is its title."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text (byte {error.start})", "save the file as UTF-8") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None
    if not text.strip():
        raise DataError(f"{file}: the file is empty")
    heading = _HEADING.match(text) if file.suffix.lower() != ".txt" else None
    if heading is None:
        return Document(name, name.rsplit("/", 1)[-1].replace("-", " ").replace("_", " "), text)
    body = text[heading.end() :].strip()
    return Document(name, heading.group(1), body or heading.group(1))
