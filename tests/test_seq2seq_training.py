"""Training of encoder-decoder models on tiny real ones (T5, BART): what is read, the loss, and every method.

What the trap is each time: tokens that are trained and never asked, a loss on the decoder's given beginning or on
padding, and an end token that nobody learns.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import HARBOURS, read
from peft import PeftModel
from tiny_seq2seq import DEV, PROMPTS, QUESTIONS, TEXTS, model_of, prefix_of, rows_of
from transformers import AutoModelForSeq2SeqLM

from ragft.config import AdapterConfig
from ragft.generation.local import LocalGenerator
from ragft.models.language_model import LanguageModel
from ragft.training.attention import why_not_packed
from ragft.training.batching import IGNORED, PairCollator
from ragft.training.examples import TrainingText, TrainingTokens
from ragft.training.loss import completion_loss
from ragft.training.merging import merge
from ragft.training.running import Progress, TrainingResult, train


@pytest.fixture
def lm(seq2seq_folder: Path) -> LanguageModel:
    return model_of(seq2seq_folder)


@pytest.fixture
def t5(seq2seq_folders: dict[str, Path]) -> LanguageModel:
    return model_of(seq2seq_folders["t5"])


# ------------------------------------------------------------------------------------------- what is read and learnt


def test_what_is_trained_has_the_tokens_that_are_asked_and_said(lm: LanguageModel) -> None:
    """T5's tokenizer puts its own blank before a text: with another it would learn tokens that it never says."""
    row = rows_of(lm)[0]
    asked, in_front = LocalGenerator(lm, 4)._asked([TEXTS[0].prompt])
    assert asked["input_ids"][0].tolist() == list(row.prompt)
    assert list(row.prompt)[-1] == 1
    assert list(row.completion) == [*lm.tokenizer("green", add_special_tokens=False)["input_ids"], 1]
    begun = PairCollator(0, lm.decoder_prefix)([row])["decoder_input_ids"][0].tolist()
    assert begun[:in_front] == asked["decoder_input_ids"][0].tolist()
    assert begun[in_front:] == list(row.completion[:-1])


def test_decoder_inputs_are_the_labels_moved_on_by_the_models_own_rule(lm: LanguageModel) -> None:
    """Pads carry no loss, nor does the `<s>` that BART is given; padded rows hold what their batch does not change."""
    batch = PairCollator(0, lm.decoder_prefix)([*rows_of(lm, DEV), *rows_of(lm)[:2]])
    labels = batch["labels"].clone()
    assert (labels != IGNORED).sum() == sum(len(row.completion) for row in [*rows_of(lm, DEV), *rows_of(lm)[:2]])
    if len(lm.decoder_prefix) > 1:
        assert (labels[:, 0] == IGNORED).all()
        labels[:, 0] = 3
    model: Any = lm.model
    assert torch.equal(batch["decoder_input_ids"], model.prepare_decoder_input_ids_from_labels(labels))
    assert torch.equal(batch["attention_mask"].sum(dim=1), (batch["input_ids"] != 0).sum(dim=1))
    filler = PairCollator(0, lm.decoder_prefix)([TrainingTokens("", (0,), ())])
    assert (filler["labels"] == IGNORED).all()  # what fills the batch of another process
    assert torch.isfinite(completion_loss(lm.model, filler)[0])


def test_the_loss_is_that_of_the_completion_and_its_end_alone(lm: LanguageModel) -> None:
    """By hand, one example at a time; in a batch the same, so padding on either side leaks nothing."""
    rows, expected = rows_of(lm, (*DEV, *TEXTS[:3])), 0.0
    for row in rows:
        begun = [*prefix_of(lm), *row.completion]
        with torch.no_grad():
            out = lm.model(input_ids=torch.tensor([row.prompt]), decoder_input_ids=torch.tensor([begun]))
        places = zip(range(len(prefix_of(lm)) - 1, len(begun)), row.completion, strict=False)
        likely = out.logits[0].double().log_softmax(dim=-1)
        expected -= sum(float(likely[place, token]) for place, token in places)
    with torch.no_grad():
        total, count, _ = completion_loss(lm.model, PairCollator(0, lm.decoder_prefix)(rows))
    assert int(count) == sum(len(row.completion) for row in rows)
    assert float(total) == pytest.approx(expected, rel=1e-5)


def test_batches_of_an_encoder_decoder_are_padded_and_the_log_says_why(
    t5: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reason = "an encoder-decoder model reads the prompt apart from the answer"
    assert why_not_packed(t5.model) == reason
    caplog.set_level("INFO", "ragft.training")
    trained(t5, tmp_path)
    assert f"batches are padded: {reason}" in caplog.text


def test_a_chat_template_has_placed_the_special_tokens_already(t5: LanguageModel) -> None:
    """As in T5Gemma: those of the tokenizer would come on top, and a second begin of text is no text it knows."""
    t5.tokenizer.chat_template = "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}"
    text = TrainingText("a", "<s>Who?", "green")
    asked, _ = LocalGenerator(t5, 4)._asked([text.prompt])
    assert asked["input_ids"][0].tolist() == list(rows_of(t5, (text,))[0].prompt)
    assert asked["input_ids"][0].tolist()[-1] != 1
    assert LocalGenerator(t5, 4).count_tokens(text.prompt) == asked["input_ids"].shape[1]


# ----------------------------------------------------------------------------------------------------------- training


def trained(
    lm: LanguageModel, folder: Path, peft: Any = None, dies_at: int | None = None, **more: Any
) -> TrainingResult:
    """Train on the ten colours; with `dies_at` the process dies when that step has been told."""

    def on_progress(progress: Progress) -> None:
        if progress.step == dies_at:
            raise KeyboardInterrupt

    given = {"max_steps": 6, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "learning_rate": 0.01}
    config = AdapterConfig.model_validate(
        {"peft": peft or {"r": 4}, "training": {**given, "num_train_epochs": 200, "evals_per_run": 2, **more}}
    )
    target = folder / "adapter"
    target.mkdir(parents=True, exist_ok=True)
    places = {"folder": folder / "checkpoints", "target": target}
    return train(lm, config, rows_of(lm), rows_of(lm, DEV), **places, seed=17, on_progress=on_progress)


def recorded(folder: Path) -> Path:
    """Write beside an adapter what ragft writes, and return its folder."""
    (folder / "adapter" / "ragft.json").write_text(json.dumps({"base_fingerprint": "f" * 64}))
    return folder / "adapter"


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(
            input_ids=torch.tensor([[5, 17, 40, 60, 61, 1]]), decoder_input_ids=torch.tensor([[0, 9, 33]])
        ).logits
    return found


METHODS = {"lora": {"r": 4}, "dora": {"r": 4, "use_dora": True}, "pissa": {"r": 4, "init_lora_weights": "pissa"},
           "ia3": {"method": "ia3"}}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_an_adapter_loads_in_bare_peft_leaves_the_base_alone_and_answers(
    seq2seq_folder: Path, tmp_path: Path, method: str
) -> None:
    lm = model_of(seq2seq_folder)
    plain = logits(lm.model)
    trained(lm, tmp_path, METHODS[method])
    assert torch.equal(logits(lm.model), plain)
    config = read(tmp_path / "adapter" / "adapter_config.json")
    assert config["task_type"] == "SEQ_2_SEQ_LM"
    assert not {"lm_head", "shared"} & set(config["target_modules"])
    bare = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(seq2seq_folder), str(tmp_path / "adapter"))
    assert (logits(bare) - plain).abs().max() > 1e-3
    generator = LocalGenerator(lm, 6)
    with generator.adapter(recorded(tmp_path)):  # proves that it moves a logit
        assert torch.allclose(logits(generator._model), logits(bare), atol=1e-4)
        generator.generate(PROMPTS[:2])
    with generator.adapter(None):
        assert torch.equal(logits(generator._model), plain)


@pytest.mark.parametrize("method", ["lora", "dora", "ia3"])
def test_a_merged_model_says_what_its_adapter_says(seq2seq_folder: Path, tmp_path: Path, method: str) -> None:
    lm = model_of(seq2seq_folder)
    trained(lm, tmp_path, METHODS[method])
    assert merge(seq2seq_folder, tmp_path / "adapter", tmp_path / "merged").dtype == "float32"
    merged = model_of(tmp_path / "merged")
    generator = LocalGenerator(lm, 8)
    with generator.adapter(recorded(tmp_path)):
        assert torch.allclose(logits(merged.model), logits(generator._model), atol=1e-3)
        said = [answer.text for answer in generator.generate(PROMPTS)]
    assert [answer.text for answer in LocalGenerator(merged, 8).generate(PROMPTS)] == said


def test_full_fine_tuning_learns_ten_facts_by_heart(seq2seq_folder: Path, tmp_path: Path) -> None:
    """It says each colour and stops: an end token without loss, or a decoder begun otherwise, would show here."""
    lm = model_of(seq2seq_folder)
    plain = logits(lm.model)
    training = {"max_steps": 180, "learning_rate": 8e-3, "per_device_train_batch_size": 10, "evals_per_run": 1}
    result = trained(lm, tmp_path, {"method": "full"}, load_best_model_at_end=False, **training)
    losses = [row["loss"] for row in result.history if "loss" in row]
    assert losses[-1] < 0.1 < 2 < losses[0]
    assert torch.equal(logits(lm.model), plain)
    generator = LocalGenerator(lm, 8)
    with generator.adapter(recorded(tmp_path)):
        answers = generator.generate(QUESTIONS)
    assert [answer.text for answer in answers] == [harbour[2] for harbour in HARBOURS]
    assert {answer.finish_reason for answer in answers} == {"stop"}


def curve(result: TrainingResult) -> list[float]:
    return [row[key] for row in result.history for key in ("loss", "eval_loss") if key in row]


def test_gradient_accumulation_counts_the_labels_of_all_its_passes(lm: LanguageModel, tmp_path: Path) -> None:
    """A mean of means would weigh short answers more; a first label that is not counted, every answer."""
    with torch.no_grad():
        total, count, _ = completion_loss(lm.model, PairCollator(0, lm.decoder_prefix)(rows_of(lm)))
    lone = trained(lm, tmp_path / "once", per_device_train_batch_size=10, max_steps=1)
    parts = trained(lm, tmp_path / "parts", per_device_train_batch_size=2, gradient_accumulation_steps=5, max_steps=1)
    assert lone.history[0]["loss"] == pytest.approx(float(total / count), rel=1e-5)  # a new adapter changes nothing
    assert parts.history[0]["loss"] == pytest.approx(lone.history[0]["loss"], rel=1e-5)
    assert parts.history[0]["grad_norm"] == pytest.approx(lone.history[0]["grad_norm"], rel=1e-4)


def test_a_training_that_dies_ends_as_one_that_did_not(seq2seq_folder: Path, tmp_path: Path) -> None:
    whole = trained(model_of(seq2seq_folder), tmp_path / "whole", {"r": 4, "lora_dropout": 0.2})
    with pytest.raises(KeyboardInterrupt):
        trained(model_of(seq2seq_folder), tmp_path / "cut", {"r": 4, "lora_dropout": 0.2}, dies_at=5)
    assert (tmp_path / "cut" / "checkpoints" / "checkpoint-3").is_dir()
    cut = trained(model_of(seq2seq_folder), tmp_path / "cut", {"r": 4, "lora_dropout": 0.2})
    assert curve(cut) == curve(whole)


def test_bfloat16_trains_and_answers(seq2seq_folder: Path, tmp_path: Path) -> None:
    lm = model_of(seq2seq_folder, "bfloat16")
    result = trained(lm, tmp_path, max_steps=20, per_device_train_batch_size=10)
    losses = [row["loss"] for row in result.history if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    generator = LocalGenerator(lm, 6)
    with generator.adapter(recorded(tmp_path)):
        assert len(generator.generate(PROMPTS)) == 8
