"""What the verdict is given: the comparison, facts about the arms, and what the user asks for. Nothing is decided here.

Reads records and numbers only; must not know how anything was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragft.errors import NotComparableError, RagftError
from ragft.evaluation.comparison import Comparison
from ragft.evaluation.cost import CostRow, Payer, Prices, Usage
from ragft.records import ContextKind, ContrastResult, Estimate


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the user asks of an arm that is to be shipped; None or False for no such demand."""

    min_score: float | None = None
    """Lowest acceptable mean on the primary metric, in its own unit."""
    max_latency_s: float | None = None
    """Highest acceptable median time of a single question, in seconds."""
    max_memory_gb: float | None = None
    """Most memory while one question is answered, in GB (10^9 bytes)."""
    max_cost_per_1000: float | None = None
    """Most that a thousand queries may cost, building and refreshing included, in the currency of the prices."""
    citations: bool = False
    """Answers must name their sources."""
    facts_change_days: float | None = None
    """Facts change every so many days, and what ships must be able to follow."""
    local_only: bool = False
    """Data must not leave the machine."""
    labels: int | None = None
    """Labelled examples that can be had."""
    margin: float = 0.02
    """A difference on the primary metric up to this, in its own unit, makes no practical difference."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares of an arm's answers above which it is not comparable."""

    truncated_share: float = 0.5
    abstained_share: float = 0.9
    failed_share: float = 0.05


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """What an arm is made of and what was measured of it beside its scores; None for what was not measured."""

    model: str | None = None
    """Name of its model, None for the experiment's own."""
    adapter: str | None = None
    """Name of its adapter."""
    retrieval: ContextKind = "none"
    shots: int = 0
    latency_s: float | None = None
    """Median time of one question asked alone, in seconds."""
    memory_gb: float | None = None
    """Peak memory while one question is answered, in GB (10^9 bytes)."""
    seconds_per_question: float | None = None
    """Wall time of one answer at full load (batched), in seconds, without finding its passages."""
    retrieval_seconds_mean: float | None = None
    """Time to find the passages of one question, in seconds."""
    prompt_tokens_mean: float | None = None
    output_tokens_mean: float | None = None
    labels: int = 0
    """Labelled examples it uses: training, dev and those shown in the prompt."""
    training_seconds: float | None = None
    index_seconds: float | None = None
    """Time to index every document once, in seconds."""
    leaves_machine: bool = False
    """Whether questions or passages are sent to another machine."""
    in_process: bool = True
    """Whether its model runs here; the hours of another machine are not ours to count."""
    token_prices: tuple[float, float] | None = None
    """What a million of its prompt tokens and of its output tokens cost, None for the prices of all arms."""
    citing_share: float | None = None
    """Share of its answers that cite a passage; None without passages."""
    truncated_share: float | None = None
    """Share of its answers that were cut off at the cap."""
    abstained_share: float | None = None
    """Share of the answerable questions that it did not answer."""
    failed_share: float | None = None
    """Share of its answers that could not be got or could not be scored."""

    @property
    def has_adapter(self) -> bool:
        """Return whether it uses an adapter."""
        return self.adapter is not None

    @property
    def has_retrieval(self) -> bool:
        """Return whether it searches an index (gold or random passages are not searched for)."""
        return self.retrieval == "index"

    @property
    def complexity(self) -> int:
        """Return how many things must be built and kept beside the model: 0, 1 (adapter or passages) or 2."""
        return int(self.has_adapter) + int(self.retrieval != "none")

    @property
    def is_plain(self) -> bool:
        """Return whether it is the model and the question alone."""
        return self.complexity == 0 and self.shots == 0

    @property
    def usage(self) -> Usage:
        """Return what has a price."""
        return Usage(
            seconds_per_question=self.seconds_per_question,
            prompt_tokens_mean=self.prompt_tokens_mean,
            output_tokens_mean=self.output_tokens_mean,
            labels=self.labels,
            training_seconds=self.training_seconds,
            index_seconds=self.index_seconds,
            has_adapter=self.has_adapter,
            has_retrieval=self.has_retrieval,
            retrieval_seconds=self.retrieval_seconds_mean or 0.0,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check of the data found: the name of the check and a sentence without a full stop."""

    check: str
    message: str


@dataclass(frozen=True, slots=True)
class RetrievalFacts:
    """How well the retriever finds what the questions need."""

    top_k: int
    """Passages that an arm is given."""
    hit_share: float | None
    """Share of the questions with a gold document among them; None where no question names a gold document."""
    score_given_hit: Mapping[str, float] = field(default_factory=dict)
    """By arm, the mean of the primary metric over the questions whose gold document was retrieved."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a verdict rests on.

    `arms` are the candidates, those that could be shipped; `controls` (oracle, random passages) are only diagnosed.
    Neither the order of the arms nor that of the contrasts moves anything.
    """

    comparison: Comparison
    arms: Mapping[str, ArmFacts]
    controls: Mapping[str, ArmFacts] = field(default_factory=dict)
    requirements: Requirements = Requirements()
    limits: Limits = Limits()
    prices: Prices = Prices()
    findings: Sequence[Finding] = ()
    retrieval: RetrievalFacts | None = None

    @property
    def metric(self) -> str:
        """Return the name of the primary metric."""
        return self.comparison.primary_metric

    def check(self) -> None:
        """Raise RagftError without candidates, NotComparableError for one that the comparison has no mean of."""
        if not self.arms:
            raise RagftError("no arm can be shipped: there are no candidates", "name an arm that is not a control")
        for arm in self.arms:
            self.mean(arm)

    def estimate(self, arm: str) -> Estimate:
        """Return the primary estimate of `arm`; NotComparableError if the comparison has none."""
        found = [e for e in self.comparison.estimates if e.arm == arm and e.metric == self.metric]
        if not found or found[0].mean is None:
            raise NotComparableError(f"arm {arm!r} has no mean on {self.metric!r}")
        return found[0]

    def mean(self, arm: str) -> float:
        """Return the primary mean of `arm`."""
        mean = self.estimate(arm).mean
        return 0.0 if mean is None else mean

    def find_contrast(self, first: str, second: str) -> ContrastResult | None:
        """Return the primary contrast as first - second, whichever way it is recorded; None if absent."""
        for found in self.comparison.contrasts:
            if found.metric == self.metric and {found.first, found.second} == {first, second}:
                return found if found.first == first else _turned(found)
        return None

    def contrast(self, first: str, second: str) -> ContrastResult:
        """Return the primary contrast as first - second; NotComparableError if it was not made."""
        found = self.find_contrast(first, second)
        if found is None:
            raise NotComparableError(f"the comparison holds no contrast between arms {first!r} and {second!r}")
        return found

    def cost(self, arm: str) -> CostRow | None:
        """Return what a candidate costs; None where nothing is priced or something priced was not measured."""
        facts = self.arms[arm]
        payer = Payer(facts.usage, facts.in_process, facts.token_prices)
        return payer.cost(self.prices, self.mean(arm), self.requirements.facts_change_days)


def _turned(contrast: ContrastResult) -> ContrastResult:
    interval = contrast.interval
    return replace(
        contrast,
        first=contrast.second,
        second=contrast.first,
        difference=None if contrast.difference is None else 0.0 - contrast.difference,  # -0.0 would be shown as such
        interval=None if interval is None else replace(interval, low=0.0 - interval.high, high=0.0 - interval.low),
    )
