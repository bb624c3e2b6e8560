"""Documents from web pages: the main text of each, fetched politely, within limits, and only from public addresses."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from fnmatch import fnmatchcase
from pathlib import Path

from ragft.config.knowledge import WebSource
from ragft.data.sources.addresses import canonical, last_part, shown_url
from ragft.data.sources.extras import extra_module
from ragft.data.sources.fetching import Fetcher
from ragft.data.sources.found import Found, Item, SetAside, UnreadableError, brief, new_document, one_line
from ragft.data.sources.html import decoded_html, main_text
from ragft.data.sources.page_cache import Page, PageCache
from ragft.data.sources.plain import Parsed, with_heading_as_title
from ragft.data.sources.robots import Robots
from ragft.data.sources.sitemaps import listed_pages
from ragft.errors import DataError

HTML = ("text/html", "application/xhtml+xml")
TEXT = ("text/plain", "text/markdown")

__all__ = ["read_web", "shown_url"]


def read_web(source: WebSource, cache_dir: Path | None, fetcher: Fetcher | None = None) -> Iterator[Item]:
    """Yield a document for each page, its canonical address as its id; pages that cannot be read are set aside.

    Args:
        source: The pages and sitemaps.
        cache_dir: Folder in which pages are kept between runs: what has not changed is not sent again.
        fetcher: Makes the requests; one of the source's own when None.
    """
    extra_module("trafilatura", "web", "reading web pages")
    cache = PageCache(cache_dir / "web") if cache_dir else None
    limit = int(source.max_megabytes * 1e6)
    with fetcher or Fetcher(source, cache) as open_fetcher:
        robots = Robots(open_fetcher, source.user_agent)
        for entry in _entries(source, open_fetcher, robots):
            yield entry if isinstance(entry, SetAside) else _page(entry, open_fetcher, robots, limit)


def _entries(source: WebSource, fetcher: Fetcher, robots: Robots) -> Iterator[str | SetAside]:
    """Yield at most `max_pages` addresses, each page once, and the sitemaps that were set aside."""
    seen: set[str] = set()
    for entry in _all_entries(source, fetcher, robots):
        if not isinstance(entry, SetAside):
            name = shown_url(entry)
            if name in seen:
                continue
            seen.add(name)
        yield entry
        if len(seen) == source.max_pages:
            return


def _all_entries(source: WebSource, fetcher: Fetcher, robots: Robots) -> Iterator[str | SetAside]:
    yield from source.urls
    for entry in listed_pages(source.sitemaps, lambda url, limit: fetcher.get(url, limit, robots.allow)):
        wanted = isinstance(entry, SetAside) or not source.include
        if wanted or any(fnmatchcase(shown_url(str(entry)), pattern) for pattern in source.include):
            yield entry


def _page(url: str, fetcher: Fetcher, robots: Robots, limit: int) -> Item:
    where = shown_url(url)
    try:
        page = fetcher.get(url, limit, robots.allow)
        parsed = _parsed(page)
        title = parsed.title or one_line(last_part(page.url))
        return Found(where, new_document(canonical(url), title, parsed.text, {"source": page.url}))
    except UnreadableError as error:
        return SetAside(where, str(error))


def _parsed(page: Page) -> Parsed:
    """Return the title and text of a page; a parser's stumbling is a reason to set this page aside, never a crash."""
    header = Message()
    header["content-type"] = page.content_type or "unknown/unknown"
    kind, charset = header.get_content_type(), header.get_content_charset()
    if kind not in HTML + TEXT:
        raise UnreadableError(
            f"not a page of text: the server sends {one_line(page.content_type) or 'no content type'}"
        )
    if not page.body.strip():
        raise UnreadableError("the page is empty")
    try:
        text = decoded_html(page.body, charset)
        if kind in HTML:
            return main_text(text, or_all=False)
        return with_heading_as_title(text) if kind == "text/markdown" else Parsed("", text)
    except (UnreadableError, DataError):
        raise
    except Exception as error:
        raise UnreadableError(f"not a readable page: {brief(error)}") from None
