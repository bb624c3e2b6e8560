"""What is read off curves: where two of them cross, and how one saturates, each with the interval of a bootstrap.

Sees scores and cluster ids. Must not know what an arm or a level is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragft.evaluation.prompt_spread import over_prompts
from ragft.evaluation.resampling import Floats, cluster_totals, resampled_means
from ragft.evaluation.score_table import ScoreTable
from ragft.records import Interval, Score

METHOD = "cluster bootstrap (percentile)"

_SCALES = 80
"""Scales that are tried for a saturating curve, evenly in their logarithm."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Curves on the same examples: `means` has the shape (curves, levels), `drawn` (resamples, curves, levels).

    `n` is the number of examples that every curve has at every level.
    """

    names: tuple[str, ...]
    means: Floats
    drawn: Floats
    n: int

    def of(self, name: str) -> tuple[Floats, Floats]:
        """Return (means, shape (levels,); draws, shape (resamples, levels)) of one curve."""
        place = self.names.index(name)
        return self.means[place], self.drawn[:, place]


def draw_curves(
    scores: Mapping[str, Sequence[Sequence[Score]]],
    *,
    clusters: Mapping[str, str],
    metric: str,
    resamples: int,
    seed: int,
) -> Draws | None:
    """Return the curves with the draws of one cluster bootstrap, paired over curves and levels.

    `scores` are those of each curve at each level, as many levels for all. Only examples that have a value everywhere
    count; None with none, or with fewer than two clusters of them. Training seeds and prompts are averaged over.
    """
    cells = [(name, level) for name, levels in scores.items() for level in range(len(levels))]
    named = {cell: f"{cell[0]} {cell[1]}" for cell in cells}
    renamed = [
        Score(named[name, level], s.example_id, s.metric, s.value, s.reason, s.seed, s.prompt)
        for name, levels in scores.items()
        for level, found in enumerate(levels)
        for s in found
    ]
    table = ScoreTable.of(over_prompts(renamed), clusters, list(named.values()), [metric])
    series = [table.series[named[cell], metric] for cell in cells]
    shared = sorted(set.intersection(*(set(one.ids) for one in series))) if series else []
    if len({clusters[id_] for id_ in shared}) < 2:
        return None
    values = np.stack([one.only(shared).values for one in series], axis=1)
    names = table.cluster_names(shared)
    sums, sizes = zip(*(cluster_totals(values[:, i], names) for i in range(len(cells))), strict=True)
    drawn = resampled_means(np.stack(sums, axis=1), np.stack(sizes, axis=1), resamples, np.random.default_rng(seed))
    levels = len(cells) // len(scores)
    shape = (len(scores), levels)
    return Draws(tuple(scores), values.mean(axis=0).reshape(shape), drawn.reshape(-1, *shape), len(shared))


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where one curve falls under another: `x` is None where it does not within the levels.

    `low` and `high` are the ends of the interval, None for beyond the last level; `share` is how often the resampled
    curves cross at all.
    """

    x: float | None
    low: float | None
    high: float | None
    level: float
    share: float


def falls_under(draws: Draws, first: str, second: str, xs: Sequence[float], level: float) -> Crossing:
    """Return from which x on the curve `first` lies under `second`, between levels by straight lines.

    The last stretch counts: a curve that dips and recovers has not fallen. Where it lies under throughout, x is the
    first level.
    """
    (mean_1, drawn_1), (mean_2, drawn_2) = draws.of(first), draws.of(second)
    x = _crossing(mean_1 - mean_2, xs)
    found = np.array([_crossing(row, xs) for row in drawn_1 - drawn_2])
    tail = (1 - level) / 2
    low, high = (float(np.quantile(found, q, method="inverted_cdf")) for q in (tail, 1 - tail))
    share = float(np.isfinite(found).mean())
    return Crossing(_finite(x), _finite(low), _finite(high), level, share)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _crossing(difference: Floats, xs: Sequence[float]) -> float:
    """Return where a difference goes below zero for good, infinity where its last value is not below."""
    if difference[-1] >= 0:
        return math.inf
    above = np.flatnonzero(difference >= 0)
    if not above.size:
        return float(xs[0])
    i = int(above[-1])
    share = difference[i] / (difference[i] - difference[i + 1])
    return float(xs[i] + share * (xs[i + 1] - xs[i]))


@dataclass(frozen=True, slots=True)
class Saturating:
    """The curve y = top - (top - base) exp(-x / scale), with what a further `step` of x would bring beyond `x_last`."""

    base: float
    top: float
    scale: float
    x_last: float

    def at(self, x: float) -> float:
        """Return y at x."""
        return self.top - (self.top - self.base) * math.exp(-x / self.scale)

    @property
    def bends(self) -> bool:
        """Whether the curve has begun to bend within what was measured: its scale is no longer than the last x."""
        return self.scale <= self.x_last

    def gain(self, step: float) -> float:
        """Return what `step` more than the last x would bring."""
        return self.at(self.x_last + step) - self.at(self.x_last)


def fit_saturating(xs: Sequence[float], ys: Floats) -> list[Saturating]:
    """Return the least-squares fit to each row of `ys`, shape (fits, points), over the same xs.

    For a given scale the curve is linear in base and top, so only the scale is searched (variable projection, Golub and
    Pereyra 1973), over a grid from a tenth of the smallest step to twenty times the widest x. Needs three points.
    """
    places = np.asarray(xs, dtype=np.float64)
    if len(places) < 3 or ys.shape[1] != len(places):
        raise ValueError(f"{len(places)} places and {ys.shape[1]} values: a saturating curve needs three of each")
    steps = np.diff(np.unique(places))
    scales = np.geomspace(steps.min() / 10, 20 * places.max(), _SCALES)
    best: Floats = np.full(len(ys), np.inf)
    found: Floats = np.zeros((len(ys), 3))
    for scale in scales:
        design = np.stack([np.ones_like(places), np.exp(-places / scale)], axis=1)
        solved, *_ = np.linalg.lstsq(design, ys.T, rcond=None)
        errors = ((design @ solved - ys.T) ** 2).sum(axis=0)
        better = errors < best
        best[better] = errors[better]
        found[better] = np.stack([solved[0] + solved[1], solved[0], np.full(len(ys), scale)], axis=1)[better]
    return [Saturating(float(b), float(t), float(s), float(places.max())) for b, t, s in found]


def gain_interval(fits: Sequence[Saturating], step: float, level: float) -> Interval:
    """Return the interval of what `step` more would bring, over the fits to resampled curves."""
    gains = [fit.gain(step) for fit in fits]
    tail = (1 - level) / 2
    low, high = np.quantile(gains, [tail, 1 - tail])
    return Interval(float(low), float(high), level, METHOD)
