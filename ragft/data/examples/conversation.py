"""A conversation as an example: the turns before, the last user message as the input, the answer to it as reference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from ragft.data.sources.found import clean
from ragft.records import Turn

Role = Literal["system", "user", "assistant"]

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
"""What roles are called in lists of `role` and `content`, and in ShareGPT's lists of `from` and `value`."""
TOOL_KEYS = ("tool_calls", "function_call")


class ConversationError(ValueError):
    """A list of messages is no conversation; the message says where it stops being one. Stays inside this package."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation; `output` is the assistant's last message, None where the user speaks last."""

    history: tuple[Turn, ...]
    input: str
    output: str | None
    instructions: str


@dataclass(frozen=True, slots=True)
class _Message:
    number: int
    role: Role
    text: str


def read_conversation(messages: object) -> Conversation:
    """Return the conversation of a list of messages, which may also be written as JSON in one text.

    User messages that follow one another are one, joined by a blank line; so are system messages at the start.

    Raises:
        ConversationError: Roles out of order, tools, empty messages, or no user message at all.
    """
    spoken = [_message(number, item) for number, item in enumerate(_listed(messages), start=1)]
    system = list(takewhile(lambda message: message.role == "system", spoken))
    instructions = "\n\n".join(message.text for message in system)
    turns, asked = _turns(spoken[len(system) :])
    if asked:
        return Conversation(tuple(turns), asked, None, instructions)
    if not turns:
        raise ConversationError("no user message")
    return Conversation(tuple(turns[:-1]), turns[-1].input, turns[-1].output, instructions)


def _turns(spoken: Sequence[_Message]) -> tuple[list[Turn], str]:
    """Return the turns that were answered, and what was asked last without an answer, empty where all was answered."""
    turns: list[Turn] = []
    asked: list[str] = []
    for message in spoken:
        match message.role:
            case "user":
                asked.append(message.text)
            case "assistant" if asked:
                turns.append(Turn("\n\n".join(asked), message.text))
                asked = []
            case "assistant":
                before = "follows another one" if turns else "comes before any user message"
                raise ConversationError(f"roles out of order: the assistant's message {message.number} {before}")
            case "system":
                raise ConversationError(
                    f"roles out of order: message {message.number} is a system message, not the first"
                )
    return turns, "\n\n".join(asked)


def _message(number: int, message: object) -> _Message:
    if not isinstance(message, Mapping):
        raise ConversationError(f"message {number} must be an object, not {type(message).__name__}")
    said = message.get("role", message.get("from"))
    if said is None:
        raise ConversationError(f"message {number} has no `role` (or `from`); it has {', '.join(map(str, message))}")
    role = ROLES.get(str(said).lower())
    if role is None or any(message.get(key) for key in TOOL_KEYS):
        what = f"of role {said!r}" if role is None else f"of role {said!r} that calls a tool"
        known = "only system, user and assistant messages are understood"
        raise ConversationError(f"message {number} is {what}; {known}, since no arm has tools")
    text = message.get("content", message.get("value"))
    if not isinstance(text, str) or not text.strip():
        raise ConversationError(f"message {number} ({said}) has no text")
    return _Message(number, role, clean(text.strip()))


def _listed(messages: object) -> list[Any]:
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError) as error:
            raise ConversationError(f"not valid JSON: {error}") from None
    if isinstance(messages, Mapping) and all(isinstance(value, list) for value in messages.values()):
        # Some data sets keep a list of objects as an object of lists.
        return [dict(zip(messages, cells, strict=True)) for cells in zip(*messages.values(), strict=False)]
    if not isinstance(messages, list):
        raise ConversationError(f"must be a list of messages, not {type(messages).__name__}")
    return messages
