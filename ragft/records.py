"""The nouns of ragft as frozen records: what flows between the stages and stands in the run folder.

Standard library only. A record knows nothing of how it was made: not the model, not the store, not the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PROBES = (
    "label_budget",
    "knowledge_quality",
    "freshness",
    "forgetting",
    "context",
    "phrasing",
    "noise_floor",
    "cost",
    "explainability",
)
"""Every probe, in the order in which they are run."""


def place_of_probe(name: str) -> tuple[int, str]:
    """Return what probes are sorted by: their order, and after all of them the names that no probe has."""
    return (PROBES.index(name) if name in PROBES else len(PROBES), name)


FinishReason = Literal["stop", "length", "error"]
Scalar = str | int | float | bool
ContextKind = Literal["none", "index", "oracle", "random"]


@dataclass(frozen=True, slots=True)
class Document:
    """A source unit of the knowledge base; `metadata` travels to its passages and can filter retrieval."""

    id: str
    title: str
    text: str
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk of a document: `text` is exactly `document.text[start:end]` (character offsets)."""

    id: str
    document_id: str
    title: str
    text: str
    start: int
    end: int
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question asked before in the same conversation, and what was answered; its passages are not kept."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Example:
    """One item of the task.

    `references` are alternatives, any of which is right; an example with `answerable` false has none, and the right
    answer is to abstain. `group` joins several phrasings of one fact; `variant` names the kind of phrasing. `history`
    are the turns of a conversation before the input, oldest first, and `instructions` what its system text says.
    `terms` must stand in a good answer (the terminology of a translation). `columns` are other columns of its row that
    the prompt of a custom task names. `input_document_id` is the document whose text the input is, None where the input
    is a text of its own; nothing of that document is laid before it as a passage. `old_references` were right before
    the documents were updated.
    """

    id: str
    input: str
    references: tuple[str, ...]
    gold_document_ids: tuple[str, ...] = ()
    answerable: bool = True
    group: str | None = None
    variant: str | None = None
    history: tuple[Turn, ...] = ()
    instructions: str = ""
    terms: tuple[str, ...] = ()
    columns: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    input_document_id: str | None = None
    old_references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A passage with its score for one query (higher is better)."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Passages for the query of one example, best first; `seconds` includes embedding the query."""

    example_id: str
    passages: tuple[RankedPassage, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What one arm said to one example.

    `seconds` is this answer's share of its batch (batch wall time / batch size); what one user waits for is measured
    apart, one question at a time. `passage_ids` are the passages in the prompt in prompt order, `citations` the ids of
    those that the answer cites; `invented_citations` counts the numbers that it cites and no passage has. `seed` is the
    training seed of the adapter that answered and `prompt` the template that it was asked with, each None for an arm
    that does not have several. `logprob` is the mean log-probability (nats) of the tokens it said, None where unknown.
    An answer that could not be got has finish reason "error", says nothing, and `error` says why.
    """

    arm: str
    example_id: str
    text: str
    prompt_tokens: int
    output_tokens: int
    seconds: float
    finish_reason: FinishReason
    passage_ids: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    retrieval_seconds: float = 0.0
    seed: int | None = None
    prompt: str | None = None
    invented_citations: int = 0
    logprob: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one answer; `value` is None when it cannot be judged, and `reason` says why.

    `seed` is the training seed of the adapter that answered and `prompt` the template that it was asked with, each None
    for an arm that does not have several.
    """

    arm: str
    example_id: str
    metric: str
    value: float | None
    reason: str | None = None
    seed: int | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a mean or of a difference; `level` such as 0.95, `method` names how it was made."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean of one metric over the scored answers of one arm.

    `mean` and `interval` are None when nothing could be scored: the mean of nothing is not 0. `seed_means` are the
    means by training seed, in the order of the seeds, and empty with fewer than two. `prompt_means` are the means by
    prompt template, as (name, mean), and empty with fewer than two: `mean` is then their average.
    """

    arm: str
    metric: str
    mean: float | None
    n: int
    n_unscored: int
    interval: Interval | None
    seed_means: tuple[float, ...] = ()
    prompt_means: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ContrastResult:
    """An ordered pair of arms on one metric, paired by example: `difference` is mean(first) - mean(second).

    `p_value` is of the named `test`; `p_adjusted` is Holm's over the declared contrasts, None for exploratory ones.
    `minimum_detectable_effect` is the difference that n examples find with 80 % power at alpha = 0.05;
    `n_needed` is how many examples the measured difference would need, None where no number would (difference 0, or
    training varies too much). Where an arm has several training seeds, all of these cover their chance too.
    `p_mid` is McNemar's mid-p value beside the exact one, None for other tests. `n_more` is about how many more
    examples would decide the contrast at the margin of the comparison: 0 if it is decided, None if unknown.
    """

    first: str
    second: str
    metric: str
    difference: float | None
    interval: Interval | None
    n: int
    test: str
    p_value: float | None
    p_adjusted: float | None
    minimum_detectable_effect: float | None
    n_needed: int | None
    declared: bool
    p_mid: float | None = None
    n_more: int | None = None
