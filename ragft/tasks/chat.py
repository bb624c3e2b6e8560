"""The next answer of a conversation of several turns."""

from __future__ import annotations

from dataclasses import dataclass

from ragft.records import Example
from ragft.tasks import reading
from ragft.tasks.asked import Answering
from ragft.tasks.evidence import shares_words

_NAMES = ("answer", "reply", "assistant")


@dataclass(frozen=True, slots=True)
class Chat(Answering):
    """The task `chat`; an instance of Task.

    ROUGE-L leads: an answer is a sentence, so equality asks too much and containment too little, and its F-measure
    punishes the words that a talkative model adds, which chrF, a measure of recall first, does less. It is what long
    answers of `qa` are judged by. For a script that ROUGE does not read, name chrf as `compare.primary_metric`.
    """

    kind: str = "chat"
    prompt: str = "chat-1"
    input_field: str = "input"
    metrics: tuple[str, ...] = ("rouge_l", "chrf", "token_f1", "contains", "abstained", "answer_words")
    labels: tuple[str, ...] = ()
    answers_stand_in_text: bool = False
    can_abstain: bool = True

    def parse(self, text: str) -> str:
        """Return what was said without a lead-in such as "Answer:", citation marks, and quotation marks around it."""
        return reading.unquoted(reading.unmarked(reading.without_lead_in(text, _NAMES)).strip())

    def settled(self, said: str) -> str:
        """Return what was said, and nothing while it may still turn out to be a lead-in or a quotation."""
        return reading.settled(said, _NAMES, may_be_quoted=True)

    def supports(self, text: str, example: Example) -> bool:
        """Return whether half of the words of a reference stand in the passage."""
        return shares_words(text, example.references)
