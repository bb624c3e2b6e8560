"""How one arm abstains: how often it answers, how well when it does, and where it should have done the other.

Reads answers, examples and scores. Must not know how the phrase was recognised (`answers` holds that).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragft.errors import DataError
from ragft.evaluation.answers import abstains
from ragft.records import Answer, Example, Score


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over `n` items; `value` is None when n is 0, for the mean of nothing is not 0."""

    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class AbstentionSummary:
    """How one arm abstains.

    `coverage`: share of the answers got that do not abstain (blank answers count as answers, wrong ones).
    `accuracy_on_answered`: mean of `metric` over the scored answers that do not abstain.
    `answered_though_unanswerable`: share of the answers to unanswerable examples that do not abstain.
    `abstained_though_answerable`: share of the answers to answerable examples that abstain.
    `n_failed`: answers that could not be got. Nobody declined there and nobody answered: no share counts them.
    """

    arm: str
    metric: str
    coverage: Share
    accuracy_on_answered: Share
    answered_though_unanswerable: Share
    abstained_though_answerable: Share
    n_failed: int = 0


def summarise_abstention(
    arm: str, answers: Sequence[Answer], scores: Sequence[Score], examples: Mapping[str, Example], metric: str
) -> AbstentionSummary:
    """Return how `arm` abstains; answers and scores of other arms, and scores of other metrics, are passed over.

    An answer is known by its example, the training seed of its adapter and the prompt that it was asked with.
    DataError if an answer of the arm belongs to no example.
    """
    own = [answer for answer in answers if answer.arm == arm]
    missing = sorted({answer.example_id for answer in own} - examples.keys())
    if missing:
        raise DataError(f"arm {arm!r} answered example {missing[0]!r}, which is not among the examples")
    got = [answer for answer in own if answer.error is None]
    declined = {(a.example_id, a.seed, a.prompt): abstains(a.text, examples[a.example_id]) for a in got}
    measured = (score for score in scores if score.arm == arm and score.metric == metric)
    values = [one.value for one in measured if declined.get((one.example_id, one.seed, one.prompt)) is False]
    return AbstentionSummary(
        arm=arm,
        metric=metric,
        coverage=_share(not gone for gone in declined.values()),
        accuracy_on_answered=_share(value for value in values if value is not None),
        answered_though_unanswerable=_share(
            not gone for (id, *_), gone in declined.items() if not examples[id].answerable
        ),
        abstained_though_answerable=_share(gone for (id, *_), gone in declined.items() if examples[id].answerable),
        n_failed=len(own) - len(got),
    )


def _share(values: Iterable[float]) -> Share:
    items = list(values)
    return Share(sum(items) / len(items), len(items)) if items else Share(None, 0)
