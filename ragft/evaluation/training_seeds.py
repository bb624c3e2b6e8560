"""What the chance of training adds to an interval and a test, where an adapter was trained several times.

Sees scores by seed, cluster numbers and resampled means; must not know what was measured or what was trained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ragft.evaluation.power import ALPHA, POWER
from ragft.evaluation.resampling import Floats, Integers, clustered_variance, totals
from ragft.evaluation.student import t_cdf, t_quantile
from ragft.records import Interval

METHOD = "hierarchical bootstrap (t)"

_STEPS = 100  # towards a number of examples; what needs more is so near to never that no number would be honest


@dataclass(frozen=True, slots=True)
class SeedEffects:
    """How the means of K training seeds stray from their own mean.

    `deviations`, shape (K,), are scaled so that the mean of K of them drawn with replacement has the `variance` that
    the seeds give to the arm's mean. `interaction` is the variance that it has because each seed answers a few other
    questions right: it falls with the number of questions, and is in the variance of the seed-averaged scores already.
    """

    deviations: Floats
    variance: float
    interaction: float

    def shifts(self, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the mean deviation in `resamples` draws of K seeds with replacement, shape (resamples,)."""
        n_seeds = len(self.deviations)
        drawn = rng.integers(0, n_seeds, size=(resamples, n_seeds))
        shifts: Floats = self.deviations[drawn].mean(axis=1)
        return shifts


def seed_effects(by_seed: Floats, codes: Integers, n_clusters: int) -> SeedEffects:
    """Return the effects of K >= 2 seeds from `by_seed`, shape (examples, K), and the cluster number of each example.

    Plain resampling errs twice. K drawn seeds spread by (K - 1) / K too little, by half at K = 2. And seeds would
    differ in their means on these questions even if no seed were better than another, since each answers a few other
    questions right; that part is in the variance of the seed-averaged scores already, and counting it again makes
    intervals too wide (Owen 2007, "The pigeonhole bootstrap"). So the deviations are scaled to the variance component
    of the two-way layout, s_seed^2 = s_means^2 - s_interaction^2 / n, held at 0 or above (Davison and Hinkley 1997,
    3.8, on shrinking in hierarchical data; the interaction by clusters).
    """
    n_seeds = by_seed.shape[1]
    means = by_seed.mean(axis=0)
    spread = float(means.var(ddof=1))
    strays = by_seed - by_seed.mean(axis=1, keepdims=True)
    parts = (clustered_variance(*totals(strays[:, k], codes, n_clusters)) for k in range(n_seeds))
    interaction = sum(parts) / (n_seeds - 1)
    component = max(0.0, spread - interaction)
    scale = math.sqrt(n_seeds / (n_seeds - 1) * component / spread) if spread > 0 else 0.0
    return SeedEffects((means - means.mean()) * scale, component / n_seeds, interaction / n_seeds)


@dataclass(frozen=True, slots=True)
class HierarchicalMean:
    """A mean, or the difference of two, over questions and training seeds, with all that is inferred from it.

    `spread` is its standard error, over questions and seeds; None with fewer than two clusters, which tell nothing of
    it. `questions` is the part of its variance that the choice of questions gives, for `n` examples in `n_clusters`
    clusters; the parts of the arms' seeds are in `effects`. The interval, the test and the numbers of examples rest on
    the same spread and degrees of freedom, so they cannot contradict each other.
    """

    mean: float
    spread: float | None
    questions: float
    n: int
    n_clusters: int
    effects: tuple[SeedEffects, ...]

    @property
    def seeds(self) -> float:
        """Return the part of the variance that the seeds give, which no number of questions reduces."""
        return sum(effect.variance for effect in self.effects)

    @property
    def degrees(self) -> float:
        """Return the degrees of freedom of the spread."""
        return self._degrees(1.0)

    def interval(self, level: float) -> Interval | None:
        """Return the mean +- t times the spread; None without a spread. It may leave the range of the metric."""
        if self.spread is None:
            return None
        half = t_quantile((1 + level) / 2, self.degrees) * self.spread
        return Interval(self.mean - half, self.mean + half, level, METHOD)

    def p_value(self) -> float:
        """Return the two-sided p-value 2 (1 - T(|mean| / spread)) of a true mean of 0, T with the same degrees.

        It is below 1 - level exactly when the interval of that level leaves out 0. Exactly 1 for a mean of 0, and for
        fewer than two clusters. A mean other than 0 without any spread gives 0, as an interval without width leaves out
        0 at every level: read it as "below any level", for nothing that varies was seen.
        """
        if self.spread is None or self.mean == 0:
            return 1.0
        if self.spread == 0:
            return 0.0
        return 2 * t_cdf(-abs(self.mean) / self.spread, self.degrees)

    def minimum_detectable_effect(self, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
        """Return the difference that such examples and seeds find with this power, (t_a/2 + t_b) times the spread.

        As `power.minimum_detectable_effect`, with the degrees of freedom of the interval. None without any spread.
        """
        return _reach(self.degrees, alpha, power) * self.spread if self.spread else None

    def examples_for(self, effect: float, *, alpha: float = ALPHA, power: float = POWER) -> int | None:
        """Return how many examples, clustered as these are, find `effect` with these seeds; None if no number does.

        The first n with (t_a/2 + t_b)^2 (V_questions n_0 / n + V_seeds) <= effect^2, the sample size formula of Miller
        2024 ("Adding error bars to evals") with a part that n does not divide: n_0 is the number of examples now, and
        V_questions n_0 = w^2 + s_A^2 / K_A + s_B^2 / K_B. As n grows, what is left is mostly the variance between few
        seeds, so t is taken for the degrees of freedom at that n: it grows, and may outrun the narrowing. None also
        for an effect of 0, or with fewer than two clusters.
        """
        if effect == 0 or self.spread is None:
            return None
        n = self._enough(effect, NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power))
        for _ in range(_STEPS):
            if n is None:
                break
            enough = self._enough(effect, _reach(self._degrees(self.n / n), alpha, power))
            if enough is not None and enough <= n:
                return n
            n = enough  # by the t at n, so any number below it is too small as well
        return None

    def _enough(self, effect: float, reach: float) -> int | None:
        """Return the first n at which `reach` standard errors are no more than the effect, by a fixed `reach`."""
        room = (effect / reach) ** 2 - self.seeds
        # Room for rounding, so that the detectable effect itself needs the examples there are and not one more.
        return max(2, math.ceil(self.n * self.questions / room * (1 - 1e-9))) if room > 0 else None

    def _degrees(self, share: float) -> float:
        """Return Satterthwaite's degrees of freedom with what questions give at `share`, their number now by another.

        Those of the questions where nothing varies at all.
        """
        questions = share * self.questions
        # How far an estimated component may be off hangs on all that was measured, also where the component came out 0.
        seeds = [(e.variance + share * e.interaction) ** 2 / (len(e.deviations) - 1) for e in self.effects]
        divisor = questions**2 / (self.n_clusters - 1) + sum(seeds)
        return max(1.0, (questions + self.seeds) ** 2 / divisor) if divisor > 0 else self.n_clusters - 1.0


def hierarchical_mean(
    sums: Floats, sizes: Floats, *, means: Floats, effects: Sequence[SeedEffects], shifts: Sequence[Floats]
) -> HierarchicalMean:
    """Return a mean, or difference, with its spread over questions and seeds.

    `sums` and `sizes`, shape (clusters,), are of the seed-averaged values, `means` their resampled means, `shifts` the
    drawn mean deviation of each arm with several seeds (negative for an arm that is taken away), all of shape
    (resamples,), and `effects` the arms' seed effects. Each resample thus draws clusters, and within each arm seeds.
    The spread is that of the resamples (that of the questions times sqrt(C / (C - 1))), and what is inferred goes by
    Student's t: a handful of seeds has no quantiles to speak of, and flipping the signs of questions would take the
    seeds for given. The degrees of freedom follow Satterthwaite 1946, with V = V_questions + sum V_seeds:
    V^2 / (V_questions^2 / (C - 1) + sum (V_seeds + V_interaction)^2 / (K - 1)), so two seeds that differ much give a
    wide interval.

    Few seeds say little of how much training varies; where their variance comes out small by chance, the interval is
    too narrow. Between two arms with seeds of their own false positives stay below 6 %; against an arm without any,
    where the luck of the seeds outweighs that of the questions, they are 12 % with two seeds, 8 % with three and 6 %
    with five (tests/benchmarks/statistics_simulation.py).

    Assumes that the seeds of two arms are independent, also where they are the same numbers: for two arms with the same
    adapters, whose luck is shared, the interval of the difference is then rather too wide and the p-value too large.
    """
    n_clusters, n = int(np.count_nonzero(sizes)), sizes.sum()
    # 1e-18 where the differences cancel, or a spread of 1e-17 about 0.1 throughout, is rounding and nothing else.
    mean = float(sums.sum() / n) if np.abs(sums.sum()) > 1e-12 * np.abs(sums).sum() else 0.0
    spread = None
    if n_clusters > 1:
        draws = math.sqrt(n_clusters / (n_clusters - 1)) * (means - mean)
        for shift in shifts:
            draws = draws + shift
        spread = float(np.nanstd(draws))
        spread = spread if spread > 1e-12 * abs(mean) else 0.0
    return HierarchicalMean(mean, spread, clustered_variance(sums, sizes), int(n), n_clusters, tuple(effects))


def _reach(degrees: float, alpha: float, power: float) -> float:
    return t_quantile(1 - alpha / 2, degrees) + t_quantile(power, degrees)
