"""The workspace `.ragft/`: bulk state that outlives a run. The only code that knows its layout.

Converted packaged models, the Chroma store, trained adapters and the answer cache live here, found by fingerprint and
never by name. One command writes at a time; the operating system frees the lock of a command that was killed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ragft import jsonl
from ragft.errors import RagftError


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths inside one workspace folder."""

    root: Path

    @property
    def chroma_dir(self) -> Path:
        """Folder of the embedded Chroma store."""
        return self.root / "chroma"

    @property
    def index_dir(self) -> Path:
        """Folder of the index records: what each collection holds."""
        return self.root / "indexes"

    @property
    def bm25_dir(self) -> Path:
        """Folder of the word indexes."""
        return self.root / "bm25"

    @property
    def vectors_dir(self) -> Path:
        """Folder of the vectors of texts that were embedded before, a file for each embedder."""
        return self.root / "vectors"

    @property
    def sources_dir(self) -> Path:
        """Folder of web pages and data sets that are kept between runs."""
        return self.root / "sources"

    def model_dir(self, name: str) -> Path:
        """Folder of one converted packaged model."""
        return self.root / "models" / name

    def adapter_dir(self, fingerprint: str) -> Path:
        """Folder of one finished adapter."""
        return self.root / "adapters" / fingerprint[:32]

    def training_dir(self, fingerprint: str) -> Path:
        """Folder of the checkpoints of an adapter that is still being trained."""
        return self.root / "training" / fingerprint[:32]

    def answers_path(self, fingerprint: str) -> Path:
        """Journal of what one model with one adapter answered under one set of decoding settings."""
        return self.root / "answers" / f"{fingerprint[:32]}.jsonl"

    def memory_path(self, fingerprint: str) -> Path:
        """Journal of how much memory one model with one adapter took for which prompt."""
        return self.root / "memory" / f"{fingerprint[:32]}.jsonl"

    def drift_path(self, fingerprint: str) -> Path:
        """Journal of how far one model with one adapter is from its base on which text, or of what a base wrote."""
        return self.root / "drift" / f"{fingerprint[:32]}.jsonl"

    def rankings_path(self, fingerprint: str) -> Path:
        """Journal of what one index ranked for which input."""
        return self.root / "rankings" / f"{fingerprint[:32]}.jsonl"

    def relevance_path(self, fingerprint: str) -> Path:
        """File of how near the passages of one index are to the experiment's own questions."""
        return self.root / "relevance" / f"{fingerprint[:32]}.json"

    def update_path(self, fingerprint: str) -> Path:
        """File of how long bringing one index in step with an update of its documents took."""
        return self.root / "updates" / f"{fingerprint[:32]}.jsonl"

    @property
    def roots_dir(self) -> Path:
        """Folder of what each experiment file refers to: the rest of the index may be pruned."""
        return self.root / "roots"

    @property
    def servers_path(self) -> Path:
        """The collections that this workspace ever made on servers that others may share."""
        return self.root / "servers.json"

    @property
    def hashes_path(self) -> Path:
        """Hashes of large files by path, size and modification time."""
        return self.root / "hashes.json"

    def prepare(self) -> Workspace:
        """Make the folders that are missing; raises RagftError where this user may not write."""
        try:
            for name in ("models", "adapters", "training", "answers", "memory", "indexes", "rankings", "roots"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                jsonl.write_text(ignore, "*\n")
            if not os.access(self.root, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise RagftError(
                f"cannot write the workspace {self.root}: {error.strerror}", "choose another place with --workspace"
            ) from None
        return self

    @contextmanager
    def locked(self, who: str, *, wait_s: float, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold the workspace for one command.

        When another command holds it, `on_wait` is told who, and after `wait_s` seconds RagftError is raised.
        """
        lock = FileLock(self.root / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait(self._holder())
            try:
                lock.acquire(timeout=wait_s)
            except Timeout:
                raise RagftError(
                    f"the workspace {self.root} is held by {self._holder()}",
                    "wait for it to end, raise --wait, or choose another place with --workspace",
                ) from None
        try:
            jsonl.write_json(self.root / "holder.json", {"pid": os.getpid(), "command": who})
            yield
        finally:
            with contextlib.suppress(OSError):
                (self.root / "holder.json").unlink(missing_ok=True)
            lock.release()

    def _holder(self) -> str:
        try:
            holder = json.loads((self.root / "holder.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "another command"
        return f"`{holder['command']}` (process {holder['pid']})"

    def discard(self, folder: Path) -> None:
        """Remove a folder of the workspace that nothing needs any more."""
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def building(self, target: Path) -> Iterator[Path]:
        """Give a temporary folder beside `target` and rename it to `target` when the block ends well."""
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
