"""Text into vectors by a server that speaks OpenAI's `/embeddings`. The only code that knows that protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
from tokenizers import Tokenizer

from ragft.config.knowledge import EmbedderConfig
from ragft.endpoints import Endpoint, UnansweredError
from ragft.errors import RagftError
from ragft.provenance import fingerprint
from ragft.retrieval.embedding import OnBatch, Vectors, in_order, silent, unit

ATTEMPTS = 6
"""Times that one request is made before its last answer is reported."""


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
        self._endpoint = Endpoint(
            config.endpoint,
            "/embeddings",
            api_key=config.api_key,
            timeout_s=config.timeout_s,
            hint=_hint,
            sleep=sleep,
        )
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self._dimensions: int | None = None
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where requests go, without a name or password that the address may hold."""
        return self._endpoint.address

    @property
    def identity(self) -> str:
        """Fingerprint of the server's address and its model; a server that changes its weights cannot be noticed."""
        return fingerprint({"endpoint": self.address, "model": self._config.source, "revision": self._config.revision})

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return unit vectors of shape (texts, dimensions); RagftError where the server does not give them."""
        size = self._config.batch_size
        spans = [list(range(start, min(start + size, len(texts)))) for start in range(0, len(texts), size)]
        blocks = []
        self._endpoint.resume()
        with ThreadPoolExecutor(self._config.concurrency) as pool:
            futures = [pool.submit(self._batch, [texts[position] for position in span]) for span in spans]
            try:
                for span, future in zip(spans, futures, strict=True):
                    blocks.append((span, future.result()))
                    on_batch(len(span))
            except BaseException:
                self._endpoint.stop()
                pool.shutdown(wait=False, cancel_futures=True)  # else every request still waiting is made first
                raise
        return in_order(blocks)

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (texts, dimensions)."""
        return self.documents(texts)

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def _batch(self, texts: Sequence[str]) -> Vectors:
        body = {"model": self._config.source, "input": list(texts), "encoding_format": "float"}
        try:
            return self._endpoint.answered(body, lambda response: self._read(response, len(texts)), attempts=ATTEMPTS)
        except UnansweredError as error:
            raise RagftError(
                f"{self.address}: {error.problem}",
                "see that the server runs; lower index.embedder.concurrency, or raise timeout_s. What is embedded "
                "already is kept: run the command again",
            ) from None

    def _read(self, response: httpx.Response, count: int) -> Vectors:
        response.read()
        try:
            rows = sorted(response.json()["data"], key=lambda row: row["index"])
            positions = [row["index"] for row in rows]
            vectors = np.asarray([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, KeyError, TypeError):
            raise RagftError(
                f"{self.address}: the answer holds no embeddings: {self._endpoint.excerpt(response.text)}",
                "index.embedder.endpoint must be the base address of an OpenAI-compatible server, such as "
                "https://host/v1",
            ) from None
        self._check(positions, vectors, count)
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
