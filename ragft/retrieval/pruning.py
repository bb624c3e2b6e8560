"""What lies in the workspace and the store although nothing refers to it any more: listed, and dropped.

Every removal can be cut short at any point: a record goes before the collection that it vouches for, and a folder is
renamed before it is emptied, so that nothing that is half gone is ever taken for whole. The next pruning ends it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

from ragft.config.knowledge import StoreConfig
from ragft.errors import RagftError
from ragft.retrieval import chroma
from ragft.retrieval.bm25 import bm25_name
from ragft.retrieval.store import PREFIX, collection_name
from ragft.retrieval.vector_cache import SUFFIX

Kind = Literal["collection", "segment", "bm25", "vectors", "record", "journal", "leftover"]

DATABASE = "chroma.sqlite3"
_SEGMENT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEFTOVER = re.compile(r"\..+\.(\d+)\.tmp")
"""How everything in the workspace is called while it is written: `.name.process.tmp`."""


@dataclass(frozen=True, slots=True)
class Unused:
    """Something that nothing refers to: `size` is passages of a collection, and bytes of files.

    `name` is a name in the store, or in the one folder of its kind; of journals and left-overs it is the path.
    """

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
    journals: Collection[Path] = ()
    """Files that were written for one index."""
    records: Collection[str] | None = None
    """Collections whose records of the last sync stay, also those in another store; None for `collections`."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the index of a workspace lies."""

    chroma: Path
    bm25: Path
    vectors: Path
    store: StoreConfig
    records: Path | None = None
    """Folder of the records of the last sync of each collection."""
    journals: tuple[Path, ...] = ()
    """Folders of files that were written for one index."""
    root: Path | None = None
    """The workspace, for what killed commands left half-written in it."""
    ours: Collection[str] | None = None
    """Collections that this workspace ever made, where the store is shared with others; None where it is not."""


def unused(places: Places, in_use: InUse) -> list[Unused]:
    """Return what nothing refers to, sorted by kind and name; nothing is changed.

    A store without our collections is not opened where it does not exist. On a server only the collections that
    `places.ours` names are looked at: the others belong to other workspaces.
    """
    kept_bm25 = {bm25_name(index) for index in in_use.indexes}
    kept_vectors = {f"{identity[:32]}{SUFFIX}" for identity in in_use.embedders}
    recorded = in_use.collections if in_use.records is None else in_use.records
    kept_records = {f"{name[:32]}.json" for name in recorded}
    found = [
        *(Unused("bm25", path.name, _bytes(path)) for path in _entries(places.bm25) if path.name not in kept_bm25),
        *_unused_vectors(places.vectors, kept_vectors),
        *(Unused("record", p.name, _bytes(p)) for p in _entries(places.records) if p.name not in kept_records),
        *(
            Unused("journal", str(path), _bytes(path))
            for folder in places.journals
            for path in _entries(folder)
            if path not in in_use.journals
        ),
        *(Unused("leftover", str(path), _bytes(path)) for path in _leftovers(places.root)),
        *_collections(places, in_use),
        *_segments(places.chroma),
    ]
    return sorted(found, key=lambda item: (item.kind, item.name))


def _unused_vectors(folder: Path, kept: Collection[str]) -> Iterator[Unused]:
    names = {path.name.removesuffix("-wal").removesuffix("-shm") for path in _entries(folder)}
    for name in sorted(names):
        if name.endswith(SUFFIX) and name not in kept:
            yield Unused("vectors", name, sum(map(_bytes, _with_log(folder / name))))


def _collections(places: Places, in_use: InUse) -> list[Unused]:
    if places.store.host is None and not (places.chroma / DATABASE).exists():
        return []
    kept = {collection_name(name) for name in in_use.collections}
    ours = None if places.ours is None else {collection_name(name) for name in places.ours}
    with _opened(places) as client:
        found = [item for item in client.list_collections(limit=10_000) if item.name.startswith(PREFIX)]
        gone = [item for item in found if item.name not in kept and (ours is None or item.name in ours)]
        return [Unused("collection", item.name, item.count()) for item in gone]


@contextmanager
def _opened(places: Places) -> Iterator[Any]:
    """Give a client of the store, which is closed again."""
    store = chroma.opened(places.chroma, places.store)
    client: Any = store.client  # `close` is not declared by its interface
    with store.speaking(), closing(client):
        yield client


def _segments(folder: Path) -> Iterator[Unused]:
    """Yield the folders of an embedded store that none of its collections names: Chroma never removes any."""
    if not (folder / DATABASE).exists():
        return
    try:
        with closing(sqlite3.connect(f"{(folder / DATABASE).as_uri()}?mode=ro", uri=True)) as database:
            known = {str(id_) for (id_,) in database.execute("SELECT id FROM segments")}
    except sqlite3.Error:  # another version's tables: better to keep a folder than to guess
        return
    for path in _entries(folder):
        if path.is_dir() and _SEGMENT.fullmatch(path.name) and path.name not in known:
            yield Unused("segment", path.name, _bytes(path))


def _leftovers(root: Path | None) -> Iterator[Path]:
    """Yield what commands were writing when they were killed, less what a living process may still be writing."""
    depths = () if root is None else (root.glob(".*"), root.glob("*/.*"), root.glob("sources/*/.*"))
    for path in sorted(itertools.chain(*depths)):
        written_by = _LEFTOVER.fullmatch(path.name)
        if written_by and not _lives(int(written_by.group(1))):
            yield path


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def drop(places: Places, items: Collection[Unused]) -> None:
    """Remove what `unused` listed; what is gone already is passed over.

    Raises RagftError for what this user may not remove, after the rest is removed.
    """
    order: tuple[Kind, ...] = ("record", "journal", "collection", "segment", "bm25", "vectors", "leftover")
    refused: list[OSError] = []
    for kind in order:
        names = [item.name for item in items if item.kind == kind]
        try:
            _drop(kind, names, places)
        except OSError as error:
            refused.append(error)
    if any(item.kind in ("collection", "segment") for item in items):
        _compact(places)
    if refused:
        raise RagftError(f"cannot remove {refused[0].filename}: {refused[0].strerror}", "the rest was removed")


def _drop(kind: Kind, names: Collection[str], places: Places) -> None:
    match kind:
        case "collection":
            _drop_collections(places, names)
        case "record":
            _drop_folders(places.records / name for name in names if places.records)
        case "segment":
            _drop_folders(places.chroma / name for name in names)
        case "bm25":
            _drop_folders(places.bm25 / name for name in names)
        case "vectors":
            for name in names:  # the file before its log: SQLite passes over a log without a file
                for file in _with_log(places.vectors / name):
                    file.unlink(missing_ok=True)
        case "journal" | "leftover":
            _drop_folders(Path(name) for name in names)
        case _:
            assert_never(kind)


def _drop_collections(places: Places, names: Collection[str]) -> None:
    if not names:
        return
    with _opened(places) as client:
        there = {item.name for item in client.list_collections(limit=10_000)}
        for name in there.intersection(names):
            client.delete_collection(name)


def _drop_folders(paths: Iterable[Path]) -> None:
    """Remove folders and files; a folder is renamed first, so that none that is half empty bears a name that counts."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            aside = path if _LEFTOVER.fullmatch(path.name) else path.with_name(f".{path.name}.{os.getpid()}.tmp")
            path.rename(aside)
            shutil.rmtree(aside)
        else:
            path.unlink(missing_ok=True)


def _compact(places: Places) -> None:
    """Give the room of dropped collections back: Chroma removes their rows and keeps the file and folders as large."""
    if places.store.host is not None or not (places.chroma / DATABASE).exists():
        return
    _drop_folders(places.chroma / item.name for item in list(_segments(places.chroma)))
    try:
        with closing(sqlite3.connect(places.chroma / DATABASE, timeout=10, isolation_level=None)) as database:
            database.execute("VACUUM")
    except sqlite3.Error as error:  # a full disk, or a program that reads it: it only stays as large as it was
        raise RagftError(
            f"{places.chroma / DATABASE}: what was dropped still takes its room: {error}",
            "free some room, and prune again",
        ) from error


def _entries(folder: Path | None) -> list[Path]:
    """Return what lies in a folder, less what is being written."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not _LEFTOVER.fullmatch(path.name))


def _with_log(database: Path) -> list[Path]:
    """Return a SQLite file and the files that it keeps beside itself."""
    return [database, *(database.with_name(f"{database.name}{end}") for end in ("-wal", "-shm"))]


def _bytes(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
    return path.lstat().st_size if path.exists() else 0
