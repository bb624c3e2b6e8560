"""The verdict: what to ship, from a comparison, the facts of its arms and the user's requirements, and how sure it is.

`rules` holds everything that is decided; `facts` what goes in, `deciding` what comes out, `wording` and `advice` the
sentences, `sensitivity` what would change the answer. Reads records and numbers only, and never runs an arm.
"""

from ragft.evaluation.cost import CostRow, Prices
from ragft.verdict.blending import blended_scores
from ragft.verdict.deciding import Verdict, cost_rows, decide
from ragft.verdict.facts import ArmFacts, Case, Finding, Limits, Requirements, RetrievalFacts
from ragft.verdict.rules import Confidence, Decision
from ragft.verdict.sensitivity import ComparisonAt, Flip, sensitivity

__all__ = [
    "ArmFacts",
    "Case",
    "ComparisonAt",
    "Confidence",
    "CostRow",
    "Decision",
    "Finding",
    "Flip",
    "Limits",
    "Prices",
    "Requirements",
    "RetrievalFacts",
    "Verdict",
    "blended_scores",
    "cost_rows",
    "decide",
    "sensitivity",
]
