"""The text of PDF files, by pypdf.

pypdf is pure Python under a BSD licence, keeps its own limits on what a stream may unpack to (75 MB), and reads text in
the order of the content stream, which is the reading order in files that office programs write. pdfminer.six analyses
the layout and is some times slower; PyMuPDF is faster than both, but AGPL.
"""

from __future__ import annotations

from io import BytesIO

from ragft.data.sources.extras import extra_module, quiet
from ragft.data.sources.found import UnreadableError
from ragft.data.sources.plain import Parsed


def parse_pdf(raw: bytes, limit: int) -> Parsed:
    """Return the title and the text of a PDF, pages parted by an empty line.

    Args:
        raw: The file.
        limit: Characters of text at most: a small file can unpack to a huge text.
    """
    pypdf = extra_module("pypdf", "pdf", "reading PDF")
    with quiet("pypdf"):
        reader = pypdf.PdfReader(BytesIO(raw))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("needs a password")
        pages: list[str] = []
        length = 0
        for page in reader.pages:
            pages.append(page.extract_text().strip())
            length += len(pages[-1])
            if length > limit:
                raise UnreadableError(f"holds more than {limit / 1e6:g} MB of text (max_megabytes)")
        title = reader.metadata.title if reader.metadata else None
    if not length:
        raise UnreadableError(f"no text on its {len(pages)} pages; a scan needs text recognition (OCR) first")
    return Parsed(_worth_showing(title), "\n\n".join(page for page in pages if page))


def _worth_showing(title: object) -> str:
    """Return the title that the file states, or nothing where a program put the name of a file there."""
    stated = str(title or "").strip()
    names_a_file = stated.lower().startswith("microsoft word - ") or stated.lower().endswith(
        (".doc", ".docx", ".pdf", ".indd", ".tex", ".dvi", ".ppt", ".pptx", ".xls", ".xlsx")
    )
    return "" if names_a_file or stated.lower() in ("untitled", "(anonymous)") else stated
