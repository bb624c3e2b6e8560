"""A small site on this machine for the tests of web sources: what each path answers, and what was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext


@dataclass
class Reply:
    """One answer of the site; `send` writes it instead, for answers that are slow or broken."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    send: Callable[[BaseHTTPRequestHandler], None] | None = None


@dataclass
class Site:
    """The pages of a site by path: a reply, or several of which the last repeats; every request is kept in `asked`."""

    pages: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return the address of a path."""
        return f"http://{host}:{self.port}{path}"

    def put(self, path: str, *replies: Reply) -> str:
        """Let a path answer, and return its address."""
        self.pages[path] = list(replies)
        return self.url(path)

    def page(self, path: str, text: str, title: str = "A page", **headers: str) -> str:
        """Let a path answer with a page of one paragraph, and return its address."""
        html = f"<html><head><title>{title}</title></head><body><article><p>{text}</p></article></body></html>"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.put(path, Reply(html.encode(), headers={"Content-Type": "text/html; charset=utf-8", **named}))


def answer_with(site: Site) -> type[BaseHTTPRequestHandler]:
    """Return a handler that answers as the site says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.headers.append(dict(self.headers.items()))
            replies = site.pages.get(self.path, [Reply(b"no such page", 404, {"Content-Type": "text/plain"})])
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            if reply.send is not None:
                reply.send(self)
                return
            etag = reply.headers.get("ETag")
            unchanged = etag is not None and self.headers.get("If-None-Match") == etag
            body = b"" if unchanged else reply.body
            self.send_response(304 if unchanged else reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serving(site: Site, tls: SSLContext | None = None) -> Iterator[Site]:
    """Serve a site on 127.0.0.1 while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answer_with(site))
    server.daemon_threads = True
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
