"""The experiment file as types: every section, key, default and limit, and nothing about how a file is read.

The string under each field says what the key does and in which unit; it is published in the JSON Schema, so editors
show it. Paths stay as they were written unless the validation context names a folder to anchor them to.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ragft.config.comparing import CompareConfig
from ragft.config.defaults import with_default_arms, with_default_length
from ragft.config.examples import DataConfig
from ragft.config.knowledge import IndexConfig, RetrievalConfig
from ragft.config.models import AnyModel, ModelConfig
from ragft.config.recipes import AdapterConfig
from ragft.config.sections import Name, Section
from ragft.config.tasks import Task


class GenerationConfig(Section):
    """Decoding, the same for all arms: greedy, one batch size, one cap."""

    max_new_tokens: int = Field(default=32, ge=1)
    """Longest answer in tokens, the task's own when absent; the share of answers that reach it is reported."""
    batch_size: int = Field(default=8, ge=1)
    """Prompts of similar length that are answered together."""


class Experiment(Section):
    """One experiment file."""

    name: Name
    """Short name; it stands in the names of run folders."""
    seed: int = Field(default=17, ge=0)
    """Seed of every random choice."""
    task: Task
    """What is asked and how answers are read: `qa`, `summarization`, `translation` and so on, with its settings."""
    model: AnyModel = ModelConfig()
    """The language model of every arm that names no other."""
    models: dict[Name, AnyModel] = {}
    """Other models by name, for arms and for the judge: local ones, or servers."""
    data: DataConfig
    """Documents and examples."""
    index: IndexConfig = IndexConfig()
    """Passages and embeddings."""
    retrieval: RetrievalConfig = RetrievalConfig()
    """Finding passages."""
    adapters: dict[Name, AdapterConfig] = {}
    """Adapters to train, by name; one per recipe that the data allow when absent."""
    generation: GenerationConfig = GenerationConfig()
    """Decoding."""
    compare: CompareConfig = CompareConfig()
    """Arms, metrics and requirements."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, raw: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the file held
        return with_default_arms(with_default_length(raw)) if isinstance(raw, dict) else raw
