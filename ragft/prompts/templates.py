"""The text of every prompt template, by name. Must not know how a conversation is put together.

A template is never edited in place once a release carries it: its name stands in manifests, so a changed text gets a
new name. Each task has two at least that say the same in other words, so that an arm can be asked with both and the
spread between them is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragft.errors import RagftError
from ragft.records import Example, Passage, Turn

ABSTENTION = "I don't know"
"""What every arm is told to say when it has no answer, and what unanswerable training examples teach."""


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt template of one task: a system text, and the user's turn without and with passages.

    Placeholders are `{input}`, `{passages}` and what the task itself fills in, such as `{labels}`. An instance of Form.
    """

    name: str
    task: str
    system: str
    bare: str
    with_passages: str

    def opening(self, example: Example, values: Mapping[str, str]) -> str:
        """Return the system text; it is the same for every example."""
        return self.system.format(**values)

    def turn(self, example: Example, passages: Sequence[Passage], values: Mapping[str, str]) -> str:
        """Return the user's turn that asks the example, with the passages numbered from 1 where there are any."""
        if not passages:
            return self.bare.format(input=example.input, **values)
        return self.with_passages.format(input=example.input, passages=numbered(passages), **values)

    def earlier(self, turns: Sequence[Turn], values: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the turns before the input as (what was asked, what was answered), asked in the same form."""
        return [(self.bare.format(input=turn.input, **values), turn.output) for turn in turns]


def numbered(passages: Iterable[Passage]) -> str:
    """Return passages as `[1] Title: text` blocks, numbered from 1, as an answer cites them."""
    blocks = enumerate(passages, start=1)
    return "\n\n".join(f"[{n}] {p.title + ': ' if p.title else ''}{p.text.strip()}" for n, p in blocks)


_QA = (
    Template(
        name="qa-short-1",
        task="qa",
        system=(
            "You answer questions in a few words, never in a full sentence. "
            f"If you cannot know the answer, you reply: {ABSTENTION}"
        ),
        bare="Question: {input}",
        with_passages="{passages}\n\nAnswer from the passages above.\nQuestion: {input}",
    ),
    Template(
        name="qa-short-2",
        task="qa",
        system=(
            "Reply with the answer alone: a name, a date, a number or a few words. "
            f"Where there is no way to know it, reply: {ABSTENTION}"
        ),
        bare="Give a short answer to this question: {input}",
        with_passages="Read these passages.\n\n{passages}\n\nGive a short answer to this question: {input}",
    ),
    Template(
        name="qa-cited-1",
        task="qa",
        system=(
            "You answer questions from numbered passages in a few words and put the number of the passage that "
            f"says so in brackets behind the answer, like [2]. If they do not say, you reply: {ABSTENTION}"
        ),
        bare="Question: {input}",
        with_passages="{passages}\n\nQuestion: {input}",
    ),
    Template(
        name="qa-cited-2",
        task="qa",
        system=(
            "Reply with the answer alone, in a few words, and behind it the number of the passage that it comes from, "
            f"such as [3]. Where no passage holds the answer, reply: {ABSTENTION}"
        ),
        bare="Give a short answer to this question: {input}",
        with_passages="Read these passages.\n\n{passages}\n\nGive a short answer to this question: {input}",
    ),
    Template(
        name="qa-long-1",
        task="qa",
        system=(
            "You answer questions in a few full sentences that give the reasons. "
            f"If you cannot know the answer, you reply: {ABSTENTION}"
        ),
        bare="Question: {input}",
        with_passages="{passages}\n\nAnswer from the passages above.\nQuestion: {input}",
    ),
    Template(
        name="qa-long-2",
        task="qa",
        system=(
            "Explain the answer to a question in two or three plain sentences. "
            f"Where there is no way to know it, reply: {ABSTENTION}"
        ),
        bare="Explain the answer to this question: {input}",
        with_passages="Read these passages.\n\n{passages}\n\nExplain the answer to this question: {input}",
    ),
    Template(
        name="qa-long-cited-1",
        task="qa",
        system=(
            "You answer questions from numbered passages in a few full sentences and put the number of the passage "
            f"that says so in brackets behind each sentence, like [2]. If they do not say, you reply: {ABSTENTION}"
        ),
        bare="Question: {input}",
        with_passages="{passages}\n\nQuestion: {input}",
    ),
    Template(
        name="qa-long-cited-2",
        task="qa",
        system=(
            "Explain the answer to a question in two or three plain sentences, and end each with the number of the "
            f"passage that it comes from, such as [3]. Where no passage holds the answer, reply: {ABSTENTION}"
        ),
        bare="Explain the answer to this question: {input}",
        with_passages="Read these passages.\n\n{passages}\n\nExplain the answer to this question: {input}",
    ),
)

_SUMMARIZATION = (
    Template(
        name="summary-1",
        task="summarization",
        system="You summarise texts. You reply with the summary and nothing else.",
        bare="Summarise this text in {length}.\n\nText: {input}",
        with_passages=(
            "Related texts:\n\n{passages}\n\nThe texts above are background only. "
            "Summarise this text in {length}.\n\nText: {input}"
        ),
    ),
    Template(
        name="summary-2",
        task="summarization",
        system="Say in {length} what matters most in a text. Reply with that alone.",
        bare="What matters most in the following text?\n\n{input}",
        with_passages="Background:\n\n{passages}\n\nWhat matters most in the following text?\n\n{input}",
    ),
    Template(
        name="summary-topic-1",
        task="summarization",
        system="You write summaries. You reply with the summary and nothing else.",
        bare="Summarise in {length} what you know about this topic: {input}",
        with_passages="{passages}\n\nSummarise in {length} what the passages above say about this topic: {input}",
    ),
    Template(
        name="summary-topic-2",
        task="summarization",
        system="Say in {length} what matters most about a topic. Reply with that alone.",
        bare="Topic: {input}",
        with_passages="Read these passages.\n\n{passages}\n\nUse what they say and nothing else.\nTopic: {input}",
    ),
)

_TRANSLATION = (
    Template(
        name="translation-1",
        task="translation",
        system="You translate from {source} into {target}. You reply with the translation and nothing else.",
        bare="Translate into {target}: {input}",
        with_passages="Terms:\n\n{passages}\n\nUse these terms where they fit.\nTranslate into {target}: {input}",
    ),
    Template(
        name="translation-2",
        task="translation",
        system="Say in {target} what is written in {source}. Reply with the {target} text alone.",
        bare="{source} text: {input}",
        with_passages="Terms that may help:\n\n{passages}\n\n{source} text: {input}",
    ),
    Template(
        name="translation-memory-1",
        task="translation",
        system="You translate from {source} into {target}. You reply with the translation and nothing else.",
        bare="Translate into {target}: {input}",
        with_passages=(
            "Translated before:\n\n{passages}\n\nUse the same words where the text is the same.\n"
            "Translate into {target}: {input}"
        ),
    ),
    Template(
        name="translation-memory-2",
        task="translation",
        system="Say in {target} what is written in {source}. Reply with the {target} text alone.",
        bare="{source} text: {input}",
        with_passages="Earlier translations of similar texts:\n\n{passages}\n\n{source} text: {input}",
    ),
)

_CLASSIFICATION = (
    Template(
        name="classification-1",
        task="classification",
        system="You sort texts into classes. You reply with one label and nothing else: {labels}",
        bare="Text: {input}\nWhich label: {labels}?",
        with_passages="{passages}\n\nText: {input}\nGoing by the passages above, which label: {labels}?",
    ),
    Template(
        name="classification-2",
        task="classification",
        system="Choose the label that fits a text best. Reply with that label alone.",
        bare="{input}\n\nThe labels are {labels}. Which one fits?",
        with_passages=(
            "Read these passages.\n\n{passages}\n\nBy what they say, choose a label for this text:\n{input}\n\n"
            "The labels are {labels}. Which one fits?"
        ),
    ),
)

_CHAT = (
    Template(
        name="chat-1",
        task="chat",
        system=(
            "You are a helpful assistant who answers truthfully and to the point. "
            f"If you cannot know the answer, you reply: {ABSTENTION}"
        ),
        bare="{input}",
        with_passages="{passages}\n\nAnswer from the passages above.\n{input}",
    ),
    Template(
        name="chat-2",
        task="chat",
        system=(
            "Answer what you are asked in one or two plain sentences. "
            f"Where there is no way to know the answer, reply: {ABSTENTION}"
        ),
        bare="{input}",
        with_passages="Read these passages.\n\n{passages}\n\nAnswer this with their help: {input}",
    ),
    Template(
        name="chat-cited-1",
        task="chat",
        system=(
            "You are a helpful assistant who answers from numbered passages and puts the number of the passage that "
            f"says so in brackets behind each sentence, like [2]. If they do not say, you reply: {ABSTENTION}"
        ),
        bare="{input}",
        with_passages="{passages}\n\n{input}",
    ),
    Template(
        name="chat-cited-2",
        task="chat",
        system=(
            "Answer what you are asked in one or two plain sentences, and end each with the number of the passage that "
            f"it comes from, such as [3]. Where no passage holds the answer, reply: {ABSTENTION}"
        ),
        bare="{input}",
        with_passages="Read these passages.\n\n{passages}\n\nAnswer this with their help: {input}",
    ),
)

_TEMPLATES = (*_QA, *_SUMMARIZATION, *_TRANSLATION, *_CLASSIFICATION, *_CHAT)
TEMPLATES: Mapping[str, Template] = {template.name: template for template in _TEMPLATES}


def template(name: str, task: str) -> Template:
    """Return the template of that name; raises RagftError where there is none for the task."""
    found = TEMPLATES.get(name)
    if found is None or found.task != task:
        known = ", ".join(item.name for item in _TEMPLATES if item.task == task)
        raise RagftError(f"there is no prompt template {name!r} for the task {task!r}", f"templates: {known}")
    return found
