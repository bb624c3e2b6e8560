"""The errors that ragft raises for what a user can mend. Standard library only; nothing here prints or exits."""

from __future__ import annotations


class RagftError(Exception):
    """Something the user can mend: a message that says what and where, and a hint that says how.

    The exit code is a property of the kind of error, so that the command line needs no table of its own.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(RagftError):
    """The experiment file is wrong. `faults` holds every fault, each as `file:line: dotted.key: what is wrong`."""

    def __init__(self, faults: list[str], hint: str | None = None) -> None:
        super().__init__("\n".join(faults), hint)
        self.faults = faults


class DataError(RagftError):
    """Documents or examples are missing, malformed, or would make the comparison invalid."""


class NotComparableError(RagftError):
    """No valid comparison could be made: exit code 4, so that continuous integration never takes it for a pass."""

    exit_code = 4


class GateFailedError(RagftError):
    """A comparison was made and a condition that the experiment file sets does not hold: exit code 3."""

    exit_code = 3
