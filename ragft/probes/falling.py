"""Where arms that retrieve fall under one that was fine-tuned, as the knowledge base gets worse: marks, rows, words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ragft.config import ArmConfig
from ragft.evaluation.clustering import clusters
from ragft.evaluation.curves import METHOD, Crossing, draw_curves, falls_under
from ragft.evaluation.probing import Cell, Column, Mark, Row, Table
from ragft.probes.kit import Kit
from ragft.records import Example, Interval, Score

Levels = Sequence[Sequence[Score]]
"""The scores of one arm at each level."""


@dataclass(frozen=True, slots=True)
class Fall:
    """Where one arm falls under its reference arm; `from_start` says that it lies under it at the first level.

    `written` says how a level is written, `last` is the last one.
    """

    arm: str
    reference: str
    crossing: Crossing
    from_start: bool
    last: float
    written: Callable[[float], str]

    def told(self, unit: str) -> str:
        """Return it as a part of a sentence; `unit` is what stands behind the level, such as `distractors`."""
        found = self.crossing
        end = f"up to {self.written(self.last)} {unit}"
        share = f"in {percent(found.share)} of resamples"
        if found.x is None:
            return f"{self.arm} does not fall under {self.reference} {end} (it does {share})"
        if self.from_start:
            return f"{self.arm} lies under {self.reference} from the start and {end} (in the end {share})"
        known = f"{percent(found.level)} interval {self.interval}"
        return f"{self.arm} falls under {self.reference} at {self.written(found.x)} {unit} ({known})"

    @property
    def interval(self) -> str:
        """The interval of the place, with an end that may lie beyond the last level."""
        beyond = f"beyond {self.written(self.last)}"
        low, high = (None if end is None else self.written(end) for end in (self.crossing.low, self.crossing.high))
        return beyond if low is None else f"{low} to {high or beyond}"

    @property
    def mark(self) -> Mark | None:
        """The place on the axis; without interval where that has no end within the levels."""
        found, label = self.crossing, f"{self.arm} under {self.reference}"
        if found.x is None:
            return None
        if found.low is None or found.high is None:
            return Mark(found.x, label)
        return Mark(found.x, label, Interval(found.low, found.high, found.level, METHOD))

    @property
    def row(self) -> Row:
        """The place, its interval and how often the curves cross, for `falls_table`."""
        place = "never" if self.crossing.x is None else self.written(self.crossing.x)
        place = "the start" if self.from_start else place
        return Row(self.arm, (Cell(self.reference), Cell(place), Cell(self.interval), Cell(self.crossing.share)))


def percent(share: float) -> str:
    """Return a share such as `62 %`."""
    return f"{100 * share:.0f} %"


def falls(
    kit: Kit,
    scores: Mapping[str, Levels],
    retrieving: Sequence[str],
    examples: Sequence[Example],
    xs: Sequence[float],
    written: Callable[[float], str],
) -> tuple[Fall, ...]:
    """Return where each arm that retrieves falls under the fine-tuned arm that it is held against.

    That is the one with the same adapter and no passages, else the best-scoring arm without passages that has any.
    Nothing where there is no such arm, or too few examples to resample.
    """
    tuned = [name for name in scores if is_tuned(kit.config(name))]
    settings = kit.bench.experiment.compare
    drawn = None
    if tuned and len(xs) > 1:
        drawn = draw_curves(
            scores,
            clusters=clusters(examples),
            metric=kit.metric,
            resamples=settings.resamples,
            seed=kit.bench.experiment.seed,
        )
    if drawn is None:
        return ()
    best = max(tuned, key=lambda name: float(drawn.of(name)[0][0]))
    found = []
    for arm in retrieving:
        same = [name for name in tuned if kit.config(name).adapter == kit.config(arm).adapter]
        reference = same[0] if same else best
        crossing = falls_under(drawn, arm, reference, xs, settings.confidence)
        from_start = bool(drawn.of(arm)[0][0] < drawn.of(reference)[0][0]) and crossing.x == xs[0]
        found.append(Fall(arm, reference, crossing, from_start, xs[-1], written))
    return tuple(found)


def is_tuned(arm: ArmConfig) -> bool:
    """Return whether an arm knows only what it was trained on and the question."""
    return arm.adapter is not None and arm.retrieval == "none"


def falls_table(key: str, title: str, found: Sequence[Fall]) -> Table:
    """Return the places as a table."""
    places = (Column("against", "text"), Column("falls under it at", "text"), Column("interval", "text"))
    columns = (*places, Column("resamples that cross", "share"))
    note = (
        "Between levels the curves are taken as straight lines. A curve has fallen where it lies under the other up to "
        "the last level. The interval is that of a bootstrap of both curves together; the share is how many of its "
        "resamples cross at all."
    )
    return Table(key, title, "arm", columns, tuple(one.row for one in found), note)
