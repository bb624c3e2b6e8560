"""Simulate what the intervals, tests and printed powers of a comparison promise, and print the table in Markdown.

    OMP_NUM_THREADS=1 taskset -c 1 python tests/benchmarks/statistics_simulation.py

Every situation is drawn many times without a difference and as often with a true difference equal to the minimum
detectable effect that ragft prints for it. Coverage is the share of 95 % intervals that hold the truth; false positives
are tests with p <= 0.05 where there is no difference; the printed power is what the printed minimum detectable effect
implies at the true difference, the measured one is the share of p <= 0.05. The library's own functions are called; a
hundred simulated data sets at a time share one draw of clusters, as the arms of a comparison do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ragft.evaluation.intervals import BootstrapMethod, are_singletons, count_discordant, difference_interval
from ragft.evaluation.power import minimum_detectable_effect
from ragft.evaluation.resampling import resampled_means, totals
from ragft.evaluation.significance import mcnemar, sign_flip
from ragft.evaluation.student import t_cdf, t_quantile
from ragft.evaluation.training_seeds import HierarchicalMean, hierarchical_mean, seed_effects

Array = NDArray[np.float64]
Rng = np.random.Generator

SIMULATIONS = 6000
PILOT = 300  # data sets whose mean detectable effect is the true difference of the others
RESAMPLES = 999
BATCH = 100


@dataclass(frozen=True)
class Situation:
    """One way in which scores come about.

    `sizes` are the examples by cluster. `draw(rng, n, effect)` returns the scores of both arms by training seed, shapes
    (n, examples, K), with the true mean difference `effect`; K = 1 without training seeds.
    """

    name: str
    sizes: tuple[int, ...]
    draw: Callable[[Rng, int, float], tuple[Array, Array]]
    binary: bool = False
    mid_p: bool = False
    method: BootstrapMethod = "percentile"

    @property
    def codes(self) -> NDArray[np.int64]:
        """Return the cluster number of each example."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


@dataclass(frozen=True)
class Row:
    """What one situation gave; `coverage` without and with a true difference."""

    situation: str
    n: int
    clusters: int
    coverage: tuple[float, float]
    false_positives: float
    printed_power: float
    power: float

    def markdown(self) -> str:
        """Return the row of the table."""
        shares = (*self.coverage, self.false_positives, self.printed_power, self.power)
        return (
            f"| {self.situation} | {self.n} | {self.clusters} | " + " | ".join(f"{100 * s:.1f}" for s in shares) + " |"
        )


def graded(
    sizes: tuple[int, ...], spread: float, shared: float = 0.0
) -> Callable[[Rng, int, float], tuple[Array, Array]]:
    """Return a draw of differences of standard deviation `spread`, a `shared` part of the variance by cluster."""
    codes = np.repeat(np.arange(len(sizes)), sizes)

    def draw(rng: Rng, n: int, effect: float) -> tuple[Array, Array]:
        whole = rng.normal(size=(n, len(sizes)))[:, codes]
        own = rng.normal(size=(n, len(codes)))
        first = effect + spread * (np.sqrt(shared) * whole + np.sqrt(1 - shared) * own)
        return first[:, :, None], np.zeros((n, len(codes), 1))

    return draw


def skewed(n_examples: int) -> Callable[[Rng, int, float], tuple[Array, Array]]:
    """Return a draw in which most examples do not differ and a few differ by much, all one way but for a shift."""

    def draw(rng: Rng, n: int, effect: float) -> tuple[Array, Array]:
        gain = rng.exponential(0.4, size=(n, n_examples)) * (rng.random((n, n_examples)) < 0.4)
        return (gain - 0.16 + effect)[:, :, None], np.zeros((n, n_examples, 1))

    return draw


def spiked(n_examples: int) -> Callable[[Rng, int, float], tuple[Array, Array]]:
    """Return a draw of scores like token F1 of short answers: 0 on 45 % of questions, 1 on 35 %, between on the rest.

    The arms agree on 60 % of the questions; the better one gets a share of them right that it would not have.
    """

    def scores(rng: Rng, n: int) -> Array:
        place = rng.random((n, n_examples))
        return np.select([place < 0.45, place < 0.80], [0.0, 1.0], rng.random((n, n_examples)))

    def draw(rng: Rng, n: int, effect: float) -> tuple[Array, Array]:
        second = scores(rng, n)
        first = np.where(rng.random((n, n_examples)) < 0.6, second, scores(rng, n))
        # The mean of a score is 0.35 + 0.20 / 2, so one made right gains 0.55 on average.
        first = np.where(rng.random((n, n_examples)) < effect / 0.55, 1.0, first)
        return first[:, :, None], second[:, :, None]

    return draw


def binary(
    sizes: tuple[int, ...], discordant: float, lean: float = 0.0
) -> Callable[[Rng, int, float], tuple[Array, Array]]:
    """Return a draw of paired 0/1 scores with this discordant share; clusters lean to either arm by up to `lean`."""
    codes = np.repeat(np.arange(len(sizes)), sizes)

    def draw(rng: Rng, n: int, effect: float) -> tuple[Array, Array]:
        leaning = 0.5 + effect / (2 * discordant) + rng.uniform(-lean, lean, size=(n, len(sizes)))[:, codes]
        differs = rng.random((n, len(codes))) < discordant
        to_first = rng.random((n, len(codes))) < leaning
        first = np.where(differs, to_first, 1.0)
        second = np.where(differs, ~to_first, 1.0)
        return first[:, :, None], second[:, :, None]

    return draw


def trained(
    n_examples: int, n_seeds: int, seed_spread: float, *, alone: bool = False
) -> Callable[[Rng, int, float], tuple[Array, Array]]:
    """Return a draw of two arms trained with `n_seeds` each, whose means over all questions spread by `seed_spread`.

    Each seed also does a little better or worse on each question (0.25), and the arms differ by question (0.25).
    `alone`: the second arm has no adapter, and so no seeds.
    """

    def draw(rng: Rng, n: int, effect: float) -> tuple[Array, Array]:
        def arm(by_question: Array) -> Array:
            seeds = seed_spread * rng.normal(size=(n, 1, n_seeds))
            return by_question[:, :, None] + seeds + 0.25 * rng.normal(size=(n, n_examples, n_seeds))

        first = arm(effect + 0.25 * rng.normal(size=(n, n_examples)))
        return first, np.zeros((n, n_examples, 1)) if alone else arm(np.zeros((n, n_examples)))

    return draw


def ones(n: int) -> tuple[int, ...]:
    """Return the sizes of `n` clusters of one example."""
    return (1,) * n


UNEQUAL = tuple(1 + (i * i) % 13 for i in range(40))  # 1 to 13 questions on each of 40 documents
FEW = (3, 9, 4, 12, 2, 7, 5, 10, 6, 2)
PAIRS = tuple(1 + i % 5 for i in range(80))

SITUATIONS = (
    Situation("graded, independent", ones(100), graded(ones(100), 0.35)),
    Situation("graded, independent, few", ones(30), graded(ones(30), 0.35)),
    Situation("graded, like token F1", ones(150), spiked(150)),
    Situation("graded, like token F1, BCa", ones(150), spiked(150), method="bca"),
    Situation("few large gains, many small losses", ones(60), skewed(60)),
    Situation("graded, 40 unequal clusters", UNEQUAL, graded(UNEQUAL, 0.35, 0.3)),
    Situation("graded, 10 unequal clusters", FEW, graded(FEW, 0.35, 0.3)),
    Situation("0/1, exact McNemar", ones(200), binary(ones(200), 0.2), binary=True),
    Situation("0/1, mid-p", ones(200), binary(ones(200), 0.2), binary=True, mid_p=True),
    Situation("0/1, few discordant, exact", ones(100), binary(ones(100), 0.08), binary=True),
    Situation("0/1, few discordant, mid-p", ones(100), binary(ones(100), 0.08), binary=True, mid_p=True),
    Situation("0/1, bootstrap, mid-p", ones(400), binary(ones(400), 0.2), binary=True, mid_p=True),
    Situation("0/1, 80 unequal clusters", PAIRS, binary(PAIRS, 0.3, 0.25), binary=True),
    Situation("2 seeds, all alike", ones(100), trained(100, 2, 0.0)),
    Situation("2 seeds, that differ", ones(100), trained(100, 2, 0.05)),
    Situation("5 seeds, that differ", ones(100), trained(100, 5, 0.05)),
    Situation("2 seeds, far apart", ones(100), trained(100, 2, 0.1)),
    Situation("2 seeds against none, far apart", ones(100), trained(100, 2, 0.15, alone=True)),
    Situation("3 seeds against none, far apart", ones(100), trained(100, 3, 0.15, alone=True)),
    Situation("5 seeds against none, far apart", ones(100), trained(100, 5, 0.15, alone=True)),
)


def simulate(situation: Situation, simulations: int = SIMULATIONS, seed: int = 1) -> Row:
    """Return what the situation gives without a difference and with the one that is printed as detectable."""
    rng = np.random.default_rng([seed, *situation.name.encode()])
    pilot = _judge(situation, *situation.draw(rng, PILOT, 0.0), 0.0, np.random.default_rng(seed))
    effect = float(np.mean([trial.detectable for trial in pilot]))
    null = list(_trials(situation, 0.0, simulations, rng))
    true = list(_trials(situation, effect, simulations, rng))
    return Row(
        situation=situation.name,
        n=sum(situation.sizes),
        clusters=len(situation.sizes),
        coverage=(float(np.mean([t.covered for t in null])), float(np.mean([t.covered for t in true]))),
        false_positives=float(np.mean([t.p_value <= 0.05 for t in null])),
        printed_power=float(np.mean([t.printed for t in true])),
        power=float(np.mean([t.p_value <= 0.05 for t in true])),
    )


@dataclass(frozen=True)
class _Trial:
    covered: bool
    p_value: float
    detectable: float
    printed: float


def _trials(situation: Situation, effect: float, simulations: int, rng: Rng) -> Iterator[_Trial]:
    for _ in range(simulations // BATCH):
        first, second = situation.draw(rng, BATCH, effect)
        yield from _judge(situation, first, second, effect, rng)


def _judge(situation: Situation, first: Array, second: Array, effect: float, rng: Rng) -> Iterator[_Trial]:
    """Yield what each data set gives, all of them by one draw of clusters."""
    codes, n_clusters = situation.codes, len(situation.sizes)
    differences = first.mean(axis=2) - second.mean(axis=2)
    both = [totals(one, codes, n_clusters) for one in differences]
    sums, sizes = np.stack([s for s, _ in both], axis=1), np.stack([n for _, n in both], axis=1)
    means = resampled_means(sums, sizes, RESAMPLES, rng)
    if first.shape[2] > 1:
        for i, arms in enumerate(zip(first, second, strict=True)):
            yield _seeded_trial(effect, arms, codes, n_clusters, means[:, i], rng)
    else:
        flips = sign_flip(sums, rng=rng, resamples=RESAMPLES)
        for i, one in enumerate(differences):
            yield _trial(situation, effect, one, means[:, i], flips[i])


def _trial(situation: Situation, effect: float, differences: Array, means: Array, flip: float) -> _Trial:
    labels = [f"{code:04d}" for code in situation.codes]
    interval = difference_interval(
        differences, labels, binary=situation.binary, means=means, level=0.95, method=situation.method
    )
    assert interval is not None
    exact = situation.binary and are_singletons(labels)
    p_value = mcnemar(*count_discordant(differences), mid_p=situation.mid_p) if exact else flip
    found = minimum_detectable_effect(differences, labels, exact_binary=situation.binary and not situation.mid_p)
    mde = found if found is not None else float("inf")
    return _Trial(interval.low <= effect <= interval.high, p_value, mde, _implied(effect, mde))


def _seeded_trial(
    effect: float, arms: tuple[Array, Array], codes: NDArray[np.int64], n_clusters: int, means: Array, rng: Rng
) -> _Trial:
    effects = [seed_effects(arm, codes, n_clusters) for arm in arms if arm.shape[1] > 1]
    shifts = [sign * one.shifts(RESAMPLES, rng) for sign, one in zip((1.0, -1.0), effects, strict=False)]
    sums, sizes = totals(arms[0].mean(axis=1) - arms[1].mean(axis=1), codes, n_clusters)
    found = hierarchical_mean(sums, sizes, means=means, effects=effects, shifts=shifts)
    interval, mde = found.interval(0.95), found.minimum_detectable_effect()
    assert interval is not None
    assert mde is not None
    return _Trial(interval.low <= effect <= interval.high, found.p_value(), mde, _implied_over_seeds(effect, found))


def _implied(effect: float, mde: float) -> float:
    """Return the power at `effect` that a minimum detectable effect of 80 % power implies."""
    normal = NormalDist()
    reach = normal.inv_cdf(0.975)
    return normal.cdf((reach + normal.inv_cdf(0.8)) * effect / mde - reach)


def _implied_over_seeds(effect: float, found: HierarchicalMean) -> float:
    """Return the power at `effect` by the spread and the degrees of freedom of one comparison with several seeds."""
    assert found.spread is not None
    return t_cdf(effect / found.spread - t_quantile(0.975, found.degrees), found.degrees)


def main() -> None:
    """Simulate every situation and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="data sets without, and with a difference")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.perf_counter()
    print(f"{args.simulations} data sets each without and with a difference, {RESAMPLES} resamples; in percent\n")
    print("| situation | n | clusters | coverage, none | coverage, true | false positives | power printed | measured |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for situation in SITUATIONS:
        print(simulate(situation, args.simulations, args.seed).markdown(), flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
