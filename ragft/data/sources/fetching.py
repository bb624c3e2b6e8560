"""Pages over HTTP, politely and within limits: one request at a time, pauses, retries, redirects one by one."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ssl import SSLContext

import httpcore
import httpx

from ragft.config.knowledge import WebSource
from ragft.data.sources.addresses import origin, parsed
from ragft.data.sources.connecting import CheckedBackend, PrivateAddressError, Resolve, resolve
from ragft.data.sources.found import TooLargeError, UnreadableError, brief
from ragft.data.sources.page_cache import Page, PageCache
from ragft.data.sources.unpacking import body

MAX_REDIRECTS = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 120.0
"""A server that asks for a longer pause than this is not waited for."""
TRANSIENT = (httpcore.TimeoutException, httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
REDIRECTS = (301, 302, 303, 307, 308)
ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,text/plain;q=0.8,*/*;q=0.1"

Allow = Callable[[httpx.URL], None]
"""Raises UnreadableError for an address that must not be read."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A status with its headers; the body is read only of an answer that is a page."""

    status: int
    headers: httpx.Headers
    body: bytes


class StatusError(UnreadableError):
    """The server answered with a status that is no page."""

    def __init__(self, status: int, tries: int = 1) -> None:
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        again = f", {tries} times" if tries > 1 else ""
        super().__init__(f"the server answered {status} {phrase}".rstrip() + again)
        self.status = status


class Fetcher:
    """Fetches addresses for one source; `close` it, or use it in a `with`."""

    def __init__(
        self,
        source: WebSource,
        cache: PageCache | None,
        *,
        resolve: Resolve = resolve,
        ssl_context: SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source = source
        self._cache = cache
        self._sleep = sleep
        self._backend = CheckedBackend(allow_private=source.allow_private, resolve=resolve)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context, network_backend=self._backend, max_connections=4, keepalive_expiry=30.0
        )
        self._not_before: dict[tuple[str, str, int], float] = {}
        self.delays: dict[tuple[str, str, int], float] = {}
        """Seconds between two requests to one server, where its robots.txt asks for more than the source."""

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.close()

    def get(self, url: str, limit: int, allow: Allow = lambda url: None) -> Page:
        """Return the page at an address, following at most five redirects; each step is checked anew.

        Args:
            url: The address; credentials in it are sent to its own server only.
            limit: Largest body in bytes, unpacked.
            allow: Asked before each request, for each step of a redirect.

        Raises:
            UnreadableError: Anything that keeps this page from being read, retries included.
        """
        at = first = parsed(url)
        for _ in range(MAX_REDIRECTS + 1):
            allow(at)
            answer, kept = self._with_retries(at, first, limit)
            bare = str(at.copy_with(username=None, password=None))
            location = answer.headers.get("location")
            if answer.status in REDIRECTS and location:
                at = parsed(location, base=bare)
                continue
            if answer.status == HTTPStatus.NOT_MODIFIED and kept is not None:
                return kept
            if answer.status != HTTPStatus.OK:
                raise StatusError(answer.status)
            return self._keep(bare, answer)
        raise UnreadableError(f"more than {MAX_REDIRECTS} redirects")

    def _keep(self, url: str, answer: _Answer) -> Page:
        headers = answer.headers
        page = Page(
            url,
            headers.get("content-type", ""),
            answer.body,
            etag=headers.get("etag"),
            last_modified=headers.get("last-modified"),
        )
        if self._cache is not None:
            self._cache.put(page)
        return page

    def _with_retries(self, url: httpx.URL, first: httpx.URL, limit: int) -> tuple[_Answer, Page | None]:
        """Return the answer to one request, made again after a time-out, a lost connection, 429 and 5xx."""
        bare = str(url.copy_with(username=None, password=None))
        kept = self._cache.get(bare) if self._cache else None
        if kept is not None and len(kept.body) > limit:
            kept = None
        headers = self._headers(url, first, kept)
        tries = self._source.retries + 1
        for attempt in range(tries):
            pause = FIRST_PAUSE_S * 2**attempt
            try:
                answer = self._polite(url, headers, limit)
            except TRANSIENT as error:
                failure = UnreadableError(_why(error, self._source.timeout_s, attempt + 1))
            else:
                if answer.status != HTTPStatus.TOO_MANY_REQUESTS and answer.status < 500:
                    return answer, kept
                failure = StatusError(answer.status, attempt + 1)
                pause = _asked_pause(answer.headers.get("retry-after"), pause)
            if pause > LONGEST_PAUSE_S:
                raise UnreadableError(f"{failure}; it asks to wait {pause:.0f} s")
            if attempt + 1 < tries:
                self._sleep(pause)
        raise failure

    def _polite(self, url: httpx.URL, headers: list[tuple[str, str]], limit: int) -> _Answer:
        """Return the answer to one request, made when the server's pause is over."""
        server = origin(url)
        wait = self._not_before.get(server, 0.0) - time.monotonic()
        if wait > 0:
            self._sleep(wait)
        try:
            return self._request(url, headers, limit)
        except PrivateAddressError as error:
            raise UnreadableError(f"{error}; allow_private: true allows it") from None
        except TRANSIENT:
            raise
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise UnreadableError(f"no connection: {brief(error)}") from None
        finally:
            self._not_before[server] = time.monotonic() + max(self._source.delay_s, self.delays.get(server, 0.0))

    def _request(self, url: httpx.URL, headers: list[tuple[str, str]], limit: int) -> _Answer:
        timeout = self._source.timeout_s
        self._backend.deadline = time.monotonic() + timeout
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        waits = {"connect": timeout, "read": timeout, "write": timeout, "pool": timeout}
        with self._pool.stream("GET", target, headers=headers, extensions={"timeout": waits}) as response:
            found = httpx.Headers(response.headers)
            if response.status != HTTPStatus.OK:
                return _Answer(response.status, found, b"")
            declared = found.get("content-length", "")
            if declared.isdecimal() and int(declared) > limit:
                raise TooLargeError(f"{int(declared) / 1e6:.1f} MB, over the limit of {limit / 1e6:g} MB")
            chunks: Iterator[bytes] = response.iter_stream()
            return _Answer(response.status, found, body(chunks, found.get("content-encoding", ""), limit))

    def _headers(self, url: httpx.URL, first: httpx.URL, kept: Page | None) -> list[tuple[str, str]]:
        headers = [
            ("Host", url.netloc.decode("ascii")),
            ("User-Agent", self._source.user_agent),
            ("Accept", ACCEPT),
            ("Accept-Encoding", "gzip, deflate"),
        ]
        if kept is not None and kept.etag is not None:
            headers.append(("If-None-Match", kept.etag))
        if kept is not None and kept.last_modified is not None:
            headers.append(("If-Modified-Since", kept.last_modified))
        if first.username and origin(url) == origin(first):
            secret = base64.b64encode(f"{first.username}:{first.password}".encode()).decode("ascii")
            headers.append(("Authorization", f"Basic {secret}"))
        return headers


def _why(error: Exception, timeout_s: float, tries: int) -> str:
    again = f", {tries} times" if tries > 1 else ""
    if isinstance(error, httpcore.TimeoutException):
        return f"no answer within {timeout_s:g} s{again}"
    return f"the connection was lost{again}: {brief(error)}"


def _asked_pause(retry_after: str | None, otherwise: float) -> float:
    """Return the seconds that a server asks to wait, as a number or as a date, and never less than `otherwise`."""
    asked = 0.0
    if retry_after and retry_after.strip().isdecimal():
        asked = float(retry_after)
    elif retry_after:
        with contextlib.suppress(ValueError, TypeError):
            when = parsedate_to_datetime(retry_after)
            asked = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
    return max(asked, otherwise)
