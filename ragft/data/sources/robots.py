"""What the robots.txt of each server allows, read once for each server (RFC 9309)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import httpx

from ragft.data.sources.addresses import origin
from ragft.data.sources.fetching import Fetcher, StatusError
from ragft.data.sources.found import TooLargeError, UnreadableError

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
        except TooLargeError:
            too_large = f"its robots.txt is larger than {LARGEST // 1000} kB"
            return lambda address: too_large
        except UnreadableError as error:
            failure = str(error)  # the page itself would fail in the same way
            return lambda address: failure
        return self._parsed(page.body, origin(url))

    def _parsed(self, raw: bytes, server: tuple[str, str, int]) -> Rules:
        group = read_rules(raw.decode("utf-8-sig", "replace"), self._user_agent)
        if group.delay_s > LONGEST_DELAY_S:
            return lambda address: f"robots.txt asks for {group.delay_s:g} s between pages"
        self._fetcher.delays[server] = group.delay_s
        return lambda address: None if group.allows(address) else "robots.txt refuses it"


@dataclass(frozen=True, slots=True)
class Group:
    """What a robots.txt says to one reader: patterns that it may and may not read, and the seconds between pages."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay_s: float = 0.0

    def allows(self, address: str) -> bool:
        """Return whether an address may be read: the longest pattern decides, and allows where two are as long."""
        path = unquote(httpx.URL(address).raw_path.decode("ascii"))
        fitting = [(len(pattern), allowed) for pattern, allowed in self.rules if _fits(pattern, path)]
        return max(fitting, default=(0, True))[1]


def read_rules(text: str, user_agent: str) -> Group:
    """Return what a robots.txt says to a reader: the groups of its name together, else those for everybody.

    By RFC 9309, which urllib.robotparser is older than: it takes the first rule instead of the longest, and a `*` or
    `$` in a pattern for itself.
    """
    name = user_agent.split("/")[0].split()[0].lower() if user_agent.split("/")[0].strip() else ""
    groups: dict[str, list[tuple[str, str]]] = {}
    agents: list[str] = []
    names_agents = False
    for line in text.splitlines():
        key, colon, value = (part.strip() for part in line.split("#", 1)[0].partition(":"))
        if not colon:
            continue
        if key.lower() == "user-agent":
            agents = [*agents, value.lower()] if names_agents else [value.lower()]
            groups.setdefault(agents[-1], [])
        elif key.lower() in ("allow", "disallow", "crawl-delay"):
            for agent in agents:
                groups[agent].append((key.lower(), value))
        else:
            continue  # a sitemap, or what another reader understands: no end of a group's names
        names_agents = key.lower() == "user-agent"
    return _group(groups.get(name, groups.get("*", [])))


def _group(lines: list[tuple[str, str]]) -> Group:
    rules = tuple((unquote(value), key == "allow") for key, value in lines if key != "crawl-delay" and value)
    return Group(rules, max((_seconds(value) for key, value in lines if key == "crawl-delay"), default=0.0))


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _fits(pattern: str, path: str) -> bool:
    """Return whether a path begins as a pattern says; without regular expressions, which a stranger could make slow."""
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if pattern.endswith("$"):
        if not others:
            return at == len(path)
        last = others.pop()
        if not path.endswith(last):
            return False
        path = path[: len(path) - len(last)]
    for part in others:
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return at <= len(path)
