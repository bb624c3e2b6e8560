"""How alike two texts are token by token, given a vector of each token. Must not know what makes the vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

TokenVectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
"""A unit vector for each token of one text, shape (tokens, dimensions)."""


def matching_f1(said: TokenVectors, right: TokenVectors) -> float:
    """Return BERTScore's F1 (Zhang et al. 2020) of an answer and a reference, 0.0 where it would be negative.

    Each token is worth its cosine with the most similar token of the other text: precision is the mean over the
    answer's tokens, recall over the reference's. Tokens weigh the same however rare they are, and no baseline is
    subtracted. Not as in the authors' code, no token may match [CLS] or [SEP] of the other text, which makes 300
    abstracts 0.001 less alike on average. A text without a token matches nothing: 0.0.
    """
    if not len(said) or not len(right):
        return 0.0
    cosines: Any = said.astype(np.float64) @ right.astype(np.float64).T
    precision, recall = float(cosines.max(axis=1).mean()), float(cosines.max(axis=0).mean())
    if precision <= 0 or recall <= 0:
        return 0.0
    return min(1.0, 2 * precision * recall / (precision + recall))
