"""What a check of the data is, what all of them came to, and the errors that end a command.

Must not know how anything is checked, nor how a table of checks is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ragft.errors import DataError, NotComparableError

Severity = Literal["ok", "note", "warning", "error"]
"""`ok`: nothing was found. `note`: true, and no reason to trust the comparison less. `warning`: a limit of what the
comparison can show. `error`: the comparison would be invalid."""

SHOWN = 5
"""How many of those concerned a message names."""

NEGLIGIBLE = 0.01
"""Share of the examples under which a flaw is a note: it moves the mean of a metric in 0..1 by less than 0.01."""

TOO_FEW = "too_few"
"""Name of the check that there are enough examples; where it fails, nothing can be compared (exit code 4)."""


@dataclass(frozen=True, slots=True)
class DataFinding:
    """Something a reader of the comparison must know about the data; `example_ids` are those concerned."""

    check: str
    message: str
    example_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataCheck:
    """One check that ran, also one that found nothing.

    `looked_at` and `found` count the same things, examples where nothing else is said. `message` says what was found
    and what it means, `hint` what mends it; `example_ids` are the eval examples concerned.
    """

    name: str
    title: str
    looked_at: int
    found: int
    severity: Severity
    message: str
    example_ids: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class CheckedData:
    """Every check that ran, in the order of the table."""

    checks: tuple[DataCheck, ...] = ()

    @property
    def findings(self) -> tuple[DataFinding, ...]:
        """What a reader of the comparison must know: the warnings, and no notes, which cast no doubt on it."""
        return tuple(
            DataFinding(check.name, check.message, check.example_ids)
            for check in self.checks
            if check.severity in ("warning", "error")
        )


class InvalidDataError(DataError):
    """The data would make the comparison invalid; `checks` are all that ran, those that found nothing included."""

    def __init__(self, message: str, hint: str | None, checks: tuple[DataCheck, ...]) -> None:
        super().__init__(message, hint)
        self.checks = checks


class TooFewExamplesError(NotComparableError):
    """There are too few examples to compare anything (exit code 4); `checks` are all that ran."""

    def __init__(self, message: str, hint: str | None, checks: tuple[DataCheck, ...]) -> None:
        super().__init__(message, hint)
        self.checks = checks


def conclude(checks: Sequence[DataCheck]) -> CheckedData:
    """Return the checks; raises InvalidDataError or TooFewExamplesError, with every error, where one is an error."""
    found, errors = CheckedData(tuple(checks)), [check for check in checks if check.severity == "error"]
    if not errors:
        return found
    message = "\n".join(check.message for check in errors)
    hint = "; ".join(dict.fromkeys(check.hint for check in errors if check.hint)) or None
    kind = TooFewExamplesError if any(check.name == TOO_FEW for check in errors) else InvalidDataError
    raise kind(message, hint, found.checks)


def by_share(found: int, looked_at: int) -> Severity:
    """Return how grave a flaw in so many of the examples is: a warning once it can move a mean (`NEGLIGIBLE`)."""
    if not found:
        return "ok"
    return "warning" if found / looked_at >= NEGLIGIBLE else "note"


def some(items: Sequence[str]) -> str:
    """Return the first few items as a list in words, and how many more there are."""
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
