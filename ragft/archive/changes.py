"""What differs between two JSON-like values, by dotted key, and between two sets of files, whose places may differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["changed", "added", "removed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `old` is None for what was added, `new` for what was removed."""

    key: str
    kind: Kind
    old: Any
    new: Any


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the differences by dotted key, in the order of `new` and then of what only `old` has.

    A part that one side lacks is one difference, however much it holds. Lists of objects are compared entry by entry
    (`documents[0].path`), other lists as one value.
    """
    return tuple(_changes(old, new, ""))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str) -> Iterator[Change]:
    for key in (*new, *(key for key in old if key not in new)):
        name = f"{prefix}{key}" if key.startswith("[") else f"{prefix}.{key}".removeprefix(".")
        if key not in old:
            yield Change(name, "added", None, new[key])
        elif key not in new:
            yield Change(name, "removed", old[key], None)
        else:
            yield from _between(name, _opened(old[key]), _opened(new[key]))


def _between(name: str, old: Any, new: Any) -> Iterator[Change]:  # noqa: ANN401 - any JSON values
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _changes(old, new, name)
    elif old != new:
        yield Change(name, "changed", old, new)


def _opened(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a list of objects as an object with keys `[0]`, `[1]`, ..., anything else as it is."""
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return {f"[{place}]": item for place, item in enumerate(value)}
    return value


def file_changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """Return the files whose hash differs, that were added or removed; `old` and `new` map paths to hashes.

    Runs of two machines have their files in different places, so files are matched by the longest end of the path that
    only one file on each side has. The key of a change is the name by which people know the file: its path without
    the folders that all files of the run lie in.
    """
    pairs, old_names, new_names = _matched(old, new), _names(old), _names(new)
    found = [
        Change(new_names[after], "changed", old[before], new[after])
        for before, after in pairs.items()
        if old[before] != new[after]
    ]
    here = set(pairs.values())
    found += [Change(new_names[path], "added", None, new[path]) for path in new if path not in here]
    found += [Change(old_names[path], "removed", old[path], None) for path in old if path not in pairs]
    return tuple(found)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(re.split(r"[/\\]", path))  # the run may come from Windows


def _matched(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Return old path -> new path of the same file."""
    pairs = {path: path for path in old if path in new}
    depth = max((len(_parts(path)) for path in (*old, *new)), default=0)
    for length in range(depth - 1, 0, -1):
        before = _by_end((path for path in old if path not in pairs), length)
        taken = set(pairs.values())
        after = _by_end((path for path in new if path not in taken), length)
        pairs |= {before[end]: after[end] for end in before if end in after}
    return pairs


def _by_end(paths: Iterator[str], length: int) -> dict[tuple[str, ...], str]:
    """Return the last `length` parts -> path, for the paths that are alone in having them."""
    ends = {path: _parts(path)[-length:] for path in paths}
    counts = Counter(ends.values())
    return {end: path for path, end in ends.items() if counts[end] == 1}


def _names(paths: Mapping[str, str]) -> dict[str, str]:
    """Return path -> the path without the folders that all of them share."""
    split = {path: _parts(path) for path in paths}
    shared = 0
    for level in zip(*(parts[:-1] for parts in split.values()), strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    return {path: "/".join(parts[shared:]) for path, parts in split.items()}
