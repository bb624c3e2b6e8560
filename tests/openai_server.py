"""A server of OpenAI's chat completions on this machine that misbehaves on demand, on threads of the standard library.

Each request takes the next step of `script`, or `usual` when none is left. A step gets the handler, which is at the
start of an answer, and the request; it writes whatever it likes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
Step = Callable[[BaseHTTPRequestHandler, Json], None]


class ChatServer:
    """What the server was asked, how many requests there were at once, and what it does next."""

    def __init__(self, usual: Step) -> None:
        self.usual = usual
        self.script: list[Step] = []
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.address = ""
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def asked(self) -> list[str]:
        """What the user said last in each request, in the order of the requests."""
        return [request["messages"][-1]["content"] for request in self.requests]

    def begun(self, handler: BaseHTTPRequestHandler, request: Json) -> Step:
        """Return the step for a request that has come in."""
        with self.lock:
            self.requests.append({"path": handler.path, **request})
            self.headers.append(dict(handler.headers))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return self.script.pop(0) if self.script else self.usual

    def ended(self) -> None:
        """Count a request as ended."""
        with self.lock:
            self.at_once -= 1


@contextmanager
def chat_server(usual: Step | None = None) -> Iterator[ChatServer]:
    """Yield a server that runs inside the block; it usually answers with the question in upper case."""
    told = ChatServer(usual or shouts)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            step = told.begun(self, request)
            try:
                step(self, request)
            except OSError:  # the client has gone away
                self.close_connection = True
            finally:
                told.ended()

        def log_message(self, *_: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Listener(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        told.address = f"http://127.0.0.1:{listener.server_port}/v1"
        try:
            yield told
        finally:
            told.closing.set()
            listener.shutdown()
            listener.block_on_close = False


def completion(text: str | None, finish: str | None = "stop", **more: Any) -> Json:
    """Return a whole response: 7 prompt tokens, and one output token for each word."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 7, "completion_tokens": len((text or "").split())}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish, **more}], "usage": usage}


def send(handler: BaseHTTPRequestHandler, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
    """Write a whole answer: text as it is, anything else as JSON."""
    raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    kind = "text/html" if isinstance(answer, str) else "application/json"
    handler.send_response(status)
    for name, value in {"Content-Type": kind, **(headers or {}), "Content-Length": str(len(raw))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)


def shouts(handler: BaseHTTPRequestHandler, request: Json) -> None:
    """Answer with what the user said last, in upper case."""
    send(handler, 200, completion(request["messages"][-1]["content"].upper()))


def says(answer: Any, status: int = 200, **headers: str) -> Step:
    """Return a step that answers this; `Retry_After="1"` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: send(handler, status, answer, named)


def breaks_off(handler: BaseHTTPRequestHandler, request: Json) -> None:
    """Promise a whole answer, send half of it, and hang up."""
    raw = json.dumps(completion("half an answer")).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw[: len(raw) // 2])
    handler.close_connection = True


def echoes_key(status: int) -> Step:
    """Return a step that refuses, and repeats the key as servers do."""

    def step(handler: BaseHTTPRequestHandler, request: Json) -> None:
        key = handler.headers["Authorization"]
        send(handler, status, {"error": {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}})

    return step


def hangs(server: ChatServer) -> Step:
    """Return a step that says nothing until the server closes."""

    def step(handler: BaseHTTPRequestHandler, request: Json) -> None:
        server.closing.wait(30)
        handler.close_connection = True

    return step


def drips(server: ChatServer, head: bytes, *, every_s: float = 0.03) -> Step:
    """Return a step that sends a head and then a blank now and then, for ever: no pause is ever long."""

    def step(handler: BaseHTTPRequestHandler, request: Json) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        while not server.closing.wait(every_s):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    return step


def streams(chunks: Sequence[bytes], *, pause_s: float = 0.0, whole: bool = True) -> Step:
    """Return a step that sends these bytes as an event stream, each in a chunk of its own; else it hangs up."""

    def step(handler: BaseHTTPRequestHandler, request: Json) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=iso-8859-1")  # events are UTF-8 all the same
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            handler.wfile.flush()
            time.sleep(pause_s)
        if whole:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.close_connection = True

    return step


def event(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Return one event of a stream, with its text as raw UTF-8."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}, ensure_ascii=False).encode() + b"\n\n"
