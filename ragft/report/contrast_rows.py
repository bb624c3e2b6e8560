"""The contrasts as text: which arm is higher, how sure that is, and how many questions would tell.

Both reports use it. Must not know how a table looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragft.evaluation.comparison import Comparison
from ragft.evaluation.power import SEEDED_TEST
from ragft.records import ContrastResult
from ragft.report import formatting

_TESTS = {"mcnemar_exact": "McNemar, exact", "sign_flip": "sign flip", "hierarchical_t": "t over questions and seeds"}


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """One contrast as the tables show it; `source` is the record for whoever draws it."""

    source: ContrastResult
    first: str
    second: str
    metric: str
    difference: str
    interval: str
    finding: str
    p_adjusted: str
    p_value: str
    p_mid: str
    test: str
    detectable: str
    needed: str
    more: str
    n: str


@dataclass(frozen=True, slots=True)
class ContrastGroups:
    """The contrasts by what may be concluded from them."""

    declared: tuple[ContrastRow, ...]
    exploratory: tuple[ContrastRow, ...]
    secondary: tuple[ContrastRow, ...]


def contrast_groups(comparison: Comparison, margin: float | None) -> ContrastGroups:
    """Return the declared contrasts on the primary metric, the exploratory ones on it, and those on other metrics."""
    primary = [c for c in comparison.contrasts if c.metric == comparison.primary_metric]
    other = [c for c in comparison.contrasts if c.metric != comparison.primary_metric]
    return ContrastGroups(
        declared=tuple(_row(contrast, margin) for contrast in primary if contrast.declared),
        exploratory=tuple(_row(contrast, margin) for contrast in primary if not contrast.declared),
        secondary=tuple(_row(contrast, None) for contrast in other),
    )


def _row(contrast: ContrastResult, margin: float | None) -> ContrastRow:
    return ContrastRow(
        source=contrast,
        first=contrast.first,
        second=contrast.second,
        metric=contrast.metric,
        difference=formatting.signed(contrast.difference),
        interval=formatting.signed_span(contrast.interval),
        finding=finding(contrast, margin),
        p_adjusted=formatting.p_value(contrast.p_adjusted),
        p_value=formatting.p_value(contrast.p_value),
        p_mid="" if contrast.p_mid is None else formatting.p_value(contrast.p_mid),
        test=_TESTS.get(contrast.test, contrast.test.replace("_", " ")),
        detectable=formatting.score(contrast.minimum_detectable_effect),
        needed=_needed(contrast),
        more=_more(contrast),
        n=formatting.count(contrast.n),
    )


def finding(contrast: ContrastResult, margin: float | None) -> str:
    """Return what the interval alone says of the two arms, before any adjustment for several contrasts."""
    interval = contrast.interval
    if interval is None:
        return "cannot be told"
    within = margin is not None and margin > 0 and interval.low >= -margin and interval.high <= margin
    if within:
        return "equal within the margin"
    if interval.low > 0:
        return f"{contrast.first} is higher"
    return f"{contrast.second} is higher" if interval.high < 0 else "not distinguished"


def _needed(contrast: ContrastResult) -> str:
    if contrast.n_needed is not None:
        return formatting.count(contrast.n_needed)
    if contrast.difference is None:
        return f"{formatting.NA} (nothing to compare)"
    if contrast.difference == 0:
        return f"{formatting.NA} (no difference)"
    return "no number: more seeds" if contrast.test == SEEDED_TEST else formatting.NA


def _more(contrast: ContrastResult) -> str:
    """Return how many more questions would decide the contrast; "" where a run does not say."""
    match contrast.n_more:
        case None:
            return ""
        case 0:
            return "decided"
        case more:
            return f"{more:,} more"
