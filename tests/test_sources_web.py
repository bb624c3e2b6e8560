"""Web pages from a site on this machine: main text, politeness, limits, retries, the cache, sitemaps."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trafilatura")
from web_site import Reply, Site, serving

from ragft.config import FieldNames
from ragft.config.knowledge import WebSource
from ragft.data.sources import Reading, SetAside, read_sources
from ragft.data.sources.fetching import Fetcher
from ragft.data.sources.found import Found, Item, UnreadableError
from ragft.data.sources.page_cache import PageCache
from ragft.data.sources.unpacking import gunzipped
from ragft.data.sources.web import read_web
from ragft.errors import DataError

GREEN = "The lighthouse of Aldmoor is green. It was built in 1911, and below it live many otters, as every child knows."


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


def source(*urls: str, **options: Any) -> WebSource:
    quick = {"delay_s": 0.0, "timeout_s": 5.0, "allow_private": True}
    return WebSource.model_validate({"kind": "web", "urls": urls, **quick, **options})


def read(source: WebSource, cache_dir: Path | None = None) -> Reading:
    return read_sources([source], FieldNames(), cache_dir=cache_dir)


def items(source: WebSource, pauses: list[float], cache_dir: Path | None = None) -> list[Item]:
    """Read with a clock that does not wait: the pauses are kept instead."""
    cache = PageCache(cache_dir / "web") if cache_dir else None
    return list(read_web(source, None, Fetcher(source, cache, sleep=pauses.append)))


def reason(source: WebSource) -> str:
    (item,) = items(source, [])
    assert isinstance(item, SetAside), item
    return item.reason


def test_a_page_is_its_main_text_with_its_title_and_its_canonical_address(site: Site) -> None:
    html = f"""<html><head><title>The harbour of Aldmoor</title><script>steal()</script></head><body>
    <nav><a href="/">Home</a> <a href="/shop">Buy our postcards today</a></nav>
    <main><article><h1>The harbour of Aldmoor</h1><p>{GREEN}</p></article></main>
    <footer>All rights reserved</footer></body></html>"""
    site.put("/a/harbour", Reply(html.encode(), headers={"Content-Type": "text/html"}))
    reading = read(source(f"HTTP://127.0.0.1:{site.port}/a/./harbour#top"))
    (document,) = reading.documents
    assert document.id == site.url("/a/harbour")
    assert document.title == "The harbour of Aldmoor"
    assert GREEN in document.text
    for noise in ("postcards", "rights reserved", "steal"):
        assert noise not in document.text
    assert document.metadata == {"source": site.url("/a/harbour")}
    assert reading.set_aside == ()


def test_text_and_markdown_are_taken_whole(site: Site) -> None:
    site.put("/notes/tide-table.txt", Reply(b"High at six.", headers={"Content-Type": "text/plain"}))
    site.put("/b.md", Reply(b"# Tides\n\nLow at noon.", headers={"Content-Type": "text/markdown; charset=utf-8"}))
    markdown, text = read(source(site.url("/notes/tide-table.txt"), site.url("/b.md"))).documents
    assert (text.title, text.text) == ("tide table", "High at six.")
    assert (markdown.title, markdown.text) == ("Tides", "Low at noon.")


def test_the_charset_of_the_server_is_believed_and_a_wrong_one_is_a_reason(site: Site) -> None:
    site.put("/latin", Reply("Çédille".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"}))
    site.put("/wrong", Reply("Çé".encode("latin-1"), headers={"Content-Type": "text/plain; charset=utf-8"}))
    reading = read(source(site.url("/latin"), site.url("/wrong")))
    assert [document.text for document in reading.documents] == ["Çédille"]
    assert [item.reason for item in reading.set_aside] == ["not UTF-8 text (byte 0); save the file as UTF-8"]


def test_what_is_no_page_of_text_is_set_aside_with_its_reason(site: Site) -> None:
    bare = "text/html"
    site.put("/image", Reply(b"\x89PNG", headers={"Content-Type": "image/png"}))
    site.put("/untyped", Reply(b"text"))
    site.put("/empty", Reply(b" \n", headers={"Content-Type": bare}))
    site.put("/no-text", Reply(b"<html><body><img src=x></body></html>", headers={"Content-Type": bare}))
    assert reason(source(site.url("/image"))) == "not a page of text: the server sends image/png"
    assert reason(source(site.url("/untyped"))) == "not a page of text: the server sends no content type"
    assert reason(source(site.url("/empty"))) == "the page is empty"
    assert reason(source(site.url("/no-text"))) == "no main text in the page"
    assert reason(source(site.url("/gone"))) == "the server answered 404 Not Found"


def test_robots_txt_decides_for_this_reader_and_is_asked_once(site: Site) -> None:
    rules = b"User-agent: ragft\nDisallow: /secret\n\nUser-agent: *\nDisallow: /\n"
    site.put("/robots.txt", Reply(rules, headers={"Content-Type": "text/plain"}))
    open_page, secret = site.page("/open", GREEN), site.page("/secret/plan", GREEN)
    reading = read(source(open_page, secret))
    assert [document.id for document in reading.documents] == [open_page]
    assert reading.set_aside == (SetAside(secret, "robots.txt refuses it"),)
    assert site.asked == ["/robots.txt", "/open"]
    assert reason(source(open_page, user_agent="other")) == "robots.txt refuses it"


def test_a_robots_txt_that_fails_refuses_and_one_that_is_missing_allows(site: Site) -> None:
    page = site.page("/a", GREEN)
    site.put("/robots.txt", Reply(status=503))
    assert (
        reason(source(page, retries=0)) == "its robots.txt cannot be read: the server answered 503 Service Unavailable"
    )
    site.put("/robots.txt", Reply(status=403))
    assert len(read(source(page)).documents) == 1


def test_the_longer_of_the_delay_and_the_crawl_delay_is_kept_between_pages(site: Site) -> None:
    pages = [site.page(f"/{n}", GREEN) for n in range(3)]
    pauses: list[float] = []
    items(source(*pages, delay_s=2.0), pauses)
    assert [round(pause) for pause in pauses] == [2, 2, 2]  # robots.txt, then three pages
    site.put("/robots.txt", Reply(b"User-agent: *\nCrawl-delay: 7\n", headers={"Content-Type": "text/plain"}))
    pauses.clear()
    items(source(*pages, delay_s=2.0), pauses)
    assert [round(pause) for pause in pauses] == [2, 7, 7]
    site.put("/robots.txt", Reply(b"User-agent: *\nCrawl-delay: 86400\n", headers={"Content-Type": "text/plain"}))
    assert reason(source(pages[0])) == "robots.txt asks for 86400 s between pages"


def test_429_and_5xx_are_asked_again_with_growing_pauses_and_then_set_aside(site: Site) -> None:
    page = site.page("/busy", GREEN)
    site.pages["/busy"] = [Reply(status=500), Reply(status=503), *site.pages["/busy"]]
    pauses: list[float] = []
    (item,) = items(source(page, retries=2), pauses)
    assert isinstance(item, Found)
    assert pauses == [1.0, 2.0]
    site.put("/busy", Reply(status=503))
    assert reason(source(page, retries=2)) == "the server answered 503 Service Unavailable, 3 times"
    assert reason(source(page, retries=0)) == "the server answered 503 Service Unavailable"
    site.asked.clear()
    site.put("/busy", Reply(status=404))
    reason(source(page, retries=2))
    assert site.asked.count("/busy") == 1


def test_retry_after_is_kept_in_seconds_and_as_a_date_up_to_a_limit(site: Site) -> None:
    page = site.page("/busy", GREEN)
    good = site.pages["/busy"]
    pauses: list[float] = []
    for asked, expected in (("9", 9), (format_datetime(datetime.now(UTC) + timedelta(seconds=30)), 30), ("soon", 1)):
        site.pages["/busy"] = [Reply(status=429, headers={"Retry-After": asked}), *good]
        pauses.clear()
        items(source(page), pauses)
        assert pauses == [pytest.approx(expected, abs=2.5)]
    site.put("/busy", Reply(status=429, headers={"Retry-After": "3600"}))
    assert reason(source(page)) == "the server answered 429 Too Many Requests; it asks to wait 3600 s"


def test_a_server_that_drips_cannot_hold_the_reader_beyond_the_timeout(site: Site) -> None:
    """Every byte arrives within the time-out; only the whole takes too long."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    site.put("/slow", Reply(send=drip))
    began = time.monotonic()
    assert reason(source(site.url("/slow"), timeout_s=0.4, retries=1)) == "no answer within 0.4 s, 2 times"
    assert time.monotonic() - began < 3


def test_a_lost_connection_is_tried_again(site: Site) -> None:
    page = site.page("/lost", GREEN)

    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    site.pages["/lost"] = [Reply(send=hang_up), *site.pages["/lost"]]
    (item,) = items(source(page), [])
    assert isinstance(item, Found)


@pytest.mark.parametrize("packed", ["", "gzip", "deflate", "raw"])
def test_the_size_limit_counts_unpacked_bytes(site: Site, packed: str) -> None:
    def pack(body: bytes) -> bytes:
        match packed:
            case "gzip":
                return gzip.compress(body)
            case "deflate":
                return zlib.compress(body)
            case "raw":
                return zlib.compress(body)[2:-4]
        return body

    encoding = {"Content-Encoding": {"raw": "deflate"}.get(packed, packed)} if packed else {}
    headers = {"Content-Type": "text/plain", **encoding}
    site.put("/fits", Reply(pack(b"a" * 1_000_000), headers=headers))
    site.put("/bomb", Reply(pack(b"a" * 1_000_001), headers=headers))
    reading = read(source(site.url("/fits"), site.url("/bomb"), max_megabytes=1))
    assert [len(document.text) for document in reading.documents] == [1_000_000]
    assert "over the limit of 1 MB" in reading.set_aside[0].reason


def test_a_packed_bomb_never_stands_in_memory_whole() -> None:
    """100 MB in 100 kB, in one piece: unpacked and then measured, it would already be too late."""
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match="over the limit of 1 MB"):
            gunzipped(bomb, 1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_a_body_without_declared_length_is_stopped_at_the_limit(site: Site) -> None:
    sent: list[int] = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
        for _ in range(3000):
            handler.wfile.write(b"x" * 10_000)
            sent.append(10_000)

    site.put("/endless", Reply(send=endless))
    assert reason(source(site.url("/endless"), max_megabytes=0.1)) == "over the limit of 0.1 MB (max_megabytes)"
    assert sum(sent) < 20_000_000


def test_an_unasked_packing_is_refused(site: Site) -> None:
    site.put("/br", Reply(b"x", headers={"Content-Type": "text/plain", "Content-Encoding": "br"}))
    assert reason(source(site.url("/br"))) == "the answer is packed as 'br', which was not asked for"
    site.put(
        "/cut", Reply(gzip.compress(b"x" * 99)[:-9], headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"})
    )
    assert reason(source(site.url("/cut"))) == "the packed answer is cut off"


def test_a_page_that_has_not_changed_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    page = site.page("/a", GREEN, ETag='"v1"')
    first = read(source(page), tmp_path)
    again = read(source(page), tmp_path)
    assert again == first
    assert [headers.get("If-None-Match") for headers in site.headers] == [None, None, None, '"v1"']
    site.page("/a", GREEN.replace("green", "white"), ETag='"v2"')
    assert "white" in read(source(page), tmp_path).documents[0].text
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_torn_page_of_the_cache_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    page = site.page("/a", GREEN, ETag='"v1"')
    first = read(source(page), tmp_path)
    (kept,) = tmp_path.rglob("*.page")
    kept.write_bytes(kept.read_bytes()[:-5])
    assert read(source(page), tmp_path) == first
    assert site.headers[-1].get("If-None-Match") is None


def test_redirects_are_followed_and_the_id_stays_the_address_that_was_asked_for(site: Site) -> None:
    site.page("/new", GREEN)
    old = site.put("/old", Reply(status=301, headers={"Location": "/new"}))
    (document,) = read(source(old)).documents
    assert (document.id, document.metadata["source"]) == (old, site.url("/new"))
    loop = site.put("/loop", Reply(status=302, headers={"Location": "/loop"}))
    assert reason(source(loop)) == "more than 5 redirects"
    out = site.put("/out", Reply(status=302, headers={"Location": "file:///etc/passwd"}))
    assert reason(source(out)) == "only http and https are read, not file"


def sitemap(*urls: str, of: str = "url") -> Reply:
    root = {"url": "urlset", "sitemap": "sitemapindex"}[of]
    listed = "".join(f"<{of}><loc> {url} </loc><lastmod>2026-01-01</lastmod></{of}>" for url in urls)
    image = '<url><i:image xmlns:i="http://www.google.com/schemas/sitemap-image/1.1"><i:loc>http://x/i.png</i:loc></i:image></url>'
    body = f'<?xml version="1.0"?><{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{listed}{image}</{root}>'
    return Reply(body.encode(), headers={"Content-Type": "application/xml"})


def test_sitemaps_and_packed_ones_behind_an_index_list_the_pages(site: Site) -> None:
    a, b, c = (site.page(f"/{name}", GREEN) for name in "abc")
    packed = sitemap(b, c)
    packed.body = gzip.compress(packed.body)
    one, two = site.put("/one.xml", sitemap(a, b)), site.put("/two.xml.gz", packed)
    index = site.put("/index.xml", sitemap(one, two, of="sitemap"))
    assert [d.id for d in read(source(sitemaps=[index])).documents] == [a, b, c]
    assert [d.id for d in read(source(sitemaps=[index], include=["*/b", "*/c"])).documents] == [b, c]
    assert [d.id for d in read(source(c, sitemaps=[index], max_pages=2)).documents] == [a, c]


def test_a_sitemap_that_cannot_be_read_is_set_aside_and_one_that_lists_itself_ends(site: Site) -> None:
    page = site.page("/a", GREEN)
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><urlset><url><loc>&a;</loc></url></urlset>'
    site.put("/bomb.xml", Reply(bomb, headers={"Content-Type": "application/xml"}))
    site.put("/html.xml", Reply(b"<html/>"))
    site.put("/broken.xml", Reply(b"<urlset>"))
    itself = site.put("/self.xml", sitemap(site.url("/self.xml"), of="sitemap"))
    names = ("/bomb.xml", "/html.xml", "/broken.xml", "/gone.xml")
    reading = read(source(page, sitemaps=[*map(site.url, names), itself]))
    assert [item.where for item in reading.set_aside] == [site.url(name) for name in names]
    assert [item.reason.split(":")[1].strip() for item in reading.set_aside] == [
        "declares a document type, which no sitemap needs",
        "neither a sitemap nor an index of sitemaps",
        "not valid XML",
        "the server answered 404 Not Found",
    ]
    site.put("/none.xml", sitemap())
    with pytest.raises(DataError, match=r"/none.xml: the source gives no documents"):
        read(source(sitemaps=[site.url("/none.xml")]))


def test_indexes_inside_each_other_end_at_the_third(site: Site) -> None:
    page = site.page("/a", GREEN)
    last = site.put("/0.xml", sitemap(page))
    for depth in range(1, 4):
        last = site.put(f"/{depth}.xml", sitemap(last, of="sitemap"))
    assert len(read(source(sitemaps=[site.url("/2.xml")])).documents) == 1
    (item,) = read(source(sitemaps=[site.url("/3.xml")])).set_aside
    assert item == SetAside(site.url("/1.xml"), "sitemap: sitemap indexes inside each other, more than 3 deep")


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "utf-7", "hex", "nonesuch"])
def test_an_encoding_that_no_browser_knows_is_passed_over(site: Site, charset: str) -> None:
    r"""Python's punycode would need hours for a page made for it, and unicode_escape makes a control of \x1b."""
    html = f"<html><body><article><p>{GREEN} \\x1b[31m {'a9' * 1000}-b9b9b9</p></article></body></html>"
    for served, page in ((f"text/html; charset={charset}", html), ("text/html", f"<meta charset={charset}>{html}")):
        address = site.put("/a", Reply(page.encode(), headers={"Content-Type": served}))
        (document,) = read(source(address)).documents
        assert "\\x1b[31m" in document.text


def test_utf_16_that_a_page_declares_in_ascii_is_utf_8(site: Site) -> None:
    html = f'<html><head><meta charset="utf-16"></head><body><article><p>{GREEN} é</p></article></body></html>'
    address = site.put("/a", Reply(html.encode(), headers={"Content-Type": "text/html"}))
    assert "é" in read(source(address)).documents[0].text


def test_what_is_kept_is_readable_by_its_owner_alone_and_leaves_no_half(site: Site, tmp_path: Path) -> None:
    read(source(site.page("/a", GREEN, ETag='"1"')), tmp_path)
    (kept,) = (tmp_path / "web").iterdir()
    assert (kept.suffix, kept.stat().st_mode & 0o777) == (".page", 0o600)
