"""Which family each answer metric belongs to, so that screens and reports group them alike.

Must not know any value, nor how a group looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ragft.evaluation.corpus import CORPUS_METRICS
from ragft.evaluation.metrics import ANSWER_METRICS

FamilyKey = Literal["quality", "corpus", "model", "judge", "passages", "other"]


@dataclass(frozen=True, slots=True)
class Family:
    """A group of metrics: what stands over it, and a sentence on how to read it."""

    key: FamilyKey
    title: str
    note: str


FAMILIES = (
    Family("quality", "Answer quality", ""),
    Family(
        "corpus",
        "All answers together",
        "One value for all answers of an arm at once, so it is no mean of values of single answers.",
    ),
    Family(
        "passages",
        "Passages and citations",
        "How far the answers keep to their passages. An arm without passages has none of these, "
        "and they rank no arms: a faithful answer can still be wrong.",
    ),
    Family(
        "model",
        "Measured by a model",
        "What a model makes of it: the arm's own (how likely it finds a reference), an embedder, a model of inference.",
    ),
    Family("judge", "Judge", "Verdicts of a language model; how far they can be trusted stands in the section Judge."),
    Family("other", "Other", ""),
)
"""The families in the order in which they are shown."""


def family_key(metric: str) -> FamilyKey:
    """Return the family of `metric`; "other" for one that is neither good nor bad in itself, or is not known."""
    if metric in CORPUS_METRICS:
        return "corpus"
    known = ANSWER_METRICS.get(metric)
    if known is None:
        return "other"
    match known.source:
        case "passages":
            return "passages"
        case "likelihood" | "embedder" | "nli":
            return "model"
        case "judge":
            return "judge"
        case "text":
            return "quality" if known.ranks else "other"


def by_family(metrics: Iterable[str]) -> list[tuple[Family, list[str]]]:
    """Return the families that have a metric among `metrics`, each with its own in the order given, each once."""
    found: dict[FamilyKey, list[str]] = {}
    for metric in dict.fromkeys(metrics):
        found.setdefault(family_key(metric), []).append(metric)
    return [(family, found[family.key]) for family in FAMILIES if family.key in found]
