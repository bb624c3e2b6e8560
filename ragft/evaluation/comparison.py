"""The comparison of arms: every mean with its interval, every contrast with its test, and what they do not cover.

Sees scores and cluster ids. Pairs by example id, never by position. Must not know what an arm is made of, nor which
arm should win (`ragft.verdict` decides that).
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ragft.errors import NotComparableError, RagftError
from ragft.evaluation.comparison_notes import comparison_notes
from ragft.evaluation.intervals import (
    BootstrapMethod,
    are_singletons,
    count_discordant,
    difference_interval,
    mean_interval,
)
from ragft.evaluation.metrics import is_binary
from ragft.evaluation.power import SEEDED_TEST, examples_more, minimum_detectable_effect, n_needed
from ragft.evaluation.prompt_spread import over_prompts, prompt_means, prompt_notes
from ragft.evaluation.resampling import Floats, resampled_means
from ragft.evaluation.score_table import ScoreTable, Series
from ragft.evaluation.significance import holm, mcnemar, sign_flip
from ragft.evaluation.training_seeds import HierarchicalMean, hierarchical_mean, seed_effects
from ragft.records import ContrastResult, Estimate, Interval, Score


@dataclass(frozen=True, slots=True)
class Comparison:
    """All means and contrasts of one experiment.

    `estimates` has one entry per arm and metric, also where nothing could be scored. `contrasts` holds, in this order:
    the declared pairs on the primary metric (Holm-adjusted), the exploratory pairs on it, the declared pairs on the
    other metrics (secondary: declared, but `p_adjusted` is None; none where one of the two arms has no score).
    `n_examples` and `n_clusters` count what has a primary score in at least one arm; every contrast has its own n.
    `notes` are plain sentences on what the numbers do not cover.
    """

    primary_metric: str
    estimates: tuple[Estimate, ...]
    contrasts: tuple[ContrastResult, ...]
    n_examples: int
    n_clusters: int
    level: float
    resamples: int
    notes: tuple[str, ...]


def compare_arms(
    scores: Sequence[Score],
    *,
    clusters: Mapping[str, str],
    arms: Sequence[str],
    metrics: Sequence[str],
    primary_metric: str,
    declared: Sequence[tuple[str, str]],
    resamples: int,
    level: float,
    seed: int,
    training_seeds: int = 1,
    min_examples: int = 10,
    method: BootstrapMethod = "percentile",
    margin: float = 0.0,
) -> Comparison:
    """Return the comparison of `arms` on `metrics`; scores of other arms and metrics are passed over.

    `clusters` maps example id to cluster id (the source document, or the example itself); `declared` are the pairs
    named before the run. All resamples of clusters are drawn once, from `seed` and the number of clusters in
    `clusters`, and serve every arm, metric and contrast: neither the order of the scores nor another arm moves a
    number.

    An arm may have several scores on one example and metric if their training seeds differ. Its values are then
    averages over seeds on the examples that all of its seeds have. Its intervals, and the tests and detectable effects
    of its contrasts, cover the choice of questions and of seeds (`hierarchical_mean`; `method` is for the others).
    Where an arm was asked with several prompts, its values are averages over them (`over_prompts`), and its estimates
    hold the mean by prompt.
    `training_seeds` speaks of scores that name no seed: 0 for no adapter at all, 1 for adapters trained once.
    `margin` is the difference that makes no practical difference, in the unit of each metric; `n_more` counts by it.

    NotComparableError: no arms, an arm without primary scores, or fewer than `min_examples` paired examples between two
    arms on the primary metric. DataError: an arm scored twice on one example with one seed and prompt, seeds or prompts
    on some of its scores only, a value that is not a finite number, an example without a cluster. RagftError: a
    declared pair of unknown arms or named twice, a primary metric not in `metrics`.
    """
    _check_request(arms, metrics, primary_metric, declared)
    wanted = [score for score in scores if score.arm in arms and score.metric in metrics]
    table = ScoreTable.of(over_prompts(wanted), clusters, arms, metrics)
    _check_comparable(table, arms, primary_metric, max(1, min_examples))
    settings = _Settings(resamples, level, seed, method, margin)

    named = {frozenset(pair) for pair in declared}
    other = [pair for pair in itertools.combinations(arms, 2) if frozenset(pair) not in named]
    secondary = [
        (pair, metric)
        for metric, pair in itertools.product(metrics, declared)
        if metric != primary_metric and table.shared(pair, metric)[0].ids
    ]
    asked = [*((pair, primary_metric) for pair in (*declared, *other)), *secondary]
    estimates, found = _measure(table, list(itertools.product(arms, metrics)), asked, settings)
    contrasts = [replace(one, declared=frozenset((one.first, one.second)) in named) for one in found]
    by_prompt = prompt_means(wanted, arms, metrics)

    used = sorted({id for arm in arms for id in table.series[arm, primary_metric].ids})
    n_clusters = len(set(table.cluster_names(used)))
    return Comparison(
        primary_metric=primary_metric,
        estimates=tuple(replace(one, prompt_means=by_prompt.get((one.arm, one.metric), ())) for one in estimates),
        contrasts=(*_adjusted(contrasts[: len(declared)]), *contrasts[len(declared) :]),
        n_examples=len(used),
        n_clusters=n_clusters,
        level=level,
        resamples=resamples,
        notes=(
            *comparison_notes(
                table, estimates, primary_metric, (len(used), n_clusters), (len(declared), len(other)), training_seeds
            ),
            *prompt_notes(by_prompt, primary_metric),
        ),
    )


def estimate_metric(
    scores: Sequence[Score],
    *,
    arm: str,
    metric: str,
    clusters: Mapping[str, str],
    resamples: int,
    level: float,
    seed: int,
) -> Estimate:
    """Return the mean of one metric of one arm with its interval, as `compare_arms` gives it.

    For scores that are not compared between arms, such as those of a retriever.
    """
    wanted = [score for score in scores if (score.arm, score.metric) == (arm, metric)]
    table = ScoreTable.of(over_prompts(wanted), clusters, [arm], [metric])
    estimates, _ = _measure(table, [(arm, metric)], [], _Settings(resamples, level, seed, "percentile", 0.0))
    return estimates[0]


def measure_cells(
    scores: Sequence[Score],
    *,
    clusters: Mapping[str, str],
    arms: Sequence[str],
    metric: str,
    pairs: Sequence[tuple[str, str]],
    resamples: int,
    level: float,
    seed: int,
    margin: float = 0.0,
) -> tuple[list[Estimate], list[ContrastResult]]:
    """Return the mean of each arm, and the contrast of each pair that shares an example, all from one draw of clusters.

    As `compare_arms` measures them, for what is no comparison of an experiment: no arm has to be comparable, contrasts
    are exploratory, and an "arm" may be one arm in one condition.
    """
    table = ScoreTable.of(over_prompts(scores), clusters, arms, [metric])
    asked = [(pair, metric) for pair in pairs if table.shared(pair, metric)[0].ids]
    return _measure(
        table, [(arm, metric) for arm in arms], asked, _Settings(resamples, level, seed, "percentile", margin)
    )


@dataclass(frozen=True, slots=True)
class _Settings:
    """How every interval and test of one comparison is made."""

    resamples: int
    level: float
    seed: int
    method: BootstrapMethod
    margin: float

    def generator(self, *parts: str) -> np.random.Generator:
        """Return the generator that belongs to `parts` alone (by hash: the built-in hash() differs by process)."""
        digest = hashlib.sha256(json.dumps([self.seed, *parts]).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A mean to be resampled: of one arm's values, or of the differences of two arms on the examples they share.

    `values` has the shape (examples,), `sums` and `sizes` (clusters,) over all clusters of the comparison.
    """

    arms: tuple[str, ...]
    metric: str
    parts: tuple[Series, ...]
    values: Floats
    clusters: list[str]
    sums: Floats
    sizes: Floats

    @classmethod
    def of(cls, table: ScoreTable, arms: tuple[str, ...], metric: str, parts: tuple[Series, ...]) -> _Quantity:
        """Return the quantity of one series, or of the first less the second."""
        values = parts[0].values if len(parts) == 1 else parts[0].values - parts[1].values
        ids = parts[0].ids
        return cls(arms, metric, parts, values, table.cluster_names(ids), *table.totals(values, ids))

    @property
    def binary(self) -> bool:
        """Return whether the 0/1 methods hold: not for averages over seeds, even where all of them are 0 or 1."""
        return not self.several and all(_only_binary(self.metric, part.values) for part in self.parts)

    @property
    def several(self) -> bool:
        """Return whether an arm in it was trained with several seeds."""
        return any(part.several for part in self.parts)


def _measure(
    table: ScoreTable,
    cells: Sequence[tuple[str, str]],
    pairs: Sequence[tuple[tuple[str, str], str]],
    settings: _Settings,
) -> tuple[list[Estimate], list[ContrastResult]]:
    """Return an estimate for every (arm, metric) and a contrast for every (pair, metric), from one draw of clusters."""
    means = [_Quantity.of(table, (arm,), metric, (table.series[arm, metric],)) for arm, metric in cells]
    differences = [_Quantity.of(table, pair, metric, table.shared(pair, metric)) for pair, metric in pairs]
    every = [*means, *differences]
    sums, sizes = (np.stack(columns, axis=1) for columns in ([q.sums for q in every], [q.sizes for q in every]))
    drawn = resampled_means(sums, sizes, settings.resamples, settings.generator("clusters"))
    flips = sign_flip(sums[:, len(means) :], rng=settings.generator("coins"), resamples=settings.resamples)
    n = len(means)
    return (
        [_estimate(table, quantity, drawn[:, i], settings) for i, quantity in enumerate(means)],
        [
            _contrast(table, quantity, drawn[:, n + i], p_value, settings)
            for i, (quantity, p_value) in enumerate(zip(differences, flips, strict=True))
        ],
    )


def _check_request(
    arms: Sequence[str], metrics: Sequence[str], primary_metric: str, declared: Sequence[tuple[str, str]]
) -> None:
    if not arms:
        raise NotComparableError("there are no arms to compare", "name at least two arms")
    if len(set(arms)) != len(arms):
        raise RagftError(f"an arm is named twice: {', '.join(arms)}")
    if primary_metric not in metrics:
        raise RagftError(f"the primary metric {primary_metric!r} is not measured", f"measured: {', '.join(metrics)}")
    pairs = [frozenset(pair) for pair in declared]
    for pair, names in zip(declared, pairs, strict=True):
        if len(names) != 2 or not names <= set(arms):
            raise RagftError(f"contrast {pair[0]!r} against {pair[1]!r}: not two of the arms", _known(arms))
        if pairs.count(names) > 1:
            raise RagftError(f"contrast {pair[0]!r} against {pair[1]!r} is declared twice", "declare each pair once")


def _known(arms: Sequence[str]) -> str:
    return f"arms: {', '.join(arms)}"


def _check_comparable(table: ScoreTable, arms: Sequence[str], metric: str, min_examples: int) -> None:
    for arm in arms:
        n, unscored = len(table.series[arm, metric].ids), table.series[arm, metric].n_unscored
        if n == 0:
            raise NotComparableError(
                f"arm {arm!r} has no score on the primary metric {metric!r} ({unscored} unscored)",
                f"drop arm {arm!r}, or choose a primary metric that is defined for every arm",
            )
        if n < min_examples:
            raise NotComparableError(_too_few(f"arm {arm!r} has", n, metric, min_examples), "give more eval examples")
    for first, second in itertools.combinations(arms, 2):
        n = len(table.shared((first, second), metric)[0].ids)
        if n < min_examples:
            who = f"arms {first!r} and {second!r} share"
            raise NotComparableError(_too_few(who, n, metric, min_examples), "score both on the same eval examples")


def _too_few(who: str, n: int, metric: str, min_examples: int) -> str:
    return f"{who} {n} examples scored on {metric!r}; at least {min_examples} are needed"


def _estimate(table: ScoreTable, quantity: _Quantity, means: Floats, settings: _Settings) -> Estimate:
    (series,) = quantity.parts
    return Estimate(
        arm=quantity.arms[0],
        metric=quantity.metric,
        mean=float(series.values.mean()) if series.ids else None,
        n=len(series.ids),
        n_unscored=series.n_unscored,
        interval=_interval(table, quantity, means, settings),
        seed_means=tuple(series.by_seed.mean(axis=0).tolist()) if series.several and series.ids else (),
    )


def _interval(table: ScoreTable, quantity: _Quantity, means: Floats, settings: _Settings) -> Interval | None:
    if quantity.several and quantity.clusters:
        return _over_seeds(table, quantity, means, settings).interval(settings.level)
    kind = mean_interval if len(quantity.parts) == 1 else difference_interval
    return kind(
        quantity.values,
        quantity.clusters,
        binary=quantity.binary,
        means=means,
        level=settings.level,
        method=settings.method,
    )


def _over_seeds(table: ScoreTable, quantity: _Quantity, means: Floats, settings: _Settings) -> HierarchicalMean:
    """Return the quantity over questions and seeds; each arm draws its seeds from a generator of its own."""
    codes = table.codes(quantity.parts[0].ids)
    effects, shifts = [], []
    for arm, part, sign in zip(quantity.arms, quantity.parts, (1.0, -1.0), strict=False):
        if part.several:
            effect = seed_effects(part.by_seed, codes, len(table.labels))
            effects.append(effect)
            shifts.append(sign * effect.shifts(settings.resamples, settings.generator("seeds", arm)))
    return hierarchical_mean(quantity.sums, quantity.sizes, means=means, effects=effects, shifts=shifts)


def _contrast(
    table: ScoreTable, quantity: _Quantity, means: Floats, flip: float, settings: _Settings
) -> ContrastResult:
    """Return the contrast, not yet adjusted or declared; there must be paired examples."""
    (first, second), differences, clusters = quantity.arms, quantity.values, quantity.clusters
    if quantity.several:
        return _seeds_contrast(quantity, _over_seeds(table, quantity, means, settings), settings)
    exact = quantity.binary and are_singletons(clusters)
    discordant = count_discordant(differences)
    contrast = ContrastResult(
        first=first,
        second=second,
        metric=quantity.metric,
        difference=float(differences.mean()),
        interval=_interval(table, quantity, means, settings),
        n=len(clusters),
        test="mcnemar_exact" if exact else "sign_flip",
        p_value=mcnemar(*discordant) if exact else flip,
        p_adjusted=None,
        minimum_detectable_effect=minimum_detectable_effect(differences, clusters, exact_binary=quantity.binary),
        n_needed=n_needed(differences, clusters, exact_binary=quantity.binary),
        declared=False,
        p_mid=mcnemar(*discordant, mid_p=True) if exact else None,
    )
    return replace(contrast, n_more=examples_more(contrast, settings.margin))


def _seeds_contrast(quantity: _Quantity, found: HierarchicalMean, settings: _Settings) -> ContrastResult:
    """Return the contrast of arms of which one at least has several seeds: all its numbers come from one spread."""
    contrast = ContrastResult(
        first=quantity.arms[0],
        second=quantity.arms[1],
        metric=quantity.metric,
        difference=found.mean,
        interval=found.interval(settings.level),
        n=found.n,
        test=SEEDED_TEST,
        p_value=found.p_value(),
        p_adjusted=None,
        minimum_detectable_effect=found.minimum_detectable_effect(),
        n_needed=found.examples_for(found.mean),
        declared=False,
    )
    return replace(contrast, n_more=examples_more(contrast, settings.margin, finds=found.examples_for))


def _only_binary(metric: str, values: Floats) -> bool:
    """Return whether the 0/1 methods hold: a metric may be binary and its values means over several runs."""
    return is_binary(metric) and bool(np.isin(values, (0.0, 1.0)).all())


def _adjusted(contrasts: Sequence[ContrastResult]) -> list[ContrastResult]:
    adjusted = holm([contrast.p_value for contrast in contrasts if contrast.p_value is not None])
    return [replace(contrast, p_adjusted=p) for contrast, p in zip(contrasts, adjusted, strict=True)]


def comparison_from_dict(data: Mapping[str, Any]) -> Comparison:
    """Return the comparison that `dataclasses.asdict` and JSON turned into `data`.

    Fields that runs of older versions lack get their defaults.
    """
    estimates = tuple(_read_estimate(item) for item in data["estimates"])
    contrasts = tuple(
        ContrastResult(**{**item, "interval": _read_interval(item["interval"])}) for item in data["contrasts"]
    )
    return Comparison(**{**data, "estimates": estimates, "contrasts": contrasts, "notes": tuple(data["notes"])})


def _read_estimate(data: Mapping[str, Any]) -> Estimate:
    means = {
        "seed_means": tuple(data.get("seed_means", ())),
        "prompt_means": tuple((prompt, mean) for prompt, mean in data.get("prompt_means", ())),
    }
    return Estimate(**{**data, **means, "interval": _read_interval(data["interval"])})


def _read_interval(data: Mapping[str, Any] | None) -> Interval | None:
    return Interval(**data) if data is not None else None
