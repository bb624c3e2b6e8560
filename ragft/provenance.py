"""Where numbers come from: content hashes, fingerprints, and what code, packages and machine made them.

Standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ragft import __version__
from ragft.jsonl import plain

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "accelerate",
    "safetensors",
    "sentence-transformers",
    "chromadb",
    "numpy",
    "bm25s",
    "scipy",
    "pydantic",
    "semantic-text-splitter",
    "sentencex",
    "markdown-it-py",
)


def sha256_text(text: str) -> str:
    """Return the SHA-256 of UTF-8 text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:  # noqa: ANN401 - any JSON-like value
    """Return the SHA-256 of a value's canonical JSON (sorted keys, no spaces); equal values give equal prints."""
    return sha256_text(json.dumps(plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":")))


@cache
def code_fingerprint(*parts: str) -> str:
    """Return a fingerprint of ragft's own source files named by `parts` (files or packages inside ragft/).

    A change of the code that makes an artifact makes the artifact stale, as a change of its input does.
    """
    root = Path(__file__).parent
    files: list[Path] = []
    for part in parts:
        path = root / part
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return fingerprint([sha256_file(file) for file in files])


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return {"commit", "dirty"} of the git checkout that holds `folder`, or None outside one.

    `dirty` is None where git could not tell.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that numbers depend on, ragft itself first."""
    versions = {"ragft": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def hardware() -> dict[str, Any]:
    """Return the processor's name, the cores this process may use, memory in bytes, and the platform."""
    return {
        "processor": _processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "platform": platform.platform(),
    }


def _processor_name() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
