"""From a run folder to the evidence of its comparison. Reads JSON and JSON Lines, never a report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ragft import provenance
from ragft.errors import DataError
from ragft.evaluation.clustering import clusters
from ragft.evaluation.comparison import Comparison, comparison_from_dict
from ragft.gates.evidence import DECISIONS, Evidence, Fingerprints, fingerprints_of, hardware_identity
from ragft.jsonl import Row, read_rows
from ragft.records import Example
from ragft.runs import SCHEMA_VERSION

HINT = "the run folder is incomplete or was written by another version: run `ragft compare` again"


def read_object(path: Path, hint: str = HINT) -> dict[str, Any]:
    """Return the JSON object of a file; DataError naming the file and what was found if there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint) from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})", hint) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}", hint) from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected an object, found {type(value).__name__}", hint)
    return value


def read_finished_run(run_dir: Path) -> Evidence:
    """Return the evidence of a compare run that has ended well.

    DataError, saying what was found instead, for a folder that is no run, a run of another command, one that did not
    end well, and a newer format.
    """
    manifest_path = run_dir / "manifest.json"
    if not manifest_path.is_file():
        raise DataError(
            f"{run_dir}: not a run folder: it has no manifest.json", "name a folder in runs/, or a baseline"
        )
    manifest = read_object(manifest_path)
    version, command, status = (manifest.get(key) for key in ("schema_version", "command", "status"))
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(f"{manifest_path}: schema_version: expected a whole number from 1, found {version!r}", HINT)
    if version > SCHEMA_VERSION:
        raise DataError(
            f"{run_dir}: run folder of schema version {version}; this ragft reads up to {SCHEMA_VERSION}",
            "upgrade ragft, or take a baseline that this version wrote",
        )
    if command != "compare":
        raise DataError(f"{run_dir}: a run of `ragft {command}`, not of `ragft compare`", "name a compare run")
    if status != "success":
        raise DataError(
            f"{run_dir}: an unfinished run (status {status!r}), which says nothing for certain",
            "name a run with status success",
        )
    return read_evidence(run_dir)


def read_evidence(run_dir: Path) -> Evidence:
    """Return the evidence that the records of a compare run hold; the run may still be under way.

    DataError naming the file and the key or line where something is missing or of another kind.
    """
    manifest, metrics = read_object(run_dir / "manifest.json"), read_object(run_dir / "metrics.json")
    verdict = read_object(run_dir / "verdict.json")
    comparison = _comparison(run_dir / "comparison.json")
    examples = [_example(row, where) for row, where in _rows(run_dir / "examples.jsonl")]
    arms = part(metrics, "arms", dict, run_dir / "metrics.json")
    decision = part(verdict, "decision", str, run_dir / "verdict.json")
    if decision not in DECISIONS:
        raise DataError(f"{run_dir / 'verdict.json'}: decision: {decision!r} is none of {', '.join(DECISIONS)}", HINT)
    return Evidence(
        name=part(manifest, "experiment", str, run_dir / "manifest.json"),
        created_at=part(manifest, "started_at", str, run_dir / "manifest.json"),
        ragft_version=str(part(manifest, "packages", dict, run_dir / "manifest.json").get("ragft", "unknown")),
        comparison=comparison,
        decision=decision,
        shipped=verdict.get("arm"),
        scores=_scores(run_dir / "scores.jsonl", comparison.primary_metric, arms),
        clusters=clusters(examples),
        latency_s=_latencies(arms, run_dir / "metrics.json"),
        hardware=hardware_identity(part(manifest, "hardware", dict, run_dir / "manifest.json")),
        findings=_findings(metrics, run_dir / "metrics.json"),
        fingerprints=_fingerprints(examples, metrics, manifest, comparison.primary_metric, run_dir / "metrics.json"),
    )


def part(source: Mapping[str, Any], key: str, kind: type | tuple[type, ...], where: object, hint: str = HINT) -> Any:  # noqa: ANN401
    """Return what stands under `key`; DataError unless it is of this kind (true and false are no numbers)."""
    value = source.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise DataError(f"{where}: {key}: expected {names}, found {type(value).__name__}", hint)
    return value


def _rows(path: Path) -> Iterable[tuple[Row, str]]:
    for number, row in read_rows(path):
        yield row, f"{path}:{number}"


def _comparison(path: Path) -> Comparison:
    try:
        return comparison_from_dict(read_object(path))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a comparison: {type(error).__name__}: {error}", HINT) from None


def _example(row: Row, where: str) -> Example:
    return Example(
        id=part(row, "id", str, where),
        input=part(row, "input", str, where),
        references=tuple(part(row, "references", list, where)),
        gold_document_ids=tuple(row.get("gold_document_ids") or ()),
        answerable=row.get("answerable", True) is not False,
        group=row.get("group"),
    )


def _scores(path: Path, metric: str, arms: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return the primary scores by arm and example, averaged over training seeds.

    An example that one of an arm's seeds lacks, or could not have scored, is left out, as the comparison does.
    """
    found: dict[str, dict[str, dict[Any, float | None]]] = {arm: {} for arm in arms}
    for row, where in _rows(path):
        if row.get("metric") == metric and row.get("arm") in found:
            value = part(row, "value", (int, float, type(None)), where)
            found[row["arm"]].setdefault(part(row, "example_id", str, where), {})[row.get("seed")] = value
    return {arm: _means(by_example) for arm, by_example in found.items()}


def _means(by_example: Mapping[str, Mapping[Any, float | None]]) -> dict[str, float]:
    seeds = {seed for values in by_example.values() for seed in values}
    means = {}
    for example_id in sorted(by_example):
        values = [value for value in by_example[example_id].values() if value is not None]
        if len(values) == len(seeds):
            means[example_id] = sum(values) / len(values)
    return means


def _latencies(arms: Mapping[str, Any], where: Path) -> dict[str, float]:
    found = {}
    for name in arms:
        row = part(arms, name, dict, f"{where}: arms")
        found[name] = part(row, "latency_s_p50", (int, float, type(None)), f"{where}: arms.{name}")
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def _findings(metrics: Mapping[str, Any], where: Path) -> tuple[tuple[str, str], ...]:
    rows = _objects(part(metrics, "data", dict, where), "findings", f"{where}: data")
    return tuple((part(row, "check", str, where), part(row, "message", str, where)) for row in rows)


def _fingerprints(
    examples: Sequence[Example], metrics: Mapping[str, Any], manifest: Mapping[str, Any], metric: str, where: Path
) -> Fingerprints:
    task = part(metrics, "task", dict, where)
    versions = [row.get("version") for row in _objects(metrics, "metrics", where) if row.get("metric") == metric]
    if not versions or not isinstance(versions[0], int):
        raise DataError(f"{where}: metrics: the primary metric {metric!r} has no version", HINT)
    return fingerprints_of(
        examples,
        task_kind=part(task, "kind", str, f"{where}: task"),
        labels=task.get("labels") or (),
        metric=metric,
        metric_version=versions[0],
        arms=_arm_prints(metrics, manifest.get("fingerprints") or {}),
    )


def _arm_prints(metrics: Mapping[str, Any], prints: Mapping[str, Any]) -> dict[str, str]:
    """Return a fingerprint of each arm: who answers, prompt, shots, and for an arm that retrieves what it reads.

    The manifest's own `arm:` fingerprint covers who answers alone, and is the same for two prompts of one model.
    """
    found = {}
    for name, row in metrics["arms"].items():
        # One print for each training seed, where there are several: what follows the name is no part of another name.
        own = re.compile(rf"arm:{re.escape(name)}(?![a-z0-9_-])")
        who = {key: value for key, value in prints.items() if own.match(key)}
        made_of = {"who": who, **{key: row.get(key) for key in _MADE_OF}}
        if row.get("retrieval") == "index":
            made_of |= {"index": prints.get("index"), "read": metrics.get("retrieval")}
        found[name] = provenance.fingerprint(made_of)
    return found


_MADE_OF = ("adapter", "retrieval", "shots", "prompt")


def _objects(source: Mapping[str, Any], key: str, where: object) -> list[dict[str, Any]]:
    """Return the list of objects under `key`; DataError if it is none."""
    rows: list[dict[str, Any]] = part(source, key, list, where)
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{where}: {key}: expected a list of objects", HINT)
    return rows
