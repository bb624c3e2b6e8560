"""What a robots.txt allows, by the rules of RFC 9309."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("trafilatura")
from web_site import Reply, Site, serving

from ragft.config.knowledge import WebSource
from ragft.data.sources import SetAside
from ragft.data.sources.robots import read_rules
from ragft.data.sources.web import read_web

RULES = """
User-agent: other
User-agent: RAGFT/2.0
Disallow: /
# the longest decides, wherever it stands
Allow: /open
Disallow: /open/secret
Disallow: /*.pdf$
Disallow: /find?*page=
Allow: /%7Eme
Crawl-delay: 0.5

Sitemap: https://host/sitemap.xml
User-agent: *
Disallow:
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", False),
        ("/open", True),
        ("/open/secret/plan", False),
        ("/opened/a.pdf", False),  # /*.pdf$ is longer than /open
        ("/opened/a.html", True),
        ("/openly.pdf?x", True),
        ("/~me/a", True),
        ("/find?sort=1&page=2", False),
    ],
)
def test_the_longest_rule_of_robots_txt_decides_and_stars_are_wildcards(path: str, allowed: bool) -> None:
    """RFC 9309; urllib.robotparser takes the first rule, and would read everything that a wildcard refuses."""
    text = RULES.replace("RAGFT/2.0", "ragft")
    assert read_rules(text, "ragft").allows(f"https://host{path}") is allowed
    assert read_rules(text, "ragft/1.0 (mail@host)").delay_s == 0.5
    assert read_rules(text, "Stranger").allows(f"https://host{path}")


@pytest.mark.parametrize(
    ("pattern", "path", "refused"),
    [
        ("/*.pdf$", "/a/b.pdf", True),
        ("/*.pdf$", "/a/b.pdf?x", False),
        ("/a*b*c", "/axxbyyc", True),
        ("/a*b*c", "/acb", False),
        ("/a$", "/a", True),
        ("/a$", "/ab", False),
        ("/ab*b$", "/ab", False),  # the star stands after the b that the path has
        ("*", "/anything", True),
    ],
)
def test_patterns_of_robots_txt_by_hand(pattern: str, path: str, refused: bool) -> None:
    group = read_rules(f"User-agent: *\nDisallow: {pattern}\nCrawl-delay: soon", "ragft")
    assert group.allows(f"https://host{path}") is not refused
    assert group.delay_s == 0.0


def test_a_pattern_of_many_stars_is_not_slow() -> None:
    group = read_rules("User-agent: *\nDisallow: /" + "*a" * 500 + "b$", "ragft")
    began = time.monotonic()
    assert group.allows("https://host/" + "a" * 4000)
    assert time.monotonic() - began < 1


def test_a_robots_txt_without_end_refuses_and_is_named() -> None:
    with serving(Site()) as site:
        page = site.page("/a", "text")
        site.put("/robots.txt", Reply(b"#" * 600_000, headers={"Content-Type": "text/plain"}))
        source = WebSource(kind="web", urls=(page,), delay_s=0.0, allow_private=True)
        assert list(read_web(source, None)) == [SetAside(page, "its robots.txt is larger than 512 kB")]
