"""Answers from a server that speaks OpenAI's chat completions. The only code that knows that protocol's requests.

A prompt is a list of messages as JSON. Requests go at once, as many as the experiment allows; one that fails in a way
that may pass is made again, and a prompt that never gets an answer is reported as such while the others go on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from ragft.config.models import OpenAiModel
from ragft.endpoints import Endpoint, Pace, RefusedError, UnansweredError
from ragft.errors import RagftError
from ragft.generation.completions import Reply, events, whole_reply
from ragft.generation.generator import Generation
from ragft.generation.words import Told, whole_words
from ragft.records import FinishReason

logger = logging.getLogger("ragft.generation")

BYTES_PER_TOKEN = 4
"""Bytes of text that are taken for a token where a server does not count: about right for English and for Japanese."""

VERSION = 1
"""Goes up when the same settings would ask otherwise; a hosted model's answers cost money, so not with every edit."""

_CUT = frozenset({"length", "max_tokens"})
_FILTERED = "content_filter"


class OpenAiGenerator:
    """Answers of one model on a server; what is asked of it are messages as JSON.

    The key stands in no error, log or answer.
    """

    def __init__(
        self,
        config: OpenAiModel,
        max_new_tokens: int,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._max_new_tokens = max_new_tokens
        self._endpoint = Endpoint(
            config.endpoint,
            "/chat/completions",
            api_key=config.api_key,
            timeout_s=config.timeout_s,
            hint=_hint,
            sleep=sleep,
        )
        self._requests = Pace(config.requests_per_minute, self._endpoint.pause, clock)
        self._tokens = Pace(config.tokens_per_minute, self._endpoint.pause, clock)
        self._estimates = False
        self._lock = threading.Lock()

    @property
    def identity(self) -> dict[str, Any]:
        """What an answer depends on beside its prompt and its longest length; no secret is in it."""
        return {
            "kind": "openai",
            "endpoint": self._endpoint.address,
            "model": self._config.source,
            "parameters": self._config.parameters,
            "logprobs": self._config.logprobs,
            "version": VERSION,
        }

    @property
    def context_tokens(self) -> int | None:
        """Tokens that the model reads and writes together, as the experiment file says; None where it does not."""
        return self._config.context_tokens

    def cap(self, max_new_tokens: int) -> None:
        """Set the longest answer, in tokens."""
        self._max_new_tokens = max_new_tokens

    def count_tokens(self, prompt: str) -> int:
        """Return about how many tokens a prompt has: only the server knows, and says so with each answer."""
        return _estimate("".join(message["content"] for message in json.loads(prompt)))

    @contextmanager
    def adapter(self, folder: Path | None) -> Iterator[None]:
        """Answer as the bare model; RagftError for an adapter, which the server's model cannot be given."""
        if folder is not None:
            raise RagftError(
                f"the adapter in {folder} cannot be put into a model behind a server ({self._endpoint.address})",
                "ask it of the model that it was trained on, or serve the trained model: ragft export",
            )
        yield

    def close(self) -> None:
        """End what is under way and close the connections."""
        self._endpoint.stop()
        self._endpoint.close()

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the answers to some prompts, in order; one that got no answer has finish reason "error"."""
        found = dict(self.answers(prompts))
        return [found[place] for place in range(len(prompts))]

    def answers(self, prompts: Sequence[str]) -> Generator[tuple[int, Generation], None, None]:
        """Yield (place in `prompts`, answer) as each is ready; closing the iterator ends what is under way.

        Raises RagftError at once for what no retry mends (a wrong key, address or model), and when as many prompts in a
        row as 3 times the concurrency, at least 5, have got no answer: the server is not there.
        """
        row, longest = 0, max(5, 3 * self._config.concurrency)
        with closing(self._ready(prompts)) as ready:
            for place, (generation, is_answered) in ready:
                yield place, generation
                row = 0 if is_answered else row + 1
                if row == longest:
                    raise RagftError(
                        f"{self._endpoint.address}: {row} prompts in a row got no answer; the last: {generation.error}",
                        "see that the server runs; lower concurrency or requests_per_minute of the model, or raise its "
                        "timeout_s. What is answered already is kept: run the command again",
                    )

    def _ready(self, prompts: Sequence[str]) -> Generator[tuple[int, tuple[Generation, bool]], None, None]:
        self._endpoint.resume()
        with ThreadPoolExecutor(self._config.concurrency) as pool:
            try:
                places = {pool.submit(self._asked, prompt): place for place, prompt in enumerate(prompts)}
                for future in as_completed(places):
                    yield places[future], future.result()
            except BaseException:
                self._endpoint.stop()
                pool.shutdown(wait=False, cancel_futures=True)  # else every request still waiting is made first
                raise

    def stream(self, prompt: str, on_text: Callable[[str], None]) -> Generation:
        """Return the answer to one prompt, telling `on_text` all that was said so far, word by word.

        An answer that breaks off is not asked for again once a part of it was told: it has finish reason "error".
        """
        self._endpoint.resume()
        told = Told(on_text)
        parameters = {"stream": True, "stream_options": {"include_usage": True}}
        generation, _ = self._asked(prompt, told, **parameters)
        told.tell(generation.text)
        return generation

    def _asked(self, prompt: str, told: Told | None = None, **more: Any) -> tuple[Generation, bool]:  # noqa: ANN401
        """Return the answer to one prompt, and whether the server gave one; RefusedError for what no retry mends."""
        body = self._body(prompt, **more)
        started = 0.0

        def begin() -> None:
            nonlocal started
            self._requests.wait()
            self._tokens.wait(self.count_tokens(prompt) + self._max_new_tokens)
            started = time.perf_counter()

        def read(response: httpx.Response) -> Generation:
            reply = self._reply(response, told)
            return self._generation(prompt, reply, time.perf_counter() - started)

        try:
            return self._endpoint.answered(
                body,
                read,
                attempts=self._config.retries + 1,
                turn=begin,
                again=lambda: told is None or not told.text,
            ), True
        except UnansweredError as error:
            return self._failed(prompt, error.problem, 0.0), False
        except RefusedError as error:
            if error.code == _FILTERED:  # of this prompt alone: Azure's filter answers 400
                return self._failed(prompt, _FILTERED, 0.0), True
            raise

    def _body(self, prompt: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return a request; the model's own parameters stand above ours, and one that is null is left out."""
        given = self._config.parameters
        body: dict[str, Any] = {"model": self._config.source, "messages": json.loads(prompt), "temperature": 0}
        if "max_completion_tokens" not in given:
            body["max_tokens"] = self._max_new_tokens
        if self._config.logprobs:
            body["logprobs"] = True
        return {key: value for key, value in {**body, **more, **given}.items() if value is not None}

    def _reply(self, response: httpx.Response, told: Told | None) -> Reply:
        """Return what the server said; UnansweredError where that is no answer."""
        streams = response.headers.get("content-type", "").startswith("text/event-stream")
        try:
            if told is None or not streams:
                return whole_reply(response.read())
            return _streamed(response.iter_bytes(), told)
        except ValueError as error:
            said = "" if streams else f": {self._endpoint.excerpt(response.text)}"
            raise UnansweredError(f"the response is no answer, {error}{said}") from None

    def _generation(self, prompt: str, reply: Reply, seconds: float) -> Generation:
        if reply.finish == _FILTERED:
            return self._failed(prompt, _FILTERED, seconds)
        if reply.prompt_tokens is None or reply.output_tokens is None:
            self._say_estimates()
        asked = self.count_tokens(prompt) if reply.prompt_tokens is None else reply.prompt_tokens
        said = _estimate(reply.text) if reply.output_tokens is None else reply.output_tokens
        reason: FinishReason = "length" if reply.finish in _CUT else "stop"
        return Generation(reply.text, asked, said, seconds, reason, reply.logprob)

    def _failed(self, prompt: str, problem: str, seconds: float) -> Generation:
        return Generation("", self.count_tokens(prompt), 0, seconds, "error", error=problem)

    def _say_estimates(self) -> None:
        with self._lock:  # several answers come in at once
            said, self._estimates = self._estimates, True
        if not said:
            logger.warning(
                "%s does not count tokens: they are estimated, one for %d bytes of text",
                self._endpoint.address,
                BYTES_PER_TOKEN,
            )


def _streamed(chunks: Iterator[bytes], told: Told) -> Reply:
    """Return the answer of an event stream, telling the words that are whole; ValueError where it breaks off."""
    reply = Reply()
    ended = False
    for event in events(chunks):
        reply.add(event, "delta")
        ended = ended or reply.finish is not None
        told.tell(whole_words(reply.text))
    if not ended:
        raise ValueError("it ends without a reason to stop")
    return reply


def _estimate(text: str) -> int:
    """Return about how many tokens a text has, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def _hint(status: int) -> str:
    match status:
        case 401 | 403:
            return "check the model's api_key, and that the key may use the model"
        case 404 | 405:
            return (
                "check the model's endpoint (such as http://localhost:8000/v1) and its source, the name on the server"
            )
        case 400 | 413 | 422:
            return (
                "check the model's source, context_tokens and parameters (a null leaves one out, as in {temperature: "
                "null}; some models want max_completion_tokens); a prompt may be too long: lower retrieval.top_k or "
                "index.chunking.chunk_tokens"
            )
        case 429:
            return "the account has no credit left. What is answered already is kept: run the command again later"
        case _:
            return "check the model's endpoint, or ask whoever runs the server"
