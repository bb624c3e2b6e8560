"""The sections of a Markdown document, by the headings that CommonMark sees.

markdown-it-py parses: a `#` line in fenced code, in an HTML comment or in front matter is no heading, an underlined
line is one. A heading in a quotation or a list belongs to it and opens no section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

_LINE_END = re.compile(r"\r\n?|\n")
_FRONT_MATTER = re.compile(
    r"\ufeff?(?:---[ \t]*(?:\r\n?|\n)(?=[\w\"'-][^\r\n]*:).*?(?:\r\n?|\n)(?:---|\.\.\.)"
    r"|\+\+\+[ \t]*(?:\r\n?|\n).*?(?:\r\n?|\n)\+\+\+)[ \t]*(?:\r\n?|\n|\Z)",
    re.DOTALL,
)
"""YAML between `---` lines, the first of which is a key, or TOML between `+++` lines, at the start of the text."""

_ATTRIBUTES = re.compile(r"\s*\{[#.:][^{}]*\}\s*\Z")
"""What Pandoc, Kramdown and Docusaurus let stand behind a heading: `{#limits .wide}`."""

_WORD = re.compile(r"\w")
_COMMENT = re.compile(r"<!--(?:(?!-->).)*(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HeadedSection:
    """The characters from `start` to `end` of a text, under the headings of `path`, outermost first.

    What stands before `body` is headings, the last of them that of the section, or front matter.
    """

    path: tuple[str, ...]
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class _Heading:
    level: int
    name: str
    start: int
    body: int


def headed_sections(text: str) -> list[HeadedSection]:
    """Return the sections of a Markdown text in order; together they are the whole text.

    Headings stand in the text of their section as well as in its path: then no character of the document is outside
    every passage, an answer in a heading can be found and highlighted, and nothing is lost where a path is shortened.
    What holds no word but its heading, and front matter, would be a passage that says nothing: it goes to the section
    after it, at the end of the text to the one before.
    """
    found: list[HeadedSection] = []
    carried: int | None = None
    for section in _raw_sections(text):
        start = section.start if carried is None else carried
        if _WORD.search(_COMMENT.sub("", text[section.body : section.end])):
            found.append(replace(section, start=start))
            carried = None
        else:
            carried = start
    if carried is None:
        return found
    if not found:
        return [HeadedSection((), 0, 0, len(text))]
    return [*found[:-1], replace(found[-1], end=len(text))]


def _raw_sections(text: str) -> Iterator[HeadedSection]:
    """Yield front matter, what stands before the first heading, and each heading with its text."""
    front = _FRONT_MATTER.match(text)
    begin = front.end() if front else int(text.startswith("\ufeff"))
    headings = _headings(text, begin)
    starts = [*(heading.start for heading in headings), len(text)]
    if begin:
        yield HeadedSection((), 0, begin, begin)
    if begin < starts[0]:
        yield HeadedSection((), begin, begin, starts[0])
    above: list[_Heading] = []
    for heading, end in zip(headings, starts[1:], strict=True):
        above = [*(outer for outer in above if outer.level < heading.level), heading]
        path = tuple(outer.name for outer in above if outer.name)
        yield HeadedSection(path, heading.start, heading.body, end)


def _headings(text: str, begin: int) -> list[_Heading]:
    """Return the headings of what stands from `begin` on; the parser counts lines by CR LF, CR and LF alone."""
    lines = [begin, *(match.end() for match in _LINE_END.finditer(text, begin)), len(text)]
    env: dict[str, object] = {}
    tokens = _blocks().parse(text[begin:], env)
    return [
        _Heading(int(token.tag[1:]), _name(inline.content, env), lines[token.map[0]], lines[token.map[1]])
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]


def _name(markdown: str, env: dict[str, object]) -> str:
    """Return a heading as plain text: without marks, link targets, HTML tags and attributes."""
    (inline,) = _inline().parseInline(_ATTRIBUTES.sub("", markdown), env)
    return " ".join("".join(_plain(token) for token in inline.children or ()).split())


def _plain(token: Token) -> str:
    match token.type:
        case "text" | "text_special" | "code_inline" | "image":
            return token.content
        case "softbreak" | "hardbreak":
            return " "
        case _:
            return ""


@cache
def _blocks() -> MarkdownIt:
    """Return a parser of blocks alone: what stands inside of paragraphs is not looked at."""
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@cache
def _inline() -> MarkdownIt:
    return MarkdownIt("commonmark")
