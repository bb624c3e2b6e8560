"""What gates look at: the comparison, the verdict, the scores, and the fingerprints that say what they are scores of.

Must not know where it was read from, nor what a gate asks of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ragft import provenance
from ragft.evaluation.comparison import Comparison
from ragft.records import Example

Decision = Literal["ship", "not_decided", "none_qualifies", "not_comparable"]
DECISIONS: tuple[str, ...] = get_args(Decision)

DIGITS = 6
"""Decimals of a score in a baseline. Both sides are rounded, or 1/3 now would differ from 0.333333 then."""

NOT_IDENTITY = ("memory_bytes", "platform")
"""Facts of the hardware that change with a reboot or a kernel update and leave the speed as it is."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What scores are bound to: two runs can be compared only where the first four are the same.

    `arms` maps an arm to the fingerprint of what it is made of; a changed one is what a baseline is there to judge.
    """

    examples: str
    task: str
    metric: str
    metric_version: int
    arms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that gates look at, of one comparison.

    `scores` holds the primary metric by arm and example id, averaged over training seeds, without the answers that
    could not be scored. `clusters` has every eval example. `latency_s` is the median time of a question asked alone,
    measured on `hardware` (`hardware_identity`); it may lack arms. `findings` pairs the name of a data check with what
    it found. `created_at` is when the run began, in ISO 8601.
    """

    name: str
    created_at: str
    ragft_version: str
    comparison: Comparison
    decision: str
    shipped: str | None
    scores: Mapping[str, Mapping[str, float]]
    clusters: Mapping[str, str]
    latency_s: Mapping[str, float]
    hardware: Mapping[str, Any]
    findings: tuple[tuple[str, str], ...]
    fingerprints: Fingerprints


def fingerprints_of(
    examples: Iterable[Example],
    *,
    task_kind: str,
    labels: Sequence[str],
    metric: str,
    metric_version: int,
    arms: Mapping[str, str],
) -> Fingerprints:
    """Return the fingerprints of a comparison; neither the order of the examples nor that of the labels matters.

    An example is its id, input, references and whether it can be answered: what a score depends on besides the answer.
    """
    rows = sorted((example.id, example.input, example.references, example.answerable) for example in examples)
    kind = task_kind
    if labels:
        kind = f"{task_kind} with {len(labels)} labels ({provenance.fingerprint(sorted(labels))[:12]})"
    return Fingerprints(provenance.fingerprint(rows), kind, metric, metric_version, dict(arms))


def hardware_identity(hardware: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies the machine that times were measured on: the manifest's hardware without what drifts."""
    return {key: hardware[key] for key in sorted(hardware) if key not in NOT_IDENTITY and hardware[key] is not None}


def rounded(scores: Mapping[str, float]) -> dict[str, float]:
    """Return scores as a baseline holds them, by example id in order; -0.0 becomes 0.0."""
    return {example_id: round(scores[example_id], DIGITS) + 0.0 for example_id in sorted(scores)}
