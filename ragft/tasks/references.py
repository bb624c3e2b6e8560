"""The reference that a model is trained to say."""

from __future__ import annotations

from ragft.errors import DataError
from ragft.records import Example


def first_reference(example: Example, why: str) -> str:
    """Return the first reference; raises DataError, saying `why`, for an example that is marked unanswerable."""
    if not example.references:
        raise DataError(
            f"example {example.id!r} has no references, and none is right without one: {why}",
            "remove the example, or give it references",
        )
    return example.references[0]
