"""Chroma, embedded in the workspace or as a server, and its errors in the words of ragft.

With `store.py` the only code that knows Chroma. Vectors are always passed in, so Chroma never loads (or downloads) an
embedder of its own; its telemetry is off. An embedded store has one writer at a time: the workspace's lock sees to it.

Its library takes a second to import, and a command that finds its index in step never opens the store, so it is
imported where a store is opened.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragft.config.knowledge import StoreConfig
from ragft.errors import RagftError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

CONNECT_S = 10.0
"""Seconds within which a server must take a connection; Chroma itself would wait for ever."""


@dataclass(frozen=True, slots=True)
class Chroma:
    """A connection to a store: `place` is its folder or `host:port`, `page` the most rows of one request."""

    client: ClientAPI
    place: str
    is_server: bool
    page: int

    def close(self) -> None:
        """Close the connection; other connections of this process to the same folder stay open."""
        client: Any = self.client  # its interface does not declare it
        client.close()

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Turn an error of the store into a RagftError that names the store and says what to do."""
        with _translated(self.place, is_server=self.is_server):
            yield


def opened(folder: Path, config: StoreConfig) -> Chroma:
    """Return a connection to the server that the config names, or to the store in `folder` where it names none."""
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    if config.host is None:
        folder.mkdir(parents=True, exist_ok=True)
        with _translated(str(folder), is_server=False):
            client = chromadb.PersistentClient(str(folder), settings)
            return Chroma(client, str(folder), is_server=False, page=client.get_max_batch_size())
    place = f"{config.host}:{config.port}"
    headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else None
    with _translated(place, is_server=True):
        socket.create_connection((config.host, config.port), timeout=CONNECT_S).close()
        client = chromadb.HttpClient(config.host, config.port, config.ssl, headers, settings)
        return Chroma(client, place, is_server=True, page=client.get_max_batch_size())


@contextmanager
def _translated(place: str, *, is_server: bool) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        import httpx
        from chromadb.errors import AuthorizationError, ChromaAuthError, ChromaError

        if isinstance(error, ChromaAuthError | AuthorizationError):
            raise RagftError(f"the Chroma server {place} refuses the key", "check index.store.api_key") from None
        if not isinstance(error, ChromaError | httpx.HTTPError | OSError | ValueError):
            raise
        raise _unusable(error, place, is_server=is_server) from error


def _unusable(error: Exception, place: str, *, is_server: bool) -> RagftError:
    what = " ".join(str(error).split())[:300] or type(error).__name__
    if is_server:
        return RagftError(
            f"the Chroma server {place} cannot be used: {what}",
            "see that it runs (chroma run --host HOST --port PORT) and that index.store.host, port and ssl are "
            "right, or leave index.store away to keep the index in the workspace",
        )
    return RagftError(
        f"the store in {place} cannot be used: {what}",
        f"remove {place} and run: ragft index FILE (what was embedded is kept elsewhere and is not lost)",
    )
