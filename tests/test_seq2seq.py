"""Encoder-decoder models on tiny real ones (T5, BART): loading, answers, and the commands from a folder on.

What the trap is each time: special tokens around the encoder's text, the first token of the decoder, padding on the
side that a decoder-only model needs, and answers cut off as if a prompt stood in front of them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import HARBOURS, NO_LIMIT, SmallExperiment, question, read, write_experiment
from huggingface_hub import ModelCard
from tiny_seq2seq import PROMPTS, TEXTS, model_of, prefix_of
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Asking
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Silence
from ragft.config import load_experiment
from ragft.errors import DataError, RagftError
from ragft.generation.local import LocalGenerator
from ragft.models.language_model import LanguageModel, auto_class, load_tokenizer
from ragft.models.sources import ModelFolder
from ragft.training.card import card
from ragft.training.examples import tokenized
from ragft.workspace import Workspace


@pytest.fixture
def lm(seq2seq_folder: Path) -> LanguageModel:
    return model_of(seq2seq_folder)


@pytest.fixture
def t5(seq2seq_folders: dict[str, Path]) -> LanguageModel:
    return model_of(seq2seq_folders["t5"])


# ------------------------------------------------------------------------------------------------------------ loading


def test_the_config_of_the_folder_decides_what_is_loaded(lm: LanguageModel, tiny_model: Path) -> None:
    assert type(lm.model).__name__ in ("T5ForConditionalGeneration", "BartForConditionalGeneration")
    assert (lm.tokenizer.padding_side, lm.tokenizer.pad_token_id) == ("right", 0)
    assert list(lm.decoder_prefix) == prefix_of(lm)
    decoder_only = model_of(tiny_model)
    assert (decoder_only.tokenizer.padding_side, decoder_only.decoder_prefix) == ("left", ())
    assert auto_class(tiny_model).__name__ == "AutoModelForCausalLM"


def test_a_decoder_that_nothing_says_how_to_begin_is_an_error(seq2seq_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(seq2seq_folders["t5"], tmp_path / "model")
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


UNTOLD = {"seconds": 0, "logprob": None}
"""What may differ between two answers that say the same: time, and the last digits of a log-probability."""


def test_an_answer_does_not_depend_on_its_batch(lm: LanguageModel) -> None:
    """Padding is on the right and masked: on the left, or unmasked, the encoder of BART would count it as text."""
    generator = LocalGenerator(lm, 12)
    alone = [generator.generate([prompt])[0] for prompt in PROMPTS]
    for one, other in zip(alone, generator.generate(PROMPTS), strict=True):
        assert asdict(one) | UNTOLD == asdict(other) | UNTOLD
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
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
    assert asdict(found) | UNTOLD == asdict(expected) | UNTOLD
    assert found.logprob == pytest.approx(expected.logprob, abs=1e-4)
    assert told[-1] == expected.text
    assert all(later.startswith(earlier) for earlier, later in zip(told, told[1:], strict=False))


def test_the_limit_of_the_encoder_is_not_shared_with_the_answer(seq2seq_folders: dict[str, Path]) -> None:
    lm = model_of(seq2seq_folders["bart"])
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


# ------------------------------------------------------------------------------------------------------- the commands


@pytest.fixture(scope="module")
def tuned(
    tmp_path_factory: pytest.TempPathFactory, seq2seq_folders: dict[str, Path], tiny_embedder: Path
) -> SmallExperiment:
    """The small experiment on the tiny T5 after one `compare`; its eval questions are those that are trained on."""
    experiment = write_experiment(
        tmp_path_factory.mktemp("seq2seq") / "experiment", seq2seq_folders["t5"], tiny_embedder
    )
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
    rows = tokenized(recipe.train, bench.local.tokenizer, None)
    batch, _ = bench.local.generator._asked([item.prompt for item in asked])
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
    tuned: SmallExperiment,
    tmp_path: Path,
    seq2seq_folders: dict[str, Path],
    tiny_embedder: Path,
    adapter: Any,
    named: str,
) -> None:
    experiment = write_experiment(tmp_path / "experiment", seq2seq_folders["t5"], tiny_embedder)
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


def test_an_exported_tokenizer_is_that_of_the_base(seq2seq_folder: Path, tmp_path: Path) -> None:
    load_tokenizer(ModelFolder("m", seq2seq_folder, "f" * 64)).save_pretrained(tmp_path)
    assert "is_encoder_decoder" not in (tmp_path / "tokenizer_config.json").read_text()
    assert AutoTokenizer.from_pretrained(tmp_path)("Who?") == AutoTokenizer.from_pretrained(seq2seq_folder)("Who?")
