"""The plots of a sweep: the mean on the dev examples over the values of one parameter, or one row for each trial."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ragft.records import Interval
from ragft.report import formatting
from ragft.report.bars import dot_row
from ragft.report.contents import SweepFacts, Trial
from ragft.report.svg import Axis, drawing, tag, tick_label, tick_step

WIDTH, HEIGHT = 520.0, 260.0
TOP, RIGHT, BOTTOM, LEFT = 16.0, 20.0, 46.0, 52.0


def sorted_trials(sweep: SweepFacts) -> list[Trial]:
    """Return the trials from the highest mean to the lowest; those without a mean last."""
    return sorted(sweep.trials, key=lambda trial: (trial.mean is None, -(trial.mean or 0.0), trial.number))


def trial_rows(sweep: SweepFacts) -> list[tuple[Trial, Markup]]:
    """Return every trial, best first, with its dot and interval on an axis that all share."""
    axis = _mean_axis(sweep.trials, 4, 96)
    return [(t, dot_row(f"trial {t.number}", t.mean, t.interval, axis, _kind(sweep, t))) for t in sorted_trials(sweep)]


def sweep_curve(sweep: SweepFacts) -> Markup | None:
    """Return the mean over the values of the one parameter that was swept; None for several or fewer than two values.

    The values stand at equal distances in the order in which the file lists them: they need not be numbers.
    """
    if len(sweep.parameters) != 1 or len(sweep.parameters[0][1]) < 2:
        return None
    name, values = sweep.parameters[0]
    places = {value: LEFT + (i + 0.5) * (WIDTH - LEFT - RIGHT) / len(values) for i, value in enumerate(values)}
    known = [
        (places[dict(t.values)[name]], t)
        for t in sweep.trials
        if t.mean is not None and dict(t.values).get(name) in places
    ]
    if len(known) < 2:
        return None
    up = _mean_axis([trial for _, trial in known], HEIGHT - BOTTOM, TOP)
    known.sort(key=lambda pair: pair[0])
    parts = [*_grid(up, sweep.metric), *_names(places, name), _line(known, up)]
    parts += [part for x, trial in known for part in _mark(x, trial, up, _kind(sweep, trial))]
    desc = "; ".join(f"{dict(trial.values)[name]}: {formatting.score(trial.mean)}" for _, trial in known)
    title = f"{sweep.metric} on dev by {name}"
    return drawing(title, *parts, desc=desc, class_="plot", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}")


def _kind(sweep: SweepFacts, trial: Trial) -> str:
    return "shipped" if trial.number == sweep.chosen else "arm"


def _mean_axis(trials: Sequence[Trial], start: float, end: float) -> Axis:
    ends = [value for trial in trials for value in _ends(trial.mean, trial.interval)] or [0.0]
    low, high = min(ends), max(ends)
    pad = 0.08 * (high - low) or 0.05
    return Axis(low - pad if low < 0 else max(0.0, low - pad), high + pad, start, end)


def _ends(mean: float | None, interval: Interval | None) -> list[float]:
    known = [] if mean is None else [mean]
    return known if interval is None else [*known, interval.low, interval.high]


def _grid(up: Axis, metric: str) -> list[Markup]:
    step, middle = tick_step(up.high - up.low, 4), (TOP + HEIGHT - BOTTOM) / 2
    turn = f"rotate(-90 13 {middle:.1f})"
    parts = [tag("text", metric, class_="title", x=13, y=middle, text_anchor="middle", transform=turn)]
    for value in up.ticks(4):
        y = up.at(value)
        parts.append(tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
        parts.append(tag("text", tick_label(value, step), class_="scale", x=LEFT - 8, y=y + 4, text_anchor="end"))
    return parts


def _names(places: dict[str, float], name: str) -> list[Markup]:
    floor = HEIGHT - BOTTOM
    parts = [tag("text", value, class_="scale", x=x, y=floor + 17, text_anchor="middle") for value, x in places.items()]
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*parts, tag("text", name, class_="title", x=middle, y=HEIGHT - 8, text_anchor="middle")]


def _line(known: Sequence[tuple[float, Trial]], up: Axis) -> Markup:
    return tag("polyline", class_="curve", points=" ".join(f"{x:.1f},{up.at(t.mean or 0.0):.1f}" for x, t in known))


def _mark(x: float, trial: Trial, up: Axis, kind: str) -> list[Markup]:
    dot = tag("circle", class_=f"point {kind}", cx=x, cy=up.at(trial.mean or 0.0), r=6 if kind == "shipped" else 5)
    if trial.interval is None:
        return [dot]
    low, high = up.at(trial.interval.low), up.at(trial.interval.high)
    ends = [tag("line", class_=f"whisker {kind}", x1=x - 4, x2=x + 4, y1=end, y2=end) for end in (low, high)]
    return [tag("line", class_=f"whisker {kind}", x1=x, x2=x, y1=low, y2=high), *ends, dot]
