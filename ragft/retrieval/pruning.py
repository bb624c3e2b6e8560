"""What lies in the workspace and the store although nothing refers to it any more: listed, and dropped."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ragft.config.knowledge import StoreConfig
from ragft.retrieval import chroma
from ragft.retrieval.bm25 import bm25_name
from ragft.retrieval.store import PREFIX, collection_name
from ragft.retrieval.vector_cache import SUFFIX

Kind = Literal["collection", "bm25", "vectors"]


@dataclass(frozen=True, slots=True)
class Unused:
    """Something that nothing refers to: `size` is passages of a collection, and bytes of files."""

    kind: Kind
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class InUse:
    """What must stay: full fingerprints, as they were given when each was made."""

    collections: Collection[str]
    """First arguments after the folder of `PassageStore`."""
    indexes: Collection[str]
    """`passages_fingerprint`s, which name BM25 indexes."""
    embedders: Collection[str]
    """Identities of embedders, which name the files of their vectors."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the index of a workspace lies."""

    chroma: Path
    bm25: Path
    vectors: Path
    store: StoreConfig


def unused(places: Places, in_use: InUse) -> list[Unused]:
    """Return what nothing refers to, sorted by kind and name; nothing is changed.

    A store without our collections is not opened where it does not exist. On a server, a collection may belong to
    another workspace: the caller must only prune a server that is its own, and say so to the user.
    """
    kept_bm25 = {bm25_name(index) for index in in_use.indexes}
    kept_vectors = {f"{identity[:32]}{SUFFIX}" for identity in in_use.embedders}
    bm25 = [Unused("bm25", path.name, _bytes(path)) for path in _entries(places.bm25) if path.name not in kept_bm25]
    vectors = [
        Unused("vectors", path.name, sum(_bytes(file) for file in _with_log(path)))
        for path in _entries(places.vectors)
        if path.suffix == SUFFIX and path.name not in kept_vectors
    ]
    return sorted([*bm25, *vectors, *_collections(places, in_use)], key=lambda item: (item.kind, item.name))


def _collections(places: Places, in_use: InUse) -> list[Unused]:
    if places.store.host is None and not (places.chroma / "chroma.sqlite3").exists():
        return []
    kept = {collection_name(name) for name in in_use.collections}
    store = chroma.opened(places.chroma, places.store)
    with store.speaking():
        found = store.client.list_collections(limit=10_000)
        ours = [item for item in found if item.name.startswith(PREFIX) and item.name not in kept]
        return [Unused("collection", item.name, item.count()) for item in ours]


def drop(places: Places, items: Collection[Unused]) -> None:
    """Remove what `unused` listed; what is gone already is passed over."""
    collections = [item.name for item in items if item.kind == "collection"]
    if collections:
        store = chroma.opened(places.chroma, places.store)
        with store.speaking():
            there = {item.name for item in store.client.list_collections(limit=10_000)}
            for name in collections:
                if name in there:
                    store.client.delete_collection(name)
    for item in items:
        if item.kind == "bm25":
            shutil.rmtree(places.bm25 / item.name, ignore_errors=True)
        elif item.kind == "vectors":
            for file in _with_log(places.vectors / item.name):
                file.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def _with_log(database: Path) -> list[Path]:
    """Return a SQLite file and the files that it keeps beside itself."""
    return [database, *(database.with_name(f"{database.name}{end}") for end in ("-wal", "-shm"))]


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0
