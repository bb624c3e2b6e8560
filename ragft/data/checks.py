"""Checks of the data before anything expensive: what would make the comparison invalid, and what a reader must know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragft.data.examples import Splits
from ragft.errors import DataError, NotComparableError
from ragft.records import Document, Example

SHOWN = 5
"""How many offenders an error names."""


@dataclass(frozen=True, slots=True)
class DataFinding:
    """Something a reader of the comparison must know about the data; `example_ids` are those concerned."""

    check: str
    message: str
    example_ids: tuple[str, ...] = ()


def check_data(
    documents: Sequence[Document], splits: Splits, *, allow_leakage: bool, min_examples: int
) -> list[DataFinding]:
    """Return findings that do not stop the comparison; raises DataError or NotComparableError for those that do."""
    if len(splits.eval) < min_examples:
        raise NotComparableError(
            f"{len(splits.eval)} eval examples are too few to compare arms (compare.min_examples is {min_examples})",
            "add eval examples",
        )
    if documents:
        for split in (splits.train, splits.dev, splits.eval):
            _check_gold(documents, split)
    return [*_leakage(splits, allow_leakage), *_missing_gold(documents, splits.eval), *_repeats(splits.eval)]


def _check_gold(documents: Iterable[Document], examples: Iterable[Example]) -> None:
    known = {document.id for document in documents}
    lost = [
        f"{example.id} -> {gold}" for example in examples for gold in example.gold_document_ids if gold not in known
    ]
    if lost:
        raise DataError(
            f"{len(lost)} gold document ids are not among the {len(known)} documents: {_some(lost)}",
            "add the documents, or correct the ids",
        )


def normalised(text: str) -> str:
    """Return text in lower case without punctuation and with single spaces, for finding repeats.

    A text of nothing but punctuation or symbols stays as it is, else all such texts would be one.
    """
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split()) or text.strip()


def _leakage(splits: Splits, allowed: bool) -> list[DataFinding]:
    trained = {normalised(example.input): example.id for example in (*splits.train, *splits.dev)}
    pairs = [(example, trained.get(normalised(example.input))) for example in splits.eval]
    leaked = [(example.id, other) for example, other in pairs if other is not None]
    if not leaked:
        return []
    named = _some([f"{one} = {other}" for one, other in leaked])
    message = f"{len(leaked)} of {len(splits.eval)} eval inputs also stand in train or dev: {named}"
    if not allowed:
        raise DataError(message, "remove them, or set data.allow_leakage: true and read the caveat")
    return [DataFinding("leakage", message, tuple(one for one, _ in leaked))]


def _missing_gold(documents: Sequence[Document], examples: Iterable[Example]) -> list[DataFinding]:
    """Find answerable eval examples without gold documents: no oracle context, no retrieval metric for them."""
    if not documents:
        return []
    bare = tuple(example.id for example in examples if example.answerable and not example.gold_document_ids)
    if not bare:
        return []
    message = f"{len(bare)} answerable eval examples name no gold document: retrieval is not measured on them"
    return [DataFinding("no_gold", message, bare)]


def _repeats(examples: Iterable[Example]) -> list[DataFinding]:
    first: dict[str, str] = {}
    repeated = [
        example.id for example in examples if first.setdefault(normalised(example.input), example.id) != example.id
    ]
    if not repeated:
        return []
    return [DataFinding("repeats", f"{len(repeated)} eval inputs stand more than once", tuple(repeated))]


def _some(items: Sequence[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
