"""What gates found: one result for each thing that was looked at, and what all of them come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ragft.errors import GateFailedError, NotComparableError, RagftError
from ragft.jsonl import plain

Status = Literal["passed", "failed", "not_comparable"]

MENDING = "gates.json and junit.xml in the run folder hold every number; if the change is meant, write a new baseline"
NAMED = 3
"""How many gates an error names."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate found; a gate on several arms gives one result for each, all with its number (from 1).

    `message` is a sentence with its numbers, `details` the same numbers for programs.
    """

    number: int
    kind: str
    title: str
    status: Status
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BaselineSource:
    """Which baseline was compared with: the path that was read, the experiment's name, when its run began."""

    source: str
    name: str
    created_at: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """All results, in the order of the gates, and the baseline if one was given."""

    results: tuple[GateResult, ...]
    baseline: BaselineSource | None = None

    @property
    def status(self) -> Status:
        """Return "failed" if a gate failed, else "not_comparable" if one could not be compared, else "passed".

        A failure is the more certain news, so it wins. Nothing looked at is no pass.
        """
        found = {result.status for result in self.results}
        if "failed" in found:
            return "failed"
        return "passed" if found == {"passed"} else "not_comparable"

    def of(self, status: Status) -> tuple[GateResult, ...]:
        """Return the results with this status."""
        return tuple(result for result in self.results if result.status == status)

    def error(self) -> RagftError | None:
        """Return what `compare` ends with: GateFailedError (exit code 3), NotComparableError (4), None for a pass."""
        match self.status:
            case "passed":
                return None
            case "failed":
                return GateFailedError(self._summary("failed", "failed"), MENDING)
            case "not_comparable":
                return NotComparableError(self._summary("not_comparable", "could not be compared"), MENDING)

    def _summary(self, status: Status, words: str) -> str:
        found = self.of(status)
        more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
        named = "; ".join(f"{result.title}: {result.message.rstrip('.')}" for result in found[:NAMED])
        return f"{len(found)} of {len(self.results)} gate checks {words}: {named}{more}"


def gates_json(report: GateReport) -> dict[str, Any]:
    """Return the report as gates.json holds it."""
    return {"status": report.status, "gates": plain(report.results), "baseline": plain(report.baseline)}
