"""Answers by the likelihood of each label, for a classification that asks for nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragft.errors import DataError, RagftError
from ragft.generation.generator import Generation, Likelihood, Weighs

if TYPE_CHECKING:
    from ragft.arms.models import LocalModel, RemoteModel


CODE = ("arms/labels.py", "generation/likelihood.py")
"""The parts of ragft that such an answer depends on, beside those of any answer."""


def check_apart(labels: Sequence[str]) -> None:
    """Raise DataError where one label begins another: a text is never less likely than the texts that go on from it."""
    for label in labels:
        if longer := next((one for one in labels if one != label and one.startswith(label)), None):
            raise DataError(
                f"task.answer_by: likelihood cannot choose between {label!r} and {longer!r}: the first begins the "
                "second, so no model can find it less likely",
                "rename one of them in the examples, or use answer_by: text",
            )


class LikeliestLabel:
    """A generator that says the label whose text, as a whole, the model finds most likely behind the prompt.

    The log-probability of an answer is that of its label among the labels, as if nothing else could be said.
    """

    def __init__(self, model: LocalModel | RemoteModel, labels: Sequence[str]) -> None:
        from ragft.arms.models import LocalModel

        if not isinstance(model, LocalModel):
            raise RagftError(
                "task.answer_by: likelihood needs a model that tells how likely it finds an answer, and a server of "
                "chat completions does not",
                "use answer_by: text, or a model in this process",
            )
        self._weighs: Weighs = model.generator
        self._count = model.generator.count_tokens
        self._labels = list(labels)
        self._said = [model.said(label) for label in labels]

    def count_tokens(self, prompt: str) -> int:
        """Return the tokens of one prompt."""
        return self._count(prompt)

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the likeliest label for each prompt, in order; of equally likely ones the first."""
        began = time.perf_counter()
        pairs = [(prompt, said) for prompt in prompts for said in self._said]
        found = self._weighs.likelihoods(pairs)
        seconds = (time.perf_counter() - began) / len(prompts)
        size = len(self._labels)
        return [
            self._generation(prompt, found[place * size : (place + 1) * size], seconds)
            for place, prompt in enumerate(prompts)
        ]

    def _generation(self, prompt: str, likelihoods: Sequence[Likelihood], seconds: float) -> Generation:
        weights = [one.logprob for one in likelihoods]
        best = max(range(len(weights)), key=lambda place: weights[place])
        total = weights[best] + math.log(sum(math.exp(weight - weights[best]) for weight in weights))
        tokens = likelihoods[best].tokens
        share = weights[best] - total
        return Generation(self._labels[best], self._count(prompt), tokens, seconds, "stop", share)
