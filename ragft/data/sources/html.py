"""The main text of HTML, by trafilatura: without navigation, advertisements, scripts and styles."""

from __future__ import annotations

import codecs
import re

from ragft.data.sources.extras import extra_module, quiet
from ragft.data.sources.found import UnreadableError
from ragft.data.sources.plain import Parsed, decoded

DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
DECLARED_WITHIN = 2048
NO_PAGES_ENCODING = ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7", "undefined")
"""What Python decodes and no browser does: some take hours for a page that was made for it, others are escapes."""


def decoded_html(raw: bytes, charset: str | None = None) -> str:
    """Return HTML as text: UTF-8, or the encoding that the server or the page itself declares.

    Args:
        raw: The bytes of the page.
        charset: What the server says; wins over the page, as HTML prescribes.
    """
    found = DECLARED.search(raw[:DECLARED_WITHIN])
    in_page = found.group(1).decode() if found else "utf-8"
    if in_page.lower().startswith("utf-16"):  # it was read as ASCII, so it cannot be; HTML prescribes UTF-8
        in_page = "utf-8"
    declared = charset or in_page
    try:
        if raw.startswith(codecs.BOM_UTF8) or codecs.lookup(declared).name.replace("_", "-") in (
            "utf-8",
            *NO_PAGES_ENCODING,
        ):
            return decoded(raw)
        return raw.decode(declared)
    except LookupError:
        return decoded(raw)
    except (UnicodeDecodeError, ValueError):
        raise UnreadableError(f"not the {declared} text that the page declares") from None


def main_text(html: str, *, or_all: bool) -> Parsed:
    """Return the title and the main text of a page.

    Args:
        html: The page.
        or_all: Where no main text stands out, give all of the text: right for a file that someone chose, wrong for a
            page of the web, where it would be a cookie notice.
    """
    trafilatura = extra_module("trafilatura", "html", "reading HTML")
    if or_all and "<html" not in html.lower():  # trafilatura takes a short piece of HTML for no page at all
        html = f"<html><body>{html}</body></html>"
    with quiet("trafilatura", "htmldate", "courlan", "justext"):
        page = trafilatura.bare_extraction(html, with_metadata=True, include_comments=False, include_tables=True)
        title = page.title if page else None
        text = page.text if page else None
        if not text and or_all:
            text = trafilatura.html2txt(html)
    if not (text or "").strip():
        raise UnreadableError("no text in the page" if or_all else "no main text in the page")
    return Parsed(title or "", str(text))
