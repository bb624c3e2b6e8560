"""Plain sentences on what the numbers of a comparison do not cover.

Sees the score table and the estimates; computes nothing but counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragft.evaluation.metrics import judges_some
from ragft.evaluation.score_table import ScoreTable
from ragft.records import Estimate

FEW_CLUSTERS = 20
"""Below this many clusters a cluster bootstrap is known to give intervals that are too narrow."""

FEW_SEEDS = 5
"""Below this many training seeds the t distribution no longer makes up for how little they say of their variance."""


def comparison_notes(
    table: ScoreTable,
    estimates: Sequence[Estimate],
    metric: str,
    size: tuple[int, int],
    n_contrasts: tuple[int, int],
    training_seeds: int,
) -> tuple[str, ...]:
    """Return the notes; `metric` is the primary one, `size` (examples, clusters), `n_contrasts` (declared, others)."""
    return (
        *_seed_notes(table, metric, training_seeds),
        *_design_notes(*size, *n_contrasts),
        *_data_notes(table, estimates, metric, size[0]),
    )


def _seed_notes(table: ScoreTable, metric: str, training_seeds: int) -> list[str]:
    named = {arm: series for (arm, of), series in table.series.items() if of == metric and series.seeds}
    several = [
        f"{arm} ({', '.join(str(seed) for seed in series.seeds)})" for arm, series in named.items() if series.several
    ]
    once = [arm for arm, series in named.items() if not series.several]
    if not several:
        alone = (
            "Every adapter was trained once: the intervals cover the choice of questions, not the chance of training."
        )
        return [alone] if training_seeds == 1 or once else []
    notes = [
        f"Trained with several seeds: {', '.join(several)}. Their intervals, p-values and minimum detectable effects "
        "cover the choice of questions and the chance of training."
    ]
    if once:
        notes.append(
            f"Trained once: {', '.join(once)}. Their part in intervals and p-values covers the choice of questions, "
            "not the chance of training."
        )
    few = [arm for arm, series in named.items() if 1 < len(series.seeds) < FEW_SEEDS]
    if few:
        notes.append(
            f"Fewer than {FEW_SEEDS} training seeds ({', '.join(few)}) say little of how much training varies. Against "
            "an arm without seeds, p-values below 0.05 can then come up without any difference in up to 12 % of cases "
            "with two seeds and 8 % with three, not in 5 %."
        )
    return notes


def _design_notes(n: int, n_clusters: int, n_declared: int, n_exploratory: int) -> list[str]:
    notes = []
    if n_clusters < n:
        notes.append(f"{n} examples stand in {n_clusters} clusters, which are resampled whole.")
    if n_clusters < FEW_CLUSTERS:
        notes.append(f"With {n_clusters} clusters (fewer than {FEW_CLUSTERS}) intervals may be too narrow.")
    if n_exploratory:
        notes.append(
            f"{n_exploratory} of {n_declared + n_exploratory} contrasts were not declared before the run: they are "
            "exploratory, and their p-values are not adjusted."
        )
    return notes


def _data_notes(table: ScoreTable, estimates: Sequence[Estimate], metric: str, n: int) -> list[str]:
    """Return what is missing, primary metric or not: a mean over fewer examples must not pass for a mean over all."""
    notes = _unscored_notes([e for e in estimates if e.metric == metric or not judges_some(e.metric)])
    notes += [
        f"{arm}: {series.n_partial} examples have a {of} score with some training seeds only and are left out."
        for (arm, of), series in table.series.items()
        if series.n_partial
    ]
    uneven = [e.arm for e in estimates if e.metric == metric and e.n < n]
    if uneven:
        notes.append(
            f"Not every arm has a {metric} score on all {n} examples ({', '.join(uneven)}): contrasts use the examples "
            "that both arms have, so a difference may not equal the difference of the two means shown."
        )
    return notes


def _unscored_notes(estimates: Sequence[Estimate]) -> list[str]:
    found: dict[str, list[str]] = {}
    for e in estimates:
        if e.n_unscored:
            found.setdefault(e.metric, []).append(f"{e.arm} {e.n_unscored} of {e.n + e.n_unscored}")
    return [f"Answers that could not be scored on {metric}: {', '.join(arms)}." for metric, arms in found.items()]
