"""The section `compare.judge` as types: a language model that judges answers, and how it is itself checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from ragft.config.sections import FilePath, Pair, Section

JudgeQuestion = Literal["correctness", "faithfulness"]


class JudgeConfig(Section):
    """A language model as a judge; its verdicts are metrics beside the others."""

    model: str
    """Name of one of `models`."""
    asks: Annotated[tuple[JudgeQuestion, ...], Strict(False)] = ("correctness",)
    """`correctness` against the references, `faithfulness` to the passages that an arm was given."""
    preferences: Annotated[tuple[Pair, ...], Strict(False)] = ()
    """Pairs of arms whose answers are laid side by side, in both orders."""
    human_labels: FilePath | None = None
    """JSON Lines of `arm`, `example_id`, `question` (`correctness` or `faithfulness`), `label` (true or false) and, if
    wanted, `text`: the answer that was labelled, so that a label is not held against an answer that has changed."""
    min_kappa: float = Field(default=0.6, ge=-1, le=1)
    """Least agreement with the human labels (Cohen's kappa) of a judge whose verdicts may decide."""
    max_new_tokens: int = Field(default=256, ge=8)
    """Longest reply of the judge, its reason and verdict, in tokens; a reply that is cut off has no verdict."""
