"""Scores by fact instead of by question, so that different questions of one fact can be paired."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

from ragft.records import Example, Score

Item = TypeVar("Item", bound=Hashable)


def by_fact(scores: Sequence[Score], examples: Mapping[str, Example]) -> list[Score]:
    """Return one score for each fact, training seed and prompt: the mean over its questions, under the fact's name.

    Questions that name no fact are left out; a fact none of whose questions could be scored is unscored.
    """
    found: dict[tuple[str, int | None, str | None], list[Score]] = {}
    for score in scores:
        group = examples[score.example_id].group
        if group is not None:
            found.setdefault((group, score.seed, score.prompt), []).append(score)
    return [_mean(group, scores) for (group, _, _), scores in found.items()]


def _mean(group: str, scores: Sequence[Score]) -> Score:
    first, values = scores[0], [score.value for score in scores if score.value is not None]
    value = statistics.fmean(values) if values else None
    reason = first.reason if value is None else None
    return Score(first.arm, group, first.metric, value, reason, first.seed, first.prompt)


def stand_ins(examples: Sequence[Example]) -> list[Example]:
    """Return one example for each fact, called as the fact, on the documents of its first question."""
    found: dict[str, Example] = {}
    for example in examples:
        if example.group is not None:
            gold, own = example.gold_document_ids, example.input_document_id
            found.setdefault(example.group, Example(example.group, "", (), gold, input_document_id=own))
    return list(found.values())


def in_turns(lists: Sequence[Sequence[Item]]) -> list[Item]:
    """Return the items of some lists, one of each list in turn and each item once."""
    every = [item for row in zip_longest(*lists) for item in row if item is not None]
    return list(dict.fromkeys(every))
