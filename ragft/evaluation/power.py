"""How small a difference a number of examples can find, and how many examples a difference needs.

Sees numbers, cluster labels and contrasts; must not know what was measured. All formulas are the normal approximation
of a two-sided test on paired differences, n = (z_a/2 + z_b)^2 w^2 / d^2 with w^2 the variance of one difference. They
cover the choice of questions alone: a training seed that is better throughout moves every question together, and no
number of questions averages that out. Where an arm was trained with several seeds, `ragft.evaluation.training_seeds`
has the numbers that cover both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Literal, assert_never

import numpy as np
from numpy.typing import ArrayLike

from ragft.evaluation.resampling import Floats, cluster_totals, clustered_variance
from ragft.evaluation.student import t_quantile
from ragft.records import ContrastResult

ALPHA = 0.05
POWER = 0.80

SEEDED_TEST = "hierarchical_t"
"""The name of the test of a contrast with an arm of several training seeds."""

ScoreKind = Literal["binary", "graded"]

GRADED_SPREAD = 0.35
"""Assumed standard deviation of a paired difference of graded scores in [0, 1], for want of a measured one.

What scores of standard deviation 0.4 (token F1 of short answers, mostly near 0 or 1) and correlation 0.6 between two
arms give: 0.4 sqrt(2 (1 - 0.6)) = 0.36.
"""

WITHIN_CLUSTER = 0.2
"""Assumed correlation of paired differences within a cluster: an assumption, no more. At 0 clusters do not matter; at 1
only their number counts."""


def design_effect(values: ArrayLike, clusters: Sequence[str]) -> float:
    """Return how many times clustering enlarges the variance of the mean, at least 1.0 (Kish 1965).

    The linearised variance over clusters (`clustered_variance`) divided by the variance of a mean of N independent
    values. Exactly 1 when every cluster has one example. Held at 1 or above: a
    lower value is far more often chance than clusters that truly balance. 1.0 where it cannot be estimated.
    """
    numbers = np.asarray(values, dtype=np.float64)
    sums, sizes = cluster_totals(numbers, clusters)
    n, n_clusters = numbers.size, sums.size
    if n_clusters < 2 or n_clusters == n or np.ptp(numbers) == 0:
        return 1.0
    return max(1.0, clustered_variance(sums, sizes) / (float(numbers.var(ddof=1)) / n))


def minimum_detectable_effect(
    differences: ArrayLike,
    clusters: Sequence[str],
    *,
    alpha: float = ALPHA,
    power: float = POWER,
    exact_binary: bool = False,
) -> float | None:
    """Return the difference that as many examples as `differences` holds find with this power.

    (t_a/2 + t_b) w / sqrt(n), with w the measured standard deviation of the paired differences, times the root of the
    design effect, and t the quantiles for C - 1 degrees of freedom, as w is estimated from C clusters (Bloom 1995,
    Evaluation Review 19; the normal quantiles promise four points of power too much at 30). `exact_binary`: for an
    exact test of 0/1 scores, McNemar's or sign flips by cluster, which needs the discordant pairs to lie one pair
    further apart: + 1 / n (the continuity correction of Edwards 1948). With about ten clusters of unequal size the
    power is four points lower than said; with fewer than twenty discordant pairs any such number is rough. None with
    fewer than two clusters or with no spread at all: nothing is then known of w, and 0 would claim any effect is found.
    """
    variance = _variance_per_example(differences, clusters)
    if variance is None or variance == 0:
        return None
    degrees = len(set(clusters)) - 1
    reach = t_quantile(1 - alpha / 2, degrees) + t_quantile(power, degrees)
    return reach * math.sqrt(variance / len(clusters)) + exact_binary / len(clusters)


def n_needed(
    differences: ArrayLike,
    clusters: Sequence[str],
    *,
    alpha: float = ALPHA,
    power: float = POWER,
    exact_binary: bool = False,
) -> int | None:
    """Return how many examples, clustered as these are, would find the measured mean difference with this power.

    n = (z_a/2 + z_b)^2 w^2 / d^2, or with `exact_binary` (see `minimum_detectable_effect`) the n at which
    n d - 1 = (z_a/2 + z_b) w sqrt(n). None for a difference of 0, which no number of examples would find, and with
    fewer than two clusters. A measured difference is itself uncertain, so this is a rough guide and not a promise.
    """
    numbers = np.asarray(differences, dtype=np.float64)
    variance = _variance_per_example(numbers, clusters)
    effect = abs(float(numbers.mean())) if numbers.size else 0.0
    # Rounding can leave 1e-18 where the differences cancel; that is no difference.
    if variance is None or effect <= 1e-12 * float(np.abs(numbers).max()):
        return None
    spread = _z_sum(alpha, power) * math.sqrt(variance)
    if exact_binary:
        return max(2, math.ceil(((spread + math.sqrt(spread**2 + 4 * effect)) / (2 * effect)) ** 2))
    return max(2, math.ceil(spread**2 / effect**2))


def mde_binary(n: int, discordant: float = 0.20, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the difference of paired 0/1 scores that `n` independent examples find: the plan before a run.

    `discordant` is the share of examples on which exactly one of the two arms is right. A paired 0/1 difference with
    mean d then has the variance w^2 = discordant - d^2; put into the sample size formula of Miller 2024 ("Adding error
    bars to evals") and solved for d, with z = z_a/2 + z_b: d = sqrt(z^2 discordant / (n + z^2)). That gives 16.5, 12.1,
    8.7, 5.6, 3.9 points at n = 50, 100, 200, 500, 1000. Connor 1987 (Biometrics 43) puts the variance under the null,
    `discordant`, beside z_a/2 instead and gives 17.3 at n = 50 and the same from 500 on. No difference can exceed the
    discordant share: where d would, the share is taken to be d itself, which gives d = z^2 / (n + z^2).

    The power is that of the uncorrected test, of its mid-p value and of Tango's interval. The exact McNemar test is
    conservative and needs about 1 / n more (`minimum_detectable_effect` adds it); at this effect it has about 74 %
    power at n = 200, not 80 %. With few discordant pairs, say below 20, every such formula is rough.
    """
    if n < 1 or not 0 < discordant <= 1:
        raise ValueError(f"n = {n} must be positive and discordant = {discordant} within (0, 1]")
    z2 = _z_sum(alpha, power) ** 2
    effect = math.sqrt(z2 * discordant / (n + z2))
    return effect if effect <= discordant else z2 / (n + z2)


def examples_to_decide(
    contrast: ContrastResult, margin: float, *, finds: Callable[[float], int | None] | None = None
) -> int | None:
    """Return about how many examples would decide the contrast, if the measured difference is the true one.

    The lesser of two ways: to show that there is a difference (`n_needed`), or that it is at most `margin`, which
    needs the precision to find margin - difference: `finds` says how many examples find an effect, by default
    n (mde / effect)^2, from n = z^2 w^2 / d^2. That does not hold for a contrast of several training seeds, part of
    whose variance no question reduces; without `finds`, what such a contrast says in `n_more` is the answer, or else
    its `n_needed`. None where neither way is known.
    """
    if contrast.test == SEEDED_TEST and finds is None:
        return contrast.n + contrast.n_more if contrast.n_more else contrast.n_needed
    ways = [contrast.n_needed]
    mde, room = contrast.minimum_detectable_effect, margin - (contrast.difference or 0.0)
    if mde is not None and contrast.difference is not None and room > 0:
        ways.append(finds(room) if finds is not None else math.ceil(contrast.n * (mde / room) ** 2))
    return min((way for way in ways if way is not None), default=None)


def examples_more(
    contrast: ContrastResult, margin: float, *, finds: Callable[[float], int | None] | None = None
) -> int | None:
    """Return about how many more examples would decide the contrast: 0 if it is decided, None if that is unknown.

    Decided, as the verdict has it, with the better arm first: the interval lies above 0 (a difference) or ends at or
    below `margin` (none that matters); where the arms are equal it must do so either way round. Otherwise
    `examples_to_decide` less what there is. None also where by that number it should be decided already: what leaves it
    open is then too few clusters, which more examples like these do not mend.
    """
    interval, difference = contrast.interval, contrast.difference
    if interval is None or difference is None:
        return None
    low, high = (interval.low, interval.high) if difference >= 0 else (-interval.high, -interval.low)
    if low > 0 or (high <= margin and (difference != 0 or -low <= margin)):
        return 0
    enough = examples_to_decide(replace(contrast, difference=abs(difference)), margin, finds=finds)
    return enough - contrast.n if enough is not None and enough > contrast.n else None


def planned_mde(
    n_examples: int,
    n_clusters: int,
    kind: ScoreKind,
    *,
    spread: float = GRADED_SPREAD,
    discordant: float = 0.20,
    within_cluster: float = WITHIN_CLUSTER,
) -> float:
    """Return the difference that an evaluation of this size should find with 80 % power, before anything is run.

    "binary": `mde_binary` with the `discordant` share; "graded": z w / sqrt(n) with w = `spread`. Either for
    n / (1 + (n / C - 1) r) independent examples, where r = `within_cluster` is the correlation within the C clusters
    (Kish 1965, for clusters of one size). Three assumed numbers go in, so this is a plan and no promise:
    `minimum_detectable_effect` measures after the run. ValueError unless 1 <= clusters <= examples and 0 <= r <= 1.
    """
    if not 1 <= n_clusters <= n_examples or not 0 <= within_cluster <= 1:
        raise ValueError(f"{n_clusters} clusters of {n_examples} examples, correlation {within_cluster}")
    independent = n_examples / (1 + (n_examples / n_clusters - 1) * within_cluster)
    match kind:
        case "binary":
            return mde_binary(max(1, int(independent)), discordant)
        case "graded":
            return _z_sum(ALPHA, POWER) * spread / math.sqrt(independent)
        case _:
            assert_never(kind)


def variance_components(first: Floats, second: Floats) -> tuple[float, float, float]:
    """Return (w^2, s_A^2, s_B^2) from the scores of two arms, shapes (examples, K_A) and (examples, K_B).

    s^2 is the mean over examples of the variance between the K answers of an arm; w^2 is the variance of the paired
    differences of means less s_A^2 / K_A and s_B^2 / K_B, at least 0: what remains with answers without end. An arm
    with one answer per example has s^2 = 0 here, and what it really is stays in w^2. ValueError unless the examples are
    the same number, two or more.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"{len(first)} and {len(second)} examples; the same number is needed, two or more")
    within = [float(arm.var(axis=1, ddof=1).mean()) if arm.shape[1] > 1 else 0.0 for arm in (first, second)]
    observed = float((first.mean(axis=1) - second.mean(axis=1)).var(ddof=1))
    between = observed - within[0] / first.shape[1] - within[1] / second.shape[1]
    return max(0.0, between), within[0], within[1]


def examples_for(
    effect: float,
    components: tuple[float, float, float],
    answers: tuple[int, int] = (1, 1),
    *,
    alpha: float = ALPHA,
    power: float = POWER,
) -> int:
    """Return how many independent examples find `effect` with K = `answers` of each arm per example.

    n = (z_a/2 + z_b)^2 (w^2 + s_A^2 / K_A + s_B^2 / K_B) / d^2 (Miller 2024, "Adding error bars to evals") with
    (w^2, s_A^2, s_B^2) = `components`, as `variance_components` measures them. More answers shrink only what chance
    gives within an example. ValueError for an effect of 0 or fewer than one answer.
    """
    if effect == 0 or min(answers) < 1:
        raise ValueError(f"effect {effect} must not be 0, answers {answers} at least 1")
    between, first, second = components
    variance = between + first / answers[0] + second / answers[1]
    return max(2, math.ceil(_z_sum(alpha, power) ** 2 * variance / effect**2))


def _z_sum(alpha: float, power: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)


def _variance_per_example(differences: ArrayLike, clusters: Sequence[str]) -> float | None:
    numbers = np.asarray(differences, dtype=np.float64)
    if len(set(clusters)) < 2:
        return None
    if np.ptp(numbers) == 0:  # var() of equal numbers such as 0.1 can come out as 1e-34
        return 0.0
    return float(numbers.var(ddof=1)) * design_effect(numbers, clusters)
