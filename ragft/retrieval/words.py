"""Text into words for BM25, in any script. Knows nothing of scores.

Lower case and Unicode's compatibility form (NFKC), then runs of letters, digits and marks. No stemming and no list of
stop words: both belong to one language, the documents may be in any, and names, numbers and codes (what BM25 finds and
embeddings miss) are only hurt by them; a word that is everywhere weighs next to nothing in BM25 anyway.

Scripts that put no spaces between words (Chinese, Japanese, Thai, Khmer, Lao, Burmese), and Korean with its many
endings, give every two neighbouring characters instead, as Lucene's CJK analyzer does: a run of them would else be one
word that nobody asks for.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

TOKENIZER_VERSION = 1
"""Part of the key of every BM25 index; rises whenever a text could give other words."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U000323af"
)
"""Thai and Lao, Burmese, Khmer, Hangul, kana, and Han, as ranges of a character class."""


def words(text: str) -> list[str]:
    """Return the words of a text in order, repetitions included."""
    found: list[str] = []
    for run in _runs().finditer(unicodedata.normalize("NFKC", text).lower()):
        unspaced = run[1]
        if unspaced is None or len(unspaced) == 1:
            found.append(run[0])
        else:
            found += (unspaced[start : start + 2] for start in range(len(unspaced) - 1))
    return found


@cache
def _runs() -> re.Pattern[str]:
    r"""Return the pattern of a run; group 1 is one of a script without spaces.

    Python's `\w` leaves out combining marks, which would cut Hindi, Tamil or pointed Hebrew words at their vowels.
    """
    return re.compile(f"([{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[\\w{_marks()}])+")


def _marks() -> str:
    """Return all combining marks of Unicode as ranges of a character class."""
    marks = [code for code in range(0x300, 0x1F000) if unicodedata.category(chr(code))[0] == "M"]
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in _ranges(marks))


def _ranges(codes: list[int]) -> list[tuple[int, int]]:
    """Return (first, last) of each run of neighbouring numbers."""
    ranges: list[tuple[int, int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return ranges
