"""The one place where a prompt becomes messages, and messages become the text that a local model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragft.records import Example, Passage, Turn


class ChatTokenizer(Protocol):
    """The part of a tokenizer that rendering needs."""

    chat_template: Any
    all_special_tokens: Any

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> Any:  # noqa: ANN401
        """Return a conversation as text."""
        ...


class Form(Protocol):
    """A prompt template, built in or of the user's own: what is said before the model answers."""

    @property
    def name(self) -> str:
        """Name of the template, as it stands in manifests; another text has another name."""
        ...

    @property
    def task(self) -> str:
        """Kind of the task that it belongs to."""
        ...

    def opening(self, example: Example, values: Mapping[str, str]) -> str:
        """Return the system text; empty for none."""
        ...

    def turn(self, example: Example, passages: Sequence[Passage], values: Mapping[str, str]) -> str:
        """Return the user's turn that asks the example."""
        ...

    def earlier(self, turns: Sequence[Turn], values: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the turns before an input as messages: (what was asked, what was answered) each."""
        ...


@dataclass(frozen=True, slots=True)
class Shot:
    """A solved example shown before the question."""

    example: Example
    output: str


Message = dict[str, str]
"""One message of a conversation: its `role` (system, user or assistant) and its `content`."""


def render(
    tokenizer: ChatTokenizer,
    form: Form,
    example: Example,
    *,
    passages: Sequence[Passage] = (),
    shots: Sequence[Shot] = (),
    values: Mapping[str, str] | None = None,
) -> str:
    """Return the whole prompt of a local model as text, up to where its answer begins."""
    return rendered(tokenizer, conversation(form, example, passages=passages, shots=shots, values=values))


def conversation(
    form: Form,
    example: Example,
    *,
    passages: Sequence[Passage] = (),
    shots: Sequence[Shot] = (),
    values: Mapping[str, str] | None = None,
) -> list[Message]:
    """Return the messages that ask an example; the last one is the user's.

    `shots` come first, each behind the turns that led to it, then the turns of the example's own history, oldest
    first, then its input; only the input has passages, for those of earlier turns would fill the model's context.
    `values` fills placeholders of the template beside `input` and `passages`. The example's own instructions stand
    behind the template's system text.
    """
    fixed = dict(values or {})
    system = [text for text in (form.opening(example, fixed), example.instructions) if text]
    before: list[tuple[str, str]] = []
    for shot in shots:
        before += form.earlier(shot.example.history, fixed)
        before.append((form.turn(shot.example, (), fixed), shot.output))
    before += form.earlier(example.history, fixed)
    messages = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    for asked, answered in before:
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answered})
    return [*messages, {"role": "user", "content": form.turn(example, passages, fixed)}]


def rendered(tokenizer: ChatTokenizer, messages: Sequence[Message]) -> str:
    """Return a conversation by the model's chat template, or as plain turns for a model that has none.

    Special tokens of the model that stand in documents or inputs are broken up, so that a document cannot end the
    user's turn.
    """
    safe = [{**message, "content": defused(tokenizer, message["content"])} for message in messages]
    if tokenizer.chat_template:
        return str(tokenizer.apply_chat_template(safe, tokenize=False, add_generation_prompt=True))
    turns = [m["content"] if m["role"] != "assistant" else f"Answer: {m['content']}" for m in safe]
    return "\n\n".join([*turns, "Answer:"])


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
