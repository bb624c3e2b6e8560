"""What needs no model (a constant label, a copy) in words: the mark beside an arm, and the sentence under the table.

Screen and reports use it, so that they cannot differ. Must not know how an answer without a model is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ragft.records import ContrastResult
from ragft.report import formatting
from ragft.report.contents import ReportData

Standing = Literal["worse", "unsure", "better"]
"""How an arm stands against an answer without a model: `unsure` where the interval of the difference holds zero."""

SIGNS: Mapping[Standing, str] = {"worse": "▼", "unsure": "≈", "better": ""}
"""The mark beside the score of an arm."""


def standing_of(difference: float | None, low: float | None, high: float | None) -> Standing | None:
    """Return how an arm stands by its difference and the ends of its interval; None where nothing can be said.

    An arm that gives the very answers that need no model differs by exactly nothing: not better, and not worse either.
    """
    if difference is None or low is None or high is None:
        return None
    if high <= 0 and difference < 0:
        return "worse"
    return "better" if low > 0 else "unsure"


def standings(data: ReportData) -> dict[str, Standing]:
    """Return how every arm that can be told apart stands, by its name; empty for a task without such an answer."""
    if data.unaided is None:
        return {}
    found = {one.first: standing(one) for one in data.unaided.contrasts}
    return {arm: one for arm, one in found.items() if one is not None}


def standing(one: ContrastResult) -> Standing | None:
    """Return how the first arm of a contrast with an answer without a model stands."""
    ends = (None, None) if one.interval is None else (one.interval.low, one.interval.high)
    return standing_of(one.difference, *ends)


def mark_words(what: str, one: Standing) -> str:
    """Return what the mark beside a score means."""
    match one:
        case "worse":
            return f"worse than {what}"
        case "unsure":
            return f"not clearly better than {what}"
        case "better":
            return ""


def unaided_sentence(what: str, metric: str, mean: float | None, found: Mapping[str, Standing]) -> str:
    """Return the sentences that say what needs no model, what it scores, and which arms are not better than it."""
    first = f"{what[:1].upper()}{what[1:]} has {metric} {formatting.score(mean)} without any model."
    worse = [arm for arm, one in found.items() if one == "worse"]
    unsure = [arm for arm, one in found.items() if one == "unsure"]
    said = [first]
    said += [f"Worse than that: {', '.join(worse)}."] if worse else []
    said += [f"Not clearly better: {', '.join(unsure)}."] if unsure else []
    return " ".join(said if worse or unsure or not found else [first, "Every arm is better."])


def unaided_words(data: ReportData) -> str:
    """Return the sentences for a run, "" for one of a task without such an answer."""
    if data.unaided is None:
        return ""
    one = data.unaided
    return unaided_sentence(one.what, one.metric, one.mean, standings(data))
