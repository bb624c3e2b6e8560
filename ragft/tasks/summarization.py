"""Summaries: of the input itself, or of the passages that are found for a topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragft.records import Example
from ragft.tasks import reading
from ragft.tasks.evidence import shares_words
from ragft.tasks.references import first_reference

METRICS = ("rouge_l", "rouge1", "rouge2", "chrf", "answer_words")
_NAMES = ("summary", "tl;dr", "tldr")
_PAGE = 20_000
"""Characters that are looked at for the first sentences: the segmenter's time grows with the square of the length."""


@dataclass(frozen=True, slots=True)
class Summarization:
    """The task `summarization` of the input; an instance of Task."""

    sentences: int = 1
    kind: str = "summarization"
    prompt: str = "summary-1"
    input_field: str = "input"
    metrics: tuple[str, ...] = METRICS
    labels: tuple[str, ...] = ()
    answers_stand_in_text: bool = False
    can_abstain: bool = False

    @property
    def prompt_values(self) -> Mapping[str, str]:
        """Return how long a summary should be."""
        return {"length": length(self.sentences)}

    def queries(self, example: Example) -> tuple[str, ...]:
        """Return the input: what is related to a text resembles it, and a topic is what is searched for."""
        return (example.input,)

    def unaided(self, example: Example) -> str | None:
        """Return the first sentences of the input, as many as a summary should have (the baseline "lead")."""
        return first_sentences(example.input, self.sentences)

    def completion(self, example: Example) -> str:
        """Return the first reference; raises DataError for an example without an answer."""
        return first_reference(example, "a text can always be summarised")

    def parse(self, text: str) -> str:
        """Return what was said without a lead-in such as "Summary:" and quotation marks around all of it.

        Marks such as [2] stay: they may be those of the text that is summarised.
        """
        return reading.unquoted(reading.without_lead_in(text, _NAMES))

    def settled(self, said: str) -> str:
        """Return what was said, and nothing while it may still turn out to be a lead-in or a quotation."""
        return reading.settled(said, _NAMES, may_be_quoted=True)

    def supports(self, text: str, example: Example) -> bool:
        """Return whether half of the words of a reference stand in the passage."""
        return shares_words(text, example.references)


@dataclass(frozen=True, slots=True)
class TopicSummarization(Summarization):
    """The task `summarization` of what is retrieved about a topic; an instance of Task."""

    prompt: str = "summary-topic-1"
    input_field: str = "topic"

    def unaided(self, example: Example) -> None:
        """Return nothing: a topic is no summary."""

    def completion(self, example: Example) -> str:
        """Return the first reference; raises DataError for an example without an answer."""
        return first_reference(example, "a topic of which nothing is known has no summary")

    def parse(self, text: str) -> str:
        """Return what was said without a lead-in such as "Summary:", citation marks, and quotation marks around it."""
        return reading.unquoted(reading.unmarked(reading.without_lead_in(text, _NAMES)).strip())


def length(sentences: int) -> str:
    """Return a number of sentences in words, as a prompt says it."""
    return "one sentence" if sentences == 1 else f"{sentences} sentences"


def first_sentences(text: str, count: int) -> str:
    """Return the first sentences of a text as they stand in it, as sentencex finds them (20,000 characters at most)."""
    from sentencex import get_sentence_boundaries

    page = text.strip()[:_PAGE]
    bounds = ((bound["start_index"], bound["end_index"]) for bound in get_sentence_boundaries("en", page))
    ends = [end for start, end in bounds if page[start:end].strip()]
    return page[: ends[:count][-1]].strip() if ends else ""
