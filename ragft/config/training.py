"""The settings of training as types: `peft` and `training` of an adapter, under the names of PEFT and transformers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ragft.config.sections import Section, Words


class PeftConfig(Section):
    """Settings of PEFT's LoraConfig, under its own names."""

    r: int = Field(default=16, ge=1)
    """Rank of the LoRA matrices."""
    lora_alpha: int = Field(default=32, ge=1)
    """Scale: the update is multiplied by lora_alpha / r."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the input of the LoRA matrices."""
    target_modules: str | Words = "all-linear"
    """Modules that get an adapter: `all-linear`, or names of modules."""


class TrainingConfig(Section):
    """Settings of transformers' TrainingArguments, under their own names."""

    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak learning rate; LoRA wants about ten times that of full tuning."""
    num_train_epochs: float = Field(default=3.0, gt=0)
    """Passes over the training examples."""
    max_steps: int = Field(default=-1, ge=-1)
    """Optimiser steps; -1 leaves it to num_train_epochs."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Examples in one forward pass."""
    gradient_accumulation_steps: int = Field(default=2, ge=1)
    """Forward passes in one optimiser step."""
    warmup_steps: float = Field(default=0.05, ge=0)
    """Steps over which the learning rate rises; below 1, that share of all steps."""
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    """Course of the learning rate."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    evals_per_run: int = Field(default=4, ge=1)
    """How often the dev loss is measured and a checkpoint written, spread evenly over the steps."""
    load_best_model_at_end: bool = True
    """Keep the checkpoint with the lowest dev loss instead of the last one."""
