"""The section `compare` as types: arms, how they are judged, what the verdict must respect, gates and sweeps."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from ragft.config.judging import JudgeConfig
from ragft.config.probes import Probe
from ragft.config.sections import ModelSource, Name, Pair, Section, Shorthand, SingleItem, Words
from ragft.records import ContextKind


class ArmConfig(Section):
    """A system under comparison."""

    model: str | None = None
    """Name of one of `models`; the experiment's `model` when absent."""
    adapter: str | None = None
    """Name of one of `adapters`, or nothing for the base model."""
    retrieval: ContextKind = "none"
    """`none`, `index` (retrieved passages), `oracle` (gold passages), `random` (passages that are not gold)."""
    shots: int = Field(default=0, ge=0, le=32)
    """Training examples shown in the prompt."""
    shots_by: Literal["seed", "similarity"] = "seed"
    """How they are chosen: `seed` draws the same ones for every question, `similarity` takes those most like it."""
    prompt: Annotated[Words, SingleItem()] = ()
    """Prompt template, by name: one, or several over which the arm is averaged; the task's default when absent."""


class RequirementsConfig(Section):
    """What the system that ships must satisfy."""

    min_score: float | None = None
    """Least mean of the primary metric, on its own scale (0 to 1)."""
    max_latency_s: float | None = Field(default=None, gt=0)
    """Longest median time of one question asked alone, in seconds."""
    max_memory_gb: float | None = Field(default=None, gt=0)
    """Most memory that weights and tensors take while one question is answered, in GB (10^9 bytes)."""
    max_cost_per_1000: float | None = Field(default=None, ge=0)
    """Most that a thousand queries may cost, building and refreshing included, in the currency of `compare.prices`."""
    citations: bool = False
    """Answers must name their sources, which an arm without retrieval cannot."""
    facts_change_days: float | None = Field(default=None, gt=0)
    """Facts change every so many days: a system must be able to follow, and what that costs is counted."""
    local_only: bool = False
    """Data must not leave this machine."""
    labels: int | None = Field(default=None, ge=0)
    """Labelled examples that can be had for training and prompting; an arm that uses more fails."""
    margin: float = Field(default=0.02, ge=0)
    """Differences of the primary metric up to this size do not matter to you."""


class PricesConfig(Section):
    """What things cost you; without `machine_hour` or a price per token the cheapest arm is the simplest one."""

    currency: str = "USD"
    """Name of the currency, as it is printed."""
    machine_hour: float | None = Field(default=None, ge=0)
    """An hour of the machine that trains, indexes and answers."""
    label: float = Field(default=0.0, ge=0)
    """One labelled example."""
    million_prompt_tokens: float | None = Field(default=None, ge=0)
    """A million prompt tokens, where the model is paid by the token."""
    million_output_tokens: float | None = Field(default=None, ge=0)
    """A million output tokens, where the model is paid by the token."""
    queries_per_day: float = Field(default=1000.0, gt=0)
    """Questions that the system will answer in a day."""
    horizon_days: float = Field(default=365.0, gt=0)
    """Days over which what is paid once is spread."""


class LimitsConfig(Section):
    """Shares of an arm's answers above which it is not comparable with the others, and left out of the verdict."""

    truncated_share: float = Field(default=0.5, ge=0, le=1)
    """Answers that were cut off at `generation.max_new_tokens`."""
    abstained_share: float = Field(default=0.9, ge=0, le=1)
    """Answerable questions that were not answered: refusals and abstentions."""
    failed_share: float = Field(default=0.05, ge=0, le=1)
    """Answers that could not be got or could not be scored."""


class MetricGate(Section):
    """Fails when the mean of a metric of an arm leaves its bounds."""

    kind: Literal["metric"]
    arm: str
    """The arm."""
    metric: str | None = None
    """The metric; the primary one when absent."""
    min: float | None = None
    """Least value that passes."""
    max: float | None = None
    """Greatest value that passes."""
    by: Literal["mean", "interval"] = "mean"
    """`interval` asks it of the whole confidence interval instead of the mean."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs `min` or `max`")
        return self


class RegressionGate(Section):
    """Fails when an arm is significantly worse than in the baseline, paired on the same examples."""

    kind: Literal["no_regression"]
    arms: Words = ()
    """Arms that are looked at; every arm of the baseline when empty."""
    margin: float = Field(default=0.0, ge=0)
    """A loss of the primary metric up to this size passes even if it is significant."""


class VerdictGate(Section):
    """Fails when the verdict is another one."""

    kind: Literal["verdict"]
    arm: str | None = None
    """The arm that must be shipped; the verdict of the baseline when absent."""


class LatencyGate(Section):
    """Fails when an arm's latency, measured in this run, is more than so many times the baseline's."""

    kind: Literal["latency"]
    max_ratio: float = Field(gt=0)
    """Greatest ratio of the median time of one question, now to baseline."""
    arms: Words = ()
    """Arms that are looked at; every arm of the baseline when empty."""


class DataGate(Section):
    """Fails when a check of the data finds something."""

    kind: Literal["data"]
    allow: Words = ()
    """Names of checks whose findings pass."""


Gate = Annotated[
    MetricGate | RegressionGate | VerdictGate | LatencyGate | DataGate, Field(discriminator="kind"), Shorthand("kind")
]


class SweepConfig(Section):
    """Settings tried on the dev examples before the comparison; the best ones are compared on eval."""

    arm: str
    """The arm whose mean on the dev examples decides."""
    parameters: dict[str, Annotated[tuple[Any, ...], Strict(False), Field(min_length=1)]] = Field(min_length=1)
    """Dotted keys of this file, such as retrieval.top_k, and the values to try for each."""
    kind: Literal["grid", "random"] = "grid"
    """`grid` tries every combination, `random` draws `trials` of them by the seed."""
    trials: int | None = Field(default=None, ge=1)
    """Combinations that `random` tries."""
    metric: str | None = None
    """The metric that decides; the primary one when absent."""

    @model_validator(mode="after")
    def _trials_are_for_random(self) -> Self:
        if (self.kind == "random") != (self.trials is not None):
            raise ValueError("`trials` belongs to kind `random`, which needs it")
        return self


class CompareConfig(Section):
    """Which arms, how they are judged, and what the verdict must respect."""

    arms: dict[Name, ArmConfig] = {}
    """Arms by name; a standard set for the data when absent."""
    primary_metric: str | None = None
    """The metric that decides; the task's default when absent."""
    metrics: Words = ()
    """Answer metrics that are measured beside the task's own, such as gold_loglik or similarity."""
    judge: JudgeConfig | None = None
    """A language model that judges answers; none when absent."""
    nli: ModelSource | None = None
    """A cross-encoder for natural language inference that the metric `entailment` asks: a Hub id or a folder."""
    contrasts: Annotated[tuple[Pair, ...], Strict(False)] = ()
    """Pairs of arms tested with Holm's correction; all other pairs are exploratory."""
    requirements: RequirementsConfig = RequirementsConfig()
    """Requirements that the verdict respects."""
    prices: PricesConfig = PricesConfig()
    """What things cost you."""
    limits: LimitsConfig = LimitsConfig()
    """When an arm is not comparable."""
    gates: Annotated[tuple[Gate, ...], Strict(False), SingleItem()] = ()
    """Conditions that make `compare` end with exit code 3 when they do not hold."""
    sweep: SweepConfig | None = None
    """Settings to choose on the dev examples first."""
    probes: Annotated[tuple[Probe, ...], Strict(False), SingleItem()] = ()
    """Stresses that are applied to the experiment after the comparison, by name or with their settings."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of all intervals."""
    resamples: int = Field(default=10_000, ge=100)
    """Bootstrap and randomisation resamples."""
    min_examples: int = Field(default=10, ge=2)
    """Fewer paired examples than this make no comparison (exit code 4)."""
    latency_questions: int = Field(default=5, ge=0)
    """Questions each arm is asked one at a time to measure what one user waits for; 0 skips it."""
