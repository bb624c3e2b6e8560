"""How far two raters of the same answers agree: Cohen's kappa, with an interval that minds which answers go together.

Sees verdicts and cluster labels; must not know who the raters are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragft.evaluation.intervals import wilson_interval
from ragft.evaluation.resampling import Floats, cluster_totals, resampled_means
from ragft.records import Interval


@dataclass(frozen=True, slots=True)
class Sampling:
    """How intervals are made: bootstrap resamples, level such as 0.95, seed of the draws."""

    resamples: int
    level: float
    seed: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a judge and people agree on the `n` answers that both have judged.

    `agreement` is the share on which they say the same. `kappa` is None where it is undefined: both said one and the
    same thing of every answer. The counts are of answers by what people say and what the judge says.
    """

    n: int
    agreement: float
    kappa: float | None
    interval: Interval | None
    both_yes: int
    only_people_yes: int
    only_judge_yes: int
    both_no: int

    @property
    def one_sided(self) -> bool:
        """Whether people gave every answer the same label, so that no judge could show that it tells them apart."""
        return not (self.both_yes + self.only_people_yes) or not (self.only_judge_yes + self.both_no)


def agreement_of(
    people: Sequence[bool], judge: Sequence[bool], clusters: Sequence[str], sampling: Sampling
) -> Agreement | None:
    """Return the agreement of two raters, answer by answer, with the interval of kappa; None of no answers.

    Answers of one cluster are drawn together, so one question that several arms were asked is one piece of evidence.
    """
    if not people:
        return None
    cells = np.array([_cell(*pair) for pair in zip(people, judge, strict=True)], dtype=np.float64)
    both_yes, people_yes, judge_yes, both_no = (int(count) for count in cells.sum(axis=0))
    shares = cells.mean(axis=0)
    kappa = float(_kappas(shares[None, :])[0])
    return Agreement(
        n=len(cells),
        agreement=float(shares[0] + shares[3]),
        kappa=None if np.isnan(kappa) else kappa,
        interval=None if np.isnan(kappa) else _kappa_interval(cells, clusters, sampling),
        both_yes=both_yes,
        only_people_yes=people_yes,
        only_judge_yes=judge_yes,
        both_no=both_no,
    )


def _cell(people: bool, judge: bool) -> tuple[bool, bool, bool, bool]:
    return people and judge, people and not judge, judge and not people, not people and not judge


def _kappas(shares: Floats) -> Floats:
    """Return Cohen's kappa (Cohen 1960) of tables of shares, shape (tables, 4); nan where it is undefined.

    kappa = (p_o - p_e) / (1 - p_e): p_o is the share of agreement, p_e that which two raters with these habits would
    reach by chance. It is undefined where p_e is 1.
    """
    both_yes, people_yes, judge_yes, both_no = shares.T
    observed = both_yes + both_no
    chance = (both_yes + people_yes) * (both_yes + judge_yes) + (both_no + people_yes) * (both_no + judge_yes)
    possible = np.where(1 - chance > 1e-12, 1 - chance, np.nan)
    found: Floats = (observed - chance) / possible
    return found


def _kappa_interval(cells: Floats, clusters: Sequence[str], sampling: Sampling) -> Interval | None:
    """Return the percentile interval of kappa over resampled clusters; None with fewer than two clusters.

    Where raters agree on everything every resample has kappa 1, and so has a sample of five. The interval is then that
    of the share of agreement (Wilson, by the number of clusters), carried through the formula at the chance agreement
    that was found. Resamples in which kappa is undefined are passed over.
    """
    totals = [cluster_totals(column, clusters) for column in cells.T]
    sums, sizes = (np.stack(columns, axis=1) for columns in zip(*totals, strict=True))
    if len(sums) < 2:
        return None
    shares = cells.mean(axis=0)
    if shares[0] + shares[3] == 1:
        chance = (shares[0] ** 2) + (shares[3] ** 2)
        low = wilson_interval(len(sums), len(sums), sampling.level).low
        return Interval(float((low - chance) / (1 - chance)), 1.0, sampling.level, "wilson")
    drawn = _kappas(resampled_means(sums, sizes, sampling.resamples, np.random.default_rng(sampling.seed)))
    known, tail = drawn[~np.isnan(drawn)], (1 - sampling.level) / 2
    if not known.size:
        return None
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(float(low), float(high), sampling.level, "cluster bootstrap (percentile)")
