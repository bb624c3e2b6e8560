"""Scores on a blend of two metrics, for asking whether the verdict hangs on the choice of the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragft.records import Score


def blended_scores(scores: Sequence[Score], primary: str, metric: str, weight: float) -> list[Score]:
    """Return (1 - weight) x primary + weight x metric, as scores that bear the name of the primary metric.

    `weight` from 0 to 1. An answer that either metric could not score is unscored, with the reason of the one that
    could not; scores of other metrics are left out. Arms, examples and training seeds stay as they are.
    """
    other = {(s.arm, s.example_id, s.seed): s for s in scores if s.metric == metric}
    pairs = ((s, other.get((s.arm, s.example_id, s.seed))) for s in scores if s.metric == primary)
    return [_blend(one, two, weight) for one, two in pairs if two is not None]


def _blend(one: Score, two: Score, weight: float) -> Score:
    if one.value is None or two.value is None:
        return replace(one, value=None, reason=one.reason if one.value is None else two.reason)
    return replace(one, value=(1 - weight) * one.value + weight * two.value, reason=None)
