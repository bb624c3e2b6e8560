"""What the robots.txt of each server allows, read once for each server (RFC 9309)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.robotparser import RobotFileParser

import httpx

from ragft.data.sources.addresses import origin
from ragft.data.sources.fetching import Fetcher, StatusError
from ragft.data.sources.found import UnreadableError

LARGEST = 512_000
"""Bytes of a robots.txt; the standard asks readers for at least 500 KiB."""
LONGEST_DELAY_S = 60.0
"""A server that asks for a longer pause between pages is not read: a list of pages would take days."""

Rules = Callable[[str], str | None]
"""From an address to the reason why it must not be read, or None."""


class Robots:
    """The rules of every server that was met; asks each for its robots.txt once."""

    def __init__(self, fetcher: Fetcher, user_agent: str) -> None:
        self._fetcher = fetcher
        self._user_agent = user_agent
        self._rules: dict[tuple[str, str, int], Rules] = {}

    def allow(self, url: httpx.URL) -> None:
        """Raise UnreadableError for an address that its server's robots.txt refuses."""
        server = origin(url)
        if server not in self._rules:
            self._rules[server] = self._read(url)
        reason = self._rules[server](str(url.copy_with(username=None, password=None)))
        if reason:
            raise UnreadableError(reason)

    def _read(self, url: httpx.URL) -> Rules:
        """Return the rules of a server: none where it has no robots.txt (4xx), everything refused where it fails."""
        try:
            page = self._fetcher.get(str(url.copy_with(path="/robots.txt", query=None)), LARGEST)
        except StatusError as error:
            if error.status < 500 and error.status != 429:
                return lambda address: None
            failure = f"its robots.txt cannot be read: {error}"
            return lambda address: failure
        except UnreadableError as error:
            failure = str(error)  # the page itself would fail in the same way
            return lambda address: failure
        return self._parsed(page.body, origin(url))

    def _parsed(self, raw: bytes, server: tuple[str, str, int]) -> Rules:
        parser = RobotFileParser()
        parser.parse(raw.decode("utf-8-sig", "replace").splitlines())
        delay = float(str(parser.crawl_delay(self._user_agent) or 0))
        if delay > LONGEST_DELAY_S:
            return lambda address: f"robots.txt asks for {delay:g} s between pages"
        self._fetcher.delays[server] = delay
        agent = self._user_agent
        return lambda address: None if parser.can_fetch(agent, address) else "robots.txt refuses it"
