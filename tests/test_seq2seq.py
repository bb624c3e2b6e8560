"""Encoder-decoder models on tiny real ones (T5, BART): answers, loss, methods, and the commands from a folder on.

What the trap is each time: special tokens around the encoder's text, the first token of the decoder, padding on the
side that a decoder-only model needs, and answers cut off as if a prompt stood in front of them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from conftest import HARBOURS, NO_LIMIT, SmallExperiment, question, read, text_of_everything, write_experiment
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Asking
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Silence
from ragft.config import AdapterConfig, load_experiment
from ragft.errors import DataError, RagftError
from ragft.generation.local import LocalGenerator
from ragft.models.language_model import LanguageModel, auto_class, load, load_tokenizer
from ragft.models.sources import ModelFolder
from ragft.training.attention import why_not_packed
from ragft.training.batching import IGNORED, PairCollator
from ragft.training.card import card
from ragft.training.examples import TrainingText, TrainingTokens, tokenized
from ragft.training.loss import completion_loss
from ragft.training.merging import merge
from ragft.training.running import Progress, TrainingResult, train
from ragft.workspace import Workspace

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BEGIN, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
QUESTIONS = [f"Which colour has {harbour[1]}?\n\nAnswer:" for harbour in HARBOURS]
PROMPTS = ["Who?", *QUESTIONS[:4], "The lighthouse of Garness is orange. " * 6, "a", "When was Iverly built?"]
TEXTS = tuple(
    TrainingText(f"t{n}", prompt, harbour[2])
    for n, (prompt, harbour) in enumerate(zip(QUESTIONS, HARBOURS, strict=True))
)
DEV = (
    TrainingText("d", "What lives below the lighthouse of Corvel, which is white?\n\nAnswer:", "seals and many gulls"),
)


def pieces(*, byte_level: bool) -> Tokenizer:
    """Return BART's kind of tokenizer (bytes, `<s> text </s>`) or T5's (a blank before every text, `text </s>`)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False) if byte_level else pre_tokenizers.Metaspace()
    )
    tokenizer.decoder = decoders.ByteLevel() if byte_level else decoders.Metaspace()
    special = [PAD, END, UNKNOWN, BEGIN]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*text_of_everything(), *PROMPTS, "abcdefghijklmnopqrstuvwxyz0123456789"], trainer)
    form = f"{BEGIN} $A {END}" if byte_level else f"$A {END}"
    tokenizer.post_processor = processors.TemplateProcessing(single=form, special_tokens=[(END, 1), (BEGIN, 3)])
    return tokenizer


def write_model(folder: Path, kind: str) -> Path:
    """Write a two-layer T5 or BART with random weights and its tokenizer into a folder."""
    from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration
    from transformers import PreTrainedTokenizerFast as Fast

    whole = pieces(byte_level=kind == "bart")
    tokenizer = Fast(tokenizer_object=whole, eos_token=END, pad_token=PAD, unk_token=UNKNOWN)
    torch.manual_seed(5)
    shared: Any = {"vocab_size": len(tokenizer), "d_model": 32, "pad_token_id": 0, "eos_token_id": 1}
    if kind == "t5":
        layers: Any = {"num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 64, "dropout_rate": 0.0}
        model: Any = T5ForConditionalGeneration(T5Config(**shared, **layers, decoder_start_token_id=0))
    else:
        names = ("layers", "attention_heads", "ffn_dim")
        layers = {
            f"{part}_{name}": n for part in ("encoder", "decoder") for name, n in zip(names, (2, 4, 64), strict=True)
        }
        config = BartConfig(**shared, **layers, bos_token_id=3, decoder_start_token_id=1, init_std=0.4, dropout=0.0,
                            max_position_embeddings=128)  # fmt: skip
        model = BartForConditionalGeneration(config)
        model.generation_config.forced_bos_token_id = 3
        model.generation_config.forced_eos_token_id = 1
    model.to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of a tiny T5 and a tiny BART."""
    return {kind: write_model(tmp_path_factory.mktemp("models") / f"tiny-{kind}", kind) for kind in ("t5", "bart")}


@pytest.fixture(params=["t5", "bart"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    """The folder of each of the two."""
    return folders[request.param]


def model_of(folder: Path, dtype: Any = "float32") -> LanguageModel:
    return load(ModelFolder(str(folder), folder, "f" * 64), dtype, "cpu")


@pytest.fixture
def lm(folder: Path) -> LanguageModel:
    return model_of(folder)


@pytest.fixture
def t5(folders: dict[str, Path]) -> LanguageModel:
    return model_of(folders["t5"])


def rows_of(lm: LanguageModel, texts: tuple[TrainingText, ...] = TEXTS) -> list[TrainingTokens]:
    return tokenized(texts, lm.tokenizer, None)


def prefix_of(lm: LanguageModel) -> list[int]:
    """T5 begins with its pad token; BART with `</s>` and the `<s>` that its generation config forces behind it."""
    return {"t5": [0], "bart": [1, 3]}[lm.model.config.model_type]


# ------------------------------------------------------------------------------------------------------------ loading


def test_the_config_of_the_folder_decides_what_is_loaded(lm: LanguageModel, tiny_model: Path) -> None:
    assert type(lm.model).__name__ in ("T5ForConditionalGeneration", "BartForConditionalGeneration")
    assert (lm.tokenizer.padding_side, lm.tokenizer.pad_token_id) == ("right", 0)
    assert list(lm.decoder_prefix) == prefix_of(lm)
    decoder_only = model_of(tiny_model)
    assert (decoder_only.tokenizer.padding_side, decoder_only.decoder_prefix) == ("left", ())
    assert auto_class(tiny_model).__name__ == "AutoModelForCausalLM"


def test_a_decoder_that_nothing_says_how_to_begin_is_an_error(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["t5"], tmp_path / "model")
    for name in ("config.json", "generation_config.json"):
        values = read(folder / name) | {"decoder_start_token_id": None, "bos_token_id": None}
        (folder / name).write_text(json.dumps(values))
    with pytest.raises(RagftError) as caught:
        model_of(folder)
    assert caught.value.message == f"{folder} does not say with which token its decoder begins"
    assert caught.value.hint == "set decoder_start_token_id in its config.json"


# ---------------------------------------------------------------------------------------------------------- answering


def said_ids(lm: LanguageModel, prompt: str, count: int) -> list[int]:
    """Return the greedy answer's tokens, each by a forward pass of its own, without cache, mask or padding."""
    read_ids: Any = lm.tokenizer(prompt)["input_ids"]
    said = prefix_of(lm)
    for _ in range(count):
        with torch.no_grad():
            out = lm.model(input_ids=torch.tensor([read_ids]), decoder_input_ids=torch.tensor([said]))
        said = [*said, int(out.logits[0, -1].argmax())]
    return said[-count:]


def test_answers_are_the_most_likely_tokens_behind_the_decoders_beginning(lm: LanguageModel) -> None:
    for prompt in PROMPTS[:3]:
        ids = said_ids(lm, prompt, 6)
        ids = ids[: ids.index(1)] if 1 in ids else ids
        assert (
            LocalGenerator(lm, 6).generate([prompt])[0].text
            == lm.tokenizer.decode(ids, skip_special_tokens=True).strip()
        )


def test_an_answer_does_not_depend_on_its_batch(lm: LanguageModel) -> None:
    """Padding is on the right and masked: on the left, or unmasked, the encoder of BART would count it as text."""
    generator = LocalGenerator(lm, 12)
    alone = [generator.generate([prompt])[0] for prompt in PROMPTS]
    for one, other in zip(alone, generator.generate(PROMPTS), strict=True):
        assert asdict(one) | {"seconds": 0} == asdict(other) | {"seconds": 0}
    assert len({answer.text for answer in alone}) > 4


def test_an_encoder_reads_the_special_tokens_that_the_tokenizer_puts_there(lm: LanguageModel) -> None:
    """T5 knows no text without `</s>` behind it, BART none without `<s>` before it too."""
    generator, plain = LocalGenerator(lm, 2), len(lm.tokenizer("Who?", add_special_tokens=False)["input_ids"])
    more = {"t5": 1, "bart": 2}[lm.model.config.model_type]
    answer = generator.generate(["Who?", PROMPTS[5]])[0]
    assert answer.prompt_tokens == generator.count_tokens("Who?") == plain + more


def test_an_answer_ends_at_the_end_token_and_a_cut_one_says_so(lm: LanguageModel) -> None:
    """BART's config forces an end at the cap: every answer that was cut off would look like a whole one."""
    ids = said_ids(lm, PROMPTS[1], 3)
    cut = LocalGenerator(lm, 3).generate([PROMPTS[1]])[0]
    assert 1 not in ids
    assert (cut.finish_reason, cut.output_tokens) == ("length", 3)
    config: Any = lm.model.generation_config
    config.eos_token_id = ids[2]
    whole = LocalGenerator(lm, 8).generate([PROMPTS[1]])[0]
    count = ids.index(ids[2])
    assert (whole.finish_reason, whole.output_tokens) == ("stop", count + 1)
    assert whole.text == lm.tokenizer.decode(ids[:count], skip_special_tokens=True).strip()


def test_a_streamed_answer_is_the_generated_one_word_by_word(lm: LanguageModel) -> None:
    generator, told = LocalGenerator(lm, 10), list[str]()
    answers = dict(zip(PROMPTS, generator.generate(PROMPTS), strict=True))
    prompt = max(answers, key=lambda prompt: len(answers[prompt].text))
    expected = answers[prompt]
    found = generator.stream(prompt, told.append)
    assert asdict(found) | {"seconds": 0} == asdict(expected) | {"seconds": 0}
    assert told[-1] == expected.text
    assert all(later.startswith(earlier) for earlier, later in zip(told, told[1:], strict=False))


def test_the_limit_of_the_encoder_is_not_shared_with_the_answer(folders: dict[str, Path]) -> None:
    lm = model_of(folders["bart"])
    generator, text = LocalGenerator(lm, 100), "a" + " a" * 125
    assert (generator.count_tokens(text), lm.reads_tokens, generator.context_tokens) == (128, 128, 228)
    assert generator.generate([text])[0].prompt_tokens == 128
    with pytest.raises(RagftError, match=r"^a prompt has 129 tokens, and the model's encoder reads 128$"):
        generator.generate([text + " a"])
    with pytest.raises(RagftError, match=r"^answers of 127 tokens are longer than the model's decoder writes \(128\)$"):
        LocalGenerator(lm, 127).generate(["Who?"])


def test_relative_positions_have_the_tokenizers_limit_or_none(t5: LanguageModel) -> None:
    """A tokenizer of transformers says 10 ** 30 where nobody set a limit."""
    assert (t5.reads_tokens, LocalGenerator(t5, 4).context_tokens) == (None, None)
    assert LocalGenerator(t5, 1).generate(["a " * 600])[0].output_tokens == 1
    t5.tokenizer.model_max_length = 16
    assert t5.reads_tokens == 16
    with pytest.raises(RagftError, match="the model's encoder reads 16"):
        LocalGenerator(t5, 4).generate(["a " * 40])
    with pytest.raises(DataError, match=r"^training example 't0' has \d+ tokens, and the model reads 4$"):
        tokenized(TEXTS, t5.tokenizer, 4)


def test_peak_bytes_are_more_than_the_weights(lm: LanguageModel) -> None:
    weights = sum(weight.numel() * 4 for weight in lm.model.parameters())
    assert weights < LocalGenerator(lm, 4).peak_bytes("Who?") < 10 * weights


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
    folder: Path, tmp_path: Path, method: str
) -> None:
    lm = model_of(folder)
    plain = logits(lm.model)
    trained(lm, tmp_path, METHODS[method])
    assert torch.equal(logits(lm.model), plain)
    config = read(tmp_path / "adapter" / "adapter_config.json")
    assert config["task_type"] == "SEQ_2_SEQ_LM"
    assert not {"lm_head", "shared"} & set(config["target_modules"])
    bare = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(folder), str(tmp_path / "adapter"))
    assert (logits(bare) - plain).abs().max() > 1e-3
    generator = LocalGenerator(lm, 6)
    with generator.adapter(recorded(tmp_path)):  # proves that it moves a logit
        assert torch.allclose(logits(generator._model), logits(bare), atol=1e-4)
        generator.generate(PROMPTS[:2])
    with generator.adapter(None):
        assert torch.equal(logits(generator._model), plain)


@pytest.mark.parametrize("method", ["lora", "dora", "ia3"])
def test_a_merged_model_says_what_its_adapter_says(folder: Path, tmp_path: Path, method: str) -> None:
    lm = model_of(folder)
    trained(lm, tmp_path, METHODS[method])
    assert merge(folder, tmp_path / "adapter", tmp_path / "merged").dtype == "float32"
    merged = model_of(tmp_path / "merged")
    generator = LocalGenerator(lm, 8)
    with generator.adapter(recorded(tmp_path)):
        assert torch.allclose(logits(merged.model), logits(generator._model), atol=1e-3)
        said = [answer.text for answer in generator.generate(PROMPTS)]
    assert [answer.text for answer in LocalGenerator(merged, 8).generate(PROMPTS)] == said


def test_full_fine_tuning_learns_ten_facts_by_heart(folder: Path, tmp_path: Path) -> None:
    """It says each colour and stops: an end token without loss, or a decoder begun otherwise, would show here."""
    lm = model_of(folder)
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


def test_a_training_that_dies_ends_as_one_that_did_not(folder: Path, tmp_path: Path) -> None:
    whole = trained(model_of(folder), tmp_path / "whole", {"r": 4, "lora_dropout": 0.2})
    with pytest.raises(KeyboardInterrupt):
        trained(model_of(folder), tmp_path / "cut", {"r": 4, "lora_dropout": 0.2}, dies_at=5)
    assert (tmp_path / "cut" / "checkpoints" / "checkpoint-3").is_dir()
    cut = trained(model_of(folder), tmp_path / "cut", {"r": 4, "lora_dropout": 0.2})
    assert curve(cut) == curve(whole)


def test_bfloat16_trains_and_answers(folder: Path, tmp_path: Path) -> None:
    lm = model_of(folder, "bfloat16")
    result = trained(lm, tmp_path, max_steps=20, per_device_train_batch_size=10)
    losses = [row["loss"] for row in result.history if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    generator = LocalGenerator(lm, 6)
    with generator.adapter(recorded(tmp_path)):
        assert len(generator.generate(PROMPTS)) == 8


# ------------------------------------------------------------------------------------------------------- the commands


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path], tiny_embedder: Path) -> SmallExperiment:
    """The small experiment on the tiny T5 after one `compare`; its eval questions are those that are trained on."""
    experiment = write_experiment(tmp_path_factory.mktemp("seq2seq") / "experiment", folders["t5"], tiny_embedder)
    steps = {"per_device_train_batch_size": 12, "gradient_accumulation_steps": 1, "num_train_epochs": 200}
    long = {**steps, "max_steps": 200, "learning_rate": 8e-3, "evals_per_run": 1, "load_best_model_at_end": False}
    short = {**steps, "max_steps": 3, "learning_rate": 0.01, "evals_per_run": 1}
    experiment.config["adapters"] = {
        "whole": {"recipe": "closed_book", "peft": {"method": "full"}, "training": long},
        "read": {"recipe": "context", "peft": {"r": 4}, "training": short},
    }
    experiment.config["data"]["allow_leakage"] = True
    arms = {"base": {}, "rag": {"retrieval": "index"}, "finetuned": {"adapter": "whole"}}
    experiment.config["compare"] |= {"arms": arms, "limits": NO_LIMIT, "latency_questions": 1}
    experiment.rows(
        "eval", [question(f"e{n}", f"Which colour has {h[1]}?", h[2], h[0]) for n, h in enumerate(HARBOURS)]
    )
    experiment.save()
    experiment.first_run = experiment.compare()
    return experiment


def test_a_comparison_of_an_encoder_decoder_runs_from_a_folder(tuned: SmallExperiment) -> None:
    """The tuned arm has learnt its colours: its questions were asked as they were trained."""
    rows = read(tuned.first_run / "comparison.json")["estimates"]
    exact = {row["arm"]: row["mean"] for row in rows if row["metric"] == "exact_match"}
    assert exact == {"base": 0.0, "rag": 0.0, "finetuned": 1.0}


def test_prompts_are_plain_turns_asked_with_the_tokens_that_are_trained(tuned: SmallExperiment) -> None:
    bench = Bench(load_experiment(tuned.file).experiment, Workspace(tuned.workspace), Silence())
    knowledge = Knowledge(bench)
    adapters = Adapters(bench, knowledge)
    asking = Asking(bench, knowledge, adapters)
    recipe = adapters.recipe("whole")
    asked = asking.questions(asking.arm("finetuned"), bench.splits.train)
    assert [text.prompt for text in recipe.train] == [item.prompt for item in asked]
    assert all(text.prompt.endswith("\n\nAnswer:") for text in recipe.train)
    assert [text.completion for text in recipe.train] == [bench.task.completion(e) for e in bench.splits.train]
    rows = tokenized(recipe.train, bench.tokenizer, None)
    batch, _ = bench.generator._asked([item.prompt for item in asked])
    for row, ids, mask in zip(rows, batch["input_ids"].tolist(), batch["attention_mask"].tolist(), strict=True):
        assert list(row.prompt) == ids[: sum(mask)]


def test_finetune_and_merge_write_a_card_that_says_what_the_model_is(tuned: SmallExperiment) -> None:
    run = Path(tuned.json("finetune", "--adapter", "read", "--merge")["run"])
    found = ModelCard.load(run / "adapter" / "read" / "README.md")
    assert found.data.pipeline_tag == "text2text-generation"
    assert "AutoModelForSeq2SeqLM.from_pretrained(" in found.content
    assert "AutoModelForCausalLM" not in found.content
    assert "vLLM takes adapters of decoder-only models" in found.content
    merged = run / "merged" / "read"
    assert ModelCard.load(merged / "README.md").data.pipeline_tag == "text2text-generation"
    assert 'model = AutoModelForSeq2SeqLM.from_pretrained("THIS_FOLDER")' in (merged / "README.md").read_text()
    assert AutoModelForSeq2SeqLM.from_pretrained(merged).dtype == torch.float32
    assert AutoTokenizer.from_pretrained(merged)("green")["input_ids"][-1] == 1
    record = read(run / "adapter" / "read" / "ragft.json")
    assert "pipeline_tag: summarization\n" in card({**record, "task": "summarization"})


def test_rag_query_answers_with_an_encoder_decoder(tuned: SmallExperiment) -> None:
    found = tuned.json("rag-query", "--arm", "finetuned", "Which colour has Corvel?")
    assert found["answer"] == "white"
    result = tuned.run("rag-query", "--arm", "rag", "Which colour has Corvel?")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("adapter", "named"),
    [
        ({"recipe": "documents"}, "documents"),
        ({"recipe": {"closed_book": 1, "documents": 1}}, "documents"),
        ({"recipe": "closed_book", "replay": {}}, "replay"),
    ],
)
def test_plain_text_is_refused_before_anything_is_trained(
    tuned: SmallExperiment, tmp_path: Path, folders: dict[str, Path], tiny_embedder: Path, adapter: Any, named: str
) -> None:
    experiment = write_experiment(tmp_path / "experiment", folders["t5"], tiny_embedder)
    experiment.config["adapters"] = {"closed_book": adapter}
    experiment.config["compare"]["arms"] = {"base": {}}
    experiment.config["compare"]["contrasts"] = []
    experiment.save()
    result = experiment.run("finetune")
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert f"{named} of an adapter: plain text, which only a decoder-only model reads on from its beginning" in said
    assert f"leave {named} out (closed_book, context and mixed work)" in said
    assert not list(experiment.workspace.glob("adapters/*"))


def test_an_exported_tokenizer_is_that_of_the_base(folder: Path, tmp_path: Path) -> None:
    load_tokenizer(ModelFolder("m", folder, "f" * 64)).save_pretrained(tmp_path)
    assert "is_encoder_decoder" not in (tmp_path / "tokenizer_config.json").read_text()
    assert AutoTokenizer.from_pretrained(tmp_path)("Who?") == AutoTokenizer.from_pretrained(folder)("Who?")
