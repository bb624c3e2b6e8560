"""The SQuAD metrics of one answer against the references of its example, and the recognition of abstentions.

Must not know how an answer was made, nor which arm is expected to win.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from ragft.records import Example

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_DELETE_PUNCTUATION = str.maketrans("", "", string.punctuation)
_STRAIGHT_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))

_SOURCE = r"(?:(?:provided|given|above|retrieved) )?(?:passages?|context|documents?|text|information)"
# Each must stand at the very start of the answer: in the middle it may be part of a real answer.
_OPENINGS = (
    r"i (?:really |honestly |simply )?(?:do not|don'?t) know\b",
    r"i (?:do not|don'?t) have (?:enough |sufficient |the |any )information\b",
    r"i (?:cannot|can not|can'?t|could not|couldn'?t|am unable to|am not able to) (?:answer|determine)\b",
    r"i (?:cannot|can not|can'?t|could not|couldn'?t) find (?:(?:the |an |any )(?:answer|information|mention)|it in)\b",
    r"i'm (?:unable|not able) to (?:answer|determine)\b",
    r"(?:(?:it|this|that|(?:the|this) (?:question|answer)) )?(?:cannot|can not|can't) be (?:answered|determined)\b",
    r"(?:it is |it's |this is |that is |the answer is )?"
    r"not (?:(?:mentioned|stated|specified|given|provided|contained|found|available|answered) )?"
    rf"(?:in|by) (?:any of )?(?:the|these|this|any) {_SOURCE}\b(?! of\b)",
    rf"(?:the|this|these) {_SOURCE} (?:do not|does not|don't|doesn't) "
    r"(?:contain|provide|mention|say|specify|include|give|state|answer)\b",
    r"(?:there is )?(?:not enough|insufficient) information\b",
    r"there is no information\b",
    r"no answer (?:is|was|can be|could be) (?:given|found|provided|available|possible)\b",
)
_APOLOGY = r"(?:i'm sorry|i am sorry|sorry|unfortunately)[,.;:]? (?:but )?"
_ABSTENTION_START = re.compile(rf"(?:{_APOLOGY})?(?:{'|'.join(_OPENINGS)})")
# Too short to be trusted as a beginning ("Unknown soldiers built it"): these must be the whole answer.
_SHORT = (
    r"(?:(?:it|this|that|the answer) is |it's )?(?:unknown|unanswerable|not known|no answer)",
    r"(?:(?:it|this|that|the answer) is |it's )?not (?:mentioned|stated|specified|given|provided|available)",
    r"n/a|(?:i have )?no idea|(?:i'm|i am) (?:not sure|not certain|unsure)|cannot answer",
)
_ABSTENTION_WHOLE = re.compile("|".join(_SHORT))


def normalise(text: str) -> str:
    """Return `text` as SQuAD compares it: lower case, no ASCII punctuation, no a / an / the, single spaces.

    The order of the four steps is that of the evaluation script of Rajpurkar et al. 2016 (SQuAD): punctuation is
    deleted, not replaced by a space, so "well-known" becomes "wellknown"; articles go after it. Unlike there, an accent
    is the same whether it is written with its letter or after it (Unicode's NFC).
    """
    bare = unicodedata.normalize("NFC", text).lower().translate(_DELETE_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, references: Sequence[str]) -> float:
    """Return 1.0 if the normalised answer equals any normalised reference, else 0.0 (Rajpurkar et al. 2016).

    A blank answer is wrong even where a reference normalises to nothing ("The"). No references: ValueError.
    """
    return _best(answer, references, lambda said, right: float(said == right))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """Return the best F1 over references of the multisets of normalised tokens (Rajpurkar et al. 2016).

    If either side normalises to nothing, F1 is equality (the rule of the SQuAD 2.0 script, Rajpurkar et al. 2018).
    A blank answer scores 0.0. No references: ValueError.
    """
    return _best(answer, references, _pair_f1)


def contains(answer: str, references: Sequence[str]) -> float:
    """Return 1.0 if any normalised reference stands in the normalised answer as contiguous tokens, else 0.0.

    Whole tokens, never characters: "art" is not in "party". A reference that normalises to nothing counts only where
    the answer does too, else it would stand in every answer. A blank answer scores 0.0. No references: ValueError.
    """
    return _best(answer, references, _pair_contains)


def _best(answer: str, references: Sequence[str], compare: Callable[[str, str], float]) -> float:
    if not references:
        raise ValueError("a metric against references needs at least one reference")
    if not answer.strip():
        return 0.0
    said = normalise(answer)
    return max(compare(said, normalise(reference)) for reference in references)


def _pair_f1(said: str, right: str) -> float:
    if not said or not right:
        return float(said == right)
    said_tokens, right_tokens = said.split(), right.split()
    shared = (Counter(said_tokens) & Counter(right_tokens)).total()
    return 2 * shared / (len(said_tokens) + len(right_tokens))


def _pair_contains(said: str, right: str) -> float:
    if not said or not right:
        return float(said == right)
    return float(f" {right} " in f" {said} ")


def is_abstention(text: str) -> bool:
    """Return whether `text` declines to answer: it begins with, or wholly is, a phrase such as "I don't know".

    Conservative: a phrase later in the answer does not count, and short ones ("unknown", "no answer") must be the
    whole text. An answer that begins with such a phrase counts even if a guess follows. Empty text is not an
    abstention: it is a wrong answer. English only.
    """
    plain = " ".join(text.translate(_STRAIGHT_APOSTROPHES).lower().split()).strip(" \"'*_.!#-")
    return bool(_ABSTENTION_START.match(plain) or _ABSTENTION_WHOLE.fullmatch(plain))


def abstains(text: str, example: Example) -> bool:
    """Return whether `text` declines to answer `example`.

    As `is_abstention`, except where a reference of the example itself reads so (the label "unknown" is an answer).
    """
    return is_abstention(text) and not any(is_abstention(reference) for reference in example.references)
