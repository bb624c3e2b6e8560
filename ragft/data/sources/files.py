"""Documents from files: one from each text, page, PDF and office file, many from the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ragft.config import FieldNames
from ragft.config.knowledge import FilesSource
from ragft.data.sources.bounded import read_limited
from ragft.data.sources.found import Found, Item, SetAside, UnreadableError, brief, new_document, one_line, printable
from ragft.data.sources.html import decoded_html, main_text
from ragft.data.sources.listing import ROW_SUFFIXES, list_files
from ragft.data.sources.office import parse_docx, parse_pptx
from ragft.data.sources.pdf import parse_pdf
from ragft.data.sources.plain import Parsed, decoded, with_heading_as_title
from ragft.data.sources.rows import Columns
from ragft.data.sources.tables import read_table
from ragft.errors import DataError


def read_files(source: FilesSource, fields: FieldNames) -> Iterator[Item]:
    """Yield the documents of a source; a file of a folder is named by its path in it, without the suffix."""
    root = source.path if source.path.is_dir() else source.path.parent
    limit = int(source.max_megabytes * 1e6)
    columns = _columns(source, fields)
    for file in list_files(source):
        if file.suffix.lower() in ROW_SUFFIXES:
            yield from read_table(file, columns, limit)
        else:
            yield _one(file, file.relative_to(root), limit)


def _columns(source: FilesSource, fields: FieldNames) -> Columns:
    named = "document_title" in fields.model_fields_set
    return Columns(
        id=fields.document_id,
        title=fields.document_title,
        text=fields.document_text,
        metadata=source.metadata,
        title_required=named,
        hint="data.fields maps foreign names",
    )


def _one(file: Path, relative: Path, limit: int) -> Item:
    where = printable(file)
    try:
        raw = read_limited(file, limit)
        parsed = _parsed(raw, file.suffix.lower(), limit)
        name = relative.with_suffix("").as_posix()
        title = parsed.title or one_line(name.rsplit("/", 1)[-1].replace("-", " ").replace("_", " "))
        return Found(where, new_document(name, title, parsed.text, {"source": relative.as_posix()}))
    except UnreadableError as error:
        return SetAside(where, str(error))


def _parsed(raw: bytes, suffix: str, limit: int) -> Parsed:
    """Return what a file holds; whatever a parser stumbles over is a reason to set this file aside, never a crash."""
    try:
        parsed = _parse(raw, suffix, limit)
    except (UnreadableError, DataError):
        raise
    except Exception as error:
        raise UnreadableError(f"not a readable {suffix[1:].upper()} file: {brief(error)}") from None
    if not parsed.text.strip():
        raise UnreadableError("the file is empty")
    return parsed


def _parse(raw: bytes, suffix: str, limit: int) -> Parsed:
    match suffix:
        case ".md" | ".markdown":
            return with_heading_as_title(decoded(raw))
        case ".html" | ".htm":
            return main_text(decoded_html(raw), or_all=True)
        case ".pdf":
            return parse_pdf(raw, limit)
        case ".docx":
            return parse_docx(raw, limit)
        case ".pptx":
            return parse_pptx(raw, limit)
        case _:
            return Parsed("", decoded(raw))
