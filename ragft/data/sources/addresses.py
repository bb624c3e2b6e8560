"""Addresses of web pages in one canonical spelling, which is the id of the page, and never with a password in it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import httpx

from ragft.data.sources.found import UnreadableError, printable

SCHEMES = ("http", "https")


def canonical(url: str) -> str:
    """Return an address in lower case where case does not count, without fragment, credentials and default port.

    Raises UnreadableError for what is no address of a web page.
    """
    return str(parsed(url).copy_with(username=None, password=None))


def parsed(url: str, base: str | None = None) -> httpx.URL:
    """Return an address in parts, without its fragment; `base` is the page that a relative one stands on."""
    try:
        whole = httpx.URL(base).join(url) if base else httpx.URL(url.strip())
        if whole.scheme not in SCHEMES:
            raise UnreadableError(f"only http and https are read, not {whole.scheme or 'an address without a scheme'}")
        if not whole.host:
            raise UnreadableError("the address names no host")
        if whole.port is not None and not 0 < whole.port < 1 << 16:
            raise UnreadableError(f"no port has the number {whole.port}")
        return whole.copy_with(fragment=None, path=whole.path or "/")
    except (httpx.InvalidURL, ValueError, TypeError):
        raise UnreadableError("not a valid address") from None


def shown_url(url: str) -> str:
    """Return an address as it may be shown and logged: without user name and password, even where it is broken."""
    try:
        return printable(canonical(url))
    except UnreadableError:
        head, at, rest = url.rpartition("@")
        scheme = head.split("//", 1)[0] + "//" if "//" in head else ""
        return printable(f"{scheme}{rest}" if at else url)


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Return (scheme, host, port), which decide whether two addresses are of one server."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}[url.scheme]


def last_part(url: str) -> str:
    """Return the last part of an address's path in words, or its host: the title of a page that states none."""
    parts = urlsplit(url)
    name = unquote(parts.path.rstrip("/").rsplit("/", 1)[-1]).rsplit(".", 1)[0]
    return name.replace("-", " ").replace("_", " ") or parts.netloc
