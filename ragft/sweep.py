"""Sweeps: settings tried on the dev examples, so that the eval examples still judge what nobody chose by them.

Every trial is the same experiment with other values, run through the ordinary pipeline: what two trials share (a
model, an index, an adapter, answers) is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ragft.arms.bench import Bench
from ragft.arms.round import Asked, Round
from ragft.arms.trials import combinations
from ragft.config import Experiment, with_values
from ragft.errors import DataError
from ragft.evaluation.clustering import clusters
from ragft.evaluation.comparison import estimate_metric
from ragft.evaluation.metrics import score_answers
from ragft.records import Estimate, Interval
from ragft.runs import Run


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of values: the mean of the metric over the dev examples, and the seconds that it took now."""

    number: int
    values: Mapping[str, Any]
    mean: float | None
    interval: Interval | None
    n: int
    seconds: float
    reused: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """All trials of a sweep in their order, and the number of the one whose values the comparison uses."""

    arm: str
    metric: str
    kind: str
    parameters: Mapping[str, Sequence[Any]]
    trials: tuple[Trial, ...]
    chosen: int

    @property
    def values(self) -> Mapping[str, Any]:
        """The values of the chosen trial."""
        return self.trials[self.chosen].values


def sweep_settings(bench: Bench, run: Run, metric: str) -> tuple[Sweep, Bench]:
    """Return the sweep that the experiment asks for, and the bench of the experiment with the chosen values.

    The trial with the highest mean of `metric` on the dev examples is chosen, of equal ones the first in the grid.
    Also writes sweep.json. Raises DataError where there are no dev examples, or none of them could be scored.
    """
    config = bench.experiment.compare.sweep
    assert config is not None
    if not bench.splits.dev:
        raise DataError("a sweep needs dev examples: the choice may not be made on eval", "add data.dev or data.train")
    trials = []
    tried = combinations(config, bench.experiment.seed)
    with bench.listener.work(f"Sweeping {config.arm}", len(tried), "settings") as work:
        for number, values in enumerate(tried):
            trials.append(_trial(bench, run, number, values, config.arm, metric))
            work.advance(note=_shown(trials[-1]))
    scored = [trial for trial in trials if trial.mean is not None]
    if not scored:
        raise DataError(f"no answer of arm {config.arm!r} to the dev examples could be scored on {metric}")
    best = max(scored, key=lambda trial: (trial.mean, -trial.number))
    parameters = {key: list(values) for key, values in config.parameters.items()}
    sweep = Sweep(config.arm, metric, config.kind, parameters, tuple(trials), best.number)
    run.write_json("sweep.json", asdict(sweep))
    return sweep, bench.variant(with_values(bench.experiment, sweep.values))


def _trial(bench: Bench, run: Run, number: int, values: dict[str, Any], arm_name: str, metric: str) -> Trial:
    began = datetime.now(UTC)
    variant = bench.variant(with_values(bench.experiment, values))
    one = Round(variant, run, label=f"trial {number + 1}: ")
    arms = one.arms([arm_name])
    state = one.index(arms)
    trained = one.train(arms)
    asked = one.ask(arms, variant.splits.dev, measured=False)[arm_name]
    estimate = _estimate(variant.experiment, variant, asked, arm_name, metric)
    seconds = (datetime.now(UTC) - began).total_seconds()
    built = any(item.now for item in trained) or (state is not None and state.report is not None)
    reused = not built and asked.reused == len(asked.answers)
    return Trial(number, values, estimate.mean, estimate.interval, estimate.n, seconds, reused)


def _estimate(experiment: Experiment, bench: Bench, asked: Asked, arm: str, metric: str) -> Estimate:
    examples = {example.id: example for example in bench.splits.dev}
    return estimate_metric(
        score_answers(asked.answers, examples, [metric]),
        arm=arm,
        metric=metric,
        clusters=clusters(bench.splits.dev),
        resamples=experiment.compare.resamples,
        level=experiment.compare.confidence,
        seed=experiment.seed,
    )


def _shown(trial: Trial) -> str:
    values = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in trial.values.items())
    return f"{values}: n/a" if trial.mean is None else f"{values}: {trial.mean:.3f}"
