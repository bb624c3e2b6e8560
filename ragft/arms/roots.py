"""What each experiment file of a workspace uses of the index, kept on record as a package store keeps its roots.

A root lasts as long as its file. What no root names was made for documents, a chunking or an embedder of the past, and
may be pruned.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragft import jsonl, provenance
from ragft.config.knowledge import StoreConfig
from ragft.errors import RagftError
from ragft.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Origin:
    """Which experiment file a command works for: `session` tells one command from the next, such as the run's id."""

    file: Path
    session: str


@dataclass(frozen=True, slots=True)
class Use:
    """What one variant of an experiment uses of the index, by full fingerprints."""

    collection: str
    index: str
    embedder: str
    server: str | None = None
    """`host:port` of a Chroma server, None for the store of the workspace."""
    journals: tuple[str, ...] = ()
    """Files written for this index, as paths inside the workspace."""


def refer(workspace: Workspace, origin: Origin, use: Use) -> None:
    """Keep on record that an experiment file uses this part of the index.

    The first use of a session replaces those of the sessions before: an embedder or chunking that the file no longer
    names is let go. Further ones are added, since one command may compare several variants. Call it before anything is
    written, so that a command that is killed has named what it leaves behind.
    """
    if use.server is not None:
        _claim(workspace, use.server, use.collection)
    path = _root_path(workspace, origin.file)
    before = _read(path) if path.exists() else {}
    known = [_use(row) for row in before["uses"]] if before.get("session") == origin.session else []
    uses = _with(known, use)
    if uses != known:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = str(origin.file.absolute())
        jsonl.write_json(path, {"experiment": file, "session": origin.session, "uses": uses})


def _with(known: Sequence[Use], use: Use) -> list[Use]:
    """Return the uses with one more; journals of the same index come together."""
    same = next((item for item in known if replace(item, journals=()) == replace(use, journals=())), None)
    if same is None:
        return [*known, use]
    journals = tuple(dict.fromkeys((*same.journals, *use.journals)))
    return [replace(item, journals=journals) if item is same else item for item in known]


def server_of(store: StoreConfig) -> str | None:
    """Return what names the server of a store in the workspace, None for the store of the workspace itself."""
    return None if store.host is None else f"{store.host}:{store.port}"


def read_roots(workspace: Workspace) -> dict[Path, tuple[Path, list[Use]]]:
    """Return, by the file of each root, the experiment file that it stands for and what that uses.

    Raises RagftError for a root that cannot be read: what it names could not be told from the rest.
    """
    rows = {path: _read(path) for path in sorted(workspace.roots_dir.glob("*.json"))}
    return {path: (Path(row["experiment"]), [_use(item) for item in row["uses"]]) for path, row in rows.items()}


def let_go(workspace: Workspace, server: str, collections: Collection[str]) -> None:
    """Take collections off the record of a server, once they are gone: another workspace may make the same."""
    known = claims(workspace)
    left = [name for name in known.get(server, []) if name not in collections]
    jsonl.write_json(workspace.servers_path, {**known, server: left})


def claims(workspace: Workspace) -> dict[str, list[str]]:
    """Return the collections that this workspace ever made on each server."""
    path = workspace.servers_path
    return {str(server): list(names) for server, names in _object(path).items()} if path.exists() else {}


def _claim(workspace: Workspace, server: str, collection: str) -> None:
    """Write down, for good, that a collection on a server is of this workspace."""
    known = claims(workspace)
    if collection not in known.get(server, []):
        jsonl.write_json(workspace.servers_path, {**known, server: [*known.get(server, []), collection]})


def _root_path(workspace: Workspace, file: Path) -> Path:
    return workspace.roots_dir / f"{provenance.sha256_text(str(file.absolute()))[:32]}.json"


def _read(path: Path) -> dict[str, Any]:
    row = _object(path)
    try:
        for item in row["uses"]:
            _use(item)
        return {"experiment": str(row["experiment"]), "session": str(row["session"]), "uses": row["uses"]}
    except (KeyError, TypeError, AttributeError):
        raise _unreadable(path) from None


def _use(row: dict[str, Any]) -> Use:
    return Use(row["collection"], row["index"], row["embedder"], row.get("server"), tuple(row.get("journals", ())))


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _unreadable(path) from None
    if not isinstance(found, dict):
        raise _unreadable(path)
    return found


def _unreadable(path: Path) -> RagftError:
    return RagftError(
        f"{path}: cannot be read, so that nobody can tell what is still used",
        f"remove {path}, and run: ragft index FILE for each experiment of this workspace",
    )
