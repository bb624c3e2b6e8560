"""Asking a server over HTTP with JSON: retries, pauses, deadlines, and errors that never hold the key.

Knows nothing of what is asked: embeddings and chat completions are read by those who ask for them.
"""

from __future__ import annotations

import contextlib
import email.utils
import itertools
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx

from ragft.errors import RagftError

LONGEST_PAUSE_S = 60.0
"""Longest pause between two attempts, also where the server asks for a longer one."""

_PASSING = frozenset({408, 409, 425, 429})
"""Refusals that may pass, beside every fault of the server (5xx): time-outs and too many requests."""

_SPENT = "insufficient_quota"
"""What OpenAI's own server says with a 429 that no pause ends."""

T = TypeVar("T")


class UnansweredError(Exception):
    """A request that may be answered when it is made again: the server was busy, slow or broken."""

    def __init__(self, problem: str, retry_after: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_after = retry_after


class RefusedError(RagftError):
    """A request that the server will not answer however often it is made; `code` is the server's own word for it."""

    def __init__(self, message: str, hint: str, status: int, code: str | None) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class Endpoint:
    """One address of a server that is sent JSON, from several threads at once.

    The key is sent as `Authorization: Bearer` and stands in no error, even where the server repeats it; no more does a
    password in the address. A request ends after `timeout_s` in all, also where the server sends a byte now and then.
    """

    def __init__(
        self,
        base: str,
        path: str,
        *,
        api_key: str | None,
        timeout_s: float,
        hint: Callable[[int], str],
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        given = _url(base)
        self._url = given.copy_with(username=None, password=None, path=given.path.rstrip("/") + path)
        self._key = _checked(api_key)
        self._secrets = [secret for secret in (self._key, given.password) if secret]
        self._auth = httpx.BasicAuth(given.username, given.password) if given.username or given.password else None
        self._timeout_s, self._hint = timeout_s, hint
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait  # ends at once when another request has failed
        self._tls: ssl.SSLContext | bool = httpx.create_ssl_context() if given.scheme == "https" else True
        self._lock = threading.Lock()
        self._idle: list[_Line] = []
        self._busy: list[_Line] = []

    @property
    def address(self) -> str:
        """Where requests go, without a name or password that the address may hold."""
        return str(self._url.copy_with(query=None))

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called, and `resume` not since."""
        return self._stopped.is_set()

    def pause(self, seconds: float) -> None:
        """Return after some seconds, or at once after `stop`."""
        self._sleep(seconds)

    def resume(self) -> None:
        """Let requests be made again after `stop`."""
        self._stopped.clear()

    def stop(self) -> None:
        """End every pause and every request that is under way, and let no other one begin."""
        self._stopped.set()
        with self._lock:
            for line in self._busy:
                line.cut()

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.client.close()

    def answered(
        self,
        body: Mapping[str, Any],
        read: Callable[[httpx.Response], T],
        *,
        attempts: int,
        turn: Callable[[], object] = lambda: None,
        again: Callable[[], bool] = lambda: True,
    ) -> T:
        """Return what `read` makes of the server's answer; what may pass is asked again after growing pauses.

        `read` is given a good answer of which only the headers are read, and raises UnansweredError for a broken one.
        `turn` is called before each attempt, and waits where requests have to; no attempt is made unless `again` says
        so. Raises UnansweredError after the last attempt, and RefusedError at once for a refusal that stays one.
        """
        for attempt in itertools.count(1):
            try:
                turn()
                with self._opened(body) as response:
                    return read(response)
            except UnansweredError as error:
                if attempt == attempts or self.is_stopped or not again():
                    tries = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise UnansweredError(f"{error.problem}{tries}") from None
                self._sleep(pause_before(attempt + 1, error.retry_after))
        raise AssertionError("itertools.count ends never")

    def excerpt(self, text: str) -> str:
        """Return the beginning of what a server said, in one line and without the key."""
        return self.without_key(" ".join(text.split()))[:300] or "nothing"

    def without_key(self, text: str) -> str:
        """Return a text without the key: servers repeat a wrong one in what they say about it."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    @contextmanager
    def _opened(self, body: Mapping[str, Any]) -> Iterator[httpx.Response]:
        """Yield a good answer while its body can be read; what goes wrong before or while it is, becomes an error."""
        if self.is_stopped:
            raise UnansweredError("stopped")
        line = self._take()
        watch = threading.Timer(self._timeout_s, line.cut)
        watch.daemon = True
        watch.start()
        try:
            with line.client.stream("POST", self._url, content=_encoded(body), extensions=line.extensions) as response:
                self._check(response)
                yield response
            if line.is_cut:  # a body whose end is that of the connection looks whole
                raise httpx.ReadError("cut")
        except httpx.TimeoutException:
            raise self._overdue() from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._overdue() if line.is_cut else self._broken(error) from None
        finally:
            watch.cancel()
            self._put_back(line)

    def _overdue(self) -> UnansweredError:
        return UnansweredError("stopped" if self.is_stopped else f"no answer within {self._timeout_s:g} s")

    def _broken(self, error: Exception) -> UnansweredError:
        said = self.without_key(str(error)) or type(error).__name__
        if isinstance(error, httpx.ConnectError):
            return UnansweredError(f"cannot be reached: {said}")
        return UnansweredError(f"the answer broke off: {said}")

    def _check(self, response: httpx.Response) -> None:
        """Raise UnansweredError or RefusedError unless the status is one of success."""
        if response.is_success:
            return
        try:
            response.read()
            said = response.text
        except httpx.RequestError:  # the status says enough
            said = ""
        code = _code(said)
        problem = f"HTTP {response.status_code}: {self.excerpt(said)}"
        passes = response.status_code in _PASSING or response.status_code >= 500
        if passes and code != _SPENT:
            raise UnansweredError(problem, response.headers.get("retry-after"))
        raise RefusedError(f"{self.address}: {problem}", self._hint(response.status_code), response.status_code, code)

    def _take(self) -> _Line:
        with self._lock:
            line = self._idle.pop() if self._idle else self._line()
            self._busy.append(line)
        return line

    def _line(self) -> _Line:
        headers = {"Content-Type": "application/json"}
        if self._key and self._auth is None:
            headers["Authorization"] = f"Bearer {self._key}"
        return _Line(httpx.Client(headers=headers, auth=self._auth, timeout=self._timeout_s, verify=self._tls))

    def _put_back(self, line: _Line) -> None:
        with self._lock:
            self._busy.remove(line)
            if not line.is_cut:
                self._idle.append(line)
        if line.is_cut:
            line.client.close()


class _Line:
    """A connection for one request at a time, which another thread can cut.

    The time-outs of HTTP clients are between two bytes: a server that sends one byte a minute would hold a request for
    ever. Shutting the socket down wakes whoever waits for it.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.is_cut = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def extensions(self) -> dict[str, Any]:
        """What a request has to carry, so that its socket is known here."""
        return {"trace": self._trace}

    def cut(self) -> None:
        """End the request that is under way, and any after it."""
        with self._lock:
            self.is_cut = True
            self._shut()

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.is_cut:
                    self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed already
                # Not SSLSocket.shutdown, which takes the encryption away from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Pace:
    """Lets requests begin at such distances that no minute holds more than it may; for several threads.

    A minute holds `per_minute` requests that weigh 1 each, or as many as weigh that much together.
    """

    def __init__(
        self,
        per_minute: float | None,
        sleep: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._sleep, self._clock = sleep, clock
        self._next = float("-inf")
        self._lock = threading.Lock()

    def wait(self, weight: float = 1.0) -> None:
        """Return when the caller's turn has come; the next one comes later the more this one weighs."""
        with self._lock:
            now = self._clock()
            begins = max(now, self._next)
            self._next = begins + weight * self._gap_s
        if begins > now:
            self._sleep(begins - now)


def pause_before(attempt: int, retry_after: str | None) -> float:
    """Return the seconds to wait before an attempt (2, 3, ...).

    What the server asks for (`Retry-After`, in seconds or as a date), else 0.5 s doubled at each attempt, and up to a
    quarter more by chance, so that requests refused together do not come back together. At most `LONGEST_PAUSE_S`.
    """
    asked = _seconds(retry_after)
    pause = 0.5 * 2 ** min(attempt - 2, 16) * (1 + random.random() / 4) if asked is None else asked
    return min(max(pause, 0.0), LONGEST_PAUSE_S)


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None:
        return None
    if retry_after.strip().replace(".", "", 1).isdecimal():
        return float(retry_after)
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


def _url(base: str) -> httpx.URL:
    """Return the base address of a server; RagftError for what is none."""
    wanted = "the endpoint must be the base address of a server, such as http://localhost:8000/v1"
    try:
        url = httpx.URL(base.strip())
    except httpx.InvalidURL:
        raise RagftError(f"the endpoint is no address: {wanted}") from None
    if url.scheme not in ("http", "https") or not url.host:
        shown = str(url.copy_with(username=None, password=None, query=None))
        raise RagftError(f"the endpoint {shown!r} names no server that speaks http:// or https://", wanted)
    return url


def _checked(api_key: str | None) -> str | None:
    """Return a key as it is sent; RagftError for one that no header can carry, which others would show in theirs.

    A line break at its end comes from the file that it was read from, and is no part of it.
    """
    key = api_key.strip() if api_key else None
    if key and not (key.isascii() and key.isprintable()):
        raise RagftError(
            "the api_key holds a character that cannot be sent: a line break, or a letter outside ASCII",
            "check the environment variable that it comes from",
        )
    return key or None


def _encoded(body: Mapping[str, Any]) -> bytes:
    """Return a request as JSON; half of a character outside the basic plane, which UTF-8 cannot write, becomes `?`."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _code(said: str) -> str | None:
    """Return the server's own word for what is wrong, where it gives one as OpenAI's server does."""
    try:
        code = json.loads(said)["error"]["code"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) else None
