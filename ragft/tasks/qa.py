"""Question answering, with short answers or long ones; the answer to an unanswerable question is to abstain."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragft.evaluation.answers import contains, normalise
from ragft.evaluation.scripts import composed, has_spaceless, parted
from ragft.records import Example
from ragft.tasks import reading
from ragft.tasks.asked import Answering
from ragft.tasks.evidence import shares_words

_LEAD_IN = re.compile(
    r"^\s*((the\s+)?answer(\s+to\s+(the|this)\s+question)?(\s+is\b\s*:?|\s*:)|a\s*:)\s*", re.IGNORECASE
)

_LEAD_INS = (
    "the answer to the question is :",
    "the answer to this question is :",
    "the answer is :",
    "the answer :",
    "answer to the question is :",
    "answer to this question is :",
    "answer is :",
    "answer :",
    "a :",
)
"""The openings of `_LEAD_IN`, word by word."""

_LONG = ("answer",)


@dataclass(frozen=True, slots=True)
class Qa(Answering):
    """The task `qa` with short answers; an instance of Task."""

    kind: str = "qa"
    prompt: str = "qa-short-1"
    input_field: str = "question"
    metrics: tuple[str, ...] = ("token_f1", "exact_match", "contains", "abstained")
    labels: tuple[str, ...] = ()
    answers_stand_in_text: bool = True
    can_abstain: bool = True

    def parse(self, text: str) -> str:
        """Return the first line of what was said, without a lead-in such as "The answer is:" and citation marks."""
        first = next((line for line in _LEAD_IN.sub("", text).splitlines() if line.strip()), "")
        return reading.unmarked(first).strip()

    def settled(self, said: str) -> str:
        """Return what was said, and nothing while it may still turn out to be a lead-in such as "The answer is:"."""
        words = re.findall(r"[^\W_]+|:", said.lower())
        return "" if any(words == lead_in.split()[: len(words)] for lead_in in _LEAD_INS) else said

    def supports(self, text: str, example: Example) -> bool:
        """Return whether a reference stands in the passage; nothing supports an unanswerable one.

        It stands there as whole tokens, or anywhere where it has letters that are written without spaces: nothing parts
        its words from others.
        """
        return any(_stands_in(composed(reference), composed(text)) for reference in example.references)


def _stands_in(reference: str, text: str) -> bool:
    if has_spaceless(reference):
        return normalise(reference) in normalise(text)
    return contains(parted(text), (reference,)) == 1.0


@dataclass(frozen=True, slots=True)
class LongQa(Answering):
    """The task `qa` with long answers; an instance of Task."""

    kind: str = "qa"
    prompt: str = "qa-long-1"
    input_field: str = "question"
    metrics: tuple[str, ...] = ("rouge_l", "rouge1", "rouge2", "token_f1", "abstained", "answer_words")
    labels: tuple[str, ...] = ()
    answers_stand_in_text: bool = False
    can_abstain: bool = True

    def parse(self, text: str) -> str:
        """Return all of what was said, without a lead-in such as "Answer:" and citation marks.

        Unlike in a short answer, "The answer is" goes only with a colon: here it begins a sentence.
        """
        return reading.unmarked(reading.without_lead_in(text, _LONG)).strip()

    def settled(self, said: str) -> str:
        """Return what was said, and nothing while it may still turn out to be a lead-in."""
        return reading.settled(said, _LONG, may_be_quoted=False)

    def supports(self, text: str, example: Example) -> bool:
        """Return whether half of the words of a reference stand in the passage."""
        return shares_words(text, example.references)
