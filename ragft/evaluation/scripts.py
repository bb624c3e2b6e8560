"""What a text is written in, as far as metrics must know: whether spaces part its words, and which letters it has.

Sees text alone. Must not know which metric asks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from ragft.evaluation.metric import UnscoredError

_HAN = "\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b"
_HAN += "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufad9\U00016fe2-\U00016ff6\U00020000-\U000323af"
_KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f\U0001aff0-\U0001b16f"
_THAI, _LAO, _TIBETAN = "\u0e01-\u0e3a\u0e40-\u0e5b", "\u0e81-\u0edf", "\u0f00-\u0fda"
_BURMESE, _KHMER = "\u1000-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f", "\u1780-\u17f9\u19e0-\u19ff"

_SPACELESS = re.compile(f"[{_HAN}{_KANA}{_THAI}{_LAO}{_TIBETAN}{_BURMESE}{_KHMER}]+")
_ONLY_HAN = re.compile(f"[{_HAN}]")

MOSTLY_SPACELESS = 1 / 3
"""From this share of a text's letters on, words cannot be told apart; one such letter says as much as two or three
Latin ones."""

NO_WORDS = (
    "a reference is written without spaces, so its words cannot be told apart: use chrf, or exact_match for short ones"
)
"""Why a metric of words leaves such an example unscored."""


def composed(text: str) -> str:
    """Return the text with every letter and its accents as one character where there is one (Unicode's form NFC).

    An accented letter may be written as one character or as two that look the same; neither is a mistake.
    """
    return unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """Return the words of a text in any script: runs of letters, digits and combining marks, composed and casefolded.

    Case, punctuation and hyphens do not count; articles do. A run of a script without spaces is one word, apart from
    what stands beside it.
    """
    apart = parted(composed(text.casefold()))
    return "".join(character if _is_of_word(character) else " " for character in apart).split()


def parted(text: str) -> str:
    """Return the text with blanks around every run of letters that are written without spaces."""
    return _SPACELESS.sub(lambda run: f" {run[0]} ", text)


def has_spaceless(text: str) -> bool:
    """Return whether any letter of a text is of a script without spaces."""
    return _SPACELESS.search(text) is not None


def _is_of_word(character: str) -> bool:
    # Vowel signs of Devanagari and Thai are marks, which str.isalnum and \w leave out.
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def is_spaceless(text: str) -> bool:
    """Return whether a text is written without spaces between words: a third of its letters or more are such letters.

    Chinese, Japanese, Thai, Lao, Tibetan, Burmese and Khmer. Korean, Arabic and Devanagari have spaces.
    """
    letters = "".join(words(text))
    return bool(letters) and sum(map(len, _SPACELESS.findall(letters))) >= MOSTLY_SPACELESS * len(letters)


def refuse_spaceless(references: Iterable[str]) -> None:
    """Raise UnscoredError if a reference is written without spaces, which would turn a metric of words into equality.

    The references alone decide: an answer in another script than theirs is wrong, not beyond judgement.
    """
    if any(map(is_spaceless, references)):
        raise UnscoredError(NO_WORDS)


def latin_share(text: str) -> float:
    """Return the share of a text's letters and digits that are a-z or 0-9 without regard to case, 0.0 without any.

    These are what ROUGE's tokenizer keeps; it replaces all others by spaces.
    """
    letters = [character for character in text.lower() if character.isalnum()]
    return sum(character.isascii() for character in letters) / len(letters) if letters else 0.0


def bleu_tokenizer(references: Iterable[Sequence[str]]) -> str:
    """Return the name of the sacrebleu tokenizer for references (of one example each) in their script.

    `13a` for scripts with spaces, `zh` for Chinese (each Han character a token, the rest as in 13a), `char` for
    Japanese, Thai and the other scripts without spaces, for which sacrebleu has nothing that needs no dictionary.
    """
    text = "\n".join(reference for alternatives in references for reference in alternatives)
    if not is_spaceless(text):
        return "13a"
    spaceless = "".join(_SPACELESS.findall(text))
    # A stray kana, such as the の of brand names, does not make Chinese Japanese.
    return "zh" if len(_ONLY_HAN.findall(spaceless)) > 0.95 * len(spaceless) else "char"
