"""What a probe is, and what it would take. The probes themselves stand in one module each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ragft.arms.bench import Bench
from ragft.arms.planning import Load, PlannedProbe, Refusal
from ragft.evaluation.probing import ProbeResult

if TYPE_CHECKING:
    from ragft.probes.kit import Kit

__all__ = ["Condition", "Load", "PlannedProbe", "Probe", "Refusal"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One setting in which arms are asked: `bench.splits.eval` are the examples.

    The adapters are those of the experiment, or with `retrained` those that the bench's own data make.
    `label` names it within its probe. `fresh` is about the share of its prompts that the comparison has not asked: a
    plan goes by it while the condition has no index yet, so that what will be retrieved is not known.
    """

    label: str
    bench: Bench
    arms: tuple[str, ...]
    retrained: bool = False
    fresh: float = 1.0


class Probe(Protocol):
    """A stress applied to the experiment, and what it shows."""

    @property
    def kind(self) -> str:
        """Name of the probe in the experiment file."""
        ...

    @property
    def title(self) -> str:
        """What stands over it."""
        ...

    @property
    def asks(self) -> str:
        """The question that it answers."""
        ...

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why it cannot be run, None where it can; builds nothing and asks nothing."""
        ...

    def load(self, kit: Kit) -> Load:
        """Return what it would take; builds nothing and asks nothing."""
        ...

    def measure(self, kit: Kit) -> ProbeResult:
        """Run it. Raises RagftError where only running shows that it cannot be run."""
        ...
