"""A kit as probes get it: one experiment, its comparison's arms asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from conftest import SmallExperiment

from ragft.arms.bench import Bench
from ragft.arms.listening import Silence
from ragft.arms.round import Round
from ragft.config import load_experiment
from ragft.probes import Kit
from ragft.runs import Run
from ragft.workspace import Workspace


def bench_of(experiment: SmallExperiment, *overrides: str) -> Bench:
    """Return the bench of a saved experiment."""
    loaded = load_experiment(experiment.save().file, list(overrides))
    return Bench(loaded.experiment, Workspace(experiment.workspace).prepare(), Silence())


def kit_of(bench: Bench, run: Run, cap: int | None = None) -> Kit:
    """Return the kit of a comparison whose arms have been asked."""
    one = Round(bench, run)
    arms = one.arms(list(bench.experiment.compare.arms))
    index = one.index(arms)
    one.train(arms)
    asked = one.ask(arms, bench.splits.eval, measured=False)
    return Kit(bench, run, one, asked, index, cap)


@contextmanager
def asked_kit(experiment: SmallExperiment, *overrides: str, cap: int | None = None) -> Iterator[Kit]:
    """Give the kit of an experiment, with a run folder open."""
    bench = bench_of(experiment, *overrides)
    run = Run.start(experiment.folder / "runs", "compare", "small", argv=[], config_yaml="", seed=17)
    with run:
        try:
            yield kit_of(bench, run, cap)
        finally:
            bench.close()
