"""Passages of Markdown by its headings: what is one, what title it gives, what becomes of short and long sections."""

from __future__ import annotations

import pytest
from test_chunking import byte_tokenizer, cut, read_tokens, word_tokenizer, words

from ragft.records import Passage

HANDBOOK = """Welcome.

# Handbook

Read it all.

## Pumps

### Limits

Never above 9 bar.

## Valves

Close them at night.
"""


def sections(text: str, title: str = "", chunk_tokens: int = 64, overlap_tokens: int = 0) -> list[Passage]:
    return cut(word_tokenizer(), text, title, chunk_tokens, overlap_tokens, "markdown")


def titled(text: str, title: str = "", chunk_tokens: int = 64) -> list[tuple[str, str]]:
    return [(passage.title, passage.text) for passage in sections(text, title, chunk_tokens)]


def titles(text: str, title: str = "") -> list[str]:
    return [passage.title for passage in sections(text, title)]


def test_the_path_of_headings_is_the_title_and_the_headings_stay_in_the_text() -> None:
    assert titled(HANDBOOK, "Works") == [
        ("Works", "Welcome."),
        ("Works > Handbook", "# Handbook\n\nRead it all."),
        ("Works > Handbook > Pumps > Limits", "## Pumps\n\n### Limits\n\nNever above 9 bar."),
        ("Works > Handbook > Valves", "## Valves\n\nClose them at night."),
    ]


@pytest.mark.parametrize("title", ["Handbook", "HANDBOOK", " handbook"])
def test_a_first_heading_that_is_the_title_of_the_document_stands_once(title: str) -> None:
    assert titles(HANDBOOK, title)[1:3] == [title, f"{title} > Pumps > Limits"]


def test_a_document_without_a_title_has_its_headings_alone() -> None:
    assert titles(HANDBOOK) == ["", "Handbook", "Handbook > Pumps > Limits", "Handbook > Valves"]


def test_a_document_without_headings_is_cut_as_by_the_recursive_kind() -> None:
    text = words(0, 30)
    assert cut(word_tokenizer(), text, "T", kind="markdown") == cut(word_tokenizer(), text, "T", kind="recursive")


@pytest.mark.parametrize(
    "text",
    [
        "```sh\n# no heading\nmake\n```\n",
        "~~~\n# no heading\n\n## nor this\nmake\n~~~\n",
        "```\n# a fence that is never closed\nmake\n",
        "    # indented code\n    make\n",
        "#hashtag and no heading\nText.\n",
        "<!--\n# a comment\n-->\nText.\n",
        "> # in a quotation\n> Text.\n",
        "- # in a list\n  Text.\n",
        "Text.\n\n---\n\nMore text.\n",
        "| a | b |\n| --- | --- |\n| # c | d |\n",
        "\\# escaped\nText.\n",
    ],
)
def test_what_is_no_heading_opens_no_section(text: str) -> None:
    assert titled(text, "T") == [("T", text.strip())]


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Underlined\n===", "Underlined"),
        ("Two\nlines\n---", "Two lines"),
        ("### Closed ###", "Closed"),
        ("# C#", "C#"),
        ("# The *long* `pump` [list](http://x.y) ![icon](i.png) &amp; <b>more</b>", "The long pump list icon & more"),
        ("# Limits {#limits .wide}", "Limits"),
        ("#\tTabbed", "Tabbed"),
        ("   # Indented", "Indented"),
    ],
)
def test_a_heading_is_plain_text_in_the_title(heading: str, name: str) -> None:
    assert titled(f"{heading}\n\nText.", "T") == [(f"T > {name}", f"{heading.strip()}\n\nText.")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_sections_begin_where_their_heading_does_whatever_ends_the_lines(end: str) -> None:
    """The parser counts lines by CR LF, CR and LF; Python's splitlines would count these four marks too."""
    text = f"a\x0bb\x0cc\u2028d\x85e{end}{end}# One{end}{end}First.{end}{end}Two{end}---{end}Second."
    assert titled(text) == [
        ("", "a\x0bb\x0cc\u2028d\x85e"),
        ("One", f"# One{end}{end}First."),
        ("One > Two", f"Two{end}---{end}Second."),
    ]


@pytest.mark.parametrize(
    "front",
    ["---\ntitle: Pumps\ntags: [a]\n---\n", "---\r\nlayout: page\r\n...\r\n", '+++\ntitle = "Pumps"\n# comment\n+++\n'],
)
def test_front_matter_is_no_heading_and_no_passage_of_its_own(front: str) -> None:
    """For CommonMark alone, `title: Pumps` above `---` is a heading."""
    assert titled(f"{front}\n# One\n\nText.", "T") == [("T > One", f"{front}\n# One\n\nText.")]
    assert titled(f"{front}\nText.", "T") == [("T", f"{front}\nText.")]
    assert titled(front, "T") == [("T", front.strip())]


def test_a_rule_at_the_start_is_no_front_matter() -> None:
    text = "---\nA line of text.\n\n# One\n\nMore.\n\n---\n\nEnd."
    assert titled(text) == [("", "---\nA line of text."), ("One", "# One\n\nMore.\n\n---\n\nEnd.")]


def test_a_heading_without_text_is_no_passage_of_its_own() -> None:
    """It goes to the section behind it; `## Notes` at the end, to the one before; an outline alone is one passage."""
    text = "# One\n\n<!-- to do -->\n\n# Two\n\nText.\n\n## Notes\n"
    assert titled(text, "T") == [("T > Two", text.strip())]
    assert titled("# One\n\n## Two\n\n# Three\n", "T") == [("T", "# One\n\n## Two\n\n# Three")]


def test_a_long_section_is_cut_inside_and_every_part_has_its_title() -> None:
    # 32 - 2 special tokens - 3 of the title leave 27, two of which are the heading's
    text = f"# L\n\n{words(0, 40)}\n\n# M\n\n{words(40, 44)}"
    passages = sections(text, "P", chunk_tokens=32)
    assert [(passage.title, passage.text) for passage in passages] == [
        ("P > L", f"# L\n\n{words(0, 25)}"),
        ("P > L", words(25, 40)),
        ("P > M", f"# M\n\n{words(40, 44)}"),
    ]


def test_a_heading_is_not_cut_off_from_a_paragraph_that_just_fits() -> None:
    """Seen in the handbook of the quick start: a passage that was `## What was done` and nothing else."""
    text = f"# L\n\n{words(0, 26)}.\n\n{words(26, 30)}."  # 27 tokens fill the room; the heading has 2
    assert [passage.text for passage in sections(text, "P", chunk_tokens=32)] == [
        f"# L\n\n{words(0, 25)}",
        f"{words(25, 26)}.\n\n{words(26, 30)}.",
    ]


def test_an_overlap_stays_inside_its_section() -> None:
    text = f"# L\n\n{words(0, 40)}\n\n# M\n\n{words(40, 44)}"
    assert [passage.text for passage in sections(text, "P", chunk_tokens=32, overlap_tokens=4)] == [
        f"# L\n\n{words(0, 25)}",
        words(21, 40),
        f"# M\n\n{words(40, 44)}",
    ]


def test_a_long_path_loses_its_outermost_headings() -> None:
    """A quarter of 64 tokens is 16; names of 5 words and the signs between them are 5, 11, 17 and, with `…`, 13."""
    one, two, three = words(0, 5), words(5, 10), words(10, 15)
    text = f"# {one}\n\n## {two}\n\nB.\n\n### {three}\n\nC."
    assert titles(text) == [f"{one} > {two}", f"… > {two} > {three}"]
    assert titles(text, words(15, 20)) == [f"… > {one} > {two}", f"… > {two} > {three}"]


def test_a_heading_that_is_too_long_alone_keeps_its_beginning() -> None:
    long = words(0, 100)
    (passage,) = sections(f"# {long}\n\nText.", "T", chunk_tokens=256)
    name = passage.title.removesuffix("…")
    assert long.startswith(name)
    assert 40 < len(name.split()) < 64  # a quarter of 256 tokens, less what steps of a quarter may lose
    assert passage.text == f"# {long}\n\nText."


def test_a_long_path_never_fails_an_index() -> None:
    text = f"# {'漢' * 900}\n\n## {'x' * 900}\n\n" + "text " * 90
    passages = cut(byte_tokenizer(), text, "title " * 90, 64, 0, "markdown")
    assert {passage.title for passage in passages} == {"xxxxxxxxxxx…"}  # 11 + 3 bytes and a line feed are 15 of 16
    assert max(read_tokens(byte_tokenizer(), passage) for passage in passages) <= 64
