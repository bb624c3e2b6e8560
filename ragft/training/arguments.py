"""The Trainer's arguments from the settings of an adapter: what ragft decides, and what is passed through."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from ragft.config import AdapterConfig
from ragft.config.training import LEARNING_RATES
from ragft.errors import RagftError
from ragft.models.language_model import LanguageModel

TRACKERS: Mapping[str, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}
"""The packages of which one must be there for a tracker."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of one training: its optimiser steps, and the examples in each, all processes together."""

    steps: int
    effective_batch: int
    processes: int


def plan_of(config: AdapterConfig, examples: int, processes: int) -> Plan:
    """Return the plan for so many examples, all epochs counted: `max_steps` if it is set, else what they give."""
    settings = config.training
    forward = settings.per_device_train_batch_size * processes
    steps = math.ceil(math.ceil(examples / forward) / settings.gradient_accumulation_steps)
    steps = steps if settings.max_steps < 1 else min(settings.max_steps, steps)
    return Plan(steps, forward * settings.gradient_accumulation_steps, processes)


def arguments(
    config: AdapterConfig, folder: Path, plan: Plan, has_dev: bool, seed: int, language_model: LanguageModel
) -> TrainingArguments:
    """Return the Trainer's arguments; the order of the data is ours, so its own sampler is sequential.

    Checkpoints go to `folder`. Raises RagftError for values that transformers refuses.
    """
    settings = config.training
    every = max(1, math.ceil(plan.steps / settings.evals_per_run))
    values: dict[str, Any] = {
        "ddp_find_unused_parameters": False,  # every weight that is trained is used in every pass
        **settings.further(),
        "output_dir": str(folder),
        "learning_rate": learning_rate(config),
        "num_train_epochs": 1,
        "max_steps": plan.steps,
        "per_device_train_batch_size": settings.per_device_train_batch_size,
        "per_device_eval_batch_size": settings.per_device_eval_batch_size or settings.per_device_train_batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "warmup_steps": settings.warmup_steps,
        "lr_scheduler_type": settings.lr_scheduler_type,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "deepspeed": _plain(settings.deepspeed),
        "fsdp_config": _plain(settings.fsdp_config),
        "report_to": list(settings.report_to) or "none",
        "eval_strategy": "steps" if has_dev else "no",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        **_recomputing(config),
        **_keeping(config, has_dev),
        **_decided(seed, language_model),
    }
    try:
        return TrainingArguments(**values)
    except (ValueError, TypeError, ImportError) as error:
        raise RagftError(f"transformers refuses the settings under training: {error}") from error


def learning_rate(config: AdapterConfig) -> float:
    """Return the peak learning rate: the one that is set, else the method's own."""
    return config.training.learning_rate or LEARNING_RATES[config.peft.method]


def check_trackers(names: tuple[str, ...]) -> None:
    """Raise RagftError for a tracker whose package is missing, with the line that installs it."""
    for name in names:
        if not any(importlib.util.find_spec(package) for package in TRACKERS[name]):
            raise RagftError(f"training.report_to names {name}, which is not installed", f"pip install {name}")


def _plain(value: Path | dict[str, Any] | None) -> str | dict[str, Any] | None:
    return str(value) if isinstance(value, Path) else value


def _recomputing(config: AdapterConfig) -> dict[str, Any]:
    """Return the settings of checkpointed activations; the reentrant kind finds no gradient in a frozen embedding."""
    if not config.training.gradient_checkpointing:
        return {}
    further = config.training.further().get("gradient_checkpointing_kwargs")
    return {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": further or {"use_reentrant": False}}


def _keeping(config: AdapterConfig, has_dev: bool) -> dict[str, Any]:
    settings = config.training
    if not has_dev or not settings.load_best_model_at_end:
        return {"load_best_model_at_end": False}
    return {
        "load_best_model_at_end": True,
        "metric_for_best_model": f"eval_{settings.metric_for_best_model}",
        "greater_is_better": settings.is_greater_better,
    }


def _decided(seed: int, language_model: LanguageModel) -> dict[str, Any]:
    device, dtype = language_model.device.type, language_model.dtype
    return {
        "train_sampling_strategy": "sequential",
        "logging_strategy": "steps",
        "logging_steps": 1,
        "bf16": dtype == torch.bfloat16,
        "fp16": dtype == torch.float16 and device == "cuda",
        "use_cpu": device == "cpu",
        "seed": seed,
        "data_seed": seed,
        "disable_tqdm": True,
        "label_names": ["labels"],
        "prediction_loss_only": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": device == "cuda",
    }
