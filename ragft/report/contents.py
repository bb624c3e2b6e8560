"""What a report is made of, as frozen records: the run folder's numbers, not yet words.

Must not know where the files lie, nor how a page looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragft.evaluation.classification import ClassificationSummary
from ragft.evaluation.comparison import Comparison
from ragft.evaluation.probing import ProbeResult
from ragft.evaluation.selective import SelectiveCurve, SelectiveGain
from ragft.records import Answer, ContrastResult, Example, Interval, Passage, Score
from ragft.report.judge_contents import JudgeFacts

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
    """The verdict as verdict.json has it; `arm` is None unless `decision` is "ship".

    `sensitivity` are the sentences that say what would change it.
    """

    decision: str
    arm: str | None
    confidence: str
    headline: str
    reasons: tuple[str, ...]
    excluded: Pairs
    caveats: tuple[str, ...]
    next_steps: tuple[str, ...]
    candidates: tuple[str, ...]
    not_comparable: Pairs = ()
    sensitivity: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One mean of metrics.json; `arm` is "retrieval:<name>" for a metric of rankings."""

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
class Cost:
    """What one arm costs in `currency` at the user's prices.

    `running_per_1000` is for answering a thousand queries; `one_off` is paid once, `refresh_each` each time the facts
    change; `per_1000` is all of it, spread over the horizon. `per_correct` is None where nothing is right.
    """

    currency: str
    running_per_1000: float | None
    one_off: float | None
    refreshes_per_horizon: float | None
    refresh_each: float | None
    per_1000: float | None
    per_correct: float | None


@dataclass(frozen=True, slots=True)
class Sureness:
    """How the primary metric of one arm moves as its unsure answers are left out; `gain` at the surer half."""

    curve: SelectiveCurve
    gain: SelectiveGain | None


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """One arm: what it is made of, what it costs, how it abstains. Seconds, tokens, GB; None was not measured."""

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
    memory_gb: float | None = None
    labels: int | None = None
    failed_share: float | None = None
    abstained_share: float | None = None
    citing_share: float | None = None
    leaves_machine: bool = False
    training_seconds: float | None = None
    index_seconds: float | None = None
    cost: Cost | None = None
    model: str | None = None
    shots_by: str = "seed"
    prompts: tuple[str, ...] = ()
    errors: tuple[tuple[str, int], ...] = ()
    labels_said: ClassificationSummary | None = None
    sureness: Sureness | None = None


@dataclass(frozen=True, slots=True)
class LossPoint:
    """One row of a training log; either loss may be missing in it."""

    step: float
    train_loss: float | None
    dev_loss: float | None


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What training one adapter took and reached; `signs` are signs of trouble in its history, in sentences."""

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
    method: str | None = None
    processes: int | None = None
    effective_batch: int | None = None
    signs: tuple[str, ...] = ()

    @property
    def tokens_per_second(self) -> int | None:
        """Training tokens read in a second, measurements of the dev set included; None where it was not timed."""
        if self.tokens_seen is None or not self.seconds:
            return None
        return round(self.tokens_seen / self.seconds)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the data checks found, with the examples concerned."""

    check: str
    message: str
    example_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """One check of the data that ran; `severity` is "ok", "note", "warning" or "error"."""

    name: str
    title: str
    looked_at: int
    found: int
    severity: str
    message: str
    example_ids: tuple[str, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class Unaided:
    """What an answer without any model scores on the primary metric; `contrasts` are arm - unaided."""

    what: str
    metric: str
    mean: float | None
    contrasts: tuple[ContrastResult, ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """Mean primary score of one arm where a gold document was retrieved, and where it was missed."""

    arm: str
    hit: ShareOf
    miss: ShareOf


@dataclass(frozen=True, slots=True)
class RetrievalFacts:
    """How passages were found, and what arms made of it."""

    kind: str
    top_k: int | None
    documents: int | None
    passages: int | None
    hits: tuple[Hits, ...] = ()


@dataclass(frozen=True, slots=True)
class RetrieverFacts:
    """What the retrievers side by side show; contrasts name them as metrics do, "retrieval:<name>"."""

    finding: str
    notes: tuple[str, ...]
    contrasts: tuple[RetrieverContrast, ...]


@dataclass(frozen=True, slots=True)
class RetrieverContrast:
    """A paired difference between two retrievers on one metric; `declared` is False for exploratory ones."""

    first: str
    second: str
    metric: str
    difference: float | None
    interval: Interval | None
    declared: bool


@dataclass(frozen=True, slots=True)
class Demands:
    """The user's requirements as the configuration has them; `margin` is the difference that does not matter."""

    min_score: float | None
    max_latency_s: float | None
    margin: float | None
    max_memory_gb: float | None = None
    max_cost_per_1000: float | None = None
    citations: bool = False
    facts_change_days: float | None = None
    local_only: bool = False
    labels: int | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of `compare.gates` and whether it held."""

    number: int
    kind: str
    title: str
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class GateFacts:
    """All gates; `baseline` names the run or file that they were held against, None for none."""

    status: str
    gates: tuple[Gate, ...]
    baseline: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of settings of a sweep and what it reached on the dev examples; `seconds` is its wall time."""

    number: int
    values: Pairs
    mean: float | None
    interval: Interval | None
    n: int | None
    seconds: float | None
    reused: bool


@dataclass(frozen=True, slots=True)
class SweepFacts:
    """The sweep before the comparison: what was tried, and the number of the trial that was chosen."""

    arm: str
    metric: str
    kind: str
    parameters: tuple[tuple[str, tuple[str, ...]], ...]
    trials: tuple[Trial, ...]
    chosen: int | None


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that the reports of one run show; what a run has not is None or empty."""

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
    prices: Pairs = ()
    limits: Pairs = ()
    gates: GateFacts | None = None
    sweep: SweepFacts | None = None
    retrievers: RetrieverFacts | None = None
    unaided: Unaided | None = None
    checks: tuple[CheckFacts, ...] = ()
    signatures: Pairs = ()
    judge: JudgeFacts | None = None
    probes: tuple[ProbeResult, ...] = ()

    @property
    def primary_metric(self) -> str:
        """Name of the metric that the verdict rests on."""
        return self.comparison.primary_metric

    def value(self, arm: str, metric: str) -> MetricValue | None:
        """Return the mean of `metric` of `arm`, None if the run did not measure it."""
        return next((value for value in self.metrics if value.arm == arm and value.metric == metric), None)

    def seed_means(self, arm: str) -> tuple[float, ...]:
        """Return the primary means of `arm` by training seed, none for an arm trained once or never."""
        found = (e for e in self.comparison.estimates if e.arm == arm and e.metric == self.primary_metric)
        return next((estimate.seed_means for estimate in found), ())

    def prompt_means(self, arm: str) -> tuple[tuple[str, float], ...]:
        """Return the primary means of `arm` by prompt, none for an arm that was asked with one."""
        found = (e for e in self.comparison.estimates if e.arm == arm and e.metric == self.primary_metric)
        return next((estimate.prompt_means for estimate in found), ())
