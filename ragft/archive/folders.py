"""A run folder as it lies on the disk: its manifest, or why that cannot be read; its size.

One folder that is broken never hides the others: it is listed with the reason.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragft.errors import DataError
from ragft.runs import SCHEMA_VERSION

OLDEST_SCHEMA_VERSION = 1
"""The oldest format of the run folder that is still read as it is."""

FOLDER_PATTERN = re.compile(r"(\d{8}T\d{6}Z)-.+-[0-9a-f]{8}")
"""What `Run.start` calls its folders; one called so is listed even if its manifest is missing."""

STATUSES = ("success", "failed", "cancelled", "unfinished", "unreadable")
"""What a run can have come to. `unfinished`: the manifest says `started`, so it still runs or was killed."""

_TEXTS = ("id", "command", "experiment", "status", "started_at")
_ENDS = ("started", "success", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run folder with its manifest; `fault` says why the manifest cannot be read, and it is then empty."""

    path: Path
    manifest: dict[str, Any]
    fault: str | None = None

    @property
    def id(self) -> str:
        """The id in the manifest, which stays when the folder is renamed; the folder's name where it is unreadable."""
        return str(self.manifest.get("id", self.path.name))

    @property
    def short_id(self) -> str:
        """The random end of the id, by which people call it."""
        return self.id.rpartition("-")[2]

    @property
    def command(self) -> str | None:
        """The command that wrote it, None where the manifest is unreadable."""
        return self.manifest.get("command")

    @property
    def experiment(self) -> str | None:
        """Name of the experiment, None where the manifest is unreadable."""
        return self.manifest.get("experiment")

    @property
    def status(self) -> str:
        """One of STATUSES."""
        if self.fault is not None:
            return "unreadable"
        status: str = self.manifest["status"]
        return "unfinished" if status == "started" else status

    @property
    def tags(self) -> tuple[str, ...]:
        """The names that people gave it, in the order in which they gave them."""
        return tuple(self.manifest.get("tags", ()))

    @property
    def started_at(self) -> datetime | None:
        """When it began, in UTC; the time in the folder's name where the manifest is unreadable, else None."""
        if self.fault is None:
            return _time(self.manifest["started_at"])
        found = FOLDER_PATTERN.fullmatch(self.path.name)
        return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if found else None

    @property
    def seconds(self) -> float | None:
        """Seconds from its start to its end, None for one that has no recorded end."""
        end, start = self.manifest.get("finished_at"), self.started_at
        return None if end is None or start is None else (_time(end) - start).total_seconds()


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def list_runs(runs_dir: Path) -> list[StoredRun]:
    """Return the runs of a folder, newest first; those that cannot be read are among them, other folders are not.

    DataError if `runs_dir` is not a folder that can be read.
    """
    try:
        folders = [path for path in runs_dir.iterdir() if _looks_like_a_run(path)]
    except FileNotFoundError:
        raise DataError(f"there is no folder {runs_dir}", "name the folder of the runs with --runs-dir") from None
    except OSError as error:
        raise DataError(f"{runs_dir}: cannot be read: {error.strerror}", "name another with --runs-dir") from None
    runs = [read_run(path) for path in folders]
    beginning = datetime.min.replace(tzinfo=UTC)
    return sorted(runs, key=lambda run: (run.started_at or beginning, run.id), reverse=True)


def _looks_like_a_run(path: Path) -> bool:
    if not path.is_dir() or path.name.startswith("."):
        return False
    return (path / "manifest.json").exists() or FOLDER_PATTERN.fullmatch(path.name) is not None


def read_run(path: Path) -> StoredRun:
    """Return the run in this folder, with the reason in `fault` where its manifest cannot be read."""
    try:
        return StoredRun(path, _checked(read_object(path / "manifest.json")))
    except DataError as error:
        return StoredRun(path, {}, error.message.removeprefix(f"{path}{os.sep}"))


def open_run(path: Path) -> StoredRun:
    """Return the run in this folder; DataError that says why and what to do where its manifest cannot be read."""
    run = read_run(path)
    if run.fault is None:
        return run
    newer = "upgrade ragft" in run.fault
    raise DataError(
        f"{path}: not a readable run: {run.fault}",
        None if newer else "if the command was killed while it began, remove the folder and run it again",
    )


def _checked(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest, once it holds what every reader of it relies on."""
    version = manifest.get("schema_version")
    if type(version) is not int:
        raise DataError(f"manifest.json: schema_version should be a whole number, found {version!r}")
    if version > SCHEMA_VERSION:
        raise DataError(
            f"manifest.json: written in format {version}, and this ragft reads up to {SCHEMA_VERSION}: upgrade ragft"
        )
    if version < OLDEST_SCHEMA_VERSION:
        raise DataError(f"manifest.json: written in format {version}, which ragft no longer reads")
    for key in _TEXTS:
        if not isinstance(manifest.get(key), str):
            raise DataError(f"manifest.json: {key} should be text, found {manifest.get(key)!r}")
    if manifest["status"] not in _ENDS:
        raise DataError(f"manifest.json: status should be one of {', '.join(_ENDS)}, found {manifest['status']!r}")
    for key in ("started_at", "finished_at"):
        _check_time(key, manifest.get(key))
    _check_kinds(manifest)
    return manifest


def _check_time(key: str, value: object) -> None:
    if value is None:
        return
    try:
        _time(str(value))
    except ValueError:
        raise DataError(f"manifest.json: {key} should be a time, found {value!r}") from None


def _check_kinds(manifest: dict[str, Any]) -> None:
    """Refuse a manifest in which a table or a list is something else."""
    for key in ("packages", "hardware", "seeds", "inputs", "artifacts", "fingerprints"):
        if not isinstance(manifest.get(key, {}), dict):
            raise DataError(f"manifest.json: {key} should be an object, found {type(manifest[key]).__name__}")
    for key in ("argv", "prompts", "parents", "tags"):
        value = manifest.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise DataError(f"manifest.json: {key} should be a list of texts")


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds; DataError that names the file and what was found instead."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected an object, found {type(value).__name__}")
    return value


def files_of(folder: Path) -> Iterator[os.stat_result]:
    """Yield what the file system knows of every file in a folder, without following links out of it."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from files_of(Path(entry.path))
        else:
            yield entry.stat(follow_symlinks=False)


def size_bytes(folder: Path) -> int:
    """Return the bytes of the files in a folder, those it shares with the workspace by hard links included."""
    return sum(file.st_size for file in files_of(folder))


def last_written(folder: Path) -> datetime:
    """Return when something in the folder was last written, in UTC."""
    newest = max((file.st_mtime for file in files_of(folder)), default=folder.stat().st_mtime)
    return datetime.fromtimestamp(newest, UTC)
