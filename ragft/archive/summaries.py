"""What a run came to, for a line of a list or for a page of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragft.archive.folders import StoredRun, files_of, read_object, size_bytes
from ragft.errors import DataError
from ragft.jsonl import read_rows
from ragft.records import place_of_probe


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A line of the list.

    `decision` is the verdict's own word, `unreadable` where verdict.json is broken, None where there is none; `arm` is
    what it says to ship, and `score` that arm's mean on `primary_metric`.
    """

    run: StoredRun
    decision: str | None
    arm: str | None
    primary_metric: str | None
    score: float | None
    size_bytes: int

    def row(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        run = self.run
        return {
            "id": run.id,
            "short_id": run.short_id,
            "path": run.path,
            "started_at": run.started_at.isoformat() if run.started_at else None,
            "command": run.command,
            "experiment": run.experiment,
            "status": run.status,
            "fault": run.fault,
            "decision": self.decision,
            "arm": self.arm,
            "primary_metric": self.primary_metric,
            "score": self.score,
            "tags": run.tags,
            "seconds": run.seconds,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run; `seconds` is None for one that did not end."""

    name: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """One probe of a run: its title, and the first thing that it found, or the reason why it was skipped."""

    probe: str
    title: str
    skipped: bool
    said: str


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Everything about a run that its page shows.

    `missing` are files that the manifest names and the folder lacks; `shared_bytes` is the part of the size that other
    folders hold too, by hard links; `faults` are files of the run that could not be read, with the reason.
    """

    summary: RunSummary
    verdict: dict[str, Any] | None
    metrics: dict[str, Any] | None
    stages: tuple[Stage, ...]
    missing: tuple[str, ...]
    shared_bytes: int
    faults: tuple[str, ...]
    probes: tuple[ProbeLine, ...] = ()


def summarise(run: StoredRun) -> RunSummary:
    """Return a run's line of the list; files that are missing or broken leave their cells empty."""
    size = size_bytes(run.path)
    faults: list[str] = []
    verdict = None if run.fault else _optional(run.path / "verdict.json", faults)
    if verdict is None:
        return RunSummary(run, "unreadable" if faults else None, None, None, None, size)
    decision, arm = (value if isinstance(value := verdict.get(key), str) else None for key in ("decision", "arm"))
    metrics = _optional(run.path / "metrics.json", []) or {}
    primary = metrics.get("primary_metric")
    return RunSummary(run, decision, arm, primary, _mean(metrics, arm, primary), size)


def _optional(path: Path, faults: list[str]) -> dict[str, Any] | None:
    """Return the object in a file, None where there is no such file; the reason goes to `faults` where it is broken."""
    if not path.exists():
        return None
    try:
        return read_object(path)
    except DataError as error:
        faults.append(error.message.removeprefix(f"{path.parent}/"))
        return None


def _mean(metrics: Mapping[str, Any], arm: str | None, metric: str | None) -> float | None:
    for row in metric_rows(metrics):
        if (row.get("arm"), row.get("metric")) == (arm, metric):
            value = row.get("value")
            return float(value) if isinstance(value, int | float) else None
    return None


def metric_rows(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the rows of metrics.json that hold one metric of one arm each; none where there are none."""
    rows = (metrics or {}).get("metrics")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def details(run: StoredRun) -> RunDetails:
    """Return what a run's page shows; a file that cannot be read is named among the faults, not raised."""
    faults: list[str] = []
    verdict = _optional(run.path / "verdict.json", faults)
    metrics = _optional(run.path / "metrics.json", faults)
    named = run.manifest.get("artifacts", {})
    return RunDetails(
        summary=summarise(run),
        verdict=verdict,
        metrics=metrics,
        stages=_stages(run.path / "events.jsonl", faults),
        missing=tuple(name for name in named if not (run.path / name).exists()),
        shared_bytes=sum(file.st_size for file in files_of(run.path) if file.st_nlink > 1),
        probes=tuple(_probes(run.path / "probes", faults)),
        faults=tuple(faults),
    )


def _probes(folder: Path, faults: list[str]) -> Iterator[ProbeLine]:
    """Yield a line for each probe in the order of the report; one that is broken is named among the faults."""
    for path in sorted(folder.glob("*.json"), key=lambda path: place_of_probe(path.stem)):
        broken: list[str] = []
        found = _optional(path, broken)
        faults += [f"{folder.name}/{fault}" for fault in broken]
        if found is None:
            continue
        findings, skipped = found.get("findings"), found.get("status") == "skipped"
        first = findings[0] if isinstance(findings, list) and findings else ""
        said = found.get("reason") if skipped else first
        yield ProbeLine(path.stem, str(found.get("title") or path.stem), skipped, str(said or ""))


def _stages(path: Path, faults: list[str]) -> tuple[Stage, ...]:
    """Return the stages in the order in which they began; a last line torn by a crash ends the list quietly."""
    stages: dict[str, float | None] = {}
    try:
        for _, row in read_rows(path) if path.exists() else ():
            name, seconds = row.get("stage"), row.get("seconds")
            if isinstance(name, str):
                stages[name] = float(seconds) if isinstance(seconds, int | float) else stages.get(name)
    except DataError as error:
        faults.append(error.message.removeprefix(f"{path.parent}/"))
    return tuple(Stage(name, seconds) for name, seconds in stages.items())
