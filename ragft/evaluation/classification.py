"""Metrics of predicted labels taken together: per-label precision, recall and F1, their mean, the majority share.

Sees two sequences of labels and the list of labels. Must not know how a label was parsed from an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Precision, recall and F1 of one label (each 0.0 where its denominator is 0); `support` counts its examples."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ClassificationSummary:
    """Per-label scores and `macro_f1`, their unweighted mean; None when there are no examples.

    `n_unparsed` of the `n` predictions are no label at all: wrong, without being a false alarm for any label.
    """

    macro_f1: float | None
    labels: tuple[LabelScores, ...]
    n: int
    n_unparsed: int


def summarise_classification(
    predicted: Sequence[str], expected: Sequence[str], labels: Sequence[str]
) -> ClassificationSummary:
    """Return per-label scores and macro F1 over `labels`; `predicted` and `expected` are paired by position.

    A prediction outside `labels` (an answer that could not be parsed) is a miss for the expected label and a false
    alarm for none. A label of `labels` without examples counts in the mean with F1 0.0: give only the labels that the
    task has. This is scikit-learn's f1_score(average="macro", labels=labels, zero_division=0). Unequal lengths, no
    labels, or a label twice: ValueError.
    """
    if len(predicted) != len(expected):
        raise ValueError(f"{len(predicted)} predictions for {len(expected)} expected labels")
    if not labels or len(set(labels)) != len(labels):
        raise ValueError("labels must be one or more, each once")
    said, right = Counter(predicted), Counter(expected)
    both = Counter(p for p, e in zip(predicted, expected, strict=True) if p == e)
    per_label = tuple(_label_scores(label, both[label], said[label], right[label]) for label in labels)
    macro = sum(scores.f1 for scores in per_label) / len(per_label) if expected else None
    n_unparsed = sum(n for label, n in said.items() if label not in set(labels))
    return ClassificationSummary(macro, per_label, len(expected), n_unparsed)


def macro_f1(predicted: Sequence[str], expected: Sequence[str], labels: Sequence[str]) -> float | None:
    """Return the unweighted mean of the labels' F1, None without examples; see `summarise_classification`."""
    return summarise_classification(predicted, expected, labels).macro_f1


def majority_share(expected: Sequence[str]) -> float | None:
    """Return the accuracy of always saying the commonest label, None without examples."""
    return max(Counter(expected).values()) / len(expected) if expected else None


def _label_scores(label: str, both: int, said: int, right: int) -> LabelScores:
    precision = both / said if said else 0.0
    recall = both / right if right else 0.0
    f1 = 2 * both / (said + right) if said + right else 0.0
    return LabelScores(label, precision, recall, f1, right)
