"""How many tokens the embedder reads of a text: exactly, and quickly for the many tries that cutting takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from tokenizers import Tokenizer

_PIECE = re.compile(r"\s{1,40}\S{0,40}|\S{1,40}")
"""A word with the whitespace before it; every alternative is bounded, so that no text makes the search quadratic."""

_MOST_KNOWN = 200_000
"""Words whose counts are kept, about 30 MB."""

_AT_ONCE = 128
"""Texts in one batch: enough for many threads, few enough that long documents do not fill the memory."""


class TokenCounter:
    """Counts tokens with a copy of a tokenizer that neither truncates nor pads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._known: dict[str, int] = {}

    def read(self, texts: Iterable[str]) -> list[int]:
        """Return how many tokens the embedder reads of each text, special ones included."""
        waiting = iter(texts)
        counts: list[int] = []
        while batch := list(islice(waiting, _AT_ONCE)):
            counts += [len(encoded.ids) for encoded in self._tokenizer.encode_batch_fast(batch)]
        return counts

    def estimate(self, text: str) -> int:
        """Return about how many tokens a text has, without special ones: the sum over its words, each counted once.

        Exact for tokenizers that never join what whitespace parts, and many times faster than asking the tokenizer
        for the same words again and again. Words over 40 characters count in parts.
        """
        pieces = _PIECE.findall(text)
        try:
            return sum(map(self._known.__getitem__, pieces))
        except KeyError:
            self._learn(pieces)
            return sum(map(self._known.__getitem__, pieces))

    def _learn(self, pieces: list[str]) -> None:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        new = list({piece for piece in pieces if piece not in self._known})
        encoded = self._tokenizer.encode_batch_fast(new, add_special_tokens=False)
        self._known.update(zip(new, (len(item.ids) for item in encoded), strict=True))
