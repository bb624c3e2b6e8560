"""The run folder: one execution of one command, from `started` to its end. The only code that knows its layout.

The format is described in runs/README.md. Numbers live in JSON files written whole or not at all; nothing in a run
folder is ever parsed back out of a report.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets as random_names
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ragft import jsonl, provenance
from ragft.errors import RagftError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 1
"""Version of the run folder's format; raised when a reader of the old one would misread the new one."""

LOGGERS = ("ragft", "py.warnings", "transformers", "sentence_transformers", "chromadb")
"""Loggers whose records stand in log.txt."""

TAG_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a tag looks like: as the names in an experiment file do."""

RESERVED_TAGS = ("latest",)
"""Words that already mean a run."""

logger = logging.getLogger("ragft")


def check_tags(tags: Iterable[str]) -> None:
    """Raise RagftError for the first of `tags` that cannot name a run."""
    for tag in tags:
        if tag in RESERVED_TAGS:
            raise RagftError(f"{tag!r} cannot be a tag: it already means the newest run", "choose another name")
        if not TAG_PATTERN.fullmatch(tag):
            raise RagftError(
                f"{tag!r} cannot be a tag",
                "a tag has up to 64 of a-z, 0-9, - and _, and begins with a letter or a digit",
            )


class _RedactingFormatter(logging.Formatter):
    """Formats a record, its traceback included, and then hides what must not be written."""

    def __init__(self, redacted: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redacted = redacted

    def format(self, record: logging.LogRecord) -> str:
        return self._redacted(super().format(record))


class Run:
    """A run folder being written. Use it in a `with`: the manifest says how the command ended, whatever happened."""

    def __init__(self, path: Path, manifest: dict[str, Any], secrets: Collection[str]) -> None:
        self.path = path
        self.manifest = manifest
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)  # the longest first: one may hold another
        self._log: logging.FileHandler | None = None
        self._level = logging.NOTSET

    @classmethod
    def start(
        cls,
        runs_dir: Path,
        command: str,
        name: str,
        *,
        argv: Sequence[str],
        config_yaml: str,
        seed: int,
        secrets: Collection[str] = (),
        tags: Sequence[str] = (),
    ) -> Self:
        """Return a new run folder whose manifest says `started`; nothing heavy has been loaded yet.

        RagftError, before the folder is made, for a tag that cannot be one.
        """
        check_tags(tags)
        started = datetime.now(UTC)
        path = _new_folder(runs_dir, f"{started:%Y%m%dT%H%M%SZ}-{command}-{name}")
        run = cls(path, {}, secrets)
        run.manifest = {
            "schema_version": SCHEMA_VERSION,
            "id": path.name,
            "command": command,
            "experiment": name,
            "tags": list(dict.fromkeys(tags)),
            "argv": [run._redacted(argument) for argument in argv],
            "status": "started",
            "started_at": started.isoformat(),
            "finished_at": None,
            "git": provenance.git_state(Path.cwd()),
            "packages": provenance.package_versions(),
            "hardware": provenance.hardware(),
            "seeds": {"experiment": seed},
            "prompts": [],
            "inputs": {},
            "artifacts": {},
            "parents": [],
            "fingerprints": {},
            "error": None,
        }
        jsonl.write_text(path / "config.yaml", run._redacted(config_yaml))
        jsonl.write_json(path / "manifest.json", run.manifest)
        return run

    def __enter__(self) -> Self:
        self._log = logging.FileHandler(self.path / "log.txt", encoding="utf-8")
        self._log.setFormatter(_RedactingFormatter(self._redacted))
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._log)
        self._level = logger.level
        if logger.getEffectiveLevel() > logging.INFO:  # the default would keep the stages out of the log
            logger.setLevel(logging.INFO)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, RagftError | KeyboardInterrupt):
            logger.error("the command failed", exc_info=(type(error), error, trace))
        try:
            self._finish(error)
        finally:
            self._close_log()

    def _close_log(self) -> None:
        if self._log is not None:
            logger.setLevel(self._level)
            for name in LOGGERS:
                logging.getLogger(name).removeHandler(self._log)
            self._log.close()

    def _finish(self, error: BaseException | None) -> None:
        """Write how the command ended and the hash of every artifact."""
        if error is None:
            status = "success"
        elif isinstance(error, KeyboardInterrupt):
            status = "cancelled"
        else:
            status = "failed"
        self.manifest["status"] = status
        self.manifest["finished_at"] = datetime.now(UTC).isoformat()
        self.manifest["error"] = None if error is None else self._redacted(f"{type(error).__name__}: {error}")
        self.manifest["artifacts"] = self._artifacts()
        self._save()

    def _save(self) -> None:
        """Write the manifest, with the tags that were given or taken from outside while the command ran."""
        path = self.path / "manifest.json"
        # A manifest that someone has spoilt meanwhile is written anew.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self.manifest["tags"] = json.loads(path.read_text(encoding="utf-8"))["tags"]
        jsonl.write_json(path, self.manifest)

    def _artifacts(self) -> dict[str, str]:
        live = {"manifest.json", "log.txt", "events.jsonl"}
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        named = {path.relative_to(self.path).as_posix(): path for path in files}
        return {name: provenance.sha256_file(path) for name, path in named.items() if name not in live}

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _clean(self, value: Any) -> Any:  # noqa: ANN401 - any record in, any JSON value out
        """Return a value ready for JSON, without secrets in its texts and keys."""
        match jsonl.plain(value):
            case str() as text:
                return self._redacted(text)
            case list() as items:
                return [self._clean(item) for item in items]
            case dict() as entries:
                return {self._redacted(key): self._clean(item) for key, item in entries.items()}
            case other:
                return other

    def note(self, **facts: Any) -> None:  # noqa: ANN401 - facts are JSON values
        """Add facts to the manifest and write it: lists are extended without repeats, dicts updated, others set."""
        for key, value in self._clean(facts).items():
            old = self.manifest.get(key)
            if isinstance(old, dict):
                old.update(value)
            elif isinstance(old, list):
                old.extend(item for item in value if item not in old)
            else:
                self.manifest[key] = value
        self._save()

    def inputs(self, paths: Iterable[Path]) -> None:
        """Record the SHA-256 of each input file."""
        self.note(inputs={str(path): provenance.sha256_file(path) for path in paths})

    def event(self, kind: str, **data: Any) -> None:  # noqa: ANN401
        """Append one event with its time to events.jsonl."""
        row = {"at": datetime.now(UTC).isoformat(), "event": kind, **self._clean(data)}
        jsonl.append_row(self.path / "events.jsonl", row)

    def folder(self, name: str) -> Path:
        """Return a sub-folder of the run, made if it is missing."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write_json(self, name: str, value: Any) -> Path:  # noqa: ANN401
        """Write a JSON file of the run, atomically, and return its path."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_json(path, value)
        return path

    def write_rows(self, name: str, rows: Iterable[Any]) -> Path:
        """Write a JSON Lines file of the run, atomically, and return its path."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_rows(path, rows)
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of the run, atomically, and return its path."""
        path = self.path / name
        jsonl.write_text(path, text)
        return path

    def link_folder(self, source: Path, name: str) -> Path:
        """Return the run's own copy of a workspace folder, as hard links where the file system allows them."""
        target = self.folder(name)
        for path in sorted(source.rglob("*")):
            if path.is_file():
                copy = target / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(path, copy)
        return target

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record the start, the end and the seconds of one stage in events.jsonl and the log."""
        began = datetime.now(UTC)
        self.event("stage_started", stage=name)
        logger.info("stage %s started", name)
        yield
        seconds = (datetime.now(UTC) - began).total_seconds()
        self.event("stage_finished", stage=name, seconds=seconds)
        logger.info("stage %s finished in %.2f s", name, seconds)


def _new_folder(runs_dir: Path, stem: str) -> Path:
    path = runs_dir / f"{stem}-{random_names.token_hex(4)}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise RagftError(
            f"cannot make the run folder {path}: {error.strerror}", "choose another place with --runs-dir"
        ) from None
    return path


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # never written through: it may be another workspace file by a hard link
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
