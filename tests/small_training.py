"""What the tests of training on the tiny model share: four examples and one for dev, and settings of four steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from conftest import STEPS

from ragft.config import AdapterConfig
from ragft.models.language_model import LanguageModel
from ragft.training.examples import TrainingText

TEXTS = (
    TrainingText("a", "<|im_start|>user\nWhich colour has Corvel?<|im_end|>\n<|im_start|>assistant\n", "white"),
    TrainingText("b", "Who?", "many puffins and otters live there"),
    TrainingText("c", "<|im_start|>user\nWhen was the lighthouse of Iverly built, and by whom?<|im_end|>\n", "1990"),
    TrainingText("d", "Which colour has Hollin?", "purple"),
)
DEV = (TrainingText("e", "Which colour has Brinbay?", "red"),)

Model = Callable[[], LanguageModel]


def settings(peft: Mapping[str, Any] | None = None, **training: Any) -> AdapterConfig:
    """Return an adapter's settings: LoRA of rank 4 unless `peft` says otherwise."""
    plain = {**STEPS, "num_train_epochs": 20, "evals_per_run": 2}
    return AdapterConfig.model_validate({"peft": dict(peft or {"r": 4}), "training": {**plain, **training}})
