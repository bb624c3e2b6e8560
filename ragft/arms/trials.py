"""Which settings a sweep tries."""

from __future__ import annotations

import itertools
import random
from typing import Any

from ragft.config import SweepConfig


def combinations(sweep: SweepConfig, seed: int) -> list[dict[str, Any]]:
    """Return the combinations to try, in the order of the grid; `random` draws `trials` different ones by the seed."""
    keys = list(sweep.parameters)
    grid = [dict(zip(keys, values, strict=True)) for values in itertools.product(*sweep.parameters.values())]
    if sweep.trials is None or sweep.trials >= len(grid):
        return grid
    return [grid[place] for place in sorted(random.Random(seed).sample(range(len(grid)), sweep.trials))]
