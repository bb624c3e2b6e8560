"""Every check of the data that needs no model, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from ragft.config import ChecksConfig
from ragft.data.checks import near
from ragft.data.checks.answers import Supports, gold_checks
from ragft.data.checks.check import DataCheck
from ragft.data.checks.examples import contradictions, references, repeats, too_few, unanswerable
from ragft.data.checks.inputs import Items, items_of
from ragft.data.checks.labels import label_checks
from ragft.data.checks.leaks import dev_in_train, leak_documents, leak_near, leaks, shared_facts
from ragft.data.examples import Splits
from ragft.records import Document

MINHASH_SIMILARITY = 0.7
"""Default of `data.checks.similarity` for minhash. Of 1,023 real search queries against 4,500, it found 8, all of them
a word apart; at 0.6 two in five of 26 were other questions of one pattern."""
EMBEDDING_SIMILARITY = 0.95
"""The same for embedding."""


def _words(text: str) -> int:
    return len(text.split())


@dataclass(frozen=True, slots=True)
class CheckScope:
    """What the checks must know beside the data.

    `supports` says whether a text holds an answer, None for tasks whose answers do not stand in text. `labels` are
    those of a classification, None for every other task. `embed` turns inputs into unit vectors, for near-duplicates by
    embedding; without it they are not looked for. `training_documents` are those that an adapter is trained on, None
    where no adapter reads documents. `n_tokens` counts the tokens of a reference; without a tokenizer, its words.
    `evidence` says that answers come out of documents, so that an example without gold documents is a flaw; a sentence
    to be translated may hold no term of the glossary.
    """

    min_examples: int = 1
    allow_leakage: bool = False
    config: ChecksConfig = field(default_factory=ChecksConfig)
    supports: Supports | None = None
    labels: Sequence[str] | None = None
    embed: near.Embed | None = None
    training_documents: Sequence[Document] | None = None
    max_new_tokens: int | None = None
    n_tokens: Callable[[str], int] = _words
    evidence: bool = True


def examine(documents: Sequence[Document], splits: Splits, scope: CheckScope) -> tuple[DataCheck, ...]:
    """Return every check that ran; raises nothing, so that `conclude` can tell every error at once."""
    return tuple(_checks(documents, splits, scope))


def _checks(documents: Sequence[Document], splits: Splits, scope: CheckScope) -> Iterator[DataCheck]:
    items = items_of(splits)
    yield too_few(splits.eval, scope.min_examples)
    yield from leaks(items, allowed=scope.allow_leakage)
    yield from _near(items, scope)
    yield from shared_facts(items)
    if scope.config.training_documents and scope.training_documents is not None and scope.labels is None:
        yield leak_documents(splits.eval, scope.training_documents)
    yield from gold_checks(documents, splits, scope.supports, evidence=scope.evidence)
    yield repeats(items.eval)
    if scope.labels is not None or scope.supports is not None:
        yield contradictions(items)
    yield unanswerable(splits)
    yield from references(splits.eval, scope.max_new_tokens, scope.n_tokens)
    if scope.labels is not None:
        yield from label_checks(splits, scope.labels)


def _near(items: Items, scope: CheckScope) -> Iterator[DataCheck]:
    finder = _finder(scope)
    if finder is None:
        if scope.config.near_duplicates == "embedding" and items.taught:
            title, why = "eval inputs that are nearly one of train", "not looked for: no embedder is loaded"
            yield DataCheck("leak_near", title, 0, 0, "note", why)
        yield from dev_in_train(items, None, "")
        return
    find, likeness = finder
    yield from leak_near(items, find, likeness)
    yield from dev_in_train(items, find, likeness)


def _finder(scope: CheckScope) -> tuple[near.Finder, str] | None:
    """Return what finds near-duplicates and how it measures likeness; None where they are not looked for."""
    config = scope.config
    match config.near_duplicates:
        case "minhash":
            least = config.similarity or MINHASH_SIMILARITY
            return near.by_minhash(least), f"{least:.0%} of their character 5-grams or more"
        case "embedding":
            least = config.similarity or EMBEDDING_SIMILARITY
            return (near.by_embedding(least, scope.embed), f"a cosine of {least:g} or more") if scope.embed else None
        case "off":
            return None
        case _:
            assert_never(config.near_duplicates)
