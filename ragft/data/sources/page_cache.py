"""Pages kept between runs with the marks (ETag, Last-Modified) that let a server say that nothing has changed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a server: its address after redirects, its content type as sent, its body unpacked."""

    url: str
    content_type: str
    body: bytes
    etag: str | None = None
    last_modified: str | None = None


class PageCache:
    """Pages in one folder, one file for each address: a line of JSON, then the body.

    A file is written whole or not at all. One that is torn or foreign is no page: its body must have the hash that its
    first line states, and its first line the address that is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str) -> Page | None:
        """Return the page that was kept for an address, or None."""
        try:
            head, body = self._file(url).read_bytes().split(b"\n", 1)
            facts = json.loads(head)
            whole = facts["url"] == url and facts["sha256"] == hashlib.sha256(body).hexdigest()
            return Page(url, facts["content_type"], body, facts["etag"], facts["last_modified"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, page: Page) -> None:
        """Keep a page that its server can be asked about again; others are not kept."""
        if page.etag is None and page.last_modified is None:
            return
        facts = {
            "url": page.url,
            "sha256": hashlib.sha256(page.body).hexdigest(),
            "content_type": page.content_type,
            "etag": page.etag,
            "last_modified": page.last_modified,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._file(page.url)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # readable by its owner alone
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(facts).encode() + b"\n" + page.body)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _file(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}.page"
