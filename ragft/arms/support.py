"""Which part of a passage supports an answer: the answer itself, or the sentence that shares the most with it.

By words and not by embeddings: a word that both share is a reason that a reader can see, in any script, in no time.
Words that every sentence has weigh nothing, so most of what holds a sentence together does not count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import commonprefix
from typing import Literal

from ragft.records import Passage
from ragft.retrieval.words import words

HALF = 0.5
"""Share of what an answer says, by weight, that a sentence must hold to support it."""

MOST = 0.6
"""Share of what is asked that a sentence must hold to support an answer that adds no word, such as "Yes"."""

_FUNCTION = frozenset(
    re.findall(
        r"\w+",
        "a about after also an and another any are as at be been but by can could did do does for from had has have "
        "he her his how i if in into is it its many may me more much my no not of on one ones only or other our she "
        "so some than that the their them then there these they this to was we were what when where which who whom "
        "whose why will with would yes you your",
    )
)
"""English words that hold sentences together; other languages rely on the weights."""

_SENTENCE_END = re.compile(
    r"(?<![\s.][A-Z]\.)(?<!\b(?:Mr|Dr|St|No|vs)\.)(?<!\b(?:Mrs|e\.g|i\.e|etc)\.)"
    r"(?<=[.!?])[\"'»”’)\]]*\s+|(?<=[。！？])|\n\s*"
)


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a passage that supports the answer: `text[start:end]` of the passage, in characters.

    `kind` is `answer` where the answer stands there word for word, and `sentence` for the sentence nearest to it.
    """

    start: int
    end: int
    kind: Literal["answer", "sentence"]


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    words: frozenset[str]


class Support:
    """Finds what supports one answer to one question in the passages that stood in its prompt."""

    def __init__(self, question: str, answer: str, passages: Sequence[Passage]) -> None:
        self._answer = answer.strip().strip(".!?\"'“”‘’«»").strip()
        self._asked = content_words(question)
        self._said = [said for start, end in sentences(answer) if (said := content_words(answer[start:end]))]
        self._passages = passages

    def spans(self, passage: Passage) -> tuple[Span, ...]:
        """Return the span that supports the answer, or none where nothing does."""
        own = self._cut[passage.id]
        title = content_words(passage.title)
        literal = self._literal(passage, own, title)
        if literal is not None:
            return (literal,)
        best = max(own, key=lambda sentence: self._supports(sentence, title), default=None)
        if best is None or self._supports(best, title) <= 0:
            return ()
        return (Span(best.start, best.end, "sentence"),)

    @cached_property
    def _cut(self) -> dict[str, list[_Sentence]]:
        return {
            passage.id: [
                _Sentence(start, end, frozenset(words(passage.text[start:end])))
                for start, end in sentences(passage.text)
            ]
            for passage in self._passages
        }

    def _literal(self, passage: Passage, own: Sequence[_Sentence], title: frozenset[str]) -> Span | None:
        """Return where the answer stands word for word: in the sentence that has the most of the question.

        One word or number can stand anywhere by chance. It counts only beside a word of the question: in its
        sentence, in the one before, or in the title.
        """
        content = content_words(self._answer)
        if not content:
            return None
        pattern = r"\s+".join(re.escape(part) for part in self._answer.split())
        found = []
        for match in re.finditer(rf"(?<!\w){pattern}(?!\w)", passage.text, re.IGNORECASE):
            at = next((n for n, item in enumerate(own) if item.start <= match.start() < item.end), 0)
            around = frozenset().union(title, *(item.words for item in own[max(0, at - 1) : at + 1]))
            beside = self._share(self._asked - content, around)
            if len(content) > 1 or beside > 0:
                found.append((self._share(self._asked, own[at].words) + beside, -match.start(), match))
        if not found:
            return None
        match = max(found, key=lambda item: item[:2])[2]
        return Span(match.start(), match.end(), "answer")

    def _supports(self, sentence: _Sentence, title: frozenset[str]) -> float:
        """Return how well a sentence supports the answer, 0 for not at all."""
        asked = self._share(self._asked, sentence.words)
        best = 0.0
        for said in self._said or [frozenset()]:
            added = frozenset(word for word in said if not _held(word, self._asked | title))
            share = self._share(added, sentence.words) if added else asked
            if len(added) == 1 and not self._share(self._asked - added, sentence.words | title):
                continue  # one word or number can stand anywhere by chance
            if share >= (HALF if added else MOST):
                best = max(best, share + asked / 2)
        return best

    def _share(self, wanted: Iterable[str], found: frozenset[str]) -> float:
        """Return the share of the wanted words, by weight, that are found; 0 where none is wanted."""
        weights = {word: self._weight(word) for word in wanted}
        total = sum(weights.values())
        return sum(weight for word, weight in weights.items() if _held(word, found)) / total if total else 0.0

    def _weight(self, word: str) -> float:
        """Return log(1 + n / (1 + df)): n sentences in all passages, df of them with the word."""
        every = [sentence for own in self._cut.values() for sentence in own]
        holding = sum(_held(word, sentence.words) for sentence in every)
        return math.log(1 + len(every) / (1 + holding))


def sentences(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each sentence of a text; a line end ends one too."""
    found, start = [], 0
    for border in (*((match.start(), match.end()) for match in _SENTENCE_END.finditer(text)), (len(text), len(text))):
        piece = text[start : border[0]]
        # Closing quotes stand in the border and belong to the sentence.
        end = start + len((piece + text[border[0] : border[1]]).rstrip())
        begin = start + len(piece) - len(piece.lstrip())
        if end > begin:
            found.append((begin, end))
        start = border[1]
    return found


def content_words(text: str) -> frozenset[str]:
    """Return the words of a text that mean something by themselves."""
    return frozenset(word for word in words(text) if word not in _FUNCTION)


def _held(word: str, found: frozenset[str]) -> bool:
    """Return whether a word stands there, in this or a kindred form: opens and open, calibrate and calibration.

    Kindred words begin alike, in four letters and seven tenths of the longer one at least; numbers must be equal.
    """
    if word in found:
        return True
    if len(word) < 4 or not word.isalpha():
        return False
    return any(_kindred(word, other) for other in found if other.startswith(word[:4]) and other.isalpha())


def _kindred(first: str, second: str) -> bool:
    return len(commonprefix([first, second])) >= 0.7 * max(len(first), len(second))
