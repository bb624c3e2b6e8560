"""What probes found that a reader of the verdict must know: sentences about the arm that is to be shipped.

Reads results by name, as a program would. The verdict itself is decided without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ragft.evaluation.comparison import Comparison
from ragft.evaluation.probing import ProbeResult

KEPT = 0.8
"""Share of the facts that the base knew, below which what an adapter lost is told."""

STALE = 0.1
"""Share of old answers that are still given after indexing again, from which on it is told."""

REINDEXED = "after re-indexing"
"""The stage of the probe `freshness` in which the index is new and the adapters are not."""


def caveats(
    arm: str, adapter: str | None, shippable: Sequence[str], comparison: Comparison, results: Sequence[ProbeResult]
) -> tuple[str, ...]:
    """Return what the probes say against shipping an arm; `shippable` are the arms that it was chosen among."""
    found = {one.probe: one.values for one in results if one.status == "measured"}
    measured = {one.probe: one.metric for one in results}
    sentences: list[str] = []
    if measured.get("noise_floor") == comparison.primary_metric and "noise_floor" in found:
        sentences += _noise(arm, shippable, comparison, found["noise_floor"])
    if adapter is not None and "forgetting" in found:
        sentences += _forgotten(arm, adapter, found["forgetting"])
    if "freshness" in found:
        sentences += _stale(arm, found["freshness"])
    return tuple(sentences)


def _noise(arm: str, shippable: Sequence[str], comparison: Comparison, values: Mapping[str, Any]) -> Iterator[str]:
    means = {one.arm: one.mean for one in comparison.estimates if one.metric == comparison.primary_metric}
    own, others = means.get(arm), [name for name in shippable if name != arm and means.get(name) is not None]
    if own is None or not others:
        return
    second = max(others, key=lambda name: means[name] or 0.0)
    lead, floors = own - (means[second] or 0.0), values["floors"]
    floor = max(floors.get(arm, 0.0), floors.get(second, 0.0))
    if 0 <= lead <= floor:
        yield (
            f"{arm} leads {second} by {lead:.3f}, and one of the two differs from itself by {floor:.3f} when nothing "
            "that matters changes (probe noise_floor)."
        )


def _forgotten(arm: str, adapter: str, values: Mapping[str, Any]) -> Iterator[str]:
    own = [one for name, one in values["adapters"].items() if name == adapter or name.startswith(f"{adapter}-seed")]
    kept = min((one["facts_kept"] for one in own if one["facts_kept"] is not None), default=None)
    if kept is not None and kept < KEPT:
        yield (
            f"The adapter of {arm} kept {100 * kept:.0f} % of the {values['base']['facts_known']} facts that the base "
            "model knew (probe forgetting); replayed general text is the known remedy (adapters.NAME.replay)."
        )


def _stale(arm: str, values: Mapping[str, Any]) -> Iterator[str]:
    old = values["shares"].get(REINDEXED, {}).get(arm, {}).get("old")
    if old is not None and old >= STALE:
        yield (
            f"After an update and indexing again {arm} still gives the old answer to {100 * old:.0f} % of the changed "
            "questions (probe freshness)."
        )
