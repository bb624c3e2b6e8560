"""Documents cut into passages by tokens of the embedder, with character spans that map back to the document."""

from __future__ import annotations

from ragft.data.chunking.chunker import Chunker
from ragft.data.chunking.embedded import embedded_text, gold_passages

__all__ = ["Chunker", "embedded_text", "gold_passages"]
