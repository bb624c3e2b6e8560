"""Texts that are nearly the same: by shared character 5-grams (MinHash, then counted exactly), or by meaning.

Character 5-grams serve short questions and long texts alike (Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", section 3.2.2, take 5 for texts as short as e-mails). Word 3-grams would not: a question of six words has
four, and one changed word in its middle leaves one. Single words would find every two long questions of one pattern,
and neither cuts Japanese, which has no spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Embed = Callable[[Sequence[str]], Vectors]
"""Texts in; unit vectors out, shape (texts, dimensions)."""

Finder = Callable[[Sequence[str], Sequence[str]], "list[Near]"]
"""Texts that are looked for and texts among which; the nearest one of each that has a near one."""

GRAM = 5
PERMUTATIONS = 128
RECALL = 0.99
"""Probability that a pair right at the threshold is looked at; more alike ones are found more surely."""
COUNTED = 20
"""How many candidates of one text are counted exactly, the likeliest first; a text with a thousand of one pattern just
under the threshold would otherwise take as long as comparing everything with everything."""
SLACK = 4.0
"""Standard errors by which an estimate may fall short of the threshold before its pair is not counted."""
ROWS = 1024
"""How many texts are compared with all others at once; bounds the memory of the cosines."""


@dataclass(frozen=True, slots=True)
class Near:
    """Two texts that are nearly the same, by their positions; `likeness` is exact, between the threshold and 1."""

    text: int
    other: int
    likeness: float


def grams(text: str) -> frozenset[str]:
    """Return the character 5-grams of a text; a shorter text is its own only one."""
    return frozenset(text[start : start + GRAM] for start in range(max(1, len(text) - GRAM + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return |A and B| / |A or B|; neither may be empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def bands(threshold: float) -> tuple[int, int]:
    """Return (bands, rows) of the table in which candidates are looked up.

    Two texts with likeness s share a band with probability 1 - (1 - s^rows)^bands (MMDS, section 3.4.2). Most rows,
    thus fewest candidates, with which that is at least `RECALL` at the threshold.
    """
    sizes = [(PERMUTATIONS // rows, rows) for rows in range(1, PERMUTATIONS // 2 + 1)]
    sure = [(n, rows) for n, rows in sizes if 1 - (1 - threshold**rows) ** n >= RECALL]
    return max(sure, key=lambda size: size[1], default=(PERMUTATIONS, 1))


def by_minhash(threshold: float) -> Finder:
    """Return what finds texts of which this share of the 5-grams (Jaccard) is the same; pass it normalised texts."""

    def find(texts: Sequence[str], others: Sequence[str]) -> list[Near]:
        from datasketch import MinHashLSH  # not at the top: it imports much of scipy

        signatures = _signatures(others)
        table = MinHashLSH(num_perm=PERMUTATIONS, params=bands(threshold))
        for position, signature in enumerate(signatures):
            table.insert(position, signature, check_duplication=False)
        values = np.array([signature.hashvalues for signature in signatures])
        found = []
        for position, signature in enumerate(_signatures(texts)):
            likely = _likely(values, signature.hashvalues, table.query(signature), threshold)
            near = _nearest(texts[position], [(other, others[other]) for other in likely])
            if near is not None and near[1] >= threshold:
                found.append(Near(position, *near))
        return found

    return find


def _signatures(texts: Iterable[str]) -> list[Any]:
    from datasketch import MinHash

    # crc32 instead of the default SHA-1: half the time on long texts, and MinHash mixes the bits itself.
    encoded = ([gram.encode() for gram in grams(text)] for text in texts)
    return list(MinHash.bulk(encoded, num_perm=PERMUTATIONS, hashfunc=crc32))


def _likely(values: Any, wanted: Any, candidates: Sequence[int], threshold: float) -> list[int]:  # noqa: ANN401 - arrays
    """Return the candidates worth counting, the likeliest first; ties by position, so that it is repeatable."""
    if not candidates:
        return []
    positions = np.sort(np.array(candidates))
    estimates = (values[positions] == wanted).mean(axis=1)
    least = threshold - SLACK * (threshold * (1 - threshold) / PERMUTATIONS) ** 0.5
    order = np.argsort(-estimates, kind="stable")[:COUNTED]
    return [int(positions[index]) for index in order if estimates[index] >= least]


def _nearest(text: str, others: Sequence[tuple[int, str]]) -> tuple[int, float] | None:
    own = grams(text)
    return max(
        ((position, jaccard(own, grams(other))) for position, other in others), key=lambda it: it[1], default=None
    )


def by_embedding(threshold: float, embed: Embed) -> Finder:
    """Return what finds texts whose vectors have at least this cosine."""

    def find(texts: Sequence[str], others: Sequence[str]) -> list[Near]:
        if not texts or not others:
            return []
        wanted, among = embed(texts), embed(others)
        found = []
        for start in range(0, len(texts), ROWS):
            cosines = wanted[start : start + ROWS] @ among.T
            best = cosines.argmax(axis=1)
            rows = enumerate(zip(best, cosines.max(axis=1), strict=True), start)
            found += [
                Near(row, int(other), min(1.0, float(value))) for row, (other, value) in rows if value >= threshold
            ]
        return found

    return find
