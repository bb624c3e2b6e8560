"""The store on a real Chroma server on this machine: as the embedded one, and clear words where it is absent."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest

from ragft.config.knowledge import StoreConfig
from ragft.errors import RagftError
from ragft.records import Passage
from ragft.retrieval.embedding import Vectors, unit
from ragft.retrieval.pruning import InUse, Places, drop, unused
from ragft.retrieval.store import PassageStore, SyncReport


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreConfig]:
    command = shutil.which("chroma", path=str(Path(sys.executable).parent)) or shutil.which("chroma")
    if command is None:
        pytest.skip("SERVER STORE NOT TESTED: there is no `chroma` command beside this Python")
    port, folder = free_port(), tmp_path_factory.mktemp("server")
    arguments = [command, "run", "--host", "127.0.0.1", "--port", str(port), "--path", str(folder)]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
    try:
        if not answers(port, process):
            pytest.skip(f"SERVER STORE NOT TESTED: `chroma run` did not start: {(folder / 'log.txt').read_text()}")
        yield StoreConfig(host="127.0.0.1", port=port)
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    for _ in range(200):
        if process.poll() is not None:
            return False
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=2).is_success
        except httpx.TransportError:
            time.sleep(0.1)
    return False


def by_number(texts: Sequence[str]) -> Vectors:
    """Return directions that turn with the number that ends a text."""
    angles = [int(text.split()[-1]) / 1500 for text in texts]
    return unit([[np.cos(angle), np.sin(angle)] for angle in angles])


def numbered(count: int) -> list[Passage]:
    return [Passage(f"d{n:04}#0-9", f"d{n:04}", "", f"text {n}", 0, 9, {"even": n % 2 == 0}) for n in range(count)]


def test_a_server_is_kept_in_step_and_searched_as_the_embedded_store_is(server: StoreConfig, tmp_path: Path) -> None:
    """More rows than a page; then one of them changed, one gone, and a filter."""
    passages = numbered(1100)
    remote = PassageStore(tmp_path / "unused", "a" * 64, "embedder-1", server)
    local = PassageStore(tmp_path / "chroma", "a" * 64, "embedder-1")
    for store in (remote, local):
        assert store.sync(passages, by_number) == SyncReport(added=1100, removed=0, unchanged=0)
        moved = Passage("d0001#0-9", "d0001", "", "text 1099", 0, 9, {"even": False})
        now = [moved, *passages[2:]]
        assert store.sync(now, by_number) == SyncReport(added=0, removed=1, unchanged=1098, changed=1)
        store.check(now)
        assert store.vectors(now).shape == (len(now), 2)
    query = by_number(["text 10"])
    for chosen in ({}, {"even": True}):
        theirs, ours = remote.search(query, 5, chosen)[0], local.search(query, 5, chosen)[0]
        assert [item.passage for item in theirs] == [item.passage for item in ours]
        assert [item.score for item in theirs] == pytest.approx([item.score for item in ours], abs=1e-6)
    assert not (tmp_path / "unused").exists()


def test_the_index_on_a_server_outlives_the_client(server: StoreConfig, tmp_path: Path) -> None:
    PassageStore(tmp_path, "b" * 64, "embedder-1", server).sync(numbered(3), by_number)
    again = PassageStore(tmp_path, "b" * 64, "embedder-1", server)
    assert again.sync(numbered(3), by_number) == SyncReport(added=0, removed=0, unchanged=3)
    again.clear()
    assert len(again) == 0


def test_what_nothing_refers_to_is_dropped_from_a_server(server: StoreConfig, tmp_path: Path) -> None:
    PassageStore(tmp_path, "c" * 64, "embedder-1", server).sync(numbered(4), by_number)
    places = Places(tmp_path / "chroma", tmp_path / "bm25", tmp_path / "vectors", server)
    in_use = InUse(collections=["a" * 64, "b" * 64], indexes=[], embedders=[])
    found = unused(places, in_use)
    assert [(item.kind, item.name, item.size) for item in found] == [("collection", f"ragft-{'c' * 32}", 4)]
    drop(places, found)
    assert unused(places, in_use) == []


def test_a_server_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(RagftError, match=f"127.0.0.1:{port} cannot be used: .*refused") as caught:
        PassageStore(tmp_path, "a" * 64, "embedder-1", StoreConfig(host="127.0.0.1", port=port, api_key="k-secret"))
    assert "chroma run" in (caught.value.hint or "")
    assert "k-secret" not in f"{caught.value.message}{caught.value.hint}"


def test_a_server_that_is_not_chroma_is_named_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        closer = subprocess.Popen(
            [sys.executable, "-c", HANGS_UP, str(listener.fileno())], pass_fds=[listener.fileno()]
        )
        try:
            with pytest.raises(RagftError, match=f"the Chroma server 127.0.0.1:{port} cannot be used"):
                PassageStore(tmp_path, "a" * 64, "embedder-1", StoreConfig(host="127.0.0.1", port=port))
        finally:
            closer.kill()
            closer.wait()


HANGS_UP = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    connection.settimeout(0.2)
    try:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
    except OSError:
        pass
    connection.close()
"""
