"""Probes: stresses applied to an experiment through the ordinary pipeline, each of which answers one question.

The comparison at one setting says who wins today; probes say what that depends on. A probe that cannot be run says why
and what to add; it neither shows an empty curve nor makes the others fail.
"""

from ragft.probes.caveats import caveats
from ragft.probes.choosing import probe_of
from ragft.probes.kit import Kit, Pace, pace_of
from ragft.probes.probe import Load, PlannedProbe, Probe, Refusal
from ragft.probes.running import chosen_probes, plan_probes, run_probes

__all__ = [
    "Kit",
    "Load",
    "Pace",
    "PlannedProbe",
    "Probe",
    "Refusal",
    "caveats",
    "chosen_probes",
    "pace_of",
    "plan_probes",
    "probe_of",
    "run_probes",
]
