"""LoRA training on a real (tiny) model: which tokens carry loss, what is learnt, and what is left as it was."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from small_training import DEV, TEXTS, Model, settings
from transformers import AutoModelForCausalLM

from ragft.config import AdapterConfig
from ragft.errors import RagftError
from ragft.generation.local import LocalGenerator
from ragft.models.language_model import LanguageModel
from ragft.training.batching import Collator
from ragft.training.examples import TrainingText, TrainingTokens, tokenized
from ragft.training.loss import CompletionTrainer
from ragft.training.methods import adapted
from ragft.training.running import Progress, TrainingResult, train

Rows = list[TrainingTokens]


def rows_of(lm: LanguageModel, texts: tuple[TrainingText, ...] = TEXTS) -> Rows:
    return tokenized(texts, lm.tokenizer, None)


def trained(lm: LanguageModel, folder: Path, config: AdapterConfig | None = None, **more: Any) -> TrainingResult:
    dev = rows_of(lm, DEV)
    target = folder / "adapter"
    target.mkdir(parents=True, exist_ok=True)
    return train(
        lm, config or settings(), rows_of(lm), dev, folder=folder / "checkpoints", target=target, seed=17, **more
    )


def recorded(folder: Path, base_fingerprint: str = "f" * 64) -> Path:
    """Write beside an adapter what ragft writes, and return its folder."""
    (folder / "adapter" / "ragft.json").write_text(json.dumps({"base_fingerprint": base_fingerprint}))
    return folder / "adapter"


def loss_of(lm: LanguageModel, rows: Rows, count: int | None = None) -> float:
    """Return the loss that the Trainer computes for one batch."""
    batch = Collator(lm.tokenizer.pad_token_id)(rows)  # type: ignore[arg-type]
    trainer: Any = object.__new__(CompletionTrainer)
    trainer.accelerator = SimpleNamespace(num_processes=1)
    items = None if count is None else torch.tensor(count)
    with torch.no_grad():
        return float(trainer.compute_loss(lm.model, batch, num_items_in_batch=items))


def summed_by_hand(lm: LanguageModel, row: TrainingTokens) -> float:
    """Return minus the log-probability of the completion and its end of turn, one token after another."""
    ids = [*row.prompt, *row.completion]
    with torch.no_grad():
        logits = lm.model(torch.tensor([ids])).logits[0].double()
    total = 0.0
    for place in range(len(row.prompt), len(ids)):
        total -= torch.log_softmax(logits[place - 1], dim=-1)[ids[place]].item()
    return total


def weights(lm: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in lm.model.state_dict().items()}


# ------------------------------------------------------------------------------------------------------- the loss


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_the_loss_is_the_cross_entropy_of_the_completion_and_its_end_of_turn(model: Model, number: int) -> None:
    lm = model()
    row = rows_of(lm)[number]
    assert row.completion[-1] == lm.tokenizer.eos_token_id
    assert loss_of(lm, [row]) == pytest.approx(summed_by_hand(lm, row) / len(row.completion), abs=1e-4)


def test_padding_does_not_change_the_loss(model: Model) -> None:
    lm = model()
    rows = rows_of(lm)
    assert len({row.length for row in rows}) == len(rows)
    count = sum(len(row.completion) for row in rows)
    expected = sum(summed_by_hand(lm, row) for row in rows) / count
    assert loss_of(lm, rows) == pytest.approx(expected, abs=1e-4)
    assert loss_of(lm, rows[::-1]) == pytest.approx(expected, abs=1e-4)
    assert sum(loss_of(lm, [row], count) for row in rows) == pytest.approx(expected, abs=1e-4)


def test_small_batches_that_are_accumulated_are_one_large_batch(model: Model, tmp_path: Path) -> None:
    """The mean of means over micro-batches of unequal label counts was a bug of several trainers."""
    found = []
    for number, (size, accumulated) in enumerate([(4, 1), (2, 2), (1, 4)]):
        sizes = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulated}
        config = settings(max_steps=1, num_train_epochs=1, **sizes)
        result = trained(model(), tmp_path / str(number), config)
        assert (result.steps, result.examples_seen) == (1, 4)
        saved = load_file(tmp_path / str(number) / "adapter" / "adapter_model.safetensors")
        found.append((result.history[0]["loss"], result.history[0]["grad_norm"], saved))
    for loss, norm, saved in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-4)
        assert norm == pytest.approx(found[0][1], rel=1e-3)
        assert saved.keys() == found[0][2].keys()


def test_the_first_loss_is_that_of_the_base_model(model: Model, tmp_path: Path) -> None:
    lm = model()
    config = settings(max_steps=1, num_train_epochs=1, per_device_train_batch_size=4)
    expected = sum(summed_by_hand(lm, row) for row in rows_of(lm)) / sum(len(row.completion) for row in rows_of(lm))
    result = trained(lm, tmp_path, config)
    assert result.history[0]["loss"] == pytest.approx(expected, abs=1e-3)
    assert result.label_tokens == sum(len(row.completion) for row in rows_of(lm))
    assert result.tokens_seen == sum(row.length for row in rows_of(lm))


@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_loss_of_a_step_is_the_mean_over_every_label_of_all_its_batches(
    model: Model, tmp_path: Path, accumulated: int
) -> None:
    """The Trainer leaves out the first label of each batch: padded ones carry no loss there, packed ones do."""
    lm = model()
    rows = rows_of(lm)
    expected = sum(summed_by_hand(lm, row) for row in rows) / sum(len(row.completion) for row in rows)
    sizes = {"per_device_train_batch_size": 4 // accumulated, "gradient_accumulation_steps": accumulated}
    result = trained(lm, tmp_path, settings(max_steps=1, num_train_epochs=1, **sizes))
    assert result.history[0]["loss"] == pytest.approx(expected, rel=1e-4)


def test_training_lowers_the_loss_and_teaches_the_end_of_turn(model: Model, tmp_path: Path) -> None:
    lm = model()
    before = loss_of(lm, rows_of(lm))
    result = trained(lm, tmp_path, settings(max_steps=100, num_train_epochs=100, load_best_model_at_end=False))
    generator = LocalGenerator(lm, 32)
    with generator.adapter(recorded(tmp_path)):
        answers = generator.generate([text.prompt for text in TEXTS])
    assert [answer.text for answer in answers] == [text.completion for text in TEXTS]
    assert {answer.finish_reason for answer in answers} == {"stop"}
    assert [row["loss"] for row in result.history if "loss" in row][-1] < before / 10


# ------------------------------------------------------------------------------- what is trained and what is not


def test_only_the_adapter_gets_gradients(model: Model) -> None:
    lm = model()
    with adapted(lm, settings().peft) as wrapped:
        learnt = {name for name, parameter in wrapped.named_parameters() if parameter.requires_grad}
    assert learnt
    assert all("lora_A" in name or "lora_B" in name for name in learnt)
    modules = {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in learnt}
    assert modules == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_the_base_is_left_as_it_was(model: Model, tmp_path: Path) -> None:
    lm = model()
    before = weights(lm)
    trained(lm, tmp_path)
    after = weights(lm)
    assert after.keys() == before.keys()  # the wrapping is off again
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not lm.model.training
    assert not any(parameter.requires_grad for parameter in lm.model.parameters())


def test_the_base_is_left_as_it_was_when_training_fails(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = model()
    before = weights(lm)

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(lm, tmp_path, on_progress=stop)
    assert weights(lm).keys() == before.keys()
    assert not (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    trained(lm, tmp_path)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()


def test_the_adapter_folder_loads_in_bare_peft(model: Model, tiny_model: Path, tmp_path: Path) -> None:
    lm = model()
    trained(lm, tmp_path)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_model)
    assert (config["peft_type"], config["task_type"], config["r"]) == ("LORA", "CAUSAL_LM", 4)
    ids = torch.tensor([rows_of(lm)[0].prompt])
    bare = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), str(tmp_path / "adapter"))
    generator = LocalGenerator(lm, 4)
    with generator.adapter(recorded(tmp_path)), torch.no_grad():
        here = generator._model(ids).logits
        assert torch.equal(bare(ids).logits, here)
    with torch.no_grad():
        assert not torch.equal(model().model(ids).logits, here)


def test_the_same_seed_gives_the_same_adapter(model: Model, tmp_path: Path) -> None:
    trained(model(), tmp_path / "one")
    trained(model(), tmp_path / "two")
    one, two = (load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_progress_is_told_at_every_step(model: Model, tmp_path: Path) -> None:
    told: list[Progress] = []
    trained(model(), tmp_path, on_progress=told.append)
    assert [one.step for one in told if one.dev_loss is None] == [1, 2]
    assert {one.steps for one in told} == {4}
    assert told[-1].step == 4
    assert told[-1].loss is not None
    assert told[-1].dev_loss is not None
    assert (told[-1].tokens_per_second or 0) > 0


# ----------------------------------------------------------------------------------------------- the checkpoints


def test_the_adapter_with_the_lowest_dev_loss_is_kept(model: Model, tmp_path: Path) -> None:
    """At this learning rate the dev loss rises, so the last checkpoint is not the best."""
    lm = model()
    shape = {"max_steps": 36, "num_train_epochs": 100, "evals_per_run": 6}
    config = settings(**shape, learning_rate=0.05, lr_scheduler_type="constant")
    result = trained(lm, tmp_path, config)
    dev = {int(row["step"]): row["eval_loss"] for row in result.history if "eval_loss" in row}
    assert sorted(dev) == [6, 12, 18, 24, 30, 36]
    assert result.best_step == min(dev, key=lambda step: dev[step]) != 36
    assert result.dev_loss == min(dev.values())
    generator = LocalGenerator(lm, 4)
    with generator.adapter(recorded(tmp_path)):
        row = rows_of(lm, DEV)[0]
        assert summed_by_hand(lm, row) / len(row.completion) == pytest.approx(result.dev_loss, abs=1e-3)


def test_without_that_setting_the_last_one_is_kept(model: Model, tmp_path: Path) -> None:
    lm = model()
    result = trained(lm, tmp_path, settings(max_steps=6, evals_per_run=3, load_best_model_at_end=False))
    dev = [(int(row["step"]), row["eval_loss"]) for row in result.history if "eval_loss" in row]
    assert (result.best_step, result.dev_loss) == dev[-1] == (6, dev[-1][1])


# ------------------------------------------------------------------------------------------------------ refusals


def test_unknown_target_modules_are_answered_with_those_of_the_model(model: Model, tmp_path: Path) -> None:
    config = AdapterConfig.model_validate({"peft": {"target_modules": ["query_key_value"]}})
    with pytest.raises(RagftError, match=r"peft\.target_modules: .*query_key_value.*not found") as caught:
        trained(model(), tmp_path, config)
    names = "down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj"
    assert caught.value.hint == f"linear modules of the model: {names}"


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_step(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = torch.nn.functional.cross_entropy, []

    def explodes(*arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return real(*arguments, **options) * (float("nan") if len(calls) == 2 else 1.0)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", explodes)
    with pytest.raises(RagftError, match="the training loss is nan at step 2, on the examples [a-d], [a-d]$") as caught:
        trained(model(), tmp_path)
    assert caught.value.hint == "lower training.learning_rate, or set model.dtype: float32"
    assert not (tmp_path / "adapter" / "adapter_model.safetensors").exists()


def test_an_adapter_that_changes_nothing_is_refused_each_time(model: Model, tmp_path: Path) -> None:
    """Transformers and PEFT only warn about missing keys: an adapter that was not loaded answers as the base does."""
    lm = model()
    trained(lm, tmp_path)
    file = recorded(tmp_path) / "adapter_model.safetensors"
    zero = {name: value * ("lora_B" not in name) for name, value in load_file(file).items()}
    save_file(zero, file, metadata={"format": "pt"})
    generator = LocalGenerator(lm, 4)
    before = generator.generate(["Who?"])[0].text
    for _ in range(2):
        with (
            pytest.raises(RagftError, match=r"changes no logit \(largest change 0\): it was not loaded") as caught,
            generator.adapter(tmp_path / "adapter"),
        ):
            pytest.fail("it answered")
        assert caught.value.hint == "train it again: ragft finetune FILE"
    with generator.adapter(None):
        assert generator.generate(["Who?"])[0].text == before


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_an_adapter_whose_keys_are_foreign_is_refused(model: Model, tmp_path: Path) -> None:
    lm = model()
    trained(lm, tmp_path)
    file = recorded(tmp_path) / "adapter_model.safetensors"
    foreign = {name.replace("layers", "blocks"): value for name, value in load_file(file).items()}
    save_file(foreign, file, metadata={"format": "pt"})
    with pytest.raises(RagftError, match="changes no logit"), LocalGenerator(lm, 4).adapter(tmp_path / "adapter"):
        pytest.fail("it answered")


def test_an_adapter_of_another_base_model_is_refused(model: Model, tmp_path: Path) -> None:
    lm = model()
    trained(lm, tmp_path)
    folder = recorded(tmp_path, base_fingerprint="a" * 64)
    message = r"was trained on another base model \(aaaaaaaaaaaa, and the experiment's is ffffffffffff\)"
    with pytest.raises(RagftError, match=message), LocalGenerator(lm, 4).adapter(folder):
        pytest.fail("it answered")
    (folder / "ragft.json").unlink()
    with pytest.raises(RagftError, match="is not an adapter that ragft trained"), LocalGenerator(lm, 4).adapter(folder):
        pytest.fail("it answered")
