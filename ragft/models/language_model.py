"""The causal language model and its tokenizer: loading, precision, device. Knows nothing of prompts or adapters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ragft.config import Device, Dtype
from ragft.errors import RagftError
from ragft.models.memory import forget_old_kernels, keep_freed_memory
from ragft.models.sources import ModelFolder


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Weights and tokenizer of one model, on one device in one precision."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: ModelFolder
    dtype: torch.dtype
    device: torch.device


def load(folder: ModelFolder, dtype: Dtype, device: Device) -> LanguageModel:
    """Return the model in evaluation mode; raises RagftError where the folder cannot be loaded as a causal LM."""
    keep_freed_memory()
    forget_old_kernels()
    place = choose_device(device)
    precision = choose_dtype(dtype, place)
    try:
        tokenizer = load_tokenizer(folder)
        model = AutoModelForCausalLM.from_pretrained(folder.path, dtype=precision, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise RagftError(f"cannot load {folder.source} as a causal language model: {error}") from error
    placed: Any = model
    placed.eval().requires_grad_(False).to(place)
    placed.generation_config = _end_tokens_only(placed.generation_config)
    return LanguageModel(model, tokenizer, folder, precision, place)


def _end_tokens_only(config: Any) -> Any:  # noqa: ANN401 - transformers' GenerationConfig is not typed
    """Return a generation config that keeps the model's end tokens and nothing else.

    `generate` fills what its caller leaves open from the model's own config, where makers of chat models put repetition
    penalties and the like: answers would not be greedy, and copying from a passage would be punished.
    """
    return GenerationConfig(eos_token_id=getattr(config, "eos_token_id", None))  # type: ignore[no-untyped-call]


def load_tokenizer(folder: ModelFolder) -> PreTrainedTokenizerBase:
    """Return the tokenizer alone (no weights), padding on the left, with a pad token."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def choose_device(device: Device) -> torch.device:
    """Return the torch device for a setting; `auto` prefers CUDA, then Apple's GPU, then the processor."""
    if device != "auto":
        available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not available[device]:
            raise RagftError(f"model.device is {device!r}, and this machine has none", "use device: auto")
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_dtype(dtype: Dtype, device: torch.device) -> torch.dtype:
    """Return the torch dtype for a setting; `auto` is bfloat16 only where the hardware multiplies it natively."""
    if dtype != "auto":
        chosen: torch.dtype = getattr(torch, dtype)
        return chosen
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32
    return torch.float16


def convert_gguf(folder: Path, file: str, target: Path) -> None:
    """Write the model of a GGUF file as float32 safetensors with its tokenizer.

    Quantised GGUF weights are integers with scales; float32 holds the products exactly, so nothing is lost here.
    """
    options: dict[str, Any] = {"gguf_file": file, "local_files_only": True}
    AutoTokenizer.from_pretrained(folder, **options).save_pretrained(target)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True), **options
    )
    model.save_pretrained(target)
