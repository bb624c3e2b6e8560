"""Which settings mean which probe. Each is imported only when it is asked for: some of them load model libraries."""

from __future__ import annotations

from typing import assert_never

from ragft.config import (
    AnyProbe,
    ContextProbe,
    CostProbe,
    ExplainabilityProbe,
    ForgettingProbe,
    FreshnessProbe,
    KnowledgeQualityProbe,
    LabelBudgetProbe,
    NoiseFloorProbe,
    PhrasingProbe,
)
from ragft.probes.probe import Probe


def probe_of(config: AnyProbe) -> Probe:
    """Return the probe that these settings ask for."""
    match config:
        case LabelBudgetProbe():
            from ragft.probes.label_budget import LabelBudget

            return LabelBudget(config)
        case KnowledgeQualityProbe():
            from ragft.probes.knowledge_quality import KnowledgeQuality

            return KnowledgeQuality(config)
        case FreshnessProbe():
            from ragft.probes.freshness import Freshness

            return Freshness(config)
        case ForgettingProbe():
            from ragft.probes.forgetting import Forgetting

            return Forgetting(config)
        case ContextProbe():
            from ragft.probes.context import Context

            return Context(config)
        case PhrasingProbe():
            from ragft.probes.phrasing import Phrasing

            return Phrasing(config)
        case NoiseFloorProbe():
            from ragft.probes.noise_floor import NoiseFloor

            return NoiseFloor(config)
        case CostProbe():
            from ragft.probes.cost import Cost

            return Cost(config)
        case ExplainabilityProbe():
            from ragft.probes.explainability import Explainability

            return Explainability(config)
        case _:
            assert_never(config)
