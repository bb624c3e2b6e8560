"""Few-shot examples: which solved examples stand before each question, by the seed or by likeness to it.

No question is shown its own answer: an example with its input, or another phrasing of its fact, is passed over.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Literal, assert_never

import numpy as np

from ragft.arms.bench import Bench
from ragft.prompts import Shot
from ragft.records import Example
from ragft.retrieval.embedding import Vectors

_AS_QUERY = "asked: "
"""Before the text of a vector in the cache: an embedder may embed what is asked and what is found in two ways."""

_PAGE = 256
"""Examples whose likeness to all training examples is worked out at once."""


class Shots:
    """Chooses the few-shot examples of one experiment from its training examples."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._drawn: dict[int, list[Example]] = {}

    def chosen(self, count: int, by: Literal["seed", "similarity"], examples: Sequence[Example]) -> list[list[Shot]]:
        """Return the shots of each example, `count` of them or as many as there are, in the order of the prompt.

        `seed` draws the same ones for every example; `similarity` takes the training examples whose input is nearest to
        the example's, by the cosine of the configured embedder, the most similar last. No two shots of an example
        share a group (a fact) or an input, and none has that of the example: the next one takes its place.
        """
        if count == 0:
            return [[] for _ in examples]  # a question that needs no shots does not read the examples either
        match by:
            case "seed":
                order = self._order(count)
                return [self._shots(order, example, count) for example in examples]
            case "similarity":
                return self._similar(count, examples)
            case _:
                assert_never(by)

    def _shots(self, candidates: Iterable[Example], example: Example, count: int) -> list[Shot]:
        return [Shot(one, self._bench.task.completion(one)) for one in _distinct(candidates, example, count)]

    def _order(self, count: int) -> list[Example]:
        """Return the training examples in the order in which they are drawn.

        The first are `random.sample` of `count`, as ever: answers to prompts that were asked before stay known.
        """
        if count not in self._drawn:
            train, rng = self._bench.splits.train, random.Random(self._bench.experiment.seed)
            places = rng.sample(range(len(train)), min(count, len(train)))
            rest = sorted(set(range(len(train))) - set(places))
            rng.shuffle(rest)
            self._drawn[count] = [train[place] for place in (*places, *rest)]
        return self._drawn[count]

    def _similar(self, count: int, examples: Sequence[Example]) -> list[list[Shot]]:
        train, known = self._bench.splits.train, self._train_vectors
        found: list[list[Shot]] = []
        for start in range(0, len(examples), _PAGE):
            page = examples[start : start + _PAGE]
            for example, cosines in zip(page, self._vectors(page) @ known.T, strict=True):
                # Rounded, so that what is equally near goes by its place and not by the processor's last digit.
                order = np.argsort(-np.round(cosines, 5), kind="stable")
                shots = self._shots((train[place] for place in order), example, count)
                found.append(shots[::-1])
        return found

    @cached_property
    def _train_vectors(self) -> Vectors:
        return self._vectors(self._bench.splits.train)

    def _vectors(self, examples: Sequence[Example]) -> Vectors:
        """Return unit vectors of what a retriever would be asked for each example, embedding none a second time."""
        texts = [_AS_QUERY + self._bench.task.queries(example)[-1] for example in examples]
        with self._bench.listener.work("Looking for similar examples", len(texts), "examples") as work:
            return self._bench.vectors.documents(texts, self._embed, work.advance)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        return self._bench.embedder.queries([text.removeprefix(_AS_QUERY) for text in texts])


def _distinct(candidates: Iterable[Example], example: Example, count: int) -> Iterator[Example]:
    """Yield the first `count` candidates that share neither group nor input with the example or one another."""
    taken, left = set(_marks(example)), count
    for candidate in candidates:
        if left and taken.isdisjoint(_marks(candidate)):
            taken.update(_marks(candidate))
            left -= 1
            yield candidate
        if not left:
            return


def _marks(example: Example) -> tuple[tuple[str, str], ...]:
    """Return what two examples must not share."""
    text = ("input", " ".join(example.input.casefold().split()))
    return (text, ("group", example.group)) if example.group else (text,)
