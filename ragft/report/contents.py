"""What a report is made of, as frozen records: the run folder's numbers, not yet words.

Must not know where the files lie, nor how a page looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragft.evaluation.comparison import Comparison
from ragft.records import Answer, Example, Interval, Passage, Score

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made the run: code, packages, machine, seeds and inputs, as the manifest has them."""

    id: str
    command: str
    experiment: str
    status: str
    started_at: str
    finished_at: str | None
    commit: str | None
    dirty: bool
    argv: tuple[str, ...]
    packages: Pairs
    hardware: Pairs
    seeds: Pairs
    prompts: Pairs
    fingerprints: Pairs
    inputs: Pairs


@dataclass(frozen=True, slots=True)
class VerdictFacts:
    """The verdict as verdict.json has it; `arm` is None unless `decision` is "ship"."""

    decision: str
    arm: str | None
    confidence: str
    headline: str
    reasons: tuple[str, ...]
    excluded: Pairs
    caveats: tuple[str, ...]
    next_steps: tuple[str, ...]
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One mean of metrics.json; `arm` is "retrieval:<kind>" for a metric of rankings."""

    arm: str
    metric: str
    version: str | None
    value: float | None
    n: int
    n_unscored: int
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ShareOf:
    """A share over `n` items, None where n is 0."""

    value: float | None
    n: int | None


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """One arm: what it is made of, what it costs, how it abstains. Seconds and tokens; None was not measured."""

    name: str
    adapter: str | None
    retrieval: str
    shots: int
    prompt: str | None
    control: bool
    prompt_tokens_mean: float | None
    output_tokens_mean: float | None
    truncated_share: float | None
    latency_s_p50: float | None
    latency_n: int | None
    seconds_per_question: float | None
    retrieval_seconds_p50: float | None
    macro_f1: float | None
    abstention: Mapping[str, ShareOf] | None


@dataclass(frozen=True, slots=True)
class LossPoint:
    """One row of a training log; either loss may be missing in it."""

    step: float
    train_loss: float | None
    dev_loss: float | None


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What training one adapter took and reached."""

    name: str
    recipe: str | None
    steps: int | None
    examples_seen: int | None
    tokens_seen: int | None
    label_tokens: int | None
    seconds: float | None
    train_loss: float | None
    dev_loss: float | None
    best_step: int | None
    reused: bool
    history: tuple[LossPoint, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the data checks found, with the examples concerned."""

    check: str
    message: str
    example_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetrievalFacts:
    """How passages were found."""

    kind: str
    top_k: int | None
    documents: int | None
    passages: int | None


@dataclass(frozen=True, slots=True)
class Demands:
    """The user's requirements: lowest score, highest latency in seconds, and the margin of practical equality."""

    min_score: float | None
    max_latency_s: float | None
    margin: float | None


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that the reports of one run show."""

    provenance: Provenance
    comparison: Comparison
    verdict: VerdictFacts
    metrics: tuple[MetricValue, ...]
    arms: tuple[ArmFacts, ...]
    task_kind: str
    labels: tuple[str, ...]
    majority_share: float | None
    retrieval: RetrievalFacts | None
    adapters: tuple[AdapterFacts, ...]
    counts: tuple[tuple[str, int], ...]
    findings: tuple[Finding, ...]
    reused: tuple[str, ...]
    demands: Demands
    examples: tuple[Example, ...]
    answers: Mapping[str, tuple[Answer, ...]]
    scores: tuple[Score, ...]
    passages: tuple[Passage, ...]
    config_yaml: str

    @property
    def primary_metric(self) -> str:
        """Name of the metric that the verdict rests on."""
        return self.comparison.primary_metric

    def value(self, arm: str, metric: str) -> MetricValue | None:
        """Return the mean of `metric` of `arm`, None if the run did not measure it."""
        return next((value for value in self.metrics if value.arm == arm and value.metric == metric), None)
