"""What pruning removed from the index, or would remove, in lines."""

from __future__ import annotations

from typing import Any

SHOWN = 20
_NAMES = {
    "collection": "collection",
    "segment": "room of a dropped collection",
    "bm25": "BM25 index",
    "vectors": "vectors of an embedder",
    "record": "record of a sync",
    "journal": "rankings",
    "leftover": "left by a command that was killed",
}


def pruned_lines(pruned: Any) -> list[str]:  # noqa: ANN401 - arms.upkeep.Pruned
    """Return what went, or would go, with its size, and the room that this gives back."""
    if not pruned.items and not pruned.forgotten:
        return ["prune: nothing to remove"]
    verb = "would remove" if pruned.dry_run else "removed"
    at_least = "at least " if pruned.dry_run and any(item.kind == "collection" for item in pruned.items) else ""
    lines = [f"prune: {verb} {len(pruned.items)} parts of the index, {at_least}{_size(pruned.freed_bytes)}"]
    lines += [f"  forgotten, because the file is gone: {file}" for file in pruned.forgotten]
    for item in pruned.items[:SHOWN]:
        held = f"{item.size} passages" if item.kind == "collection" else _size(item.size)
        lines.append(f"  {_NAMES[item.kind]}: {item.name} ({held})")
    more = len(pruned.items) - SHOWN
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _size(n_bytes: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} bytes"
