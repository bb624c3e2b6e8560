"""Question answering with short answers; the answer to an unanswerable question is to abstain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ragft.evaluation.answers import contains
from ragft.prompts import ABSTENTION
from ragft.records import Example

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


@dataclass(frozen=True, slots=True)
class Qa:
    """The task `qa`; an instance of Task."""

    kind: str = "qa"
    prompt: str = "qa-short-1"
    input_field: str = "question"
    metrics: tuple[str, ...] = ("token_f1", "exact_match", "contains", "abstained")
    answers_stand_in_text: bool = True

    @property
    def prompt_values(self) -> Mapping[str, str]:
        """Return nothing: the templates of this task have no placeholders of their own."""
        return {}

    def completion(self, example: Example) -> str:
        """Return the first reference, or the abstention for an unanswerable question."""
        return example.references[0] if example.answerable else ABSTENTION

    def parse(self, text: str) -> str:
        """Return the first line of what was said, without a lead-in such as "The answer is:" and citation marks."""
        first = next((line for line in _LEAD_IN.sub("", text).splitlines() if line.strip()), "")
        return re.sub(r"\s*\[\d+\]", "", first).strip()

    def settled(self, said: str) -> str:
        """Return what was said, and nothing while it may still turn out to be a lead-in such as "The answer is:"."""
        words = re.findall(r"[^\W_]+|:", said.lower())
        return "" if any(words == lead_in.split()[: len(words)] for lead_in in _LEAD_INS) else said

    def supports(self, text: str, example: Example) -> bool:
        """Return whether a reference stands in the passage, as whole tokens; nothing supports an unanswerable one."""
        return bool(example.references) and contains(text, example.references) == 1.0
