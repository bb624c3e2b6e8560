"""The baseline: what an earlier comparison found, as one small file that is committed, or as the run itself.

The text is a function of the evidence alone: the same run gives the same bytes, keys are sorted, and the scores of an
arm are one line, in the order of `example_ids`, so that a change shows in few lines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragft import jsonl
from ragft.errors import DataError
from ragft.gates.evidence import DECISIONS, DIGITS, Evidence, Fingerprints, rounded
from ragft.gates.run_folder import part, read_finished_run, read_object

KIND = "ragft baseline"
SCHEMA_VERSION = 1
"""Version of the baseline file's format; raised when a reader of the old one would misread the new one."""

HINT = "write it again: ragft compare FILE --write-baseline BASELINE"


@dataclass(frozen=True, slots=True)
class BaselineArm:
    """What one arm had: its mean primary score, the scores behind it by example id, its latency if measured."""

    mean: float | None
    latency_s: float | None
    scores: Mapping[str, float]

    @property
    def n(self) -> int:
        """Return how many examples were scored."""
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an earlier comparison found; `source` is the path it was read from and no part of what it says."""

    name: str
    created_at: str
    ragft_version: str
    decision: str
    arm: str | None
    arms: Mapping[str, BaselineArm]
    clusters: Mapping[str, str]
    hardware: Mapping[str, Any]
    fingerprints: Fingerprints
    source: str = field(default="", compare=False)


def baseline_of(evidence: Evidence, source: str = "") -> Baseline:
    """Return the evidence as a baseline, numbers rounded to six decimals as the file holds them."""
    return Baseline(
        name=evidence.name,
        created_at=evidence.created_at,
        ragft_version=evidence.ragft_version,
        decision=evidence.decision,
        arm=evidence.shipped,
        arms={arm: _arm_of(evidence, arm) for arm in sorted(evidence.scores)},
        clusters={example_id: evidence.clusters[example_id] for example_id in sorted(evidence.clusters)},
        hardware=dict(evidence.hardware),
        fingerprints=evidence.fingerprints,
        source=source,
    )


def _arm_of(evidence: Evidence, arm: str) -> BaselineArm:
    scores, latency = rounded(evidence.scores[arm]), evidence.latency_s.get(arm)
    mean = round(math.fsum(scores.values()) / len(scores), DIGITS) if scores else None
    return BaselineArm(mean, None if latency is None else round(latency, DIGITS), scores)


def check_target(path: Path) -> None:
    """Raise DataError where a baseline cannot be written to `path`; to be asked before hours of work, not after."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder, and a baseline is a file", f"name a file, such as {path / 'main.json'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: its folder cannot be made: {error.strerror}", "choose another place") from None


def write_baseline(path: Path, evidence: Evidence) -> Baseline:
    """Write the evidence as a baseline file, atomically, and return it; DataError where it cannot be written."""
    check_target(path)
    baseline = baseline_of(evidence, str(path))
    try:
        jsonl.write_text(path, baseline_text(baseline))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}", "choose another place") from None
    return baseline


def baseline_text(baseline: Baseline) -> str:
    """Return the text of the baseline file."""
    ids, prints = sorted(baseline.clusters), baseline.fingerprints
    content = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "ragft_version": baseline.ragft_version,
        "name": baseline.name,
        "created_at": baseline.created_at,
        "task": prints.task,
        "primary_metric": prints.metric,
        "metric_version": prints.metric_version,
        "examples_fingerprint": prints.examples,
        "decision": baseline.decision,
        "arm": baseline.arm,
        "hardware": baseline.hardware,
        "example_ids": ids,
        "clusters": [baseline.clusters[example_id] for example_id in ids],
        "arms": {
            name: {
                "fingerprint": prints.arms.get(name),
                "mean": arm.mean,
                "n": arm.n,
                "latency_s": arm.latency_s,
                "scores": [arm.scores.get(example_id) for example_id in ids],
            }
            for name, arm in baseline.arms.items()
        },
    }
    return _text(content) + "\n"


def _text(value: object, indent: str = "") -> str:
    """Return JSON with sorted keys, every object on lines of its own and every list on one."""
    if isinstance(value, Mapping) and value:
        inner = indent + "  "
        lines = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {_text(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def read_baseline(path: Path) -> Baseline:
    """Return the baseline that a file holds, or that a finished compare run makes.

    DataError, saying what was found instead and how to mend it, for anything else.
    """
    if path.is_dir():
        return baseline_of(read_finished_run(path), str(path))
    content = read_object(path, "name a run folder, or a file that --write-baseline wrote")
    if content.get("kind") != KIND:
        raise DataError(f"{path}: not a ragft baseline", "name a run folder, or a file that --write-baseline wrote")
    version = part(content, "schema_version", int, path, HINT)
    if version > SCHEMA_VERSION:
        raise DataError(
            f"{path}: baseline of schema version {version}; this ragft reads up to {SCHEMA_VERSION}",
            "upgrade ragft, or write the baseline again with this version",
        )
    if version < 1:
        raise DataError(f"{path}: schema_version: expected a whole number from 1, found {version}", HINT)
    return _read(content, path)


def _read(content: Mapping[str, Any], path: Path) -> Baseline:
    ids, clusters = (part(content, key, list, path, HINT) for key in ("example_ids", "clusters"))
    texts = all(isinstance(item, str) for item in (*ids, *clusters))
    if not texts or len(clusters) != len(ids) or len(set(ids)) != len(ids):
        raise DataError(f"{path}: {len(ids)} example_ids and {len(clusters)} clusters do not belong together", HINT)
    arms = part(content, "arms", dict, path, HINT)
    if not arms:
        raise DataError(f"{path}: arms: a baseline needs at least one arm", HINT)
    decision = part(content, "decision", str, path, HINT)
    if decision not in DECISIONS:
        raise DataError(f"{path}: decision: {decision!r} is none of {', '.join(DECISIONS)}", HINT)
    return Baseline(
        name=part(content, "name", str, path, HINT),
        created_at=part(content, "created_at", str, path, HINT),
        ragft_version=part(content, "ragft_version", str, path, HINT),
        decision=decision,
        arm=part(content, "arm", (str, type(None)), path, HINT),
        arms={name: _read_arm(arms, name, ids, path) for name in sorted(arms)},
        clusters=dict(sorted(zip(ids, clusters, strict=True))),
        hardware=part(content, "hardware", dict, path, HINT),
        fingerprints=_read_fingerprints(content, arms, path),
        source=str(path),
    )


def _read_fingerprints(content: Mapping[str, Any], arms: Mapping[str, Any], path: Path) -> Fingerprints:
    return Fingerprints(
        examples=part(content, "examples_fingerprint", str, path, HINT),
        task=part(content, "task", str, path, HINT),
        metric=part(content, "primary_metric", str, path, HINT),
        metric_version=part(content, "metric_version", int, path, HINT),
        arms={name: arm["fingerprint"] for name, arm in sorted(arms.items()) if arm.get("fingerprint") is not None},
    )


def _read_arm(arms: Mapping[str, Any], name: str, ids: list[str], path: Path) -> BaselineArm:
    where = f"{path}: arms.{name}"
    row = part(arms, name, dict, f"{path}: arms", HINT)
    values = part(row, "scores", list, where, HINT)
    if len(values) != len(ids):
        raise DataError(f"{where}: {len(values)} scores for {len(ids)} example_ids", HINT)
    scores = {}
    for example_id, value in zip(ids, values, strict=True):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DataError(f"{where}: scores: {example_id}: expected a finite number, found {value!r}", HINT)
        scores[example_id] = float(value)
    mean, latency = (part(row, key, (int, float, type(None)), where, HINT) for key in ("mean", "latency_s"))
    _check_mean(scores, mean, part(row, "n", int, where, HINT), where)
    return BaselineArm(mean, latency, rounded(scores))


def _check_mean(scores: Mapping[str, float], mean: float | None, n: int, where: str) -> None:
    """Raise DataError where mean or n are not those of the scores: the file was edited by hand or merged badly."""
    right = math.fsum(scores.values()) / len(scores) if scores else None
    agrees = mean == right if mean is None or right is None else abs(mean - right) <= 10**-DIGITS
    if n != len(scores) or not agrees:
        found = "no scores" if right is None else f"{len(scores)} scores with mean {right:.6f}"
        raise DataError(f"{where}: says n {n} and mean {mean}, and has {found}", HINT)


def mismatch(baseline: Baseline, now: Fingerprints, example_ids: set[str]) -> str | None:
    """Return why a run with these fingerprints cannot be compared with the baseline, None where it can.

    It can be asked before anything has been measured: `example_ids` are those of the eval examples.
    """
    then = baseline.fingerprints
    if then.task != now.task:
        return f"the baseline is of the task {then.task}, this run of {now.task}"
    if (then.metric, then.metric_version) != (now.metric, now.metric_version):
        return (
            f"the baseline measured {then.metric} (version {then.metric_version}), "
            f"this run {now.metric} (version {now.metric_version})"
        )
    if then.examples == now.examples:
        return None
    common = len(example_ids & set(baseline.clusters))
    if common == len(example_ids) == len(baseline.clusters):
        return "the eval examples have the same ids as in the baseline, but other inputs or references"
    return (
        f"the baseline has other eval examples: {len(baseline.clusters)} then, {len(example_ids)} now, {common} in both"
    )
