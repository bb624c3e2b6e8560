"""An adapter added into the weights of its base model: a plain model folder that needs neither PEFT nor ragft."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from ragft.errors import RagftError
from ragft.models.language_model import auto_class, probed

MOST_CHANGE = 0.01
"""Largest change of a logit, as a share of the largest logit, that adding up in float32 may make."""


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge wrote: the precision of the weights, and how far a logit moved at most before they were rounded."""

    dtype: str
    largest_change: float


def merge(base: Path, adapter: Path, target: Path) -> MergeResult:
    """Write the base model with the adapter added in, its tokenizer and generation config; returns how it went.

    W + s B A is added up in float32 whatever the precision of the base, and then written in the base's own precision:
    rounding to bfloat16 is the base's, and not made worse by adding in it. Weights that were trained whole (no
    adapter) are copied. Raises RagftError where the merged model does not say what the adapter says.
    """
    if not (adapter / "adapter_config.json").exists():
        return _copied(adapter, target)
    model = auto_class(base).from_pretrained(base, dtype=torch.float32, local_files_only=True)
    dtype = _dtype_of(base)
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
    tuned: Any = PeftModel.from_pretrained(model, adapter).eval()
    before = probed(tuned, tokenizer)
    merged = tuned.merge_and_unload(safe_merge=True)
    after = probed(merged, tokenizer)
    change = (after - before).abs().max().item()
    if not change <= MOST_CHANGE * max(1.0, before.abs().max().item()):
        raise RagftError(
            f"merging {adapter.name} moved a logit by {change:.3g}: the merged model would answer otherwise",
            "export the adapter without --merge",
        )
    merged.to(dtype).save_pretrained(target)
    tokenizer.save_pretrained(target)
    _keep_generation_config(base, target)
    return MergeResult(str(dtype).removeprefix("torch."), change)


def _dtype_of(folder: Path) -> torch.dtype:
    """Return the precision in which a model's files lie, float32 where its config does not say."""
    named = AutoConfig.from_pretrained(folder, local_files_only=True).dtype
    found = getattr(torch, named) if isinstance(named, str) else named
    return found if isinstance(found, torch.dtype) else torch.float32


def _keep_generation_config(base: Path, target: Path) -> None:
    """Give the merged model the base's own generation config, which names the tokens that end a turn."""
    if (base / "generation_config.json").exists():
        GenerationConfig.from_pretrained(base).save_pretrained(target)


def _copied(folder: Path, target: Path) -> MergeResult:
    if not (folder / "config.json").exists():
        raise RagftError(f"{folder.name} holds neither an adapter nor a model", "train it again: ragft finetune FILE")
    shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("ragft.json", "README.md"))
    return MergeResult(str(_dtype_of(folder)).removeprefix("torch."), 0.0)
