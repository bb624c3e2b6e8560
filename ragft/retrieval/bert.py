"""BERT embedders on a processor: read from their files, and run without padding. Imports torch, and no model library.

Most embedders (all-MiniLM, BGE, E5, GTE) are a BERT with the mean of its tokens or its first token. Their arithmetic is
a page of code, so it needs none of the seconds that the libraries around it take to import. And the texts of a batch
lie one after another in one long row of tokens: no padding is multiplied, and attention runs on texts of one length
together, without a mask, in float32. On two cores with bfloat16 that embeds a quarter more passages a second than
sentence-transformers does (tests/benchmarks/index_speed.py), and comes closer to its float32 vectors than its own
bfloat16 does. Whatever is not exactly such a model is None here, and is left to sentence-transformers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch.nn import functional

from ragft.models.memory import forget_old_kernels
from ragft.models.tokens import fast_tokenizer
from ragft.retrieval.embedding import Vectors

Pooling = Literal["mean", "cls"]
Norm = tuple[torch.Tensor, torch.Tensor]

WEIGHTS = "model.safetensors"
LEGACY_POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
"""How older folders name the two poolings that are known here."""

KNOWN_SETTINGS = {
    "max_seq_length",
    "do_lower_case",
    "transformer_task",
    "modality_config",
    "module_output_name",
}
"""Settings of the first module that are understood; with any other, the model is another one."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the files of a model say of its arithmetic; the weights are not read yet."""

    folder: Path
    tokenizer: Tokenizer
    max_tokens: int
    layers: int
    heads: int
    epsilon: float
    pooling: Pooling
    query_prompt: str
    document_prompt: str


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer, (out, in) and (out,); query, key and value are one matrix."""

    attention: Norm
    attention_out: Norm
    attention_norm: Norm
    wide: Norm
    narrow: Norm
    norm: Norm


def recipe_of(folder: Path) -> Recipe | None:
    """Return how a sentence-transformers folder computes, or None where it is not a BERT as it is understood here."""
    config, settings = _read(folder / "config.json"), _read(folder / "sentence_bert_config.json")
    pooling = _pooling(folder)
    found = fast_tokenizer(folder) if _is_plain(config, settings) and (folder / WEIGHTS).exists() else None
    prompts = _prompts(_read(folder / "config_sentence_transformers.json"))
    if found is None or pooling is None or prompts is None:
        return None
    tokenizer, max_tokens = found
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return Recipe(
        folder,
        tokenizer,
        max_tokens,
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config.get("layer_norm_eps", 1e-12),
        pooling,
        *prompts,
    )


def _is_plain(config: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Return whether this is BERT as it was published, reading text as its tokenizer gives it."""
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act", "gelu") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and not config.get("quantization_config")
        and settings.keys() <= KNOWN_SETTINGS
        and not settings.get("do_lower_case", False)
        and settings.get("transformer_task", "feature-extraction") == "feature-extraction"
        and settings.get("module_output_name", "token_embeddings") == "token_embeddings"
    )


def _pooling(folder: Path) -> Pooling | None:
    """Return the pooling of a folder whose modules are a transformer, a pooling and perhaps a normalization."""
    rows = _read(folder / "modules.json")
    kinds = [str(row["type"]).rsplit(".", 1)[-1] for row in rows] if isinstance(rows, list) else []
    # Vectors are scaled to length 1 in the end, so a normalization changes nothing.
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or rows[0]["path"]:
        return None
    pooling = _read(folder / rows[1]["path"] / "config.json")
    if not pooling.get("include_prompt", True):
        return None
    legacy = [key for key, value in pooling.items() if key.startswith("pooling_mode_") and value is True]
    named = pooling.get("pooling_mode", LEGACY_POOLING.get(legacy[0]) if len(legacy) == 1 else None)
    return named if named in ("mean", "cls") else None


def _prompts(config: dict[str, Any]) -> tuple[str, str] | None:
    """Return the prompts of queries and documents; None where sentence-transformers might choose others.

    Which prompt a document gets where only `passage` or `corpus` is defined is not the same in all of its versions.
    """
    prompts = config.get("prompts") or {}
    unsure = "document" not in prompts and ("passage" in prompts or "corpus" in prompts)
    if unsure or config.get("default_prompt_name") or config.get("truncate_dim"):
        return None
    return prompts.get("query") or "", prompts.get("document") or ""


class PackedBert:
    """Embeds texts with a BERT on the processor."""

    def __init__(self, recipe: Recipe, precision: torch.dtype, batch_size: int) -> None:
        """Read the weights; KeyError where one is missing. A batch has as many tokens as `batch_size` full texts."""
        forget_old_kernels()
        self._recipe = recipe
        self._budget = batch_size * recipe.max_tokens
        with safe_open(recipe.folder / WEIGHTS, framework="pt") as file:
            prefix = "bert." if "bert.embeddings.word_embeddings.weight" in file.keys() else ""  # noqa: SIM118 - no dict

            def weight(name: str) -> torch.Tensor:
                found: torch.Tensor = file.get_tensor(prefix + name)
                return found.to(precision)

            self._words = weight("embeddings.word_embeddings.weight")
            self._positions = weight("embeddings.position_embeddings.weight")
            self._first_type = weight("embeddings.token_type_embeddings.weight")[0]
            self._norm = (weight("embeddings.LayerNorm.weight"), weight("embeddings.LayerNorm.bias"))
            self._layers = [_layer(weight, f"encoder.layer.{number}") for number in range(recipe.layers)]

    @property
    def tokenizer(self) -> Tokenizer:
        """The fast tokenizer, cutting what is longer than the model reads."""
        return self._recipe.tokenizer

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads."""
        return self._recipe.max_tokens

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (texts, dimensions) in the order of `texts`, not scaled."""
        return self._vectors([f"{self._recipe.document_prompt}{text}" for text in texts])

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (texts, dimensions) in the order of `texts`, not scaled."""
        return self._vectors([f"{self._recipe.query_prompt}{text}" for text in texts])

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Return for each text vectors of its tokens, shape (tokens, dimensions), from the last layer, not scaled.

        Tokens that the model adds, [CLS] and [SEP], are left out, and no prompt stands before a text.
        """
        encoded = self.tokenizer.encode_batch_fast(list(texts))
        found: list[Vectors] = [np.empty((0, self._words.shape[1]), dtype=np.float32)] * len(texts)
        for positions in packed([len(one.ids) for one in encoded], self._budget):
            rows = self._last_states([encoded[position].ids for position in positions])
            for position, states in zip(positions, rows, strict=True):
                found[position] = states.numpy()[np.asarray(encoded[position].special_tokens_mask) == 0]
        return found

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        tokens = [encoded.ids for encoded in self.tokenizer.encode_batch_fast(list(texts))]
        found: Vectors = np.empty((len(texts), self._words.shape[1]), dtype=np.float32)
        for positions in packed([len(ids) for ids in tokens], self._budget):
            found[positions] = self._pooled([tokens[position] for position in positions])
        return found

    def _pooled(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Return one vector for each text of a batch, texts of one length side by side."""
        rows = self._last_states(tokens)
        pooled = [row[0] if self._recipe.pooling == "cls" else row.mean(dim=0) for row in rows]
        found: Vectors = torch.stack(pooled).numpy()
        return found

    @torch.inference_mode()
    def _last_states(self, tokens: Sequence[Sequence[int]]) -> Sequence[torch.Tensor]:
        """Return the states after the last layer, (tokens, width) in float32 for each text of a batch."""
        lengths = [len(ids) for ids in tokens]
        states = self._embedded(tokens, lengths)
        groups = [(length, len(list(group))) for length, group in itertools.groupby(lengths)]
        for layer in self._layers:
            states = self._through(layer, states, groups)
        return torch.split(states.float(), lengths)

    def _embedded(self, tokens: Sequence[Sequence[int]], lengths: Sequence[int]) -> torch.Tensor:
        """Return the states before the first layer, shape (tokens, width)."""
        ids = torch.tensor(list(itertools.chain.from_iterable(tokens)))
        places = torch.cat([torch.arange(length) for length in lengths])
        words = functional.embedding(ids, self._words) + self._first_type
        return self._normal(words + functional.embedding(places, self._positions), self._norm)

    def _through(self, layer: Layer, states: torch.Tensor, groups: Sequence[tuple[int, int]]) -> torch.Tensor:
        attended = functional.linear(self._attended(layer, states, groups), *layer.attention_out)
        states = self._normal(attended + states, layer.attention_norm)
        wide = functional.gelu(functional.linear(states, *layer.wide))
        return self._normal(functional.linear(wide, *layer.narrow) + states, layer.norm)

    def _attended(self, layer: Layer, states: torch.Tensor, groups: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Return what each token takes from the tokens of its own text; `groups` are (length, texts) in order."""
        width = states.shape[1]
        joint = functional.linear(states, *layer.attention)
        result = torch.empty_like(states)
        start = 0
        for length, count in groups:
            end = start + length * count
            shape = (count, length, 3, self._recipe.heads, width // self._recipe.heads)
            # float32 is the faster of the two here: bfloat16 attention is converted block by block.
            query, key, value = joint[start:end].float().view(shape).permute(2, 0, 3, 1, 4)
            found = functional.scaled_dot_product_attention(query, key, value)
            result[start:end] = found.transpose(1, 2).reshape(-1, width)
            start = end
        return result

    def _normal(self, states: torch.Tensor, norm: Norm) -> torch.Tensor:
        return functional.layer_norm(states, (states.shape[1],), *norm, self._recipe.epsilon)


def packed(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return batches of positions, the longest first, of at most `budget` tokens together and one text at least."""
    batches: list[list[int]] = []
    filled = budget
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        filled += lengths[position]
        if not batches or filled > budget:
            batches.append([])
            filled = lengths[position]
        batches[-1].append(position)
    return batches


def _layer(weight: Any, name: str) -> Layer:  # noqa: ANN401 - a function from a name to a tensor
    def pair(part: str) -> Norm:
        return weight(f"{name}.{part}.weight"), weight(f"{name}.{part}.bias")

    parts = [pair(f"attention.self.{part}") for part in ("query", "key", "value")]
    return Layer(
        attention=(torch.cat([matrix for matrix, _ in parts]), torch.cat([bias for _, bias in parts])),
        attention_out=pair("attention.output.dense"),
        attention_norm=pair("attention.output.LayerNorm"),
        wide=pair("intermediate.dense"),
        narrow=pair("output.dense"),
        norm=pair("output.LayerNorm"),
    )


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
