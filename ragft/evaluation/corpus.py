"""Metrics of all answers of an arm taken together: corpus BLEU, corpus chrF and macro F1, each with an interval.

They are no means of values of single answers, so whole clusters of examples are drawn again and the metric is computed
anew from the sums of what each example contributes. Sees answers, examples and cluster ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol, TypeVar

import numpy as np

from ragft.errors import DataError, RagftError
from ragft.evaluation.resampling import Floats, resampled_means
from ragft.evaluation.sacre import bleu_scorer, chrf_scorer
from ragft.evaluation.scripts import bleu_tokenizer, composed
from ragft.evaluation.student import t_quantile
from ragft.records import Answer, Estimate, Example, Interval

CORPUS_METRICS = ("corpus_bleu", "corpus_chrf", "macro_f1")
"""The metrics of this module; their `signature`, where sacrebleu computes them, is in `sacre`."""

CORPUS_METRIC_VERSION = 1
"""Rises whenever a change could move a value of one of them."""

_BLEU_ORDER, _CHRF_BETA = 4, 2

_Name = TypeVar("_Name", int | None, str | None)
_System = tuple[int | None, str | None]  # training seed and prompt


class _Corpus(Protocol):
    """A corpus metric as a function of sums over examples."""

    def statistics(self, text: str, references: Sequence[str]) -> list[int]:
        """Return the counts that one answer contributes."""

    def values(self, sums: Floats, whole: Floats) -> Floats:
        """Return the metric, shape (...,), of sums of shape (..., counts); `whole` are those of all examples."""


def corpus_estimates(
    answers: Sequence[Answer],
    examples: Mapping[str, Example],
    clusters: Mapping[str, str],
    *,
    metrics: Sequence[str],
    labels: Sequence[str],
    resamples: int,
    level: float,
    seed: int,
) -> list[Estimate]:
    """Return one estimate per arm and corpus metric, arms in the order of their answers.

    `clusters` maps example id to cluster id; `labels` are those of macro_f1, the references' own when empty. The
    interval takes percentiles of the metric over `resamples` draws of whole clusters, moved outwards as those of means
    are (`intervals.bootstrap_interval`), so that few clusters do not give too narrow a one. An arm with several
    training seeds or prompts gets the mean of their values, each over the same examples and in the same draws: the
    interval covers the choice of questions, not the chance of training or of wording, and its `method` says so.

    Not judged, and counted in `n_unscored`: an answer that could not be got, in any seed or prompt, and an example
    without references. RagftError for an unknown metric, DataError for an answer to no example, two answers of one arm
    to one example with the same seed and prompt, or an example without a cluster.
    """
    judges = {metric: _corpus(metric, answers, examples, labels) for metric in metrics}
    estimates = []
    for arm, systems in _by_arm(answers, examples).items():
        for metric, judge in judges.items():
            counts, n_unscored = _counts(judge, systems, examples)
            found = _Measured.of(judge, counts, clusters, resamples, np.random.default_rng(seed))
            estimates.append(found.estimate(arm, metric, list(systems), n_unscored, level))
    return estimates


def _corpus(metric: str, answers: Sequence[Answer], examples: Mapping[str, Example], labels: Sequence[str]) -> _Corpus:
    asked = dict.fromkeys(answer.example_id for answer in answers)
    references = [examples[id].references for id in asked if id in examples and examples[id].references]
    match metric:
        case "corpus_bleu":
            return _Bleu(bleu_tokenizer(references))
        case "corpus_chrf":
            return _Chrf()
        case "macro_f1":
            return _MacroF1(tuple(dict.fromkeys(_label(one) for one in labels or (r[0] for r in references))))
        case _:
            raise RagftError(f"unknown corpus metric {metric!r}", f"known corpus metrics: {', '.join(CORPUS_METRICS)}")


def _by_arm(answers: Iterable[Answer], examples: Mapping[str, Example]) -> dict[str, dict[_System, dict[str, Answer]]]:
    found: dict[str, dict[_System, dict[str, Answer]]] = {}
    for answer in answers:
        where = f"arm {answer.arm!r}, example {answer.example_id!r}"
        if answer.example_id not in examples:
            raise DataError(f"{where}: not among the examples", "answer the current examples again")
        given = found.setdefault(answer.arm, {}).setdefault((answer.seed, answer.prompt), {})
        if answer.example_id in given:
            raise DataError(f"{where}: answered twice with the same seed and prompt", "answer the examples again")
        given[answer.example_id] = answer
    return found


def _counts(
    judge: _Corpus, systems: Mapping[_System, Mapping[str, Answer]], examples: Mapping[str, Example]
) -> tuple[dict[str, list[list[int]]], int]:
    """Return the counts by example and system, of the examples that all systems have, and how many they have not."""
    asked = dict.fromkeys(id for given in systems.values() for id in given)
    counts = {}
    for id in asked:
        got = [given[id] for given in systems.values() if id in given and given[id].error is None]
        references = examples[id].references
        if references and len(got) == len(systems):
            counts[id] = [judge.statistics(answer.text, references) for answer in got]
    return counts, len(asked) - len(counts)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A corpus metric of one arm: `values` by system, `drawn` their means in resamples (empty with one cluster)."""

    values: Floats
    drawn: Floats
    n: int
    n_clusters: int

    @classmethod
    def of(
        cls,
        judge: _Corpus,
        counts: Mapping[str, list[list[int]]],
        clusters: Mapping[str, str],
        resamples: int,
        rng: np.random.Generator,
    ) -> _Measured:
        """Return the metric of counts by example and system, and of draws of whole clusters."""
        if not counts:
            return cls(np.empty(0), np.empty(0), 0, 0)
        stack = np.array(list(counts.values()), dtype=np.float64)  # (examples, systems, counts)
        codes, n_clusters = _codes(list(counts), clusters)
        sums = np.zeros((n_clusters, *stack.shape[1:]))
        np.add.at(sums, codes, stack)
        whole = sums.sum(axis=0)
        values = judge.values(whole, whole)
        if n_clusters < 2:
            return cls(values, np.empty(0), len(counts), n_clusters)
        # Every drawn row has as many clusters as there are, so a mean per cluster is a sum but for that factor.
        flat = sums.reshape(n_clusters, -1)
        means = resampled_means(flat, np.ones_like(flat), resamples, rng)
        drawn = np.rint(means * n_clusters).reshape(resamples, *stack.shape[1:])
        return cls(values, judge.values(drawn, whole).mean(axis=1), len(counts), n_clusters)

    def estimate(self, arm: str, metric: str, systems: Sequence[_System], n_unscored: int, level: float) -> Estimate:
        """Return the estimate of the arm, with its means by seed and by prompt where it has several."""
        if not self.n:
            return Estimate(arm, metric, None, 0, n_unscored, None)
        seeds = sorted((seed or 0, mean) for seed, mean in self._means([seed for seed, _ in systems]))
        prompts = self._means([prompt for _, prompt in systems])
        return Estimate(
            arm=arm,
            metric=metric,
            mean=float(self.values.mean()),
            n=self.n,
            n_unscored=n_unscored,
            interval=self._interval(level),
            seed_means=tuple(mean for _, mean in seeds) if len(seeds) > 1 else (),
            prompt_means=tuple((prompt or "", mean) for prompt, mean in prompts) if len(prompts) > 1 else (),
        )

    def _means(self, names: Sequence[_Name]) -> list[tuple[_Name, float]]:
        rows = {name: [i for i, one in enumerate(names) if one == name] for name in names}
        return [(name, float(self.values[places].mean())) for name, places in rows.items()]

    def _interval(self, level: float) -> Interval | None:
        if not self.drawn.size:
            return None
        n = self.n_clusters
        # As for means: C drawn clusters spread by sqrt((C - 1) / C) too little (Hesterberg 2015).
        reach = math.sqrt(n / (n - 1)) * t_quantile((1 + level) / 2, n - 1)
        low, high = np.quantile(self.drawn, [NormalDist().cdf(-reach), NormalDist().cdf(reach)])
        several = ", seeds and prompts as they are" if len(self.values) > 1 else ""
        return Interval(float(low), float(high), level, f"cluster bootstrap (expanded percentile){several}")


def _codes(ids: Sequence[str], clusters: Mapping[str, str]) -> tuple[list[int], int]:
    """Return the number of each example's cluster, and how many clusters there are."""
    for id in ids:
        if id not in clusters:
            raise DataError(f"example {id!r} has no cluster", "the answers belong to another version of the examples")
    place = {name: i for i, name in enumerate(sorted({clusters[id] for id in ids}))}
    return [place[clusters[id]] for id in ids], len(place)


@dataclass(frozen=True, slots=True)
class _Bleu:
    """BLEU (Papineni et al. 2002) with exponential smoothing, as sacrebleu's `corpus_score`, over 100."""

    tokenizer: str

    def statistics(self, text: str, references: Sequence[str]) -> list[int]:
        """Return the tokens of the answer and of the closest reference, then correct and all n-grams for n = 1..4."""
        score = bleu_scorer(self.tokenizer, sentences=True).sentence_score(text, list(references))
        return [score.sys_len, score.ref_len, *score.counts, *score.totals]

    def values(self, sums: Floats, whole: Floats) -> Floats:
        """Return BLEU: the geometric mean of the four precisions times the brevity penalty.

        The k-th order without a match counts as 1 / (2^k its n-grams); no match at all, or no n-gram of an order, is 0.
        """
        said, right = sums[..., 0], sums[..., 1]
        correct, total = sums[..., 2 : 2 + _BLEU_ORDER], sums[..., 2 + _BLEU_ORDER :]
        smoothed = np.where(correct == 0, 0.5 ** np.cumsum(correct == 0, axis=-1), correct)
        precisions = np.log(smoothed / np.maximum(total, 1)).mean(axis=-1)
        brevity = np.minimum(0.0, 1 - right / np.maximum(said, 1))
        empty = ~correct.any(axis=-1) | ~total.all(axis=-1)
        values: Floats = np.where(empty, 0.0, np.minimum(1.0, np.exp(precisions + brevity)))
        return values


@dataclass(frozen=True, slots=True)
class _Chrf:
    """The chrF2 of a corpus as sacrebleu's `corpus_score`, over 100."""

    def statistics(self, text: str, references: Sequence[str]) -> list[int]:
        """Return n-grams of the answer, of the best reference, and shared, for each order of characters 1..6."""
        # sacrebleu's significance tests read the same private method; its scores do not carry these counts.
        counts: list[int] = chrf_scorer()._extract_corpus_statistics([text], [[one] for one in references])[0]
        return counts

    def values(self, sums: Floats, whole: Floats) -> Floats:
        """Return F of the mean precision and the mean recall over the orders that both sides have n-grams of."""
        said, right, shared = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
        counted = (said > 0) & (right > 0)
        orders = np.maximum(counted.sum(axis=-1), 1)
        precision = np.where(counted, shared / np.maximum(said, 1), 0.0).sum(axis=-1) / orders
        recall = np.where(counted, shared / np.maximum(right, 1), 0.0).sum(axis=-1) / orders
        both = _CHRF_BETA**2 * precision + recall
        values: Floats = (1 + _CHRF_BETA**2) * precision * recall / np.where(both > 0, both, 1.0)
        return np.minimum(1.0, values)


def _label(text: str) -> str:
    return composed(text).strip()


@dataclass(frozen=True, slots=True)
class _MacroF1:
    """The mean F1 of the labels, each with the same weight, as `classification.macro_f1`."""

    labels: tuple[str, ...]

    def statistics(self, text: str, references: Sequence[str]) -> list[int]:
        """Return for each label whether it was said and right, was said, was right; the first reference is right.

        Where an example has several, one that was said is the right one, as accuracy has it.
        """
        said, known = _label(text), [_label(one) for one in references]
        right = said if said in known else known[0]
        return [n for one in self.labels for n in (one == said == right, one == said, one == right)]

    def values(self, sums: Floats, whole: Floats) -> Floats:
        """Return macro F1; a label that occurs, yet not in these sums, has no F1 there and does not count."""
        both, said, right = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
        occurs = whole.reshape(*whole.shape[:-1], -1, 3)[..., 1:].sum(axis=-1) > 0
        counted = (said + right > 0) | ~occurs
        f1 = 2 * both / np.maximum(said + right, 1)
        values: Floats = f1.sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1)
        return values
