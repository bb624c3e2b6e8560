"""A knowledge base made worse: gold documents taken out, distractors put in, letters misread, versions left old.

Pure functions of documents and examples; which documents and letters are hit is drawn by a hash, and what a small
share hits, a larger share hits too. Must not know what an arm or a model is.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ragft.arms.knowledge import drawn
from ragft.data.checks import normalised
from ragft.data.checks.inputs import stands_in
from ragft.records import Document, Example

BORROWED = 2
"""Sentences of a neighbouring document that each distractor has."""

RAREST = 30
"""Words of a document, the rarest of all, by which its neighbours are found."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")

_MISREAD = {
    **{"l": "1", "1": "l", "O": "0", "o": "0", "0": "O", "e": "c", "c": "e", "i": "l", "I": "l", "S": "5", "5": "S"},
    **{"s": "5", "B": "8", "8": "B", "h": "b", "b": "h", "u": "v", "v": "u", "a": "o", "t": "f", "f": "t", "g": "9"},
    **{"9": "g", "6": "b", "2": "Z", "Z": "2", "m": "rn", "w": "vv", "d": "cl", "n": "ri", "D": "0", "G": "6"},
}
"""Letters and digits that a scanner takes for others."""


def gold_of(documents: Iterable[Document], examples: Iterable[Example]) -> tuple[str, ...]:
    """Return the ids of the documents that are gold for any of the examples, in the order of the examples."""
    known = {document.id for document in documents}
    named = dict.fromkeys(id_ for example in examples for id_ in example.gold_document_ids)
    return tuple(id_ for id_ in named if id_ in known)


def some_of(ids: Iterable[str], share: float, seed: int, what: str) -> frozenset[str]:
    """Return a share of the ids, rounded to whole ones, drawn by a hash: a larger share has all that a smaller has."""
    order = sorted(set(ids), key=lambda id_: drawn(seed, what, id_))
    return frozenset(order[: _rounded(share * len(order))])


def _rounded(number: float) -> int:
    return math.floor(number + 0.5)


def without_gold(
    documents: Sequence[Document], examples: Sequence[Example], share: float, seed: int
) -> tuple[Document, ...]:
    """Return the documents without a share of those that are gold for any of the examples."""
    gone = some_of(gold_of(documents, examples), share, seed, "missing")
    return tuple(document for document in documents if document.id not in gone)


def misread(documents: Sequence[Document], share: float, seed: int) -> tuple[Document, ...]:
    """Return the documents with a share of the letters and digits of each text misread, as by a scanner.

    A letter becomes one that looks like it, is lost, is doubled, or is followed by a gap; rn becomes m. Titles stay.
    """
    return tuple(replace(document, text=_misread_text(document, share, seed)) for document in documents)


def _misread_text(document: Document, share: float, seed: int) -> str:
    # Every letter has two draws of its own, hit or not, so that a larger share hits the same letters and more.
    draws = random.Random(drawn(seed, "noise", document.id))
    parts: list[str] = []
    skip = False
    for place, letter in enumerate(document.text):
        if not letter.isalnum():
            parts.append(letter)
            continue
        hit, how = draws.random() < share, draws.random()
        if skip:
            skip = False
            continue
        following = document.text[place + 1 : place + 2]
        skip = hit and letter + following == "rn"
        parts.append(_misread_letter(letter, following, how) if hit else letter)
    return "".join(parts)


def _misread_letter(letter: str, following: str, how: float) -> str:
    """Return what is read for a letter; `how`, from 0 to 1, says in which way it is misread."""
    if letter + following == "rn":
        return "m"
    if how < 0.7 and letter in _MISREAD:
        return _MISREAD[letter]
    ways = ("", letter * 2, f"{letter} ")
    return ways[int(how * 997) % len(ways)]


def half_updated(old: Sequence[Document], updated: Sequence[Document], share: float, seed: int) -> tuple[Document, ...]:
    """Return the updated documents with a share of those that the update touches as they were; new ones are absent."""
    before = {document.id: document for document in old}
    behind = some_of(touched(old, updated), share, seed, "stale")
    found = (before.get(document.id) if document.id in behind else document for document in updated)
    return tuple(document for document in found if document is not None)


def touched(old: Iterable[Document], updated: Iterable[Document]) -> tuple[str, ...]:
    """Return the ids of the documents that an update changes or adds."""
    before = {document.id: document for document in old}
    return tuple(document.id for document in updated if before.get(document.id) != document)


@dataclass(frozen=True, slots=True)
class Distractors:
    """Documents on the subject of each gold one that lack its answers, by its id.

    `left` has the sentences of each gold document that remained without its answers; those with none have no
    distractor.
    """

    by_gold: Mapping[str, tuple[Document, ...]]
    left: Mapping[str, int]

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the distractors."""
        return frozenset(document.id for notes in self.by_gold.values() for document in notes)

    def beside(self, documents: Sequence[Document]) -> tuple[Document, ...]:
        """Return the documents, each with its distractors behind it."""
        return tuple(one for document in documents for one in (document, *self.by_gold.get(document.id, ())))


def distractors(
    documents: Sequence[Document], asked: Sequence[Example], known: Iterable[Example], count: int, seed: int
) -> Distractors:
    """Return `count` distractors for each document that is gold for an example that is asked.

    Each has the title of the gold document, all of its sentences in which no answer of any known example about it
    stands, and two such sentences of one of its nearest neighbours by shared words. The first is the same for any
    count. An answer that is the subject itself may stand in the title.
    """
    answers = answers_of((*asked, *known))
    gold = gold_of(documents, asked)
    every, taken = {document.id: document for document in documents}, {document.id for document in documents}
    near = _neighbours(documents, gold, count)
    found: dict[str, tuple[Document, ...]] = {}
    left: dict[str, int] = {}
    for id_ in gold:
        document, said = every[id_], answers.get(id_, ())
        kept = sentences_without(document.text, said)
        left[id_] = len(kept)
        if kept:
            borrowed = [_borrowed(every[other], said, seed) for other in near[id_]]
            found[id_] = tuple(_note(document, n, kept, borrowed, taken) for n in range(count))
    return Distractors(found, left)


def answers_of(examples: Iterable[Example]) -> dict[str, tuple[str, ...]]:
    """Return what any example says of each document: all references, by the id of the gold document."""
    found: dict[str, dict[str, None]] = {}
    for example in examples:
        for id_ in example.gold_document_ids:
            found.setdefault(id_, {}).update(dict.fromkeys((*example.references, *example.old_references)))
    return {id_: tuple(said) for id_, said in found.items()}


def sentences_without(text: str, answers: Iterable[str]) -> list[str]:
    """Return the sentences and headings of a text in which none of the answers stands, as whole words."""
    wanted = [normalised(answer) for answer in answers]
    return [one for one in _sentences(text) if not any(stands_in(answer, normalised(one)) for answer in wanted)]


def _sentences(text: str) -> Iterator[str]:
    for part in _SENTENCE_END.split(text):
        if re.search(r"[^\W_]", part):
            yield part.strip()


def _borrowed(document: Document, answers: Iterable[str], seed: int) -> list[str]:
    sentences = sentences_without(document.text, answers)
    return sorted(sentences, key=lambda one: drawn(seed, "borrowed", document.id, one))[:BORROWED]


def _note(
    document: Document, number: int, kept: Sequence[str], borrowed: Sequence[Sequence[str]], taken: Collection[str]
) -> Document:
    """Return the distractor of this number, from 0: the sentences begin elsewhere in each."""
    start = number % len(kept)
    others = borrowed[number % len(borrowed)] if borrowed else ()
    id_ = unused(f"{document.id}-note-{number + 2}", taken)
    text = " ".join((*kept[start:], *kept[:start], *others))
    return replace(document, id=id_, title=f"{document.title}, note {number + 2}", text=text)


def unused(id_: str, taken: Collection[str]) -> str:
    """Return the id, with as many `-` behind it as make it differ from those that are taken."""
    while id_ in taken:
        id_ += "-"
    return id_


def _neighbours(documents: Sequence[Document], wanted: Iterable[str], count: int) -> dict[str, list[str]]:
    """Return the `count` nearest other documents of each wanted one, by the rarity of the words that they share."""
    words = {document.id: set(normalised(f"{document.title} {document.text}").split()) for document in documents}
    holders: dict[str, list[str]] = {}
    for id_, own in words.items():
        for word in own:
            holders.setdefault(word, []).append(id_)
    found = {}
    for id_ in wanted:
        likeness: dict[str, float] = {}
        for word in sorted(words[id_], key=lambda one: (len(holders[one]), one))[:RAREST]:
            rarity = math.log(len(documents) / len(holders[word]))
            for other in holders[word] if rarity > 0 else ():
                likeness[other] = likeness.get(other, 0.0) + rarity
        likeness.pop(id_, None)
        order = sorted(likeness, key=lambda other: (-likeness[other] / math.sqrt(len(words[other])), other))
        found[id_] = order[:count]
    return found
