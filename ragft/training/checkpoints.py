"""Checkpoints: which one to go on from, whose they are, and what to say where one cannot be written."""

from __future__ import annotations

import errno
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragft import jsonl
from ragft.errors import RagftError

STATE = "trainer_state.json"
"""File of a checkpoint that the Trainer writes last: steps done, history, which checkpoint was best."""

OWNER = "training.json"
"""File in a folder of checkpoints that says which training they belong to."""

_NEEDED = ("optimizer.pt", "scheduler.pt")
_WRITE_FAULTS = re.compile(
    r"no space left|disk is full|disk quota|read-only file system|file write failed|unexpected pos|os error 28", re.I
)
"""How safetensors and torch's archive writer, which raise errors of their own, say that a file cannot be written."""


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Say in `folder` that its checkpoints belong to the training of this identity.

    Raises RagftError where checkpoints of another one lie there: going on from them would mix two trainings.
    """
    owner = folder / OWNER
    held = _read(owner)
    if held is not None and held != identity:
        changed = sorted(key for key in {*held, *identity} if held.get(key) != identity.get(key))
        named = ", ".join(f"{key} {held.get(key)!r} then, {identity.get(key)!r} now" for key in changed)
        raise RagftError(
            f"the checkpoints in {folder} belong to another training ({named})",
            f"start it as it was started, or begin anew: rm -r {folder}",
        )
    with writing(folder, "the checkpoints"):
        folder.mkdir(parents=True, exist_ok=True)
        jsonl.write_json(owner, identity)


def last_checkpoint(folder: Path, processes: int = 1) -> Path | None:
    """Return the last whole checkpoint, None for none; half-written ones, left by a process that died, are removed."""
    for checkpoint in sorted(_checkpoints(folder), key=_step, reverse=True):
        if is_whole(checkpoint, processes):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def is_whole(checkpoint: Path, processes: int = 1) -> bool:
    """Return whether every file that resuming reads is there and has its end, the best checkpoint's included.

    The Trainer passes over a missing optimiser or random state in silence, and would then go another way.
    """
    state = _read(checkpoint / STATE)
    if state is None:
        return False
    best = state.get("best_model_checkpoint")
    if best is not None and not Path(best).is_dir():
        return False
    is_sharded = any(path.is_dir() for path in checkpoint.iterdir())  # DeepSpeed and FSDP have layouts of their own
    random_states = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    needed = [] if is_sharded else [*_NEEDED, *random_states]
    if not all((checkpoint / name).exists() for name in needed):
        return False
    weights = [*checkpoint.glob("*.safetensors")]
    archives = [path for path in checkpoint.iterdir() if path.suffix in (".pt", ".pth")]
    return (is_sharded or bool(weights)) and all(map(_has_its_end, weights)) and all(map(zipfile.is_zipfile, archives))


def _has_its_end(file: Path) -> bool:
    """Return whether a safetensors file is as long as its header says."""
    with file.open("rb") as opened:
        start = opened.read(8)
        length = int.from_bytes(start, "little")
        try:
            header = json.loads(opened.read(min(length, 1 << 27)))
        except ValueError:
            return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return file.stat().st_size == 8 + length + max(ends, default=0)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


@contextmanager
def writing(folder: Path, what: str) -> Iterator[None]:
    """Turn a failure to write inside the block into a RagftError that says where and what to do."""
    try:
        yield
    except Exception as error:
        reason = _write_fault(error, folder)
        if reason is None:
            raise
        raise RagftError(
            f"cannot write {what} in {folder}: {reason}",
            "make room or choose another place with --workspace, and run the same command again: "
            "it goes on from the last whole checkpoint",
        ) from error


def _write_fault(error: Exception, folder: Path) -> str | None:
    """Return why a file could not be written, None where the error is about something else."""
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"no space left ({_free(folder)} free)"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return "no permission"
    if _WRITE_FAULTS.search(str(error)):
        return f"no space left ({_free(folder)} free)" if "read-only" not in str(error).lower() else "no permission"
    return None


def _free(folder: Path) -> str:
    place = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    return f"{shutil.disk_usage(place).free / 1e6:,.0f} MB"
