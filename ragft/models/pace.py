"""How fast a model would run on this machine, timed on a thin slice of it with random weights: no weights are read.

A large matrix product says little about a small model on a processor, where most of the time goes into many small
steps. So two layers of the model's own kind and size read, write and learn for a moment, and the rest is reckoned.
"""

from __future__ import annotations

import logging
import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from ragft.models.fused import fused
from ragft.models.language_model import is_encoder_decoder

logger = logging.getLogger("ragft.models")

LAYERS = 2
REPEATS = 3

PROMPT_TOKENS = 256
"""Tokens of each prompt that is read."""

TRAINED_ROWS, TRAINED_TOKENS, ANSWER_TOKENS = 8, 64, 8
"""The batch that is learnt from: rows, tokens of each, and how many of them carry loss."""

FLOPS_A_PARAMETER = 2
"""Operations that reading one token takes for each parameter: a multiplication and an addition."""

MATRIX_SHARE = 0.15
"""Share of the rate of a large matrix product that is taken for a model of which no slice can be made."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens per second of answering: reading prompts, and writing in a batch or alone."""

    reading: float
    writing: float
    writing_alone: float


@dataclass(frozen=True, slots=True)
class Speeds:
    """How fast a model answers by itself and with a LoRA adapter beside it, and in tokens per second how it trains."""

    bare: Rates
    adapted: Rates
    training: float


def speeds(folder: Path, dtype: torch.dtype, device: torch.device, batch_size: int) -> Speeds:
    """Return the speeds of the model in a folder when it answers `batch_size` prompts at once.

    Reads its config alone. A model of which no slice of layers can be made is judged by its size and by the rate at
    which the machine multiplies matrices.
    """
    if not is_encoder_decoder(folder):
        try:
            return _of_slice(AutoConfig.from_pretrained(folder, local_files_only=True), dtype, device, batch_size)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            logger.debug("no slice of %s can be timed: %s", folder, error)
    reading = MATRIX_SHARE * _matrix_flops(dtype, device) / (FLOPS_A_PARAMETER * max(_parameters(folder), 1e6))
    rates = Rates(reading, reading / 10, reading / 10 / batch_size)
    return Speeds(rates, rates, reading / 3)


def _parameters(folder: Path) -> int:
    """Return the numbers in the weights of a folder, whatever their precision; only the heads of the files are read."""
    found = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            found += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return found


def _of_slice(config: Any, dtype: torch.dtype, device: torch.device, batch_size: int) -> Speeds:  # noqa: ANN401
    layers = int(config.num_hidden_layers)
    config.num_hidden_layers = min(LAYERS, layers)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    # The draw must not move the random numbers of anything that comes after it.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]
        model.eval().requires_grad_(False)
        scale = layers / config.num_hidden_layers
        bare = _rates(model, batch_size, scale)
        lora = LoraConfig(r=16, target_modules="all-linear")
        with warnings.catch_warnings(action="ignore"):  # what PEFT thinks of the layers is of no concern here
            tuned: Any = get_peft_model(model, lora, autocast_adapter_dtype=False)
        # PEFT has put its layers into `model` itself.
        with fused(tuned.requires_grad_(False)):
            adapted = _rates(model, batch_size, scale)
        return Speeds(bare, adapted, _training(tuned, scale))


def _rates(model: Any, batch_size: int, scale: float) -> Rates:  # noqa: ANN401
    writing, alone = (_writing(model, rows, scale) for rows in (batch_size, 1))
    return Rates(_reading(model, batch_size, scale), writing, alone)


@torch.inference_mode()
def _reading(model: Any, rows: int, scale: float) -> float:  # noqa: ANN401
    """Return the tokens per second that are read, of so many rows at once."""
    body, prompts = model.base_model, _prompts(model, rows)
    in_body = _seconds(lambda: body(input_ids=prompts, use_cache=True).last_hidden_state)
    return rows * PROMPT_TOKENS / (scale * in_body + _in_head(model, rows))


@torch.inference_mode()
def _writing(model: Any, rows: int, scale: float) -> float:  # noqa: ANN401
    """Return the tokens per second that are written behind prompts, of so many rows at once."""
    body, prompts = model.base_model, _prompts(model, rows)
    read = body(input_ids=prompts, use_cache=True).past_key_values
    step = _seconds(lambda: body(input_ids=prompts[:, :1], past_key_values=read, use_cache=True).last_hidden_state)
    return rows / (scale * step + _in_head(model, rows))


def _prompts(model: Any, rows: int) -> torch.Tensor:  # noqa: ANN401
    return torch.randint(0, model.config.vocab_size, (rows, PROMPT_TOKENS))


def _in_head(model: Any, rows: int) -> float:  # noqa: ANN401
    """Return the seconds in which the output layer says one token of each row."""
    last = torch.zeros(rows, 1, model.config.hidden_size, dtype=model.dtype)
    return _seconds(lambda: model.get_output_embeddings()(last))


def _training(tuned: Any, scale: float) -> float:  # noqa: ANN401
    """Return the tokens per second of a LoRA step, without the optimiser's own work."""
    model = tuned.base_model.model
    rows = torch.randint(0, model.config.vocab_size, (TRAINED_ROWS, TRAINED_TOKENS))

    def learn() -> torch.Tensor:
        hidden = model.base_model(input_ids=rows, use_cache=False).last_hidden_state
        hidden.float().pow(2).mean().backward()
        found: torch.Tensor = hidden
        return found

    tuned.train().set_adapter(tuned.active_adapter)  # PEFT makes its weights trainable again
    for weight in tuned.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()  # as adapters are trained, whatever the precision of the base
    in_body = _seconds(learn)
    kept = torch.zeros(TRAINED_ROWS * ANSWER_TOKENS, model.config.hidden_size, dtype=model.dtype, requires_grad=True)
    head = model.get_output_embeddings()

    def predict() -> torch.Tensor:
        logits: torch.Tensor = head(kept)
        logits.float().logsumexp(dim=-1).sum().backward()  # type: ignore[no-untyped-call]
        return logits

    return TRAINED_ROWS * TRAINED_TOKENS / (scale * in_body + _seconds(predict))


def _seconds(work: Callable[[], torch.Tensor]) -> float:
    """Return the median time of some work after it was done once; its result is waited for."""
    float(work().detach().flatten()[0])
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        float(work().detach().flatten()[0])
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _matrix_flops(dtype: torch.dtype, device: torch.device) -> float:
    """Return floating-point operations per second of a matrix product of 2048 x 576 x 1536."""
    left, right = torch.ones(2048, 576).to(device, dtype), torch.ones(576, 1536).to(device, dtype)
    return 2 * 2048 * 576 * 1536 / _seconds(lambda: left @ right)
