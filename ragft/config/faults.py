"""Faults of an experiment file: where each one stands and how it is worded for the user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a fault stands: `line` sorts (overrides come after every line of the file), `text` is shown."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong; `location` is the key it concerns, empty for the file as a whole."""

    place: Place
    location: Location
    message: str

    def __str__(self) -> str:
        """Return `place: dotted.key: message`."""
        return ": ".join(filter(None, (self.place.text, dotted(self.location), self.message)))


def dotted(location: Location) -> str:
    """Return the location as the user writes it with `--set`: `data.documents.0.path`."""
    return ".".join(map(str, location))


def sorted_lines(faults: Iterable[Fault]) -> list[str]:
    """Return each distinct fault as text, in the order of the lines that they stand on."""
    in_order = sorted(faults, key=lambda fault: fault.place)
    return list(dict.fromkeys(map(str, in_order)))


def shown(path: Path) -> str:
    """Return the path as it is shown to the user: relative to the current directory when it lies inside."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
