"""Every prompt template, named, and the one place where a prompt becomes text.

Training and answering both call `render`, so a model is never trained on one text and asked with another. A template
is never edited in place once a release carries it: its name stands in manifests, so a changed text gets a new name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragft.errors import RagftError
from ragft.records import Passage

ABSTENTION = "I don't know"
"""What every arm is told to say when it has no answer, and what unanswerable training examples teach."""


class ChatTokenizer(Protocol):
    """The part of a tokenizer that rendering needs."""

    chat_template: Any
    all_special_tokens: Any

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> Any:  # noqa: ANN401
        """Return a conversation as text."""
        ...


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt template of one task: a system text, and the user's turn without and with passages."""

    name: str
    task: str
    system: str
    bare: str
    with_passages: str


@dataclass(frozen=True, slots=True)
class Shot:
    """A solved example shown before the question."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A question asked before in the same conversation, and what was answered; its passages are not kept."""

    input: str
    output: str


_TEMPLATES = (
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
        name="classification-1",
        task="classification",
        system="You sort texts into classes. You reply with one label and nothing else: {labels}",
        bare="Text: {input}\nWhich label: {labels}?",
        with_passages="{passages}\n\nText: {input}\nGoing by the passages above, which label: {labels}?",
    ),
)
TEMPLATES: Mapping[str, Template] = {template.name: template for template in _TEMPLATES}


def template(name: str, task: str) -> Template:
    """Return the template of that name; raises RagftError where there is none for the task."""
    found = TEMPLATES.get(name)
    if found is None or found.task != task:
        known = ", ".join(item.name for item in _TEMPLATES if item.task == task)
        raise RagftError(f"there is no prompt template {name!r} for the task {task!r}", f"templates: {known}")
    return found


def numbered(passages: Iterable[Passage]) -> str:
    """Return passages as `[1] Title: text` blocks, numbered from 1, as an answer cites them."""
    blocks = enumerate(passages, start=1)
    return "\n\n".join(f"[{n}] {p.title + ': ' if p.title else ''}{p.text.strip()}" for n, p in blocks)


def render(
    tokenizer: ChatTokenizer,
    form: Template,
    text: str,
    *,
    passages: Sequence[Passage] = (),
    shots: Sequence[Shot] = (),
    history: Sequence[Turn] = (),
    values: Mapping[str, str] | None = None,
) -> str:
    """Return the whole prompt as text, up to where the model's answer begins.

    `shots` come first, then the turns of the conversation, oldest first, then the question; only the question has its
    passages, for those of earlier turns would fill the model's context. `values` fills placeholders of the template
    beside `input` and `passages`. Special tokens of the model that stand in documents or inputs are broken up, so that
    a document cannot end the user's turn.
    """
    fixed = {**(values or {})}
    messages = [{"role": "system", "content": form.system.format(**fixed)}]
    before = [(shot.input, shot.output) for shot in shots] + [(turn.input, turn.output) for turn in history]
    for asked, answered in before:
        messages.append({"role": "user", "content": _turn(tokenizer, form, asked, (), fixed)})
        messages.append({"role": "assistant", "content": defused(tokenizer, answered)})
    messages.append({"role": "user", "content": _turn(tokenizer, form, text, passages, fixed)})
    return _as_text(tokenizer, messages)


def _turn(
    tokenizer: ChatTokenizer, form: Template, text: str, passages: Sequence[Passage], values: Mapping[str, str]
) -> str:
    safe = defused(tokenizer, text)
    if not passages:
        return form.bare.format(input=safe, **values)
    return form.with_passages.format(input=safe, passages=defused(tokenizer, numbered(passages)), **values)


def as_said(tokenizer: ChatTokenizer, answer: str) -> str:
    """Return an answer as it stands behind a prompt: after a blank where the prompt is plain turns (`Answer: green`).

    A model without a chat template would otherwise learn to write a word that no blank comes before, which is another
    token than the one that it would say. The answer of an encoder-decoder model stands behind nothing: it is a text of
    its own. The model's special tokens are broken up, as they are in prompts.
    """
    said = defused(tokenizer, answer)
    goes_on = not tokenizer.chat_template and not getattr(tokenizer, "is_encoder_decoder", False)
    return f" {said}" if goes_on else said


def defused(tokenizer: ChatTokenizer, text: str) -> str:
    """Return text in which the model's special tokens are no more than characters."""
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _as_text(tokenizer: ChatTokenizer, messages: list[dict[str, str]]) -> str:
    """Return the conversation by the model's chat template, or as plain turns for a model that has none."""
    if tokenizer.chat_template:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    turns = [m["content"] if m["role"] != "assistant" else f"Answer: {m['content']}" for m in messages]
    return "\n\n".join([*turns, "Answer:"])
