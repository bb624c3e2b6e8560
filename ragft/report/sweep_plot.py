"""The plots of a sweep: the mean on the dev examples over the values of one parameter, or one row for each trial."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ragft.records import Interval
from ragft.report import formatting
from ragft.report.bars import dot_row
from ragft.report.contents import SweepFacts, Trial
from ragft.report.frame import Frame, line_through, upright_whisker, with_room
from ragft.report.svg import Axis, tag

FRAME = Frame(width=520, height=260, top=16, right=20, bottom=46, left=52)


def sorted_trials(sweep: SweepFacts) -> list[Trial]:
    """Return the trials from the highest mean to the lowest; those without a mean last."""
    return sorted(sweep.trials, key=lambda trial: (trial.mean is None, -(trial.mean or 0.0), trial.number))


def trial_rows(sweep: SweepFacts) -> list[tuple[Trial, Markup]]:
    """Return every trial, best first, with its dot and interval on an axis that all share."""
    axis = Axis(*with_room(_values(sweep.trials)), 4, 96)
    return [(t, dot_row(f"trial {t.number}", t.mean, t.interval, axis, _kind(sweep, t))) for t in sorted_trials(sweep)]


def sweep_curve(sweep: SweepFacts) -> Markup | None:
    """Return the mean over the values of the one parameter that was swept; None for several or fewer than two values.

    The values stand at equal distances in the order in which the file lists them: they need not be numbers.
    """
    if len(sweep.parameters) != 1 or len(sweep.parameters[0][1]) < 2:
        return None
    name, values = sweep.parameters[0]
    wide = (FRAME.wall - FRAME.left) / len(values)
    places = {value: FRAME.left + (i + 0.5) * wide for i, value in enumerate(values)}
    known = [
        (places[dict(t.values)[name]], t)
        for t in sweep.trials
        if t.mean is not None and dict(t.values).get(name) in places
    ]
    if len(known) < 2:
        return None
    up = FRAME.up(*with_room(_values([trial for _, trial in known])))
    known.sort(key=lambda pair: pair[0])
    parts = [*FRAME.levels(up, sweep.metric), *FRAME.names((x, value) for value, x in places.items())]
    parts += [FRAME.title_across(name), line_through(((x, up.at(t.mean or 0.0)) for x, t in known), "curve")]
    parts += [part for x, trial in known for part in _mark(x, trial, up, _kind(sweep, trial))]
    desc = "; ".join(f"{dict(trial.values)[name]}: {formatting.score(trial.mean)}" for _, trial in known)
    return FRAME.drawn(f"{sweep.metric} on dev by {name}", *parts, desc=desc)


def _kind(sweep: SweepFacts, trial: Trial) -> str:
    return "shipped" if trial.number == sweep.chosen else "arm"


def _values(trials: Sequence[Trial]) -> list[float]:
    return [value for trial in trials for value in _ends(trial.mean, trial.interval)]


def _ends(mean: float | None, interval: Interval | None) -> list[float]:
    known = [] if mean is None else [mean]
    return known if interval is None else [*known, interval.low, interval.high]


def _mark(x: float, trial: Trial, up: Axis, kind: str) -> list[Markup]:
    dot = tag("circle", class_=f"point {kind}", cx=x, cy=up.at(trial.mean or 0.0), r=6 if kind == "shipped" else 5)
    if trial.interval is None:
        return [dot]
    low, high = up.at(trial.interval.low), up.at(trial.interval.high)
    return [*upright_whisker(x, low, high, kind), dot]
