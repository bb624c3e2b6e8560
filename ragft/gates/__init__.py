"""Gates: conditions on a finished comparison, alone or against a baseline, that make `compare` exit non-zero.

Reads records only. A gate passes, fails, or could not be compared, and the last never counts as a pass.
"""

from ragft.gates.baseline import (
    Baseline,
    BaselineArm,
    baseline_of,
    check_target,
    mismatch,
    read_baseline,
    write_baseline,
)
from ragft.gates.evidence import Evidence, Fingerprints, fingerprints_of, hardware_identity
from ragft.gates.judging import judge, needs_baseline
from ragft.gates.junit import render_junit
from ragft.gates.results import BaselineSource, GateReport, GateResult, gates_json
from ragft.gates.run_folder import read_evidence

__all__ = [
    "Baseline",
    "BaselineArm",
    "BaselineSource",
    "Evidence",
    "Fingerprints",
    "GateReport",
    "GateResult",
    "baseline_of",
    "check_target",
    "fingerprints_of",
    "gates_json",
    "hardware_identity",
    "judge",
    "mismatch",
    "needs_baseline",
    "read_baseline",
    "read_evidence",
    "render_junit",
    "write_baseline",
]
