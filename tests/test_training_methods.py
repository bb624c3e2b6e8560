"""Methods of training on a real (tiny) model: what is saved is what was trained, and the base is left alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from small_training import DEV, TEXTS, Model, settings
from transformers import AutoModelForCausalLM

from ragft.errors import RagftError
from ragft.models.language_model import LanguageModel, load
from ragft.models.sources import ModelFolder
from ragft.training.examples import tokenized
from ragft.training.running import Measure, TrainingResult, train

ALL_LINEAR = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"r": 4},
    "rslora": {"r": 4, "use_rslora": True},
    "dora": {"r": 4, "use_dora": True},
    "pissa": {"r": 4, "init_lora_weights": "pissa"},
    "pissa_fast": {"r": 4, "init_lora_weights": "pissa_niter_4"},
    "olora": {"r": 4, "init_lora_weights": "olora"},
    "loraplus": {"r": 4, "loraplus_lr_ratio": 8},
    "ia3": {"method": "ia3"},
}


def trained(
    lm: LanguageModel, folder: Path, peft: Mapping[str, Any], measure: Measure | None = None, **training: Any
) -> TrainingResult:
    target = folder / "adapter"
    target.mkdir(parents=True)
    rows, dev = (tokenized(texts, lm.tokenizer, None) for texts in (TEXTS, DEV))
    return train(
        lm,
        settings(peft, **training),
        rows,
        dev,
        folder=folder / "checkpoints",
        target=target,
        seed=17,
        measure=measure,
    )


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor([[5, 17, 40, 60, 61, 62]])).logits
    return found


def loaded(tiny_model: Path, folder: Path) -> Any:
    """Return the plain base with the adapter, through bare PEFT."""
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), str(folder / "adapter"))


class Seen:
    """A measure that keeps the logits of the model as it stands and gives one metric."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)
        self.logits: list[torch.Tensor] = []

    def __call__(self, model: Any) -> dict[str, float]:
        self.logits.append(logits(model))
        return {"token_f1": self.values[len(self.logits) - 1]}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_saved_is_what_was_trained_on_the_plain_base(
    model: Model, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    """PiSSA and OLoRA train against a changed base: saved as it is, the adapter would be wrong on the real one."""
    lm, seen = model(), Seen(0.1, 0.2)
    plain, before = logits(lm.model), {key: value.clone() for key, value in lm.model.state_dict().items()}
    trained(lm, tmp_path, METHODS[name], seen, metric_for_best_model="token_f1")
    again = logits(loaded(tiny_model, tmp_path))
    saved = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert saved.get("init_lora_weights", True) is True  # else loading would change the base once more
    assert torch.allclose(again, seen.logits[-1], atol=2e-3)
    assert (again - plain).abs().max() > 0.05  # the adapter changes the logits
    after = lm.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.equal(logits(lm.model), plain)


@pytest.mark.parametrize("name", ["lora", "rslora", "dora", "pissa", "ia3"])
def test_a_merged_adapter_says_the_same(model: Model, tiny_model: Path, tmp_path: Path, name: str) -> None:
    """In float32, to 1e-3 of logits that are tens; and token for token."""
    trained(model(), tmp_path, METHODS[name])
    apart = loaded(tiny_model, tmp_path)
    ids = torch.tensor([[5, 17, 40, 60]])
    said = apart.generate(input_ids=ids, max_new_tokens=8, do_sample=False)
    expected = logits(apart)
    merged = apart.merge_and_unload()
    assert torch.allclose(logits(merged), expected, atol=1e-3)
    assert torch.equal(merged.generate(input_ids=ids, max_new_tokens=8, do_sample=False), said)


def test_full_fine_tuning_saves_a_model_folder_and_gives_the_base_back(
    model: Model, tmp_path: Path, tiny_model: Path
) -> None:
    lm, seen = model(), Seen(0.1, 0.2)
    plain = logits(lm.model)
    result = trained(lm, tmp_path, {"method": "full"}, seen, metric_for_best_model="token_f1", learning_rate=1e-3)
    assert result.steps == 4
    assert torch.equal(logits(lm.model), plain)
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")
    assert torch.allclose(logits(whole), seen.logits[-1], atol=1e-4)
    assert (logits(whole) - plain).abs().max() > 0.05
    assert load(ModelFolder("x", tmp_path / "adapter", "0"), "float32", "cpu").tokenizer.pad_token_id is not None


def test_full_fine_tuning_of_a_bfloat16_model_learns_in_float32_and_is_saved_in_bfloat16(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A step of 1e-5 is lost in bfloat16, whose neighbours of 0.4 lie 0.002 apart."""
    lm = load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "bfloat16", "cpu")
    plain = logits(lm.model)
    dtypes: list[torch.dtype] = []

    def measure(model: Any) -> dict[str, float]:
        dtypes.append(next(model.parameters()).dtype)
        return {"token_f1": 0.0}

    trained(lm, tmp_path, {"method": "full"}, measure, metric_for_best_model="token_f1")
    assert dtypes == [torch.float32, torch.float32]
    assert torch.equal(logits(lm.model), plain)
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")
    assert {weight.dtype for weight in whole.parameters()} == {torch.bfloat16}


def test_loraplus_teaches_the_b_matrices_faster(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragft.training.trainer import AdapterTrainer

    found: list[Any] = []
    real = AdapterTrainer.create_optimizer

    def keeping(self: Any, model: Any = None) -> Any:
        found.append(real(self, model))
        return found[-1]

    monkeypatch.setattr(AdapterTrainer, "create_optimizer", keeping)
    trained(model(), tmp_path, METHODS["loraplus"], lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.1)
    groups = {
        (group["initial_lr"], group["weight_decay"]): len(group["params"]) for group in found[0].param_groups[:3:2]
    }
    assert groups == {(0.01, 0.1): 14, (0.08, 0.1): 14}  # seven A and seven B matrices in each of two layers


def test_all_linear_layers_but_the_head_are_adapted_by_default(model: Model, tiny_model: Path, tmp_path: Path) -> None:
    trained(model(), tmp_path, {"r": 4})
    names = {
        name.rpartition(".")[2]
        for name, part in loaded(tiny_model, tmp_path).named_modules()
        if hasattr(part, "lora_A")
    }
    assert names == ALL_LINEAR


def test_checkpointed_activations_give_the_same_losses_and_are_switched_off_again(model: Model, tmp_path: Path) -> None:
    one, lm = trained(model(), tmp_path / "one", {"r": 4}), model()
    two = trained(lm, tmp_path / "two", {"r": 4}, gradient_checkpointing=True)
    pairs = [(a["loss"], b["loss"]) for a, b in zip(one.history, two.history, strict=True) if "loss" in a]
    assert all(a == pytest.approx(b, rel=1e-5) for a, b in pairs)
    assert not lm.model.is_gradient_checkpointing


# --------------------------------------------------------------------------------------------- metrics and stopping


def test_a_task_metric_of_dev_answers_chooses_the_checkpoint_and_stops(
    model: Model, tiny_model: Path, tmp_path: Path
) -> None:
    seen = Seen(0.1, 0.5, 0.4, 0.5, 0.9)
    options: dict[str, Any] = {"max_steps": 10, "evals_per_run": 5, "early_stopping_patience": 2}
    result = trained(model(), tmp_path, {"r": 4}, seen, metric_for_best_model="token_f1", **options)
    assert [row["eval_token_f1"] for row in result.history if "eval_token_f1" in row] == [0.1, 0.5, 0.4, 0.5]
    assert (result.steps, result.best_step) == (8, 4)
    assert torch.allclose(logits(loaded(tiny_model, tmp_path)), seen.logits[1], atol=1e-4)


def test_a_metric_that_cannot_be_had_is_an_error(model: Model, tmp_path: Path) -> None:
    with pytest.raises(RagftError, match="metric_for_best_model: token_f1 cannot be measured here"):
        trained(model(), tmp_path / "a", {"r": 4}, metric_for_best_model="token_f1")
    with pytest.raises(RagftError, match="names 'rouge', which the dev answers do not give") as caught:
        trained(model(), tmp_path / "b", {"r": 4}, Seen(0.1), metric_for_best_model="rouge")
    assert caught.value.hint == "it can be loss or one of token_f1"


# --------------------------------------------------------------------------------------------------------- refusals


def test_qlora_without_a_gpu_says_what_to_do(model: Model, tmp_path: Path) -> None:
    with pytest.raises(RagftError, match="method: qlora holds the base in 4 bits on a CUDA GPU") as caught:
        trained(model(), tmp_path, {"method": "qlora"})
    assert (caught.value.hint or "").startswith("use method: lora")


def test_a_tracker_that_is_not_installed_is_named_with_its_pip_line(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragft.training.arguments.importlib.util.find_spec", lambda name: None)
    with pytest.raises(RagftError, match=r"report_to names wandb, which is not installed") as caught:
        trained(model(), tmp_path, {"r": 4}, report_to=["wandb"])
    assert caught.value.hint == "pip install wandb"


def test_transformers_own_refusal_is_passed_on(model: Model, tmp_path: Path) -> None:
    with pytest.raises(RagftError, match="transformers refuses the settings under training: .*magic"):
        trained(model(), tmp_path, {"r": 4}, optim="magic")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_names_the_batch_and_the_knobs(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", fails)
    with pytest.raises(
        RagftError, match=r"out of memory at step 1, on 2 examples of \d+ tokens \([a-d], [a-d]\)"
    ) as caught:
        trained(model(), tmp_path, {"r": 4})
    assert "per_device_train_batch_size" in (caught.value.hint or "")
    assert "gradient_checkpointing: true" in (caught.value.hint or "")
