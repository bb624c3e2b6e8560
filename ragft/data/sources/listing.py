"""Which files a `files` source reads: folders walked in order, globs, and nothing hidden."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path

from ragft.config.knowledge import FilesSource
from ragft.errors import DataError

ROW_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
SUFFIXES = (".txt", ".md", ".markdown", ".html", ".htm", ".pdf", ".docx", ".pptx", *ROW_SUFFIXES)


def list_files(source: FilesSource) -> list[Path]:
    """Return the files that a source reads, sorted by path.

    Of a folder, files with a known suffix that match `include` (when given) and not `exclude`; hidden files and folders
    (a name that begins with a dot) are passed over, and a folder that links lead to twice is read once.

    Raises DataError for a path that does not exist, a file of an unknown kind, a glob of `include` that matches
    nothing, and a folder that gives no files.
    """
    path = source.path
    if not path.exists():
        raise DataError(
            f"{path}: no such file or folder", "data.documents names it; paths start at the experiment file"
        )
    if not path.is_dir():
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: cannot read documents of this kind (known: {', '.join(SUFFIXES)})")
        return [path]
    return _chosen(source, sorted(file for file in _walk(path, set()) if file.suffix.lower() in SUFFIXES))


def _chosen(source: FilesSource, files: list[Path]) -> list[Path]:
    names = {file: file.relative_to(source.path).as_posix() for file in files}
    for pattern in source.include:
        if not any(matches(name, pattern) for name in names.values()):
            raise DataError(
                f"{source.path}: no document matches include {pattern!r} (looked for {', '.join(SUFFIXES)})",
                "globs are relative to the folder: `*.md` is its top level, `**/*.md` every level",
            )
    included = [f for f in files if not source.include or any(matches(names[f], p) for p in source.include)]
    chosen = [f for f in included if not any(_excludes(pattern, names[f]) for pattern in source.exclude)]
    if not chosen:
        left_out = f"; exclude leaves out {len(included)}" if included else ""
        raise DataError(f"{source.path}: no documents in this folder (looked for {', '.join(SUFFIXES)}){left_out}")
    return chosen


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files below a folder; links to folders are followed, each folder once, so that loops end."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if path.is_dir():
            yield from _walk(path, seen)
        else:
            yield path


def matches(name: str, pattern: str) -> bool:
    """Return whether a relative path matches a glob, where `**` stands for any number of folders.

    As Python 3.13's PurePath.full_match, which 3.11 lacks: `*` and `?` do not cross a slash, letter case counts.
    """
    return _regex(pattern).match(name) is not None


def _excludes(pattern: str, name: str) -> bool:
    """Return whether a pattern leaves a file out, by its own path or by that of a folder around it."""
    parts = name.split("/")
    return any(matches("/".join(parts[:depth]), pattern) for depth in range(1, len(parts) + 1))


def _regex(pattern: str) -> re.Pattern[str]:
    parts = pattern.strip("/").removeprefix("./").split("/")
    written = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            written += ".*" if last else "(?:[^/]+/)*"
        else:
            written += _segment(part) + ("" if last else "/")
    return re.compile(rf"(?s:{written})\Z")


def _segment(part: str) -> str:
    """Return the regular expression of one part of a glob; fnmatch's own would let `*` cross a slash."""
    pieces = re.split(r"(\*+|\?)", part)
    wild = {"?": "[^/]"}
    return "".join(wild.get(p, "[^/]*" if p.startswith("*") else _literal(p)) for p in pieces)


def _literal(piece: str) -> str:
    """Return the regular expression of a piece without `*` and `?`: characters and sets such as `[a-c]`."""
    return translate(piece).removeprefix("(?s:").removesuffix(r")\Z") if piece else ""
