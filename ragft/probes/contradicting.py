"""Contradicting versions of documents: a copy of a gold document in which an answer is another, plausible one.

Pure functions of documents and examples. Must not know what an arm or a model is.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ragft.arms.knowledge import drawn
from ragft.data.checks import normalised
from ragft.data.checks.inputs import parts_words, stands_in
from ragft.probes.spoiling import unused
from ragft.records import Document, Example

CLOSEST = 5
"""References of about the same length among which one is drawn where neither a number nor a name is to be replaced."""

SPREAD = 0.25
"""How far from a number another one is drawn, as a share of it, where no example has a number of the same form."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One fact of one document and what another version says instead.

    `replaced` maps every text that stands for the fact to the other one; `instead` are the ways to say the other value,
    the first of which stands in the version. `example_ids` are the examples that ask for the fact.
    """

    document_id: str
    said: str
    replaced: Mapping[str, str]
    instead: tuple[str, ...]
    example_ids: tuple[str, ...]


def contradictions(
    documents: Sequence[Document], asked: Sequence[Example], known: Sequence[Example], seed: int
) -> tuple[Contradiction, ...]:
    """Return every fact that is asked for and can be contradicted, in the order in which they are drawn.

    A fact is a reference that stands literally in a gold document of its example. The other value is a reference of
    another known example with the same form: a number with as many digits and the same words beside it, a name of as
    many words, or a phrase of about the same length; for a number without its like, one that is near. One whose
    question begins with the same word ("who") is preferred. It stands nowhere in the document.
    """
    every = {document.id: document for document in documents}
    facts: dict[tuple[str, str], list[Example]] = {}
    for example in asked:
        if (fact := _fact(example, every)) is not None:
            facts.setdefault(fact, []).append(example)
    pool = _pool((*asked, *known))
    found = [_contradiction(every[id_], said, examples, pool, seed) for (id_, said), examples in facts.items()]
    able = [one for one in found if one is not None]
    return tuple(sorted(able, key=lambda one: drawn(seed, "contradicted", one.document_id, one.said)))


def with_contradictions(documents: Sequence[Document], chosen: Iterable[Contradiction]) -> tuple[Document, ...]:
    """Return the documents, each with its contradicting version behind it, in which all chosen facts of it differ."""
    changes: dict[str, dict[str, str]] = {}
    for one in chosen:
        changes.setdefault(one.document_id, {}).update(one.replaced)
    taken = {document.id for document in documents}
    found: list[Document] = []
    for document in documents:
        found.append(document)
        if document.id in changes:
            found.append(_version(document, changes[document.id], taken))
    return tuple(found)


def _version(document: Document, replaced: Mapping[str, str], taken: set[str]) -> Document:
    # All at once, the longest first: what was put in is not replaced again.
    longest = sorted(replaced, key=len, reverse=True)
    pattern = re.compile("|".join(_bounded(text) for text in longest))
    title, text = (pattern.sub(lambda found: replaced[found[0]], part) for part in (document.title, document.text))
    return replace(document, id=unused(f"{document.id}-version-2", taken), title=title, text=text)


def _bounded(text: str) -> str:
    """Return a pattern of the text as whole words, where it begins and ends with a letter or digit of such."""
    if not parts_words(text):
        return re.escape(text)
    before = r"(?<!\w)" if re.match(r"\w", text) else ""
    # 14 is no part of 14.5 or 14,000.
    behind = r"(?!\w|[.,:]\d)" if re.search(r"\d$", text) else r"(?!\w)" if re.search(r"\w$", text) else ""
    before = r"(?<!\w)(?<!\d[.,:])" if re.match(r"\d", text) else before
    return f"{before}{re.escape(text)}{behind}"


def _fact(example: Example, documents: Mapping[str, Document]) -> tuple[str, str] | None:
    """Return the first gold document in which a reference stands literally, with the longest that does."""
    for id_ in example.gold_document_ids:
        text = documents[id_].text if id_ in documents else ""
        standing = [one for one in example.references if one.strip() and re.search(_bounded(one), text)]
        if standing:
            return id_, max(standing, key=len)
    return None


@dataclass(slots=True)
class _Other:
    """What may be said instead: the ways to say it, and the words that questions for it begin with."""

    ways: tuple[str, ...]
    asked_by: set[str]


def _pool(examples: Iterable[Example]) -> dict[str, _Other]:
    """Return what examples say, by the first reference of each."""
    found: dict[str, _Other] = {}
    for example in examples:
        if example.references:
            found.setdefault(example.references[0], _Other(example.references, set())).asked_by.add(_opening(example))
    return found


def _opening(example: Example) -> str:
    return next(iter(normalised(example.input).split()), "")


def _contradiction(
    document: Document, said: str, examples: Sequence[Example], pool: Mapping[str, _Other], seed: int
) -> Contradiction | None:
    right = tuple(dict.fromkeys(text for example in examples for text in example.references))
    body = normalised(f"{document.title} {document.text}")
    others = [text for text in pool if not stands_in(normalised(text), body) and not _same(text, right)]
    alike = _alike(said, others)
    key = (document.id, said)
    if alike:
        openings = {_opening(example) for example in examples}
        preferred = [text for text in alike if pool[text].asked_by & openings] or alike
        instead = pool[min(preferred, key=lambda text: drawn(seed, "instead", *key, text))].ways
    elif re.search(r"\d", said):
        instead = _near_numbers(said, right, drawn(seed, "number", *key))
    else:
        return None
    names = [text for text in right if text in said and len(text) > 3 and not re.search(r"\d", text)]
    replaced = dict.fromkeys((said, *names), instead[0])
    return Contradiction(document.id, said, replaced, instead, tuple(example.id for example in examples))


def _same(text: str, right: Iterable[str]) -> bool:
    """Return whether a text says one of the right answers, or more or less of it."""
    own, others = normalised(text), [normalised(one) for one in right]
    return any(stands_in(own, other) or stands_in(other, own) or own == other for other in others)


def _alike(said: str, others: Sequence[str]) -> list[str]:
    """Return those of the other references that have the form of this one."""
    form = _form(said)
    if form != "":
        return [text for text in others if _form(text) == form]
    phrases = [text for text in others if _form(text) == ""]
    words = len(said.split())
    phrases.sort(key=lambda text: (abs(len(text.split()) - words), abs(len(text) - len(said)), text))
    return phrases[:CLOSEST]


def _form(text: str) -> str:
    """Return the form of a number (its digits as 0) or of a name (an A for each word), nothing for another phrase."""
    if re.search(r"\d", text):
        return re.sub(r"\d", "0", text).casefold()
    return " ".join("A" for _ in text.split()) if text[:1].isupper() else ""


def _near_numbers(said: str, right: Sequence[str], key: str) -> tuple[str, ...]:
    """Return the text with its longest run of digits changed to a number near by, and other ways to say it so."""
    old = max(re.findall(r"\d+", said), key=len)
    new = _near(old, key)
    changed = [re.sub(rf"(?<!\d){old}(?!\d)", new, text) for text in (said, *right)]
    return tuple(dict.fromkeys(text for text in changed if text not in right))


def _near(digits: str, key: str) -> str:
    """Return another number of as many digits, at most a quarter away from it, and at least three either way."""
    value, width = int(digits), len(digits)
    reach = max(3, int(value * SPREAD))
    least = 10 ** (width - 1) if digits[0] != "0" and width > 1 else 1 if digits != "0" else 0
    low, high = max(least, value - reach), min(10**width - 1, value + reach)
    drawn_number = random.Random(key).randint(low, high - 1)
    return str(drawn_number + (drawn_number >= value)).zfill(width)  # the value itself is passed over
