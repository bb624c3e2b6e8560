"""Does an arm know when it is wrong? Its metric over the answers of which it was surest, by mean token log-probability.

Reads answers, examples and scores of one arm. Must not know which arm is expected to win. Unsure answers can be sent
to a person, or left unsaid; what that would buy is the curve here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragft.errors import DataError
from ragft.evaluation.answers import abstains
from ragft.evaluation.intervals import bootstrap_interval
from ragft.evaluation.resampling import Floats, Integers
from ragft.records import Answer, Example, Interval, Score

MIN_ANSWERS = 10
"""Fewer answers with a log-probability than this make no curve: each tenth of it would be less than one answer."""

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Shares of the answers at which the curve is read."""

_CELLS = 1 << 20  # of a block of drawn weights: 8 MB


@dataclass(frozen=True, slots=True)
class SelectivePoint:
    """The answers that would be kept to keep at least the share `target` of them, the surest first.

    `coverage` is the share really kept: equally sure answers are kept or dropped together, so it may be larger.
    `threshold` is the mean token log-probability (nats) of the least sure answer kept.
    """

    target: float
    coverage: float
    mean: float
    threshold: float


@dataclass(frozen=True, slots=True)
class SelectiveCurve:
    """The metric of one arm over its surest answers.

    Coverage is the share of the `n` answers that are scored, have a log-probability and do not abstain; `n_left_out`
    counts the arm's other answers. `aurc` is the area under the risk-coverage curve with risk = 1 - metric, so lower is
    better; `aurc_best` is what an arm with the same answers would reach that ranks every better one first, and an
    arm whose log-probabilities say nothing gets about 1 - the mean at full coverage.
    """

    arm: str
    metric: str
    points: tuple[SelectivePoint, ...]
    aurc: float
    aurc_best: float
    n: int
    n_left_out: int


@dataclass(frozen=True, slots=True)
class SelectiveGain:
    """What dropping the less sure half of an arm's answers adds to the mean of the metric."""

    arm: str
    metric: str
    difference: float
    interval: Interval | None
    n: int


def selective_curve(
    arm: str, answers: Sequence[Answer], scores: Sequence[Score], examples: Mapping[str, Example], metric: str
) -> SelectiveCurve | None:
    """Return the curve of `arm`, None where fewer than 10 of its answers can be placed on one.

    Answers and scores of other arms, and scores of other metrics, are passed over; those of several training seeds and
    prompts are pooled. An abstention is no answer and no error is one either, so neither is ever counted as answered;
    an answer to an unanswerable example is, and is wrong. Risk and coverage are those of Geifman and El-Yaniv 2017, the
    area and its best value those of Geifman, Uziel and El-Yaniv 2019: the mean over the n coverages k / n of the risk
    of the k surest answers. Within a run of equally sure answers only its end can be reached, and its risk stands for
    all of it. DataError if an answer of the arm belongs to no example.
    """
    own = [answer for answer in answers if answer.arm == arm]
    placed = list(_placed(own, scores, examples, metric))
    if len(placed) < MIN_ANSWERS:
        return None
    order = _Order.of(placed)
    risks = 1 - order.values
    best = np.sort(risks).cumsum() / np.arange(1, len(risks) + 1)
    return SelectiveCurve(
        arm=arm,
        metric=metric,
        points=tuple(order.point(target) for target in COVERAGES),
        aurc=float(np.dot(np.diff(order.ends, prepend=0), risks.cumsum()[order.ends - 1] / order.ends)) / len(risks),
        aurc_best=float(best.mean()),
        n=len(placed),
        n_left_out=len(own) - len(placed),
    )


def selective_gain(
    arm: str,
    answers: Sequence[Answer],
    scores: Sequence[Score],
    examples: Mapping[str, Example],
    metric: str,
    *,
    clusters: Mapping[str, str],
    resamples: int,
    level: float,
    rng: np.random.Generator,
) -> SelectiveGain | None:
    """Return the mean at half coverage less that at full coverage, None where there is no curve.

    The interval is a cluster bootstrap (`clusters` maps example id to cluster) that finds the half anew in every
    resample, for the threshold is chosen on the same answers. None where all values are equal, or with one cluster.
    """
    own = [answer for answer in answers if answer.arm == arm]
    placed = list(_placed(own, scores, examples, metric))
    if len(placed) < MIN_ANSWERS:
        return None
    order = _Order.of(placed)
    difference = float(order.gains(np.ones((1, len(placed))))[0])
    names = [clusters[id_] for id_ in order.ids]
    interval = None
    if np.ptp(order.values) > 0 and len(set(names)) > 1:
        drawn = np.concatenate([order.gains(weights) for weights in _weights(names, resamples, rng)])
        interval = bootstrap_interval(order.values, names, means=drawn, level=level)
    return SelectiveGain(arm, metric, difference, interval, len(placed))


@dataclass(frozen=True, slots=True)
class _Order:
    """Values with the surest first; `ends` are the numbers of answers after which the log-probability falls.

    `values`, `logprobs` and `ids` have the shape (answers,), `ends` (distinct log-probabilities,).
    """

    values: Floats
    logprobs: Floats
    ids: tuple[str, ...]
    ends: Integers

    @classmethod
    def of(cls, placed: Sequence[tuple[float, float, str]]) -> _Order:
        """Return the order of (log-probability, value, example id)."""
        ranked = sorted(placed, key=lambda item: (-item[0], item[2], item[1]))
        logprobs = np.array([item[0] for item in ranked])
        ends = np.append(np.flatnonzero(np.diff(logprobs)) + 1, len(ranked)).astype(np.int64)
        return cls(np.array([item[1] for item in ranked]), logprobs, tuple(item[2] for item in ranked), ends)

    def point(self, target: float) -> SelectivePoint:
        """Return the curve at the first coverage that can be reached and is not below the target."""
        wanted = math.ceil(target * len(self.values) - 1e-9)
        end = int(self.ends[np.searchsorted(self.ends, wanted)])
        mean, threshold = float(self.values[:end].mean()), float(self.logprobs[end - 1])
        return SelectivePoint(target, end / len(self.values), mean, threshold)

    def gains(self, weights: Floats) -> Floats:
        """Return mean at half coverage - mean at full, one for each row of weights, shape (resamples, answers)."""
        kept = weights.cumsum(axis=1)[:, self.ends - 1]
        sums = (weights * self.values).cumsum(axis=1)[:, self.ends - 1]
        at = (kept >= kept[:, -1:] / 2).argmax(axis=1)
        rows = np.arange(len(weights))
        found: Floats = sums[rows, at] / kept[rows, at] - sums[:, -1] / kept[:, -1]
        return found


def _placed(
    own: Sequence[Answer], scores: Sequence[Score], examples: Mapping[str, Example], metric: str
) -> Iterator[tuple[float, float, str]]:
    """Yield (log-probability, value, example id) of the answers that stand on the curve."""
    arms = {answer.arm for answer in own}
    values = {
        (score.example_id, score.seed, score.prompt): score.value
        for score in scores
        if score.arm in arms and score.metric == metric
    }
    for answer in own:
        if answer.example_id not in examples:
            raise DataError(
                f"arm {answer.arm!r} answered example {answer.example_id!r}, which is not among the examples"
            )
        value = values.get((answer.example_id, answer.seed, answer.prompt))
        answered = answer.error is None and not abstains(answer.text, examples[answer.example_id])
        if answered and value is not None and answer.logprob is not None and math.isfinite(answer.logprob):
            yield answer.logprob, value, answer.example_id


def _weights(names: Sequence[str], resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield blocks of rows that say how often each answer is drawn, with its whole cluster."""
    clusters = {name: place for place, name in enumerate(sorted(set(names)))}
    codes = np.array([clusters[name] for name in names])
    even = np.full(len(clusters), 1 / len(clusters))
    rows = max(1, _CELLS // len(names))
    for start in range(0, resamples, rows):
        drawn = rng.multinomial(len(clusters), even, size=min(rows, resamples - start))
        yield drawn[:, codes].astype(np.float64)
