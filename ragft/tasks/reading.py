"""Which part of what a model said is its answer: no lead-in, no quotation marks around it, no citation marks.

Whatever could be a part of the answer stays: a lead-in ends with a colon and names what it leads to, and quotation
marks go only where one pair holds all of the answer.
"""

from __future__ import annotations

import re
from functools import cache

_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“”", "‘": "’", "«": "»", "»": "«", "「": "」", "『": "』"}
"""Opening quotation marks, each with those that may close it."""

_GREETING = r"(?:(?:sure|certainly|of\s+course|ok|okay)\s*[,.!:]?\s+)?"
_BEFORE = r"(?:here(?:\s+is|['’]s)\s+(?:(?:the|a|an|my|your)\s+)?|(?:the|my|your|in)\s+)?"
_ADJECTIVES = r"(?:(?:brief|short|concise|quick|possible|suggested|revised|(?:one|single|two|three|\d+)-sentence)\s+)*"
_AFTER = r"(?:\s+is|\s+(?:of|in|into|for|to|from)\s[^:\n]{1,80}?)?"
_COLON = r"[*_]*\s*:[*_]*\s*"

_MARK = re.compile(r"\s*\[\d+\]")
_MARK_ALONE = re.compile(r"(?:\s+|(?<!\w))\[\d+\]")


@cache
def _lead_in(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of a lead-in to one of `names`: `Summary:`, `Here is a short summary of the text:`."""
    name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"\s*[*_#]*\s*{_GREETING}[*_]*{_BEFORE}{_ADJECTIVES}(?:{name}){_AFTER}{_COLON}", re.IGNORECASE)


@cache
def _endings(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what makes each beginning of a lead-in, up to the end of a word, a whole one."""
    before = ("", " ", " is ", " course ", "-sentence ")
    return (":", " x:", *(f"{words}{name}:" for name in names for words in before))


def without_lead_in(said: str, names: tuple[str, ...]) -> str:
    """Return what was said less one lead-in to one of `names` (such as "summary"), stripped."""
    match = _lead_in(names).match(said)
    return said[match.end() :].strip() if match else said.strip()


def unquoted(text: str) -> str:
    """Return text less the pair of quotation marks that holds all of it; with more of the marks inside, all stay."""
    if len(text) < 2 or text[0] not in _QUOTES or text[-1] not in _QUOTES[text[0]]:
        return text
    inner = text[1:-1]
    return text if _has_marks(inner, text[0]) else inner.strip()


def _has_marks(inner: str, opening: str) -> bool:
    """Return whether quotation marks of this kind stand within a text; an apostrophe inside a word is none."""
    marks = re.escape(opening + _QUOTES[opening])
    return re.search(rf"(?<!\w)[{marks}]|[{marks}](?!\w)" if opening in "'‘" else f"[{marks}]", inner) is not None


def unmarked(text: str) -> str:
    """Return text less citation marks such as [2] and the blanks before them."""
    return _MARK.sub("", text)


def unmarked_alone(text: str) -> str:
    """Return text less citation marks that do not hang on a word, so that `row[0]` of a program stays."""
    return _MARK_ALONE.sub("", text)


def settled(said: str, names: tuple[str, ...], *, may_be_quoted: bool) -> str:
    """Return what was said so far, in whole words; nothing while it may still become a lead-in or a quoted answer."""
    if any(_lead_in(names).fullmatch(said.rstrip() + ending) for ending in _endings(names)):
        return ""
    text = unmarked(without_lead_in(said, names)).strip()
    return said if text and not (may_be_quoted and _is_open(text)) else ""


def _is_open(text: str) -> bool:
    """Return whether a text may be, or become, one that a pair of quotation marks holds."""
    if text[0] not in _QUOTES:
        return False
    inner = text[1:-1] if text[-1] in _QUOTES[text[0]] else text[1:]
    return not _has_marks(inner, text[0])
