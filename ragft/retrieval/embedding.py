"""What an embedder is to the rest of ragft: texts in, unit vectors out. Imports no model library.

Must not know which model or server embeds, nor where vectors are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
"""One row for each text, shape (texts, dimensions), float32."""

OnBatch = Callable[[int], None]
"""Is told how many more texts are done."""


def silent(_: int) -> None:
    """Return nothing, for a caller who does not follow the progress."""


class Embeds(Protocol):
    """Something that turns text into vectors."""

    @property
    def identity(self) -> str:
        """What the vectors depend on beside the text: the weights and their precision, or the server and its model."""
        ...

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        """Return unit vectors of what is to be found, in the order of `texts`."""
        ...

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of what is asked, in the order of `texts`."""
        ...


@runtime_checkable
class EmbedsTokens(Protocol):
    """Something that also turns each token of a text into a vector; a server of embeddings does not."""

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Return for each text unit vectors of its tokens, shape (tokens, dimensions), in the order of `texts`.

        Tokens that the model adds, such as [CLS], are left out, and no prompt stands before a text.
        """
        ...


def unit(vectors: Any) -> Vectors:  # noqa: ANN401 - anything that numpy reads as a matrix
    """Return the rows scaled to length 1 in float32, so that a dot product is the cosine; a row of zeros stays."""
    matrix = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    scaled: Vectors = matrix / np.maximum(norms, 1e-12)
    return scaled


def in_blocks_by_length(
    texts: Sequence[str], size: int, embed: Callable[[Sequence[str]], Vectors], on_batch: OnBatch
) -> list[tuple[list[int], Vectors]]:
    """Return (positions, vectors) of blocks of at most `size` texts of similar length.

    A batch is padded to its longest text, so texts of one length waste nothing. The longest come first: a machine that
    has too little memory says so at once, and the time that remains is never underestimated.
    """
    order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
    blocks = []
    for start in range(0, len(order), size):
        positions = order[start : start + size]
        blocks.append((positions, embed([texts[position] for position in positions])))
        on_batch(len(positions))
    return blocks


def in_order(blocks: Sequence[tuple[list[int], Vectors]]) -> Vectors:
    """Return the vectors of all blocks, each row at the position of its text."""
    if not blocks:
        return np.empty((0, 0), dtype=np.float32)
    count = sum(len(positions) for positions, _ in blocks)
    found: Vectors = np.empty((count, blocks[0][1].shape[1]), dtype=np.float32)
    for positions, vectors in blocks:
        found[positions] = vectors
    return found
