"""The time that probes may take together: how many examples each may ask, by its plan and the pace of those before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ragft.probes.probe import PlannedProbe, Refusal

FEWEST = 10
"""Examples below which a probe is left out rather than cut down further."""

DAMPING_S = 10.0
"""Seconds for which the plan counts as right before any probe was run: a probe of a moment says little about pace."""

GRACE = 0.1
"""Share of a budget by which a probe that was misjudged may overrun it, with the fewest examples."""


class Budget:
    """Shares the time of a command among its probes, one after the other; what they took corrects what is planned."""

    def __init__(self, plans: Sequence[PlannedProbe], seconds: float) -> None:
        """Begin to count; `plans` are the probes in the order in which they will be run."""
        self._left = list(plans)
        self.ends = time.monotonic() + seconds
        self.ends_at_last = self.ends + GRACE * seconds
        self._expected = self._spent = DAMPING_S

    @property
    def pace(self) -> float:
        """Seconds that a planned second has taken until now."""
        return self._spent / self._expected

    def share(self) -> tuple[int | None, Refusal | None]:
        """Return (most examples, why not at all) of the next probe."""
        slowed = [replace(plan, load=plan.load.slowed(self.pace)) for plan in self._left]
        return share_of(slowed, self.ends - time.monotonic())

    def passed_over(self) -> None:
        """Note that the next probe was not run."""
        self._left.pop(0)

    def took(self, seconds: float, cap: int | None) -> None:
        """Note what the next probe took when it asked so many examples."""
        load = self._left.pop(0).load
        asked = 1.0 if cap is None else min(1.0, cap / max(1, load.examples))
        if expected := load.fixed_s + asked * load.asking_s:
            self._expected += expected
            self._spent += seconds


def share_of(plans: Sequence[PlannedProbe], left_s: float) -> tuple[int | None, Refusal | None]:
    """Return (most examples, why not at all) of the first of the probes that are still to be run in `left_s` seconds.

    What does not depend on examples comes first: where that of all is too much, the probes with most of it go first.
    The rest of the time is shared by all examples alike, so every probe asks the same share of its own. None examples
    where all fit.
    """
    first, *others = plans
    if first.refusal is not None or first.load.seconds == 0:
        return None, None
    running = [plan for plan in plans if plan.refusal is None]
    for plan in sorted(running, key=lambda one: one.load.fixed_s, reverse=True):
        share = _share(running, left_s)
        if share >= 1:
            return None, None
        asking = [one.load for one in running if one.load.asking_s]
        if share > 0 and all(share * load.examples >= min(FEWEST, load.examples) for load in asking):
            break
        running.remove(plan)
        if plan is first:
            return 0, _no_time(first, left_s)
    if not first.load.asking_s:
        return None, None  # fewer examples would save nothing
    return max(2, int(_share(running, left_s) * first.load.examples)), None


def _share(running: Sequence[PlannedProbe], left_s: float) -> float:
    asking = sum(plan.load.asking_s for plan in running)
    free = left_s - sum(plan.load.fixed_s for plan in running)
    if asking == 0:
        return 1.0 if free >= 0 else 0.0
    return max(0.0, free / asking)


def _no_time(plan: PlannedProbe, left_s: float) -> Refusal:
    needs = plan.load.fixed_s + plan.load.asking_s * min(1.0, FEWEST / max(1, plan.load.examples))
    left = _minutes(max(0.0, left_s))
    why = f"and {left} were left" if needs > left_s else f"and the probes that take less need the {left} that were left"
    return Refusal(
        f"it would take about {_minutes(needs)} with the fewest examples, {why}",
        f"raise --budget, or run it alone: --probe {plan.kind}",
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
