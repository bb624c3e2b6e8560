"""The text of DOCX and PPTX files as Markdown, by python-docx and python-pptx: headings, paragraphs, tables, notes."""

from __future__ import annotations

import copy
import re
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from ragft.data.sources.extras import extra_module
from ragft.data.sources.found import UnreadableError, one_line
from ragft.data.sources.plain import Parsed, with_heading_as_title

OLD_OFFICE = bytes.fromhex("d0cf11e0a1b11ae1")
"""How files of the old binary formats begin, and new ones behind a password."""
STEP = 1 << 16
_HEADING_STYLE = re.compile(r"heading ([1-9])")


def parse_docx(raw: bytes, limit: int) -> Parsed:
    """Return a Word document as Markdown; a title or first heading at its start is its title.

    Headers, footers, footnotes and comments are left out.
    """
    docx = extra_module("docx", "office", "reading DOCX")
    check_unpacked_size(raw, limit)
    document = docx.Document(BytesIO(raw))
    return _parsed("\n\n".join(_blocks(document)))


def parse_pptx(raw: bytes, limit: int) -> Parsed:
    """Return a presentation as Markdown: slide by slide, titles as headings, tables, and the speaker's notes."""
    pptx = extra_module("pptx", "office", "reading PPTX")
    check_unpacked_size(raw, limit)
    slides = pptx.Presentation(BytesIO(raw)).slides
    return _parsed("\n\n".join(block for number, slide in enumerate(slides) for block in _slide(slide, number)))


def check_unpacked_size(raw: bytes, limit: int) -> None:
    """Raise UnreadableError where a ZIP file unpacks to more than `limit` bytes.

    What the file declares about its members is not believed: each is unpacked in small steps and counted, so a member
    that says 1 kB and holds 1 GB is found before a library asks for all of it at once.
    """
    if raw.startswith(OLD_OFFICE):
        raise UnreadableError("needs a password, or is of the old binary format (.doc, .ppt)")
    left = limit
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        for member in archive.infolist():
            undeclared = copy.copy(member)
            undeclared.file_size = left + STEP  # zipfile stops at the declared size
            with archive.open(undeclared) as file:
                while step := file.read(STEP):
                    left -= len(step)
                    if left < 0:
                        raise UnreadableError(f"unpacks to more than {limit / 1e6:g} MB (max_megabytes)")


def _parsed(markdown: str) -> Parsed:
    if not markdown.strip():
        raise UnreadableError("no text in the file")
    return with_heading_as_title(markdown)


def _blocks(container: Any) -> Iterator[str]:  # noqa: ANN401 - an object of python-docx
    """Yield the headings, paragraphs and tables of a document in their order."""
    for block in container.iter_inner_content():
        if hasattr(block, "rows"):
            yield _table(_cells(row) for row in block.rows)
        elif block.text.strip():
            yield _paragraph(block)


def _paragraph(paragraph: Any) -> str:  # noqa: ANN401
    style = (paragraph.style.name or "").lower() if paragraph.style is not None else ""
    heading = _HEADING_STYLE.match(style)
    text = str(paragraph.text).strip()
    if style == "title":
        return f"# {one_line(text)}"
    if heading:
        return f"{'#' * min(int(heading.group(1)), 6)} {one_line(text)}"
    return f"- {text}" if style.startswith("list") else text


def _cells(row: Any) -> list[str]:  # noqa: ANN401
    """Return the texts of a row's cells; python-docx names a merged cell once for each column that it covers."""
    texts: list[str] = []
    last = None
    for cell in row.cells:
        if cell._tc is not last:
            texts.append(one_line(" ".join(_blocks(cell))))
        last = cell._tc
    return texts


def _table(rows: Iterable[list[str]]) -> str:
    return "\n".join(" | ".join(cells) for cells in rows if any(cells))


def _slide(slide: Any, number: int) -> Iterator[str]:  # noqa: ANN401
    title = slide.shapes.title
    stated = one_line(title.text_frame.text) if title is not None else ""
    if stated:
        yield f"{'##' if number else '#'} {stated}"
    skip = title.shape_id if title is not None else None
    for shape in _shapes(slide.shapes):
        if shape.shape_id != skip:
            yield from filter(str.strip, _shape_texts(shape))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            yield f"Notes: {notes}"


def _shapes(shapes: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield the shapes of a slide, those inside groups too."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _shape_texts(shape: Any) -> Iterator[str]:  # noqa: ANN401
    if shape.has_text_frame:
        yield shape.text_frame.text.strip().replace("\v", "\n")
    if getattr(shape, "has_table", False):
        yield _table([one_line(cell.text) for cell in row.cells if not cell.is_spanned] for row in shape.table.rows)
