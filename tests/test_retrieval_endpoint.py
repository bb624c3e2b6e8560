"""The embedder behind an HTTP endpoint, against a real server on this machine that misbehaves on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from ragft.config.knowledge import EmbedderConfig
from ragft.endpoints import LONGEST_PAUSE_S, pause_before
from ragft.errors import RagftError
from ragft.retrieval.embedding import unit
from ragft.retrieval.endpoint import ATTEMPTS, EndpointEmbedder

Reply = tuple[int, dict[str, str], Any]
KEY = "sk-very-secret-key"


class Server:
    """Embeds a text as (1, its length); `script` answers the first requests instead."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.script: list[Reply | Callable[[dict[str, Any]], Reply]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def reply(self, body: dict[str, Any]) -> Reply:
        with self.lock:
            step = self.script.pop(0) if self.script else good
        return step(body) if callable(step) else step


def good(body: dict[str, Any]) -> Reply:
    rows = [{"index": n, "embedding": [1.0, float(len(text))]} for n, text in enumerate(body["input"])]
    return 200, {}, {"data": rows[::-1]}  # the order of the rows is not promised


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with told.lock:
                told.requests.append({"path": self.path, **body})
                told.headers.append(dict(self.headers))
                told.at_once += 1
                told.most_at_once = max(told.most_at_once, told.at_once)
            status, headers, answer = told.reply(body)
            with told.lock:
                told.at_once -= 1
            raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    told.address = f"http://127.0.0.1:{listener.server_port}/v1"  # type: ignore[attr-defined]
    yield told
    listener.shutdown()
    listener.server_close()


def embedder(server: Any, pauses: list[float] | None = None, **changes: Any) -> EndpointEmbedder:
    options = {"source": "text-model", "endpoint": server.address, "api_key": KEY, "batch_size": 2, **changes}
    pause = (pauses if pauses is not None else []).append
    return EndpointEmbedder(EmbedderConfig.model_validate(options), Tokenizer(models.BPE()), sleep=pause)


def test_vectors_come_back_in_the_order_of_the_texts(server: Server) -> None:
    told: list[int] = []
    found = embedder(server).documents(["a", "bbb", "cc", "dddd", "e"], told.append)
    assert found == pytest.approx(unit([[1, 1], [1, 3], [1, 2], [1, 4], [1, 1]]))
    assert found.dtype == np.float32
    assert told == [2, 2, 1]
    assert sorted(len(request["input"]) for request in server.requests) == [1, 2, 2]
    assert {(r["path"], r["model"], r["encoding_format"]) for r in server.requests} == {
        ("/v1/embeddings", "text-model", "float")
    }
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}


def test_queries_are_embedded_like_documents_and_nothing_needs_no_request(server: Server) -> None:
    assert embedder(server).queries(["abc"]) == pytest.approx(unit([[1, 3]]))
    server.requests.clear()
    assert len(embedder(server).documents([])) == 0
    assert server.requests == []


def test_requests_go_at_once_but_no_more_than_allowed(server: Server) -> None:
    together = threading.Barrier(3)  # three requests wait for each other: fewer at once would never be answered

    def slow(body: dict[str, Any]) -> Reply:
        together.wait(timeout=30)
        return good(body)

    server.script = [slow] * 12
    embedder(server, batch_size=1, concurrency=3).documents([f"{n}" for n in range(12)])
    assert server.most_at_once == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_asked_again_after_growing_pauses(server: Server, status: int) -> None:
    server.script = [(status, {}, {"error": "busy"})] * 3
    pauses: list[float] = []
    assert len(embedder(server, pauses).documents(["a"])) == 1
    assert len(server.requests) == 4
    for pause, least in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert least <= pause <= 1.25 * least


def test_the_server_decides_how_long_to_wait(server: Server) -> None:
    server.script = [(429, {"Retry-After": "7"}, {}), (503, {"Retry-After": "100000"}, {})]
    pauses: list[float] = []
    embedder(server, pauses).documents(["a"])
    assert pauses == [7.0, LONGEST_PAUSE_S]


def test_retry_after_may_be_a_date_and_nonsense_is_passed_over() -> None:
    from email.utils import formatdate

    assert pause_before(2, formatdate(time.time() + 20, usegmt=True)) == pytest.approx(20, abs=2)
    assert pause_before(2, formatdate(time.time() - 500, usegmt=True)) == 0
    assert 0.5 <= pause_before(2, "soon") <= 0.625


def test_a_server_that_stays_busy_is_reported(server: Server) -> None:
    server.script = [(503, {}, "over\nloaded")] * ATTEMPTS
    with pytest.raises(RagftError, match=f"HTTP 503: over loaded .{ATTEMPTS} attempts.") as caught:
        embedder(server).documents(["a"])
    assert "concurrency" in (caught.value.hint or "")


def test_a_time_out_is_tried_again_and_then_reported(server: Server) -> None:
    def hangs(body: dict[str, Any]) -> Reply:
        time.sleep(0.4)
        return good(body)

    server.script = [hangs]
    assert len(embedder(server, timeout_s=0.1).documents(["a"])) == 1
    server.script = [hangs] * ATTEMPTS
    with pytest.raises(RagftError, match=r"no answer within 0\.1 s"):
        embedder(server, timeout_s=0.1).documents(["a"])


@pytest.mark.parametrize(("status", "hint"), [(401, "api_key"), (404, "https://host/v1"), (400, "source")])
def test_a_refusal_is_reported_at_once_and_never_with_the_key(server: Server, status: int, hint: str) -> None:
    """Servers repeat a wrong key in what they say about it."""
    server.script = [(status, {}, {"error": {"message": f"Incorrect API key provided: {KEY}."}})]
    with pytest.raises(RagftError, match=f"HTTP {status}: .*provided: \\*\\*\\*") as caught:
        embedder(server).documents(["a"])
    assert len(server.requests) == 1
    assert hint in (caught.value.hint or "")
    assert KEY not in f"{caught.value.message} {caught.value.hint} {caught.value.__cause__}"


def test_a_refused_request_stops_those_that_wait(server: Server) -> None:
    """A wrong key must not be sent a thousand times."""
    server.script = [(401, {}, {})] * 200
    with pytest.raises(RagftError):
        embedder(server, batch_size=1, concurrency=2).documents(["a"] * 200)
    assert len(server.requests) < 20


def test_a_server_that_is_not_there_is_reported(server: Server) -> None:
    pauses: list[float] = []
    gone = embedder(server, pauses, endpoint="http://127.0.0.1:9/v1")
    with pytest.raises(RagftError, match=r"http://127\.0\.0\.1:9/v1/embeddings: cannot be reached"):
        gone.documents(["a"])
    assert len(pauses) == ATTEMPTS - 1


def row(index: int, *vector: float) -> dict[str, Any]:
    return {"index": index, "embedding": list(vector)}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("<html>Hello</html>", "holds no embeddings: <html>"),
        ({"error": "no"}, "holds no embeddings"),
        ({"data": [row(0, 1.0, 2.0)]}, "2 texts were sent, and 1 vectors came back"),
        ({"data": [row(0, 1.0), row(0, 2.0)]}, "2 texts were sent"),
        ({"data": [row(0, 1.0, 2.0), row(1, 1.0)]}, "holds no embeddings"),
        ({"data": [row(0, 1.0, float("nan")), row(1, 1.0, 1.0)]}, "not a number"),
    ],
)
def test_an_answer_that_is_no_embedding_is_reported(server: Server, answer: Any, message: str) -> None:
    server.script = [(200, {}, answer)]
    with pytest.raises(RagftError, match=message):
        embedder(server).documents(["a", "b"])


def test_vectors_of_another_width_are_refused(server: Server) -> None:
    """A server that is given another model mid-way would else fill one index with two spaces."""
    client = embedder(server)
    client.documents(["a"])
    server.script = [(200, {}, {"data": [row(0, 1.0, 2.0, 3.0)]})]
    with pytest.raises(RagftError, match="has 3 dimensions, and the ones before had 2"):
        client.queries(["a"])


def test_the_identity_is_address_and_model_without_secrets(server: Server) -> None:
    first = embedder(server).identity
    assert embedder(server, api_key="other", concurrency=1).identity == first
    assert embedder(server, endpoint=f"{server.address}/").identity == first  # type: ignore[attr-defined]
    assert embedder(server, source="other").identity != first
    assert embedder(server, endpoint="http://127.0.0.1:9/v1").identity != first
    hidden = embedder(server, endpoint="http://user:word@127.0.0.1:9/v1")
    assert hidden.address == "http://127.0.0.1:9/v1/embeddings"
