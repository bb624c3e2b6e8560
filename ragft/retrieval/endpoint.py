"""Text into vectors by a server that speaks OpenAI's `/embeddings`. The only code that knows that protocol."""

from __future__ import annotations

import email.utils
import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
from tokenizers import Tokenizer

from ragft.config.knowledge import EmbedderConfig
from ragft.errors import RagftError
from ragft.provenance import fingerprint
from ragft.retrieval.embedding import OnBatch, Vectors, in_order, silent, unit

ATTEMPTS = 6
"""Times that one request is made before its last answer is reported."""

LONGEST_PAUSE_S = 60.0
"""Longest pause between two attempts, also where the server asks for a longer one."""

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Status codes that may pass: too many requests, time-outs, and a server that is starting or overloaded."""


class EndpointEmbedder:
    """Embeds documents and queries over HTTP, several requests at once; the same text gives the same vector for both.

    The key is sent as `Authorization: Bearer` and stands in no error, even where the server repeats it.
    """

    def __init__(
        self,
        config: EmbedderConfig,
        tokenizer: Tokenizer,
        max_tokens: int | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        if config.endpoint is None:
            raise ValueError("an endpoint embedder needs index.embedder.endpoint")
        self._config = config
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait  # ends at once when another request has failed
        self._url = httpx.URL(config.endpoint.rstrip("/") + "/embeddings")
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self._dimensions: int | None = None
        self._lock = threading.Lock()
        headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}
        self._client = httpx.Client(headers=headers, timeout=config.timeout_s)

    @property
    def address(self) -> str:
        """Where requests go, without a name or password that the address may hold."""
        return str(self._url.copy_with(username=None, password=None, query=None))

    @property
    def identity(self) -> str:
        """Fingerprint of the server's address and its model; a server that changes its weights cannot be noticed."""
        return fingerprint({"endpoint": self.address, "model": self._config.source, "revision": self._config.revision})

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return unit vectors of shape (texts, dimensions); RagftError where the server does not give them."""
        size = self._config.batch_size
        spans = [list(range(start, min(start + size, len(texts)))) for start in range(0, len(texts), size)]
        blocks = []
        self._stopped.clear()
        with ThreadPoolExecutor(self._config.concurrency) as pool:
            futures = [pool.submit(self._batch, [texts[position] for position in span]) for span in spans]
            try:
                for span, future in zip(spans, futures, strict=True):
                    blocks.append((span, future.result()))
                    on_batch(len(span))
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)  # else every request still waiting is made first
                raise
        return in_order(blocks)

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (texts, dimensions)."""
        return self.documents(texts)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _batch(self, texts: Sequence[str]) -> Vectors:
        response = self._answered({"model": self._config.source, "input": list(texts), "encoding_format": "float"})
        try:
            rows = sorted(response.json()["data"], key=lambda row: row["index"])
            positions = [row["index"] for row in rows]
            vectors = np.asarray([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, KeyError, TypeError):
            raise RagftError(
                f"{self.address}: the answer holds no embeddings: {self._excerpt(response)}",
                "index.embedder.endpoint must be the base address of an OpenAI-compatible server, such as "
                "https://host/v1",
            ) from None
        self._check(positions, vectors, len(texts))
        return unit(vectors)

    def _check(self, positions: list[int], vectors: np.ndarray[Any, np.dtype[np.float32]], count: int) -> None:
        """Raise RagftError unless there is one vector for each text, as wide as the ones before, and finite."""
        if positions != list(range(count)) or vectors.ndim != 2:
            raise RagftError(f"{self.address}: {count} texts were sent, and {len(positions)} vectors came back")
        if not np.isfinite(vectors).all():
            raise RagftError(f"{self.address}: a vector holds a value that is not a number")
        width = vectors.shape[1]
        with self._lock:
            expected = self._dimensions = self._dimensions or width
        if width != expected:
            raise RagftError(
                f"{self.address}: a vector has {width} dimensions, and the ones before had {expected}",
                "the server changed its model; make the index anew: ragft index FILE --rebuild",
            )

    def _answered(self, body: dict[str, Any]) -> httpx.Response:
        """Return the server's answer; what may pass is asked again after growing pauses."""
        for attempt in itertools.count(1):
            response, problem = self._attempt(body)
            if response is not None and response.status_code not in RETRIED:
                if response.is_success:
                    return response
                raise RagftError(f"{self.address}: {self._refusal(response)}", _hint(response.status_code))
            if attempt == ATTEMPTS or self._stopped.is_set():
                said = problem if response is None else self._refusal(response)
                raise RagftError(
                    f"{self.address}: {said} ({attempt} attempts)",
                    "see that the server runs; lower index.embedder.concurrency, or raise timeout_s. What is embedded "
                    "already is kept: run the command again",
                )
            self._sleep(pause_before(attempt + 1, None if response is None else response.headers.get("retry-after")))
        raise AssertionError("itertools.count ends never")

    def _attempt(self, body: dict[str, Any]) -> tuple[httpx.Response | None, str]:
        try:
            return self._client.post(self._url, json=body), ""
        except httpx.TimeoutException:
            return None, f"no answer within {self._config.timeout_s:g} s"
        except (httpx.TransportError, httpx.InvalidURL) as error:
            return None, f"cannot be reached: {self._without_key(str(error)) or type(error).__name__}"

    def _refusal(self, response: httpx.Response) -> str:
        return f"HTTP {response.status_code}: {self._excerpt(response)}"

    def _excerpt(self, response: httpx.Response) -> str:
        return self._without_key(" ".join(response.text.split()))[:300] or "nothing"

    def _without_key(self, text: str) -> str:
        """Return a text without the key: servers repeat a wrong one in what they say about it."""
        return text.replace(self._config.api_key, "***") if self._config.api_key else text


def pause_before(attempt: int, retry_after: str | None) -> float:
    """Return the seconds to wait before an attempt (2, 3, ...).

    What the server asks for (`Retry-After`, in seconds or as a date), else 0.5 s doubled at each attempt, and up to a
    quarter more by chance, so that requests refused together do not come back together. At most `LONGEST_PAUSE_S`.
    """
    asked = _seconds(retry_after)
    pause = 0.5 * 2 ** (attempt - 2) * (1 + random.random() / 4) if asked is None else asked
    return min(max(pause, 0.0), LONGEST_PAUSE_S)


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None:
        return None
    if retry_after.strip().replace(".", "", 1).isdigit():
        return float(retry_after)
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return None


def _hint(status: int) -> str:
    match status:
        case 401 | 403:
            return "check index.embedder.api_key"
        case 404:
            return "check index.embedder.endpoint (such as https://host/v1) and index.embedder.source, the model's name"
        case 400 | 413 | 422:
            return "check index.embedder.source, the model's name; lower index.chunking.chunk_tokens or batch_size"
        case _:
            return "ask whoever runs the server"
