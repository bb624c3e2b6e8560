"""Answers of a real (tiny) model: alike in any batch, cut at the end of turn, each adapter's own; asked as trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import END, START, SmallExperiment
from peft import LoraConfig, get_peft_model
from tiny_seq2seq import write_tiny_seq2seq
from transformers import GenerationConfig

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Asking
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Silence
from ragft.config import load_experiment
from ragft.errors import RagftError
from ragft.generation import likelihood as likelihood_module
from ragft.generation.local import ADAPTER_RECORD, LocalGenerator, end_of_turn_ids
from ragft.models.language_model import LanguageModel, load
from ragft.models.sources import ModelFolder
from ragft.training.examples import TrainingText, tokenized
from ragft.workspace import Workspace

PROMPTS = [
    "Who?",
    "<|im_start|>user\nWhich colour has Corvel?<|im_end|>\n<|im_start|>assistant\n",
    "The lighthouse of Garness is orange. It was built in 1978. Below it live many swans. When was Garness built?",
    "What lives at Jorvik? " * 12,
    "a",
]


@pytest.fixture
def lm(tiny_model: Path) -> LanguageModel:
    return load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "float32", "cpu")


@pytest.fixture
def bench(built: SmallExperiment) -> Bench:
    """The bench of the small experiment, with its adapters trained and its index in step."""
    return Bench(load_experiment(built.file).experiment, Workspace(built.workspace), Silence())


def asking(bench: Bench) -> tuple[Adapters, Asking]:
    knowledge = Knowledge(bench)
    adapters = Adapters(bench, knowledge)
    return adapters, Asking(bench, knowledge, adapters)


# ------------------------------------------------------------------------------------------------------ answering


def test_an_answer_does_not_depend_on_its_batch(lm: LanguageModel) -> None:
    generator = LocalGenerator(lm, 12)
    alone = [generator.generate([prompt])[0] for prompt in PROMPTS]
    for batch in (PROMPTS, PROMPTS[::-1], PROMPTS[1:3]):
        together = dict(zip(batch, generator.generate(batch), strict=True))
        for prompt, single in zip(PROMPTS, alone, strict=True):
            if prompt in together:
                found = together[prompt]
                assert (found.text, found.output_tokens) == (single.text, single.output_tokens)
                assert (found.prompt_tokens, found.finish_reason) == (single.prompt_tokens, single.finish_reason)
    assert len({answer.text for answer in alone}) == len(PROMPTS)


def test_the_output_layer_never_reads_rows_with_gaps_between_them(lm: LanguageModel) -> None:
    given: list[torch.Tensor] = []
    lm.model.get_output_embeddings().register_forward_hook(lambda _, read, __: given.append(read[0]))
    LocalGenerator(lm, 4).generate(["one", "two of them", "three and no more"])
    assert {tuple(read.shape[:2]) for read in given} == {(3, 1)}
    assert all(read.is_contiguous() for read in given)  # the first one is a slice of all places of the prompts


def test_prompt_tokens_are_counted_without_padding(lm: LanguageModel) -> None:
    generator = LocalGenerator(lm, 2)
    counts = [answer.prompt_tokens for answer in generator.generate(PROMPTS)]
    assert counts == [generator.count_tokens(prompt) for prompt in PROMPTS]
    assert generator.count_tokens("<|im_start|>") == 1


def test_an_answer_at_the_cap_says_so(lm: LanguageModel) -> None:
    answer = LocalGenerator(lm, 3).generate(["Who?"])[0]
    assert (answer.finish_reason, answer.output_tokens) == ("length", 3)


def said_ids(lm: LanguageModel, prompt: str, count: int) -> list[int]:
    """Return the greedy answer's tokens, each by a forward pass of its own."""
    ids = lm.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    for _ in range(count):
        with torch.no_grad():
            ids = [*ids, int(lm.model(torch.tensor([ids])).logits[0, -1].argmax())]
    return list(ids[-count:])


def test_answers_are_the_most_likely_tokens_one_after_another(lm: LanguageModel) -> None:
    for prompt in PROMPTS[:3]:
        expected = lm.tokenizer.decode(said_ids(lm, prompt, 5)).strip()
        assert LocalGenerator(lm, 5).generate([prompt])[0].text == expected


def test_an_answer_ends_at_the_end_of_turn(lm: LanguageModel) -> None:
    ids = said_ids(lm, "Who?", 4)
    assert len(set(ids)) == 4
    lm.model.generation_config = GenerationConfig(eos_token_id=ids[2])  # type: ignore[no-untyped-call]
    answer, other = LocalGenerator(lm, 8).generate(["Who?", PROMPTS[2]])
    assert (answer.finish_reason, answer.output_tokens) == ("stop", 3)  # the end of turn is counted, and not said
    assert answer.text == lm.tokenizer.decode(ids[:2]).strip()
    assert other.output_tokens == 8 or other.finish_reason == "stop"


def test_a_turn_ends_at_the_tokens_of_the_model_and_of_the_tokenizer(lm: LanguageModel) -> None:
    end = lm.tokenizer.convert_tokens_to_ids(END)
    assert end_of_turn_ids(lm) == [end]
    lm.model.generation_config = GenerationConfig(eos_token_id=[7, 9])  # type: ignore[no-untyped-call]
    assert end_of_turn_ids(lm) == sorted([7, 9, end])


def test_a_turn_ends_at_what_the_chat_template_ends_it_with(lm: LanguageModel) -> None:
    """As in some base models: nothing but the template names the end of a turn, and no answer would end there."""
    template = "{% for m in messages %}{{ m['content'] }}END\n{% endfor %}"
    end_of_text, other = lm.tokenizer.convert_tokens_to_ids([END, START])
    lm.tokenizer.chat_template = template.replace("END", START)
    assert end_of_turn_ids(lm) == sorted([end_of_text, other])
    lm.tokenizer.chat_template = template.replace("END", ".")
    assert end_of_turn_ids(lm) == [end_of_text]  # an ordinary token ends no turn: it would cut answers short


def test_what_a_models_makers_set_for_sampling_does_not_apply(tiny_model: Path, tmp_path: Path) -> None:
    """`generate` fills its gaps from the model's own file: a repetition penalty there punishes copying a passage."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    made = {"eos_token_id": [5, 6], "repetition_penalty": 50.0, "do_sample": True, "temperature": 9.0, "top_k": 3}
    made |= {"no_repeat_ngram_size": 1, "suppress_tokens": list(range(5, 390)), "min_new_tokens": 4}
    (folder / "generation_config.json").write_text(json.dumps(made))
    changed = load(ModelFolder("m", folder, "f" * 64), "float32", "cpu")
    plain = load(ModelFolder("m", tiny_model, "f" * 64), "float32", "cpu")
    assert end_of_turn_ids(changed) == sorted({5, 6, *end_of_turn_ids(plain)})
    found, expected = (LocalGenerator(one, 8).generate(PROMPTS[:4]) for one in (changed, plain))
    assert [answer.text for answer in found] == [answer.text for answer in expected]


def test_a_prompt_without_room_for_its_answer_is_an_error(lm: LanguageModel) -> None:
    generator = LocalGenerator(lm, 8)
    longest = "a" * 4000
    while generator.count_tokens(longest) > 2040:
        longest = longest[:-1]
    lengths = generator.count_tokens(longest), generator.count_tokens(longest + "a")
    assert lengths == (2040, 2041)
    with pytest.raises(RagftError) as caught:
        generator.generate(["Who?", longest + "a"])
    assert caught.value.message == "a prompt of 2041 tokens and 8 new ones exceed the model's context of 2048"
    assert caught.value.hint == "lower retrieval.top_k, index.chunking.chunk_tokens or the number of shots"


# ------------------------------------------------------------------------------------------------- how likely it is


def likelihood(lm: LanguageModel, prompt: str, said: Sequence[int]) -> float:
    """Return the summed log-probability of tokens behind a prompt, by one forward pass over both, alone."""
    asked = lm.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        scores = lm.model(torch.tensor([[*asked, *said]])).logits[0].float().log_softmax(dim=-1)
    return sum(float(scores[len(asked) + place - 1, token]) for place, token in enumerate(said))


def test_an_answer_knows_the_mean_log_probability_of_its_tokens(lm: LanguageModel) -> None:
    generator = LocalGenerator(lm, 5)
    for prompt, answer in zip(PROMPTS, generator.generate(PROMPTS), strict=True):
        expected = likelihood(lm, prompt, said_ids(lm, prompt, 5)) / 5
        assert answer.logprob == pytest.approx(expected, abs=1e-4)
        assert generator.stream(prompt, lambda _: None).logprob == pytest.approx(expected, abs=1e-4)


def test_the_end_of_turn_and_what_a_batch_goes_on_with_are_not_in_the_mean(lm: LanguageModel) -> None:
    """The row that ends first is filled up with pad tokens while the others go on."""
    ids = said_ids(lm, "Who?", 4)
    lm.model.generation_config = GenerationConfig(eos_token_id=ids[2])  # type: ignore[no-untyped-call]
    ended, other = LocalGenerator(lm, 8).generate(["Who?", PROMPTS[2]])
    assert (ended.output_tokens, other.output_tokens) == (3, 8)
    assert ended.logprob == pytest.approx(likelihood(lm, "Who?", ids[:2]) / 2, abs=1e-4)
    lm.model.generation_config = GenerationConfig(eos_token_id=ids[0])  # type: ignore[no-untyped-call]
    silent = LocalGenerator(lm, 8).generate(["Who?"])[0]
    assert (silent.text, silent.logprob) == ("", None)  # the mean of nothing is not 0


LABELS = ["green", "a", "I don't know", "purple and orange " * 12, ""]


def test_likelihoods_are_those_of_a_forward_pass_over_prompt_and_answer(lm: LanguageModel) -> None:
    """Padding, shared keys, the order of the answers and answers that stand twice must not move a number."""
    pairs = [(prompt, label) for label in LABELS for prompt in PROMPTS]
    pairs += [pairs[3], pairs[0], (PROMPTS[0], "green.")]
    found = LocalGenerator(lm, 8).likelihoods(pairs)
    for (prompt, label), weighed in zip(pairs, found, strict=True):
        row = tokenized([TrainingText("t", prompt, label)], lm.tokenizer, None)[0] if label else None
        said = row.completion[:-1] if row is not None else ()
        assert weighed.tokens == len(said)
        assert weighed.logprob == pytest.approx(likelihood(lm, prompt, said), abs=1e-3)
    assert LocalGenerator(lm, 8).likelihoods([]) == []


def test_a_prompt_is_read_once_for_all_of_its_answers(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []
    forward = lm.model.forward

    def noted(*args: Any, **given: Any) -> Any:
        read.append(tuple(given["input_ids"].shape))
        return forward(*args, **given)

    monkeypatch.setattr(lm.model, "forward", noted)
    labels = ["green", "red", "white", "black"]
    LocalGenerator(lm, 8).likelihoods([(prompt, label) for prompt in ("Who?", "What?") for label in labels])
    prompts, answers = read
    assert prompts[0] == 2
    assert answers[0] == 8


def test_batches_of_answers_are_limited_in_rows_and_in_tokens(lm: LanguageModel, monkeypatch: Any) -> None:
    pairs = [(prompt, label) for prompt in PROMPTS for label in LABELS]
    expected = [weighed.logprob for weighed in LocalGenerator(lm, 8).likelihoods(pairs)]
    for rows, tokens in ((1, 10_000), (3, 200), (16, 1)):
        monkeypatch.setattr(likelihood_module, "ROWS", rows)
        monkeypatch.setattr(likelihood_module, "TOKENS", tokens)
        found = [weighed.logprob for weighed in LocalGenerator(lm, 8).likelihoods(pairs)]
        assert found == pytest.approx(expected, abs=1e-3)
    monkeypatch.setattr(likelihood_module, "ROWS", 2)
    monkeypatch.setattr(likelihood_module, "TOKENS", 10)
    lengths = [9, 5, 5, 4, 2, 2, 2]
    assert list(likelihood_module._batched(lengths, int)) == [[9], [5, 5], [4, 2], [2, 2]]


def write_adapter(folder: Path, model: Path) -> Path:
    """Write an adapter with random weights that moves every logit of the model."""
    base = load(ModelFolder("m", model, "f" * 64), "float32", "cpu").model
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(folder)
    (folder / ADAPTER_RECORD).write_text(json.dumps({"base_fingerprint": "f" * 64}))
    return folder


def test_likelihoods_are_of_whoever_answers(lm: LanguageModel, tiny_model: Path, tmp_path: Path) -> None:
    folder, generator = write_adapter(tmp_path / "adapter", tiny_model), LocalGenerator(lm, 8)
    pairs = [("Who?", "green"), ("Who?", "red"), (PROMPTS[1], "a")]
    before = generator.likelihoods(pairs)
    with generator.adapter(folder):
        trained = generator.likelihoods(pairs)
        said = generator.generate([PROMPTS[1]])[0]
    with generator.adapter(None):
        assert generator.likelihoods(pairs) == before
        assert generator.generate([PROMPTS[1]])[0].logprob != said.logprob
    assert all(abs(a.logprob - b.logprob) > 0.01 for a, b in zip(before, trained, strict=True))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_decoder_model_begins_each_answer_behind_its_own_prefix(tmp_path: Path, kind: str) -> None:
    folder = write_tiny_seq2seq(tmp_path / kind, kind)
    lm = load(ModelFolder(kind, folder, "f" * 64), "float32", "cpu")
    prompts = ["Which colour has Corvel?\n\nAnswer:", "Who?", "Who? " * 20]
    pairs = [(prompt, label) for prompt in prompts for label in ("green", "seals and many gulls", "a")]
    for (prompt, label), weighed in zip(pairs, LocalGenerator(lm, 8).likelihoods(pairs), strict=True):
        row = tokenized([TrainingText("t", prompt, label)], lm.tokenizer, None)[0]
        said, prefix = row.completion[:-1], list(lm.decoder_prefix)
        with torch.no_grad():
            begun = torch.tensor([[*prefix, *said]])
            logits = lm.model(input_ids=torch.tensor([row.prompt]), decoder_input_ids=begun).logits[0]
        scores = logits.float().log_softmax(dim=-1)
        expected = sum(float(scores[len(prefix) - 1 + place, token]) for place, token in enumerate(said))
        assert (weighed.tokens, weighed.logprob) == (len(said), pytest.approx(expected, abs=1e-3))


def test_an_answer_that_finds_no_room_behind_its_prompt_is_an_error(lm: LanguageModel) -> None:
    generator = LocalGenerator(lm, 8)
    longest = "Who? " + "b" * 2044
    while generator.count_tokens(longest) > 2044:
        longest = longest[:-1]
    asked = generator.count_tokens(longest)
    room = 2048 - asked
    assert generator.likelihoods([(longest, "\x01" * room)])[0].tokens == room
    with pytest.raises(RagftError) as caught:
        generator.likelihoods([("Who?", "a"), (longest, "\x01" * (room + 1))])
    assert caught.value.message == (
        f"a prompt of {asked} tokens and an answer of {room + 1} exceed the model's context of 2048"
    )


# ------------------------------------------------------------------------------------------------------- adapters


def test_each_adapter_gives_its_own_answers_and_the_base_its_own_after_them(bench: Bench) -> None:
    adapters, _ = asking(bench)
    folders: list[Path | None] = [None, adapters.folder("closed_book"), adapters.folder("raft")]

    def answers(generator: LocalGenerator, folder: Path | None) -> list[str]:
        with generator.adapter(folder):
            return [answer.text for answer in generator.generate(PROMPTS)]

    def fresh() -> LocalGenerator:
        language_model = load(bench.local.folder, "float32", "cpu")
        return LocalGenerator(language_model, 6)

    own = [answers(fresh(), folder) for folder in folders]
    assert len({tuple(texts) for texts in own}) == 3
    generator = fresh()
    for number in (1, 0, 2, 1, 0, 2, 2, 0):
        assert answers(generator, folders[number]) == own[number]


@pytest.mark.parametrize(("dtype", "off"), [("float32", 1e-4), ("bfloat16", 4e-2)])
def test_an_adapter_answers_in_the_precision_of_the_base_as_peft_has_it(
    tiny_model: Path, tmp_path: Path, dtype: Any, off: float
) -> None:
    base = load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "float32", "cpu").model
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    folder = tmp_path / "adapter"
    get_peft_model(base, config).save_pretrained(folder)
    (folder / ADAPTER_RECORD).write_text(json.dumps({"base_fingerprint": "f" * 64}))
    lm = load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), dtype, "cpu")
    generator = LocalGenerator(lm, 4)

    def logits() -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = lm.model(**lm.tokenizer(PROMPTS[1], return_tensors="pt").to("cpu")).logits
        return found

    def stand_ins() -> int:
        return sum("forward" in vars(module) for module in lm.model.modules())

    bare = logits()
    with generator.adapter(folder):
        assert stand_ins() > 0
        inside = logits()
    assert stand_ins() == 0
    peft = logits()  # the adapter stays switched on, its layers are PEFT's own again
    assert (inside - peft).abs().max() <= off * peft.abs().max() < (bare - peft).abs().max()
    lora = {weight.dtype for name, weight in lm.model.named_parameters() if "lora" in name}
    assert lora == {lm.dtype}
    with generator.adapter(None):
        assert torch.equal(logits(), bare)


# --------------------------------------------------------------------- asked with exactly what was trained on


@pytest.fixture
def fixed_context(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The bench with training passages that are exactly those of retrieval: no gold passage is put among them."""
    import random

    monkeypatch.setattr(random.Random, "shuffle", lambda self, items: None)
    monkeypatch.setattr(Knowledge, "gold", lambda self, example: [])
    yield bench


def test_a_closed_book_prompt_is_asked_byte_for_byte_as_it_was_trained(bench: Bench) -> None:
    adapters, questions = asking(bench)
    recipe = adapters.recipe("closed_book")
    assert [text.id for text in recipe.train] == [example.id for example in bench.splits.train]
    for texts, examples in ((recipe.train, bench.splits.train), (recipe.dev, bench.splits.dev)):
        asked = questions.questions(questions.arm("finetuned"), examples)
        assert [text.prompt for text in texts] == [question.prompt for question in asked]
        assert [text.completion for text in texts] == [bench.task.completion(example) for example in examples]


def test_a_prompt_with_passages_is_asked_byte_for_byte_as_it_was_trained(fixed_context: Bench) -> None:
    adapters, questions = asking(fixed_context)
    asked = questions.questions(questions.arm("raft_rag"), fixed_context.splits.train)
    assert [text.prompt for text in adapters.recipe("raft").train] == [question.prompt for question in asked]
    assert all(len(question.passages) == 2 for question in asked)


def test_the_tokens_that_are_trained_on_are_those_that_are_asked(bench: Bench) -> None:
    adapters, questions = asking(bench)
    rows = tokenized(adapters.recipe("closed_book").train, bench.local.tokenizer, None)
    asked = questions.questions(questions.arm("finetuned"), bench.splits.train)
    read: Any = bench.local.tokenizer([question.prompt for question in asked], add_special_tokens=False)
    assert [list(row.prompt) for row in rows] == read["input_ids"]


def test_training_with_passages_holds_a_gold_one_in_the_stated_share(bench: Bench) -> None:
    adapters, _ = asking(bench)
    recipe = adapters.recipe("raft")
    titles = {document.id: document.title for document in bench.documents}
    answerable = [(text, e) for text, e in zip(recipe.train, bench.splits.train, strict=True) if e.answerable]
    with_gold = [titles[example.gold_document_ids[0]] in text.prompt for text, example in answerable]
    assert 0.8 * 12 - 2 <= sum(with_gold) <= 10  # of twelve examples ten have a gold passage to be given
    assert all(text.prompt.count("The harbour of") == 2 for text in recipe.train)
    assert {text.completion for text, e in zip(recipe.train, bench.splits.train, strict=True) if not e.answerable} == {
        "I don't know"
    }


def test_shots_are_the_same_for_every_question_and_come_from_train(bench: Bench) -> None:
    _, questions = asking(bench)
    asked = questions.questions(questions.arm("few_shot"), bench.splits.eval)
    heads = {
        question.prompt.removesuffix(question.prompt[question.prompt.rindex("Question: ") :]) for question in asked
    }
    assert len(heads) == 1
    head = heads.pop()
    assert head.count("Question: ") == 2
    shown = [e for e in bench.splits.train if f"Question: {e.input}<" in head]
    assert len(shown) == 2
    assert all(f"{bench.task.completion(example)}<|im_end|>" in head for example in shown)
