"""The changes that a manifest may see after its command has ended: tags, and the hashes of reports made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragft import jsonl, provenance
from ragft.archive.folders import StoredRun, open_run
from ragft.errors import RagftError
from ragft.runs import check_tags


def change_tags(run: StoredRun, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> StoredRun:
    """Return the run with its tags changed, written whole or not at all; to add one that is there changes nothing.

    The manifest is read anew, so that what another command wrote meanwhile stays. RagftError for a name that is no tag,
    or for one to remove that the run does not have.
    """
    check_tags(add)
    fresh = open_run(run.path)
    for tag in remove:
        if tag not in fresh.tags:
            known = f"its tags: {', '.join(fresh.tags)}" if fresh.tags else "it has no tags"
            raise RagftError(f"run {fresh.id} has no tag {tag!r}", known)
    tags = [tag for tag in dict.fromkeys((*fresh.tags, *add)) if tag not in remove]
    return _written(fresh, {"tags": tags})


def record_artifacts(run: StoredRun, names: Sequence[str]) -> StoredRun:
    """Return the run with the hashes of these files of it as they are now, so that its manifest stays true."""
    fresh = open_run(run.path)
    hashes = {name: provenance.sha256_file(run.path / name) for name in names}
    return _written(fresh, {"artifacts": fresh.manifest.get("artifacts", {}) | hashes})


def _written(run: StoredRun, facts: dict[str, object]) -> StoredRun:
    manifest = {**run.manifest, **facts}
    if manifest != run.manifest:
        jsonl.write_json(run.path / "manifest.json", manifest)
    return replace(run, manifest=manifest)
