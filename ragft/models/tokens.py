"""A model's tokenizer from its files alone, without importing the library that runs the model."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer


def fast_tokenizer(folder: Path) -> tuple[Tokenizer, int] | None:
    """Return (tokenizer, tokens the model reads) of a sentence-transformers folder; None where its files lack them."""
    tokenizer, settings = folder / "tokenizer.json", folder / "sentence_bert_config.json"
    if not tokenizer.exists() or not settings.exists():
        return None
    limit = json.loads(settings.read_text(encoding="utf-8")).get("max_seq_length")
    return (Tokenizer.from_file(str(tokenizer)), int(limit)) if limit else None
