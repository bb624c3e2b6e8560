"""The addresses that sitemaps list, sitemap indexes and packed ones included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from xml.parsers import expat

from ragft.data.sources.addresses import canonical, shown_url
from ragft.data.sources.found import SetAside, UnreadableError
from ragft.data.sources.page_cache import Page
from ragft.data.sources.unpacking import GZIP, gunzipped

LARGEST = 50_000_000
"""Bytes of one sitemap, unpacked: the protocol's own limit."""
DEEPEST = 3
"""A sitemap, an index of sitemaps, and an index of those."""
MOST = 500
"""Sitemaps that are read for one source."""
LONGEST_ADDRESS = 2048

Fetch = Callable[[str, int], Page]


def listed_pages(sitemaps: Sequence[str], fetch: Fetch) -> Iterator[str | SetAside]:
    """Yield the addresses of pages in the order of the sitemaps, and each sitemap that cannot be read, set aside.

    Lazy: an index is read only as far as pages are asked for.
    """
    left = [(url, 1) for url in reversed(sitemaps)]
    seen: set[str] = set()
    while left:
        url, depth = left.pop()
        try:
            name = canonical(url)
            if name in seen:
                continue
            seen.add(name)
            if len(seen) > MOST:
                raise UnreadableError(f"more than {MOST} sitemaps")
            pages, inner = _read(fetch(url, LARGEST))
            if inner and depth == DEEPEST:
                raise UnreadableError(f"sitemap indexes inside each other, more than {DEEPEST} deep")
        except UnreadableError as error:
            yield SetAside(shown_url(url), f"sitemap: {error}")
            if len(seen) > MOST:
                return
            continue
        left.extend((address, depth + 1) for address in reversed(inner))
        yield from pages


def _read(page: Page) -> tuple[list[str], list[str]]:
    raw = gunzipped(page.body, LARGEST) if page.body.startswith(GZIP) else page.body
    reader = _Reader()
    try:
        reader.parser.Parse(raw, True)
    except (expat.ExpatError, ValueError) as error:
        raise UnreadableError(f"not valid XML: {error}") from None
    if not reader.known:
        raise UnreadableError("neither a sitemap nor an index of sitemaps")
    return reader.pages, reader.sitemaps


class _Reader:
    """Collects `loc` of `url` and of `sitemap`; that of an image stands inside `image`."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.sitemaps: list[str] = []
        self.known = False
        self._path: list[str] = []
        self._text: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _doctype(self, *declared: object) -> None:
        raise UnreadableError("declares a document type, which no sitemap needs")  # entities grow without bounds

    def _start(self, name: str, attributes: object) -> None:
        self._path.append(name)
        self._text.clear()
        self.known |= len(self._path) == 1 and _local(name) in ("urlset", "sitemapindex")

    def _characters(self, text: str) -> None:
        if sum(map(len, self._text)) < LONGEST_ADDRESS:
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._path.pop()
        parent = self._path[-1] if self._path else ""
        if _local(name) == "loc":
            target = {"url": self.pages, "sitemap": self.sitemaps}.get(_local(parent))
            if target is not None:
                target.append("".join(self._text).strip())
        self._text.clear()


def _local(name: str) -> str:
    return name.rsplit(" ", 1)[-1]
