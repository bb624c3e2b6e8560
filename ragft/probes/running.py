"""Probes in their order: which ones, what they would take, and as many examples as the time allows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from ragft.arms.bench import Bench
from ragft.config import AnyProbe
from ragft.config.probes import Probe as ProbeSettings
from ragft.errors import RagftError
from ragft.evaluation.probing import ProbeResult
from ragft.probes.choosing import probe_of
from ragft.probes.kit import Kit
from ragft.probes.probe import Load, PlannedProbe, Probe, Refusal
from ragft.records import PROBES

FEWEST = 10
"""Examples below which a probe is left out rather than cut down further."""

EVERY = "all"
"""What stands on the command line for every probe."""


def chosen_probes(listed: Sequence[AnyProbe], names: Sequence[str]) -> tuple[AnyProbe, ...]:
    """Return the probes to run, in the order in which they are run: those of the experiment file, or the named ones.

    A named one has the file's settings where it lists it, and otherwise the defaults. Raises RagftError for a name that
    no probe has.
    """
    for name in names:
        if name not in (*PROBES, EVERY):
            raise RagftError(f"there is no probe {name!r}", f"probes: {', '.join(PROBES)}, or {EVERY}")
    known: dict[str, AnyProbe] = {config.kind: config for config in listed}
    if not names:
        return tuple(known[kind] for kind in PROBES if kind in known)
    wanted = PROBES if EVERY in names else names
    return tuple(known.get(kind) or _default(kind) for kind in PROBES if kind in wanted)


def _default(kind: str) -> AnyProbe:
    found: AnyProbe = TypeAdapter(ProbeSettings).validate_python({"kind": kind})
    return found


def plan_probes(bench: Bench, configs: Sequence[AnyProbe], kit: Kit | None = None) -> tuple[PlannedProbe, ...]:
    """Return what the probes would take, in their order; builds nothing and asks nothing.

    `kit` is that of a comparison that was made, whose index and adapters are known and whose pace was measured.
    """
    return tuple(_planned(probe_of(config), kit or Kit(bench)) for config in configs)


def _planned(probe: Probe, kit: Kit) -> PlannedProbe:
    try:
        refusal = probe.refusal(kit)
        load = Load() if refusal else probe.load(kit)
    except RagftError as error:
        refusal, load = _refusal(error), Load()
    return PlannedProbe(probe.kind, probe.title, load, refusal)


def _refusal(error: RagftError) -> Refusal:
    return Refusal(str(error), error.hint or "")


def run_probes(kit: Kit, configs: Sequence[AnyProbe], budget_s: float | None = None) -> tuple[ProbeResult, ...]:
    """Run the probes and write `probes/NAME.json` for each into the run folder; those that cannot be run say why.

    With a budget, in seconds for all of them, every probe asks as many examples as fit; a probe of which not even
    `FEWEST` would fit is left out.
    """
    assert kit.run is not None
    plans = plan_probes(kit.bench, configs, kit) if budget_s is not None else ()
    deadline = None if budget_s is None else time.monotonic() + budget_s
    results = []
    for number, config in enumerate(configs):
        cap, refusal = None, None
        if deadline is not None:
            cap, refusal = share_of(plans[number:], deadline - time.monotonic())
        result = _run(kit.capped(cap), probe_of(config), refusal)
        kit.run.write_json(f"probes/{result.probe}.json", result)
        results.append(result)
    return tuple(results)


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


def _run(kit: Kit, probe: Probe, refusal: Refusal | None) -> ProbeResult:
    """Return what a probe found, or why it could not be run."""
    assert kit.run is not None
    began = time.monotonic()
    refusal = refusal or probe.refusal(kit)
    if refusal is not None:
        return _skipped(probe, refusal)
    try:
        with kit.run.stage(f"probe {probe.kind}"):
            found = probe.measure(kit)
    except RagftError as error:
        return _skipped(probe, _refusal(error))
    return replace(found, seconds=time.monotonic() - began)


def _skipped(probe: Probe, refusal: Refusal) -> ProbeResult:
    return ProbeResult(probe.kind, probe.title, probe.asks, "skipped", reason=refusal.reason, hint=refusal.hint)
