"""What a text claims: its sentences, and the numbers and names that can be looked up without understanding either.

By form alone, in any language: digits, and letters in capitals. Must not know what is held against what.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sentencex import get_sentence_boundaries

Reading = frozenset[str]
"""The numbers that one written number says, in plain digits: one, or several where a space may part them."""

_NUMBER = re.compile(r"(?<![A-Za-z\u00c0-\u024f\u0370-\u052f\d])\d+(?:[.,'’]\d+| \d{3}(?!\d))*")
_WORD = re.compile(r"(?<![^\W_])[^\W\d_][^\W_]*")
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_LIST_NUMBER = re.compile(r"^\s*\d{1,2}[.)]\s+", re.MULTILINE)
_ARABIC_SEPARATORS = str.maketrans({"\u066b": ".", "\u066c": ","})
_RAISED = str.maketrans(dict.fromkeys("\u00b9\u00b2\u00b3\u2070\u2074\u2075\u2076\u2077\u2078\u2079", " "))
"""Raised digits are footnotes and powers; Unicode's compatibility form would make 1999\u00b9 the number 19991."""

MOST_SHOUTED = 3
"""Words that a text without small letters may have before its capitals are no sign of a name any more."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The distinct numbers of a text, each with its readings, and its distinct names."""

    numbers: frozenset[tuple[Reading, ...]]
    names: frozenset[str]

    @property
    def count(self) -> int:
        """How many numbers and names there are."""
        return len(self.numbers) + len(self.names)

    def found_in(self, text: str) -> int:
        """Return how many of them stand in a text: a number in any of its readings, a name as a whole word."""
        plain = _plain_text(text)
        known = {value for readings in _numbers(plain) for reading in readings for value in reading}
        words = {_folded(word) for word in _WORD.findall(_undotted(plain))}
        return sum(any(reading <= known for reading in readings) for readings in self.numbers) + len(self.names & words)


def claims_of(text: str) -> Claims:
    """Return the numbers and names of a text.

    Numbers are written in digits ("two" is none); a percent sign, a unit, a minus and the number of a list item are
    not part of them. 1,000, 1 000, 1'000 and 1000 are the same, 3,5 and 3.5 are, and 1.500 is 1500 or 1.5, whichever
    the other text has.

    Names are words in capitals that do not begin a sentence, and words with a capital inside (NASA, iPhone) that may;
    one letter is no name. Case, possessive 's and the s of NGOs do not count. So a one-word answer in a capital shows
    no name, German shows every noun, and scripts without case show none.
    """
    plain = _plain_text(text)
    return Claims(_numbers(_LIST_NUMBER.sub("", plain)), frozenset(_names(_undotted(plain))))


def sentences(text: str) -> list[str]:
    """Return the sentences of a text that have a letter or a digit, with single spaces; a line end ends one too.

    By sentencex, which knows most abbreviations ("Dr. Ray" is no border) and the full stops of other scripts.
    """
    found = (str(border["text"]) for line in text.splitlines() for border in get_sentence_boundaries("en", line))
    return [" ".join(one.split()) for one in found if any(character.isalnum() for character in one)]


def _plain_text(text: str) -> str:
    """Return a text with digits and spaces of every kind as plain ones."""
    return unicodedata.normalize("NFKC", text.translate(_RAISED).translate(_ARABIC_SEPARATORS))


def _numbers(plain: str) -> frozenset[tuple[Reading, ...]]:
    return frozenset(_readings(match[0]) for match in _NUMBER.finditer(plain))


def _readings(written: str) -> tuple[Reading, ...]:
    """Return what a written number can mean, the likeliest first."""
    parts = re.sub(r"['’]", "", written).split(" ")
    joined = tuple(frozenset([value]) for value in _values("".join(parts)))
    if len(parts) == 1:
        return joined
    apart = frozenset(_values(part)[0] for part in parts)
    if len(parts[0]) > 3:
        return (apart,)
    # "12 100" is one number, or two side by side; "1 000" is one, for no number begins with a zero.
    return joined if any(part.startswith("0") for part in parts) else (*joined, apart)


def _values(written: str) -> tuple[str, ...]:
    """Return the plain values of digits with points and commas between them."""
    marks = re.findall(r"[.,]", written)
    groups = re.split(r"[.,]", written)
    grouped = groups[0] != "0" and 1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    match marks:
        case []:
            return (_plain(written),)
        case [","] if grouped:
            return (_plain("".join(groups)),)
        case ["."] if grouped:
            thousands, decimal = _plain("".join(groups)), _plain(".".join(groups))
            return (thousands,) if groups[1] == "000" else (decimal, thousands)
        case [_]:
            return (_plain(".".join(groups)),)
    if len(set(marks)) == 1:
        # One mark several times groups thousands (or lakhs: 1,23,456), or parts a date or a version.
        grouped = grouped or (marks[0] == "," and len(groups[-1]) == 3)
        return (_plain("".join(groups)),) if grouped else (".".join(groups),)
    return (_plain(f"{''.join(groups[:-1])}.{groups[-1]}"),)


def _plain(number: str) -> str:
    """Return a number without zeros that say nothing: 007 is 7, and 3.50 is 3.5."""
    return f"{Decimal(number).normalize():f}"


def _undotted(text: str) -> str:
    """Return a text with U.S.A. as USA, which is one word."""
    return _DOTTED.sub(lambda match: match[0].replace(".", ""), text)


def _names(text: str) -> Iterator[str]:
    """Yield the names of a text, casefolded."""
    words = _WORD.findall(text)
    if not any(word != word.upper() for word in words) and len(words) > MOST_SHOUTED:
        return
    for sentence in sentences(text):
        for place, word in enumerate(_WORD.findall(sentence)):
            inside = any(letter.isupper() for letter in word[1:])
            if len(word) > 1 and (inside or (place > 0 and word[0].isupper())):
                yield _folded(word)


def _folded(word: str) -> str:
    """Return a word as names are compared: without case, and NGOs as NGO."""
    is_plural = len(word) > 2 and word.endswith("s") and word[:-1].isupper()
    return (word[:-1] if is_plural else word).casefold()
