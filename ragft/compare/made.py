"""What the stages of one comparison made, for the numbers at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragft.arms.asking import Arm
from ragft.arms.knowledge import IndexState
from ragft.arms.round import Asked, Round, Trained
from ragft.data.checks import CheckedData
from ragft.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Made:
    """The checks of the data, the sweep if there was one, and what was built and asked for every arm."""

    checked: CheckedData
    sweep: Sweep | None
    round: Round
    arms: Sequence[Arm]
    index: IndexState | None
    trained: Sequence[Trained]
    asked: Mapping[str, Asked]
