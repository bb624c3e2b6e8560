"""A model's tokenizer from its files alone, without importing the library that runs the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer


def fast_tokenizer(folder: Path) -> tuple[Tokenizer, int] | None:
    """Return (tokenizer, tokens the model reads) of a sentence-transformers folder, or None where its files lack them.

    The limit is `max_seq_length`; folders written by sentence-transformers 6 have none, and there it is the tokenizer's
    `model_max_length`, at most the model's `max_position_embeddings`.
    """
    tokenizer, settings = folder / "tokenizer.json", folder / "sentence_bert_config.json"
    if not tokenizer.exists() or not settings.exists():
        return None
    limit = _read(settings).get("max_seq_length") or _own_limit(folder)
    return (Tokenizer.from_file(str(tokenizer)), int(limit)) if limit else None


def unknown_share(tokenizer: Tokenizer, text: str) -> float:
    """Return the share of a text's tokens that the tokenizer has no piece for; 0.0 where it has one for every byte.

    Texts of such tokens alone look the same to a model, whatever they say.
    """
    unknown = tokenizer.token_to_id(getattr(tokenizer.model, "unk_token", None) or "<unk>")
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return ids.count(unknown) / len(ids) if ids and unknown is not None else 0.0


def _own_limit(folder: Path) -> int | None:
    named = _read(folder / "tokenizer_config.json").get("model_max_length")
    positions = _read(folder / "config.json").get("max_position_embeddings")
    if not isinstance(named, int) or not isinstance(positions, int) or positions < 1:
        return None
    return min(named, positions)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
