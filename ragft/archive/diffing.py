"""Two runs side by side: configuration, data, environment, fingerprints, scores and costs; new against old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragft.archive.changes import Change, changes, file_changes
from ragft.archive.folders import StoredRun, read_object
from ragft.archive.scoring import (
    Asked,
    ExampleChange,
    ExamplesDiff,
    ScoreChange,
    example_changes,
    examples_diff,
    read_asked,
    score_changes,
)
from ragft.archive.summaries import metric_rows
from ragft.errors import DataError

COSTS = ("latency_s_p50", "prompt_tokens_mean", "output_tokens_mean", "truncated_share")
"""What an arm's answers cost, of metrics.json, that is compared."""


@dataclass(frozen=True, slots=True)
class RunDiff:
    """What differs from `old` to `new`.

    `counts` are sizes of the data. `retrieval` and `costs` are means of a whole run with the key `arm metric`, not
    paired; `scores` and `examples` are paired by example. `examples_diff` is None, and `not_scored` names the runs,
    where one of them scored no answers. `arms` are those that only one of the runs has.
    """

    old: str
    new: str
    config: tuple[Change, ...]
    inputs: tuple[Change, ...]
    counts: tuple[Change, ...]
    environment: tuple[Change, ...]
    fingerprints: tuple[Change, ...]
    verdict: tuple[Change, ...]
    arms: tuple[Change, ...]
    not_scored: tuple[str, ...]
    examples_diff: ExamplesDiff | None
    primary_metric: str | None
    scores: tuple[ScoreChange, ...]
    retrieval: tuple[Change, ...]
    costs: tuple[Change, ...]
    examples: tuple[ExampleChange, ...]


def diff_runs(old: StoredRun, new: StoredRun, *, examples: int) -> RunDiff:
    """Return what differs between two runs, with the `examples` whose scores moved the most.

    DataError where a file of a run holds something else than a run writes.
    """
    asked = [read_asked(run.path) for run in (old, new)]
    metrics = [_object(run.path / "metrics.json") for run in (old, new)]
    verdicts = [_object(run.path / "verdict.json") for run in (old, new)]
    primary = metrics[1].get("primary_metric")
    before, after = asked
    scored = before is not None and after is not None
    return RunDiff(
        old=old.id,
        new=new.id,
        config=changes(read_config(old.path), read_config(new.path)),
        inputs=file_changes(old.manifest.get("inputs", {}), new.manifest.get("inputs", {})),
        counts=changes(*(_numbers(found.get("data")) for found in metrics)),
        environment=changes(_environment(old.manifest), _environment(new.manifest)),
        fingerprints=changes(old.manifest.get("fingerprints", {}), new.manifest.get("fingerprints", {})),
        verdict=changes(*({key: v.get(key) for key in ("decision", "arm", "confidence")} for v in verdicts)),
        arms=_arms(before, after),
        not_scored=tuple(run.id for run, found in zip((old, new), asked, strict=True) if found is None),
        examples_diff=examples_diff(before, after) if before and after else None,
        primary_metric=primary if scored else None,
        scores=score_changes(before, after) if before and after else (),
        retrieval=_changed(*map(_retrieval, metrics)),
        costs=_changed(*map(_costs, metrics)),
        examples=example_changes(before, after, str(primary), examples) if before and after else (),
    )


def _object(path: Path) -> dict[str, Any]:
    return read_object(path) if path.exists() else {}


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a run as it was resolved; DataError where it is missing or no YAML."""
    import yaml  # kept out of `runs list`

    path = folder / "config.yaml"
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(config, dict):
        raise DataError(f"{path}: expected sections, found {type(config).__name__}")
    return config


def _environment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the run ran with; a run outside a git checkout has no commit."""
    return {"prompts": manifest.get("prompts", [])} | {
        key: manifest.get(key) or {} for key in ("git", "packages", "hardware")
    }


def _numbers(value: object) -> dict[str, Any]:
    """Return the entries of an object that are numbers."""
    entries = value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in entries if isinstance(item, int | float) and not isinstance(item, bool)}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what both have and what differs; times and rates of a clock are not expected to be the same."""
    return tuple(item for item in changes(old, new) if item.kind == "changed")


def _retrieval(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arm metric` -> mean of the retrieval metrics, which `compare` has among its rows and `index` apart."""
    arms = metrics.get("arms") or ()
    rows = metric_rows(metrics) or metric_rows({"metrics": metrics.get("retrieval")})
    return {f"{row.get('arm')} {row.get('metric')}": _value(row) for row in rows if row.get("arm") not in arms}


def _costs(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arm cost` -> mean of what each arm's answers cost."""
    arms = metrics.get("arms")
    rows = {arm: _numbers(facts) for arm, facts in arms.items()} if isinstance(arms, dict) else {}
    return {f"{arm} {cost}": row[cost] for arm, row in rows.items() for cost in COSTS if cost in row}


def _value(row: Mapping[str, Any]) -> object:
    return row["value"] if "value" in row else row.get("mean")  # index writes estimates, compare rows of metrics


def _arms(old: Asked | None, new: Asked | None) -> tuple[Change, ...]:
    names = [dict.fromkeys((arm for arm, _ in asked.scores), None) if asked else {} for asked in (old, new)]
    return changes(*names) if old and new else ()
