"""Whose weights a probe looks at: an adapter with one training seed, or the base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragft.arms.adapters import Adapters

BASE = "base model"
"""What the base is called in tables; no adapter can have a name with a blank in it."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What was trained for one adapter with one seed; `adapter` is None for the base.

    `seed` is None where the adapter has only one, `title` what it is called beside its other seeds.
    """

    name: str
    adapters: Adapters
    adapter: str | None = None
    seed: int | None = None

    @property
    def title(self) -> str:
        """The name, with the training seed where there are several."""
        return self.name if self.seed is None else f"{self.name} seed {self.seed}"

    @property
    def folder(self) -> Path | None:
        """Where the trained weights lie, None for the base."""
        return None if self.adapter is None else self.adapters.folder(self.adapter, self.seed)

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the trained weights, None for the base."""
        return None if self.adapter is None else self.adapters.fingerprint(self.adapter, self.seed)


def weights_of(adapters: Adapters, name: str) -> tuple[Weights, ...]:
    """Return the weights of an adapter, one for each of its training seeds."""
    seeds = adapters.seeds(name)
    return tuple(Weights(name, adapters, name, seed if len(seeds) > 1 else None) for seed in seeds)
