"""Checks of the data before anything expensive: what would make the comparison invalid, and what a reader must know.

`examine` runs those that need no model and raises nothing; `length_check` and `known_check` are given what a tokenizer
counted and what the bare model scored. `conclude` raises for the errors among them, all at once.
"""

from ragft.data.checks.check import (
    CheckedData,
    DataCheck,
    DataFinding,
    InvalidDataError,
    Severity,
    TooFewExamplesError,
    conclude,
)
from ragft.data.checks.examining import CheckScope, examine
from ragft.data.checks.inputs import normalised
from ragft.data.checks.model import known_check, length_check

__all__ = [
    "CheckScope",
    "CheckedData",
    "DataCheck",
    "DataFinding",
    "InvalidDataError",
    "Severity",
    "TooFewExamplesError",
    "conclude",
    "examine",
    "known_check",
    "length_check",
    "normalised",
]
