"""The section `adapters` as types: what the training examples of an adapter are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from ragft.config.sections import Section
from ragft.config.training import PeftConfig, TrainingConfig


class ContextRecipe(Section):
    """How passages are laid before a training question (RAFT, Zhang et al. 2024)."""

    gold_share: float = Field(default=0.8, ge=0, le=1)
    """Share of the examples that contain a gold passage beside retrieved distractors."""
    without_gold: Literal["answer", "abstain"] = "answer"
    """What an example without its gold passage teaches: the answer from memory, or to abstain."""


class AdapterConfig(Section):
    """One adapter: what its training examples are made of, and how it is trained."""

    recipe: Literal["closed_book", "context"] = "closed_book"
    """`closed_book` trains input -> output; `context` trains with passages in the prompt (RAFT)."""
    prompt: str | None = None
    """Prompt template, by name; the task's default when absent. Arms that use the adapter must ask with the same."""
    limit: int | None = Field(default=None, ge=1)
    """Train on at most this many examples, chosen by the seed."""
    context: ContextRecipe = ContextRecipe()
    """Settings of the `context` recipe."""
    seeds: Annotated[tuple[int, ...], Strict(False)] = ()
    """Training seeds: an adapter is trained with each and arms average over them; the experiment's seed when empty."""
    peft: PeftConfig = PeftConfig()
    """LoRA settings."""
    training: TrainingConfig = TrainingConfig()
    """Optimisation settings."""
