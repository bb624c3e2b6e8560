"""The language model and its tokenizer: loading, precision, device. Knows nothing of prompts or adapters.

A decoder-only model goes on from its prompt. An encoder-decoder model (T5, BART) reads the prompt in its encoder, with
the tokenizer's own special tokens around it, and begins the answer anew in its decoder.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
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

logger = logging.getLogger("ragft.models")

PROBE = "The answer to the question is"
"""A text on which weights are held against each other."""

MOST_TOKENS = 1_000_000
"""A tokenizer's `model_max_length` above this is transformers' way to say that nobody set it."""


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Weights and tokenizer of one model, on one device in one precision."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: ModelFolder
    dtype: torch.dtype
    device: torch.device

    @property
    def decoder_prefix(self) -> tuple[int, ...]:
        """Tokens with which the decoder of an encoder-decoder model begins every answer; none for other models.

        They are its start token, and the token that the model's generation config forces behind it: BART's `<s>`, or
        the language code of a translation model. Training puts the same before each completion.
        """
        if not reads_apart(self.model):
            return ()
        config: Any = self.model.generation_config
        found = (config.decoder_start_token_id, config.forced_bos_token_id)
        return tuple(int(token) for token in found if token is not None)

    @property
    def surrounds_prompts(self) -> bool:
        """Whether the tokenizer puts its own special tokens around a prompt: for an encoder, which was trained so.

        A chat template has placed those that the model wants (T5Gemma's), and so has any prompt of a decoder-only one.
        """
        return reads_apart(self.model) and not self.tokenizer.chat_template

    @property
    def reads_tokens(self) -> int | None:
        """Tokens that the model reads at most, None where nothing says so.

        Of an encoder-decoder model it is the limit of the encoder and of the decoder, each for itself. T5 has relative
        positions and no limit of its own: there it is the tokenizer's, the length of the texts of its pretraining.
        """
        limit: int | None = getattr(self.model.config, "max_position_embeddings", None)
        if limit is not None or not reads_apart(self.model):
            return limit
        named = int(self.tokenizer.model_max_length)
        return named if named <= MOST_TOKENS else None


def reads_apart(model: Any) -> bool:  # noqa: ANN401 - a transformers model, PEFT's wrapping or not
    """Return whether a model reads the prompt in an encoder, apart from the answer."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def is_encoder_decoder(folder: Path) -> bool:
    """Return whether the config of a model folder says so; a folder without one is that of a decoder-only model."""
    return bool(_config(folder).get("is_encoder_decoder"))


def named_context(folder: Path) -> int | None:
    """Return the tokens that a decoder-only model reads and writes together, None where its config names no limit.

    An encoder-decoder model reads the prompt apart from its answer, and has no such limit.
    """
    config = _config(folder)
    limit = config.get("max_position_embeddings")
    return limit if isinstance(limit, int) and not config.get("is_encoder_decoder") else None


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def auto_class(folder: Path) -> Any:  # noqa: ANN401 - one of transformers' Auto classes
    """Return the class that loads the model of a folder: another one where its config names an encoder-decoder."""
    return AutoModelForSeq2SeqLM if is_encoder_decoder(folder) else AutoModelForCausalLM


@torch.inference_mode()
def probed(model: Any, tokenizer: Any) -> torch.Tensor:  # noqa: ANN401 - a transformers model, PEFT's wrapping or not
    """Return the logits of a fixed text, shape (1, tokens, vocabulary), in float32.

    An encoder-decoder model reads the text in its encoder and again in its decoder.
    """
    read = tokenizer(PROBE, return_tensors="pt").to(model.device)
    given = {name: read[name] for name in ("input_ids", "attention_mask") if name in read}
    if reads_apart(model):
        given["decoder_input_ids"] = given["input_ids"]
    logits: torch.Tensor = model(**given).logits
    return logits.float()


def load(folder: ModelFolder, dtype: Dtype, device: Device) -> LanguageModel:
    """Return the model in evaluation mode; raises RagftError where the folder holds no language model."""
    keep_freed_memory()
    forget_old_kernels()
    place = choose_device(device)
    precision = choose_dtype(dtype, place)
    kind = "an encoder-decoder" if is_encoder_decoder(folder.path) else "a causal"
    try:
        tokenizer = load_tokenizer(folder)
        model = auto_class(folder.path).from_pretrained(folder.path, dtype=precision, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise RagftError(f"cannot load {folder.source} as {kind} language model: {error}") from error
    model.eval().requires_grad_(False).to(place)
    model.generation_config = _ends_only(model.generation_config, model.config)
    _pack_rows_for_head(model)
    loaded = LanguageModel(model, tokenizer, folder, precision, place)
    if reads_apart(model):
        _check_decoder(loaded)
    return loaded


def _pack_rows_for_head(model: Any) -> None:  # noqa: ANN401 - a transformers model
    """Let the output layer read rows that lie one behind the other in memory.

    What is kept of a batch for the next token is a slice with gaps between its rows. Without gradients torch multiplies
    such a slice as one matrix for each row, each with a copy of the layer's weights: 450 MB for 8 rows and a vocabulary
    of 49,152 tokens of 576 numbers, which took three quarters of the time in which short prompts were read.
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))


def _ends_only(config: Any, model: Any) -> Any:  # noqa: ANN401 - transformers' configs are not typed
    """Return a generation config that keeps the tokens with which answers end and decoders begin, and nothing else.

    `generate` fills what its caller leaves open from the model's own config, where makers of chat models put repetition
    penalties and the like: answers would not be greedy, and copying from a passage would be punished. An end that is
    forced at the cap (BART) would make a cut answer look like a whole one.
    """
    ends = {"eos_token_id": getattr(config, "eos_token_id", None)}
    if getattr(model, "is_encoder_decoder", False):
        starts = [getattr(one, "decoder_start_token_id", None) for one in (config, model)]
        starts.append(getattr(model, "bos_token_id", None))
        ends["decoder_start_token_id"] = next((token for token in starts if token is not None), None)
        ends["forced_bos_token_id"] = getattr(config, "forced_bos_token_id", None)
    return GenerationConfig(**ends)  # type: ignore[no-untyped-call]


def _check_decoder(language_model: LanguageModel) -> None:
    """Raise RagftError for a decoder that nothing says how to begin; log how much the model reads."""
    source = language_model.folder.source
    config: Any = language_model.model.generation_config
    if config.decoder_start_token_id is None:
        raise RagftError(
            f"{source} does not say with which token its decoder begins",
            "set decoder_start_token_id in its config.json",
        )
    limit = language_model.reads_tokens
    named = "without a limit that its files name" if limit is None else f"up to {limit} tokens each"
    logger.info("%s is an encoder-decoder model; it reads a prompt and writes an answer %s", source, named)


def load_tokenizer(folder: ModelFolder) -> PreTrainedTokenizerBase:
    """Return the tokenizer alone (no weights), with a pad token.

    It pads on the left, where a decoder-only model goes on from the end of its row, and on the right for an encoder. It
    says which by `is_encoder_decoder`, for those who make texts with it and have no model at hand.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    tokenizer.is_encoder_decoder = is_encoder_decoder(folder.path)
    tokenizer.padding_side = "right" if tokenizer.is_encoder_decoder else "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    found: PreTrainedTokenizerBase = tokenizer
    return found


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
