"""An adapter in the base weights for a while: it says the same, and the base comes back bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model

from ragft.generation.local import ADAPTER_RECORD, LocalGenerator
from ragft.generation.merged import merged
from ragft.models.language_model import LanguageModel, load, probed
from ragft.models.sources import ModelFolder

PROMPTS = ["Who?", "The lighthouse of Garness is orange. Which colour has Garness?", "What lives at Jorvik? " * 8]
LORA = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False)
DORA = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", use_dora=True, init_lora_weights=False)
IA3 = IA3Config(
    task_type="CAUSAL_LM",
    target_modules=["k_proj", "v_proj", "down_proj"],
    feedforward_modules=["down_proj"],
    init_ia3_weights=False,
)


def loaded(folder: Path) -> LanguageModel:
    return load(ModelFolder(str(folder), folder, "f" * 64), "float32", "cpu")


def trained(tiny_model: Path, target: Path, config: Any) -> Path:
    """Write an adapter with random weights that belongs to the tiny model."""
    torch.manual_seed(3)
    tuned = get_peft_model(loaded(tiny_model).model, config)
    tuned.save_pretrained(target)
    (target / ADAPTER_RECORD).write_text(json.dumps({"base_fingerprint": "f" * 64}))
    return target


@pytest.mark.parametrize("config", [LORA, DORA, IA3], ids=["lora", "dora", "ia3"])
def test_a_merged_adapter_says_the_same_and_the_base_comes_back(tiny_model: Path, tmp_path: Path, config: Any) -> None:
    folder = trained(tiny_model, tmp_path / "adapter", config)
    lm = loaded(tiny_model)
    generator = LocalGenerator(lm, 8)
    with generator.adapter(None):
        base = probed(lm.model, lm.tokenizer)
    weights = {name: weight.clone() for name, weight in lm.model.named_parameters()}
    with generator.adapter(folder):
        beside, said = probed(lm.model, lm.tokenizer), [one.text for one in generator.generate(PROMPTS)]
        with merged(lm.model) as layers:
            assert layers > 0
            within = probed(lm.model, lm.tokenizer)
            assert [one.text for one in generator.generate(PROMPTS)] == said
            # The adapter is in the weights themselves: they are others now.
            changed = [not torch.equal(w, weights[n.replace(".base_layer", "")]) for n, w in _base(lm)]
            assert sum(changed) == layers
        torch.testing.assert_close(within, beside, rtol=1e-3, atol=1e-3)
        assert (beside - base).abs().max() > 0.01
        assert torch.equal(probed(lm.model, lm.tokenizer), beside)
    with generator.adapter(None):
        assert torch.equal(probed(lm.model, lm.tokenizer), base)
    assert all(torch.equal(w, weights[n.replace(".base_layer", "")]) for n, w in _base(lm))


def _base(lm: LanguageModel) -> list[tuple[str, torch.Tensor]]:
    """Return the base weights by the names that they have with an adapter in the model."""
    parts = ("lora_", "ia3_")
    return [(name, weight) for name, weight in lm.model.named_parameters() if not any(part in name for part in parts)]


def test_the_base_comes_back_from_an_error_too(tiny_model: Path, tmp_path: Path) -> None:
    folder, lm = trained(tiny_model, tmp_path / "adapter", LORA), loaded(tiny_model)
    generator = LocalGenerator(lm, 8)
    before = probed(lm.model, lm.tokenizer)
    with pytest.raises(KeyboardInterrupt), generator.adapter(folder), merged(lm.model):
        raise KeyboardInterrupt
    with generator.adapter(None):
        assert torch.equal(probed(lm.model, lm.tokenizer), before)


def test_weights_trained_whole_and_the_bare_base_have_nothing_to_merge(tiny_model: Path, tmp_path: Path) -> None:
    """An adapter that lies in the model and is switched off is not merged with them."""
    folder, lm = trained(tiny_model, tmp_path / "adapter", LORA), loaded(tiny_model)
    whole = tmp_path / "whole"
    shutil.copytree(tiny_model, whole)
    other = loaded(tiny_model)
    with torch.no_grad():
        other.model.lm_head.weight.mul_(1.5)  # type: ignore[union-attr, operator]
    other.model.save_pretrained(whole)
    (whole / ADAPTER_RECORD).write_text(json.dumps({"base_fingerprint": "f" * 64}))
    generator = LocalGenerator(lm, 8)
    for other_folder in (None, whole):
        with generator.adapter(folder):
            pass
        with generator.adapter(other_folder), merged(lm.model) as layers:
            assert layers == 0
