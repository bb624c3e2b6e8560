"""What a probe puts in the place of the data that the experiment file names."""

from __future__ import annotations

from dataclasses import dataclass

from ragft.records import Document, Example


@dataclass(frozen=True, slots=True)
class Stress:
    """Other documents or examples; None leaves a part as the experiment file has it.

    Conditions that name the same `collection` are versions of one knowledge base: the index of the second is that of
    the first, brought in step. Without a name, every set of documents has an index of its own.
    """

    documents: tuple[Document, ...] | None = None
    train: tuple[Example, ...] | None = None
    dev: tuple[Example, ...] | None = None
    eval: tuple[Example, ...] | None = None
    collection: str | None = None
