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
from ragft.probes.budget import FEWEST, Budget
from ragft.probes.choosing import probe_of
from ragft.probes.kit import Kit, OutOfTimeError
from ragft.probes.probe import Load, PlannedProbe, Probe, Refusal
from ragft.records import PROBES

TOO_SLOW = Refusal(
    "its time ran out before it was done, though it asked no more than the fewest examples",
    "raise --budget, or run it again: what was asked and trained is kept",
)

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

    With a budget, in seconds for all of them, every probe asks as many examples as fit; a probe of which not even the
    fewest would fit is left out.
    """
    assert kit.run is not None
    budget = None if budget_s is None else Budget(plan_probes(kit.bench, configs, kit), budget_s)
    results = []
    for config in configs:
        probe = probe_of(config)
        result = _run(kit, probe) if budget is None else _run_within(kit, probe, budget)
        kit.run.write_json(f"probes/{result.probe}.json", result)
        results.append(result)
    return tuple(results)


def _run_within(kit: Kit, probe: Probe, budget: Budget) -> ProbeResult:
    """Return what a probe found in its share of the time; where that is misjudged, with the fewest examples."""
    cap, refusal = budget.share()
    if refusal is not None:
        budget.passed_over()
        return _skipped(probe, refusal)
    began, overran = time.monotonic(), False
    try:
        result = _run(replace(kit, cap=cap, deadline=budget.ends), probe)
    except OutOfTimeError:
        # The fewest examples are among those that were asked, so only what was not reached is asked now.
        cap, overran = FEWEST if cap is None else min(cap, FEWEST), True
        try:
            result = _run(replace(kit, cap=cap, deadline=budget.ends_at_last), probe)
        except OutOfTimeError:
            result = _skipped(probe, TOO_SLOW)
    took = time.monotonic() - began
    if result.status == "measured" or overran:
        budget.took(took, cap)
    else:
        budget.passed_over()
    return replace(result, seconds=took) if result.status == "measured" else result


def _run(kit: Kit, probe: Probe) -> ProbeResult:
    """Return what a probe found, or why it could not be run. Raises OutOfTimeError where the kit's deadline passes."""
    assert kit.run is not None
    began = time.monotonic()
    refusal = probe.refusal(kit)
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
