"""What a server of OpenAI's chat completions says, read strictly: whole, or event by event. Knows nothing of HTTP.

Anything that is not an answer raises ValueError with what is wrong: behind a proxy a good status is no promise.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_DONE = b"[DONE]"


@dataclass(slots=True)
class Reply:
    """What is known of one answer so far; `finish` is the server's own word, and counts are None where it gives none.

    `tokens` are (token, log-probability in nats) where the server was asked for them and gave them.
    """

    content: str = ""
    refusal: str = ""
    finish: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    tokens: list[tuple[str, float]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The answer; a model that refuses may say so in a place of its own. Halves of characters are joined."""
        said = self.content or self.refusal
        return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()

    @property
    def logprob(self) -> float | None:
        """Mean log-probability (nats) of the tokens of the answer, None where the server does not tell.

        Some servers count the token that ends the answer: it is left out where the others make up the whole text.
        """
        said = self.tokens
        if said and "".join(token for token, _ in said[:-1]) == self.content:
            said = said[:-1]
        return statistics.fmean(value for _, value in said) if said else None

    def add(self, piece: Mapping[str, Any], place: str) -> None:
        """Take what a response or an event says; `place` is where the text stands in it: `message` or `delta`."""
        choices = piece.get("choices")
        if not isinstance(choices, Sequence) or isinstance(choices, str):
            raise ValueError("it has no choices")
        self._count(piece.get("usage"))
        if not choices:
            return
        choice = choices[0]
        said = choice.get(place) if isinstance(choice, Mapping) else None
        if not isinstance(said, Mapping):
            raise ValueError(f"its first choice has no {place}")
        self.content += _text(said, "content")
        self.refusal += _text(said, "refusal")
        finish = choice.get("finish_reason")
        self.finish = finish if isinstance(finish, str) else self.finish
        self.tokens += _logprobs(choice.get("logprobs"))

    def _count(self, usage: object) -> None:
        if isinstance(usage, Mapping):
            self.prompt_tokens = _count(usage.get("prompt_tokens"), self.prompt_tokens)
            self.output_tokens = _count(usage.get("completion_tokens"), self.output_tokens)


def whole_reply(body: bytes) -> Reply:
    """Return the answer in the body of a response; ValueError where there is none."""
    reply = Reply()
    reply.add(_object(body), "message")
    if reply.finish is None and not reply.text:
        raise ValueError("it holds neither a text nor a reason to stop")
    return reply


def events(chunks: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON of each server-sent event, up to `[DONE]`; chunks may be cut anywhere, also inside a character.

    Lines end at line feeds alone: U+2028 and its like, at which Python also splits a text, may stand in an answer.
    Raises ValueError for an event that is no JSON object.
    """
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = _data(line)
            if data == _DONE:
                return
            if data:
                yield _object(data)
    if (data := _data(rest)) and data != _DONE:
        yield _object(data)


def _data(line: bytes) -> bytes:
    return line[len(b"data:") :].strip() if line.startswith(b"data:") else b""


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def _text(said: Mapping[str, Any], key: str) -> str:
    found = said.get(key)
    if not isinstance(found, str | None):
        raise ValueError(f"its {key} is not a text")
    return found or ""


def _count(value: object, known: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else known


def _logprobs(given: object) -> list[tuple[str, float]]:
    """Return the tokens with their log-probabilities; none of them where one is not a number."""
    rows = given.get("content") if isinstance(given, Mapping) else None
    try:
        found = [(str(row["token"]), float(row["logprob"])) for row in rows or ()]
    except (KeyError, TypeError, ValueError):
        return []
    return found if all(math.isfinite(value) for _, value in found) else []
