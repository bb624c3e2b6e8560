"""The list `compare.probes` as types: which stresses are applied to the experiment, and how hard."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from ragft.config.sections import FilePath, Section, Shorthand, SingleItem, Words

Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, ...], Strict(False)]
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Strict(False)]


class ProbeSection(Section):
    """What every probe can be told."""

    arms: Words = ()
    """The arms that are looked at; those of which the probe has something to say when empty."""
    examples: int | None = Field(default=None, ge=2)
    """At most this many examples, chosen by the seed and the same for all arms; all when absent."""


class LabelBudgetProbe(ProbeSection):
    """The score against the number of labelled examples: adapters are trained again on nested subsets."""

    kind: Literal["label_budget"]
    shares: Annotated[Shares, Field(min_length=2)] = (0.1, 0.25, 0.5, 1.0)
    """Shares of the labels that are trained on and that few-shot examples are drawn from."""


class KnowledgeQualityProbe(ProbeSection):
    """The score as the knowledge base gets worse, one fault at a time, in growing steps."""

    kind: Literal["knowledge_quality"]
    missing: Shares = (0.25, 0.5, 1.0)
    """Shares of the gold documents that are taken out."""
    distractors: Counts = (1, 3)
    """Documents for each gold one that have its subject and words and lack its answers."""
    contradictions: Shares = (0.5, 1.0)
    """Shares of the questions beside whose gold document another version says something else."""
    noise: Shares = (0.05, 0.15)
    """Shares of the letters of every document that are misread, as by a scanner."""
    stale: Shares = (0.5, 1.0)
    """Shares of the documents of `data.update` that are still in their old version; asked are the changed facts."""


class FreshnessProbe(ProbeSection):
    """Facts change and documents are updated (`data.update`): who notices, and what each update takes."""

    kind: Literal["freshness"]
    retrain: bool = True
    """Also train the adapters again on the new answers, and ask a third time."""


class ForgettingProbe(ProbeSection):
    """What each adapter did to the rest of the model, beside the base."""

    kind: Literal["forgetting"]
    text: Annotated[tuple[FilePath, ...], Strict(False), SingleItem()] = ()
    """General text: files of text, or JSON Lines with a field `text`; the text that ragft ships when absent."""
    tokens: int = Field(default=8_000, ge=256)
    """Tokens of general text that are read."""
    own_tokens: int = Field(default=2_000, ge=64)
    """Tokens that the base model writes itself, to be read by all."""
    facts: FilePath | None = None
    """Questions whose answers the base may know (JSON Lines as `data.eval`); those that ragft ships when absent."""
    checkpoints: Counts = ()
    """Optimiser steps at which to look as well: adapters are trained again to each of them, so that learning and
    forgetting are a curve; none when empty."""
    lm_eval: Words = ()
    """Tasks of lm-evaluation-harness to run on the base and on each adapter, where it is installed and their data are
    local."""


class ContextProbe(ProbeSection):
    """How many passages, where the gold one stands, and what retrieval and reading each cost."""

    kind: Literal["context"]
    passages: Annotated[Counts, Field(min_length=1)] = (1, 3, 5, 10)
    """Numbers of passages."""
    position_of: int = Field(default=5, ge=2)
    """Passages among which the gold one stands first, in the middle, and last."""


class PhrasingProbe(ProbeSection):
    """The same facts asked as in training, in other words, and backwards (column `variant`)."""

    kind: Literal["phrasing"]
    memorised: int = Field(default=40, ge=2)
    """At most this many training questions are asked again, word for word."""


class NoiseFloorProbe(ProbeSection):
    """The same arm twice, with another seed, batch order and prompt template: what difference means nothing."""

    kind: Literal["noise_floor"]
    retrain: bool = True
    """Also train each adapter a second time with another seed."""


class CostProbe(ProbeSection):
    """What each arm costs by volume and by how often facts change, and where one becomes cheaper than another."""

    kind: Literal["cost"]
    queries_per_month: Annotated[Counts, Field(min_length=1)] = (1_000, 10_000, 100_000, 1_000_000)
    """Volumes for which the cheapest arm is named."""
    refreshes_per_month: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Strict(False), Field(min_length=1)] = (
        0.0,
        1.0,
        4.0,
        30.0,
    )
    """How often the facts change, in changes a month."""
    questions: int = Field(default=5, ge=1)
    """Questions that are asked one at a time of each adapter, beside the base and merged into it."""


class ExplainabilityProbe(ProbeSection):
    """Which passages answers cite, and what in them supports the answer."""

    kind: Literal["explainability"]
    excerpts: int = Field(default=3, ge=0)
    """Answers of each arm that are shown with their supporting passages."""


AnyProbe = (
    LabelBudgetProbe
    | KnowledgeQualityProbe
    | FreshnessProbe
    | ForgettingProbe
    | ContextProbe
    | PhrasingProbe
    | NoiseFloorProbe
    | CostProbe
    | ExplainabilityProbe
)
Probe = Annotated[AnyProbe, Field(discriminator="kind"), Shorthand("kind")]
