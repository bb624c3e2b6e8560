"""The removal of what no experiment file of a workspace refers to any more in its index.

Adapters, answers, checkpoints, and pages of the web are no index and are left alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ragft.arms.roots import Use, claims, let_go, read_roots, server_of
from ragft.config.knowledge import StoreConfig
from ragft.retrieval import pruning
from ragft.retrieval.pruning import InUse, Places, Unused
from ragft.retrieval.store import collection_name
from ragft.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would go, and the experiment files that are gone themselves.

    `freed_bytes` are of this machine; those of a dry run leave out what collections hold, which only dropping shows.
    """

    items: tuple[Unused, ...]
    forgotten: tuple[str, ...]
    freed_bytes: int
    dry_run: bool


def prune(workspace: Workspace, store: StoreConfig, *, dry_run: bool = False) -> Pruned:
    """Remove what no experiment file refers to, and say what; `dry_run` only says it.

    Args:
        workspace: Held by this command, so that no other one is using what goes.
        store: The store of the experiment in hand. On a server only collections that this workspace made are removed,
            and servers that this experiment does not name are left alone: their keys are not known here.
        dry_run: Change nothing.

    Raises:
        RagftError: A root that cannot be read (what it names cannot be told from the rest), a server that cannot be
            reached, a file that this user may not remove.
    """
    roots = read_roots(workspace)
    gone = {path: str(file) for path, (file, _) in roots.items() if not file.is_file()}
    uses = [use for path, (_, used) in roots.items() if path not in gone for use in used]
    stores = [_Store(_places(workspace, StoreConfig()), _in_use(workspace, uses, None), None)]
    if store.host is not None:
        server = server_of(store)
        stores.append(_Store(_places(workspace, store), _in_use(workspace, uses, server), server))
    found = [(item, item.unused()) for item in stores]
    before = _room(workspace)
    if not dry_run:
        for path in gone:
            path.unlink(missing_ok=True)
        for item, listed in found:
            pruning.drop(item.places, listed)
            _let_go(workspace, item, listed)
    items = tuple(entry for _, listed in found for entry in listed)
    freed = sum(entry.size for entry in items if entry.kind != "collection") if dry_run else before - _room(workspace)
    return Pruned(items, tuple(gone.values()), max(0, freed), dry_run)


@dataclass(frozen=True, slots=True)
class _Store:
    """One store with what stays in it; `server` is None for that of the workspace, with which the files are listed."""

    places: Places
    in_use: InUse
    server: str | None

    def unused(self) -> list[Unused]:
        found = pruning.unused(self.places, self.in_use)
        return found if self.server is None else [item for item in found if item.kind == "collection"]


def _places(workspace: Workspace, store: StoreConfig) -> Places:
    server = server_of(store)
    return Places(
        workspace.chroma_dir,
        workspace.bm25_dir,
        workspace.vectors_dir,
        store,
        records=workspace.index_dir,
        journals=(workspace.rankings_path("").parent, workspace.relevance_path("").parent),
        root=workspace.root,
        ours=None if server is None else claims(workspace).get(server, []),
    )


def _in_use(workspace: Workspace, uses: Collection[Use], server: str | None) -> InUse:
    return InUse(
        collections={use.collection for use in uses if use.server == server},
        indexes={use.index for use in uses},
        embedders={use.embedder for use in uses},
        journals={workspace.root / journal for use in uses for journal in use.journals},
        records={use.collection for use in uses},
    )


def _let_go(workspace: Workspace, store: _Store, dropped: Collection[Unused]) -> None:
    names = {item.name for item in dropped if item.kind == "collection"}
    if store.server is not None and names:
        known = claims(workspace).get(store.server, [])
        let_go(workspace, store.server, {name for name in known if collection_name(name) in names})


def _room(workspace: Workspace) -> int:
    """Return the bytes of everything in the workspace."""
    return sum(path.lstat().st_size for path in workspace.root.rglob("*") if path.is_file())
