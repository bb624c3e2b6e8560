"""Packed rows and fused layers: losses and gradients are those of examples read apart, and none hears another."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import IA3Config, LoraConfig, PeftConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from ragft.config import AdapterConfig
from ragft.errors import DataError
from ragft.models.fused import fused
from ragft.models.language_model import convert_gguf, load
from ragft.models.sources import PACKAGED, ModelFolder, resolve
from ragft.training import attention
from ragft.training.attention import packed_attention, segments, why_not_packed
from ragft.training.batching import IGNORED, Collator
from ragft.training.examples import TrainingTokens
from ragft.training.loss import completion_loss
from ragft.training.packing import PackedCollator, packed, shared_beginning
from ragft.training.running import train
from ragft.training.speed import prepared
from ragft.workspace import Workspace

PAD = 0


def row(id_: str, prompt: Sequence[int], completion: Sequence[int]) -> TrainingTokens:
    return TrainingTokens(id_, tuple(prompt), tuple(completion))


SYSTEM = (11, 12, 13, 14, 15)
ROWS = (
    row("a", (*SYSTEM, 21, 22, 23), (31, 32, 9)),
    row("b", (*SYSTEM, 24), (33, 9)),
    row("c", (*SYSTEM, 25, 26, 27, 28, 29), (34, 9)),
)


@pytest.fixture
def network(tiny_model: Path) -> Iterator[Any]:
    """The two-layer model in float32 with a LoRA adapter whose B is not zero, so every adapter gets a gradient."""
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).requires_grad_(False)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    numbers = torch.Generator().manual_seed(3)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, 0.1, generator=numbers)
    yield model.train()


def gradients(model: Any, batch: dict[str, torch.Tensor]) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    total, n_labels, _ = completion_loss(model, batch)
    (total / n_labels).backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    return float(total.detach() / n_labels), found


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert len(one) == 2 * 2 * 7  # two layers, seven linear modules, A and B
    for name, gradient in one.items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(other[name], gradient, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_a_packed_batch_by_hand() -> None:
    batch = PackedCollator()(ROWS)
    assert next(iter(batch)) == "lengths"  # the Trainer takes the number of examples from the first tensor
    assert batch["lengths"].tolist() == [6, 3, 7]
    assert batch["shared"].tolist() == [5]
    assert batch["input_ids"].tolist() == [
        [*SYSTEM, 21, 22, 23, 31, 32, 9, 24, 33, 9, 25, 26, 27, 28, 29, 34, 9],
    ]
    assert batch["position_ids"].tolist() == [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 5, 6, 7, 5, 6, 7, 8, 9, 10, 11],
    ]
    assert batch["labels"].tolist() == [31, 32, 9, 33, 9, 34, 9]
    assert batch["kept"].tolist() == [7, 8, 9, 11, 12, 18, 19]


def test_equal_prompts_are_read_once_and_their_last_token_predicts_every_answer() -> None:
    batch = PackedCollator()([row("a", SYSTEM, (1, 9)), row("b", SYSTEM, (2, 9))])
    assert batch["input_ids"].tolist() == [[*SYSTEM, 1, 9, 2, 9]]
    assert batch["kept"].tolist() == [4, 5, 4, 7]
    assert batch["labels"].tolist() == [1, 9, 2, 9]


def test_a_beginning_is_shared_by_prompts_only_and_never_by_answers() -> None:
    assert shared_beginning(ROWS) == 5
    assert shared_beginning(ROWS[:1]) == 0
    assert shared_beginning([row("a", (1, 2, 3), (4, 5)), row("b", (1, 2, 3), (4, 5))]) == 0  # three are too few
    assert shared_beginning([row("a", SYSTEM, (7,)), row("b", (*SYSTEM, 7), (8,))]) == 5


@pytest.mark.parametrize("tile", [256, 4])
def test_packed_loss_and_gradients_are_those_of_a_padded_batch(
    network: Any, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected_loss, expected = gradients(network, Collator(PAD)(ROWS))
    monkeypatch.setattr(attention.segments, "__defaults__", ("cpu", tile))  # 4: examples are cut into several tiles
    with packed_attention(network):
        loss, found = gradients(network, PackedCollator()(ROWS))
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert_same(expected, found)


def test_the_kernel_for_other_devices_gives_the_same(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected_loss, expected = gradients(network, Collator(PAD)(ROWS))
    monkeypatch.setattr(attention, "DENSE_ON", frozenset())
    with packed_attention(network):
        loss, found = gradients(network, PackedCollator()(ROWS))
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert_same(expected, found)


@pytest.mark.parametrize("kept", [0, 10_000])
def test_weights_made_again_and_weights_kept_give_the_same(
    network: Any, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of which some tiles keep their weights and others do not must not take each other's."""
    rows = (*ROWS, row("long", (*SYSTEM, *range(16, 50)), (33, 9)))
    expected_loss, expected = gradients(network, Collator(PAD)(rows))
    for limit in (kept, 20):
        monkeypatch.setattr(attention, "KEPT_KEYS", limit)
        monkeypatch.setattr(attention.segments, "__defaults__", ("cpu", 16))
        with packed_attention(network):
            loss, found = gradients(network, PackedCollator()(rows))
        assert loss == pytest.approx(expected_loss, abs=1e-5)
        assert_same(expected, found)


LORA: dict[str, Any] = {"task_type": "CAUSAL_LM", "r": 4, "target_modules": "all-linear"}
METHODS: dict[str, tuple[PeftConfig | None, int]] = {
    "rslora": (LoraConfig(**LORA, use_rslora=True), 2 * 7 + 2),
    "pissa": (LoraConfig(**LORA, init_lora_weights="pissa"), 2 * 7 + 2),
    "dora": (LoraConfig(**LORA, use_dora=True), 0),
    "ia3": (IA3Config(task_type="CAUSAL_LM", target_modules=["v_proj", "down_proj"], feedforward_modules=[]), 0),
    "some_layers": (LoraConfig(**{**LORA, "target_modules": ["q_proj", "down_proj"]}), 2 * 2),
    "full": (None, 0),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_own_gradients_when_it_is_packed(tiny_model: Path, method: str) -> None:
    config, n_expected = METHODS[method]
    torch.manual_seed(2)
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).requires_grad_(config is None)
    model = (base if config is None else get_peft_model(base, config)).train()
    expected_loss, expected = gradients(model, Collator(PAD)(ROWS))
    with fused(model) as n_fused:
        assert n_fused == n_expected
    with prepared(model, PAD) as collate:
        assert isinstance(collate, PackedCollator)
        loss, found = gradients(model, collate(ROWS))
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5)


def test_ten_steps_have_the_losses_of_the_padded_path(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole Trainer, two micro-batches a step: losses of packed and fused training are those of plain PEFT."""
    texts = [row(str(n), (*SYSTEM, *range(20, 21 + n % 5)), (30 + n % 7, 31, 9)) for n in range(40)]
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "num_train_epochs": 1}
    config = AdapterConfig.model_validate(
        {"peft": {"r": 4}, "training": {**settings, "learning_rate": 0.01, "evals_per_run": 1}}
    )

    def losses(name: str) -> list[float]:
        lm = load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "float32", "cpu")
        result = train(lm, config, texts, [], folder=tmp_path / name, target=tmp_path / f"{name}-target", seed=3)
        return [line["loss"] for line in result.history if "loss" in line]

    fast = losses("fast")
    monkeypatch.setattr("ragft.training.speed.why_not_packed", lambda _: "told so")
    monkeypatch.setattr("ragft.models.fused._replace", lambda _: False)
    plain = losses("plain")
    assert len(plain) == 10
    assert plain[-1] < plain[0] - 1  # it learns, so ten equal losses say something
    assert fast == pytest.approx(plain, abs=1e-4)


def test_fused_layers_give_the_same_loss_and_gradients_and_go_away_again(network: Any) -> None:
    batch = Collator(PAD)(ROWS)
    expected_loss, expected = gradients(network, batch)
    with fused(network) as n_fused:
        assert n_fused == 2 * 7 + 2  # every linear layer, and the gated block of each of the two layers
        loss, found = gradients(network, batch)
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert_same(expected, found)
    assert not any("forward" in vars(module) for module in network.modules())


def test_fused_layers_obey_a_disabled_adapter(network: Any) -> None:
    ids = torch.tensor([[11, 12, 13]])
    with torch.no_grad(), network.disable_adapter():
        expected = network(input_ids=ids).logits
    with torch.no_grad(), fused(network), network.disable_adapter():
        assert torch.equal(network(input_ids=ids).logits, expected)


@pytest.mark.parametrize("options", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_what_is_more_than_plain_lora_is_not_fused(tiny_model: Path, options: dict[str, Any]) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_model).requires_grad_(False)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", **options))
    with fused(model) as n_fused:
        assert n_fused == 0


def test_checkpointing_of_activations_changes_nothing(network: Any) -> None:
    expected_loss, expected = gradients(network, Collator(PAD)(ROWS))
    network.enable_input_require_grads()
    network.gradient_checkpointing_enable({"use_reentrant": False})
    with prepared(network, PAD) as collate:
        assert isinstance(collate, PackedCollator)
        loss, found = gradients(network, collate(ROWS))
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert_same(expected, found)


def test_an_example_says_nothing_to_its_neighbours(network: Any) -> None:
    other = row("a", (*SYSTEM, 41, 42, 43), (44, 45, 9))
    with torch.no_grad(), packed_attention(network):
        logits = [
            completion_loss(network, PackedCollator()((first, *ROWS[1:])))[2].logits[0] for first in (ROWS[0], other)
        ]
    assert not torch.allclose(logits[0][:3], logits[1][:3])
    torch.testing.assert_close(logits[0][3:], logits[1][3:])


def test_a_document_has_loss_on_every_token_but_its_first() -> None:
    rows = [row("d", (), (5, 6, 7, 8)), row("e", (), (5, 6))]
    batch = PackedCollator()(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 5, 6]]
    assert batch["kept"].tolist() == [0, 1, 2, 4]
    assert batch["labels"].tolist() == [6, 7, 8, 6]
    padded = Collator(PAD)(rows)
    no = IGNORED
    # Before document e stands padding, and it must not be asked what e begins with.
    assert padded["labels"].tolist() == [[no, 6, 7, 8], [no, no, no, 6]]


def test_documents_packed_and_padded_have_equal_losses_and_gradients(network: Any) -> None:
    rows = [row("d", (), (15, 16, 17, 18)), row("e", (), (15, 16)), row("f", (11, 12), (25, 16, 9))]
    expected_loss, expected = gradients(network, Collator(PAD)(rows))
    with packed_attention(network):
        loss, found = gradients(network, PackedCollator()([tuple(rows[:2]), rows[2]]))
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    assert_same(expected, found)


def test_blocks_are_filled_first_fit_decreasing() -> None:
    rows = [row(str(length), (), range(length)) for length in (7, 5, 4, 3, 1)]
    blocks = packed(rows, 10, seed=1)
    assert {tuple(item.length for item in block) for block in blocks} == {(7, 3), (5, 4, 1)}
    with pytest.raises(DataError, match="training row '7' has 7 tokens, and a block holds 6"):
        packed(rows, 6, seed=1)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 40), max_size=60), st.integers(40, 90), st.integers(0, 3))
def test_every_row_is_in_one_block_and_the_seed_decides(lengths: list[int], size: int, seed: int) -> None:
    rows = [row(str(number), (), range(length)) for number, length in enumerate(lengths)]
    blocks = packed(rows, size, seed=seed)
    assert sorted(item.id for block in blocks for item in block) == sorted(item.id for item in rows)
    assert all(sum(item.length for item in block) <= size for block in blocks)
    assert blocks == packed(rows, size, seed=seed)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9), st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 9))
def test_every_query_sees_the_beginning_and_its_own_past_and_nothing_else(
    shared: int, lengths: list[int], tile: int
) -> None:
    size = shared + sum(lengths)
    of = [0] * shared + [number for number, length in enumerate(lengths, start=1) for _ in range(length)]
    seen = torch.zeros(size, size, dtype=torch.bool)
    where = segments(shared, lengths, tile=tile)
    for part in where.tiles:
        own = part.mask[:, -(part.end - part.first) :]
        seen[part.begin : part.end, part.first : part.end] = own
        if part.begin >= shared:
            seen[part.begin : part.end, :shared] = part.mask[:, :shared]
    assert sorted(n for part in where.tiles for n in range(part.begin, part.end)) == list(range(size))
    expected = [[k <= q and of[k] in {0, of[q]} for k in range(size)] for q in range(size)]
    assert seen.tolist() == expected


def tiny(kind: type[Any], config: type[Any], **options: Any) -> Any:
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return kind(config(vocab_size=60, num_key_value_heads=2, initializer_range=0.4, **sizes, **options))


def test_a_model_is_packed_where_a_trial_shows_that_it_can_be() -> None:
    assert why_not_packed(tiny(LlamaForCausalLM, LlamaConfig)) is None
    assert why_not_packed(tiny(MistralForCausalLM, MistralConfig, sliding_window=None)) is None
    window = why_not_packed(tiny(MistralForCausalLM, MistralConfig, sliding_window=4096))
    assert window == "the model asks its attention for sliding_window"
    dropout = why_not_packed(tiny(LlamaForCausalLM, LlamaConfig, attention_dropout=0.1))
    assert dropout == "the model asks its attention for dropout, or is not causal"


def test_a_model_that_lets_examples_hear_each_other_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial itself: with segments that join the examples it must say no."""
    model = tiny(LlamaForCausalLM, LlamaConfig)
    honest = attention.segments
    monkeypatch.setattr(attention, "segments", lambda shared, lengths, device="cpu": honest(shared, [sum(lengths)]))
    assert why_not_packed(model) == "an example changes the logits of its neighbour"


def test_a_model_that_counts_places_through_the_row_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(LlamaForCausalLM, LlamaConfig)
    honest = attention.read_packed

    def through(model: Any, ids: torch.Tensor, positions: torch.Tensor, *rest: Any) -> Any:
        return honest(model, ids, torch.arange(ids.shape[1])[None], *rest)

    monkeypatch.setattr(attention, "read_packed", through)
    assert "logits differ by" in str(why_not_packed(model))


ABSENT = "smollm2-135m-instruct"


@pytest.mark.models
@pytest.mark.skipif(
    importlib.util.find_spec(PACKAGED[ABSENT].module) is None,
    reason=f"THE PACKAGED MODEL IS NOT TRIED FOR PACKING: {PACKAGED[ABSENT].pip_line}",
)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_packaged_model_is_packed_in_either_precision(
    tmp_path_factory: pytest.TempPathFactory, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty layers in bfloat16 round: that is no leak (ids 1-17, special tokens, once made it look like one)."""
    workspace = Workspace(tmp_path_factory.getbasetemp() / "packing" / ".ragft").prepare()
    model = load(resolve(ABSENT, None, workspace, convert_gguf), dtype, "cpu").model
    assert why_not_packed(model) is None
    honest = attention.segments
    monkeypatch.setattr(attention, "segments", lambda shared, lengths, device="cpu": honest(shared, [sum(lengths)]))
    assert why_not_packed(model) == "an example changes the logits of its neighbour"


def test_a_model_with_learnt_positions_that_takes_no_segments_is_padded(caplog: pytest.LogCaptureFixture) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    base = GPT2LMHeadModel(GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4)).requires_grad_(False)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    before = base.config._attn_implementation
    with caplog.at_level("INFO", "ragft.training"), prepared(model, PAD) as collate:
        loss, found = gradients(model, collate(ROWS))
    assert loss > 0
    assert found
    assert base.config._attn_implementation == before


def test_answers_can_be_generated_between_two_steps_of_a_packed_training(network: Any) -> None:
    asked = {"input_ids": torch.tensor([[PAD, PAD, 11, 12], [13, 14, 15, 16]])}
    asked["attention_mask"] = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    expected = network.eval().generate(**asked, max_new_tokens=5, do_sample=False, pad_token_id=PAD)
    with prepared(network, PAD) as collate:
        assert isinstance(collate, PackedCollator)
        assert torch.equal(network.generate(**asked, max_new_tokens=5, do_sample=False, pad_token_id=PAD), expected)


def test_a_batch_of_fillers_alone_adds_nothing(network: Any) -> None:
    with prepared(network, PAD) as collate:
        total, n_labels, _ = completion_loss(network, collate([row("", (PAD,), ()), row("", (PAD,), ())]))
        total.backward()
    assert (float(total.detach()), int(n_labels)) == (0.0, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_bfloat16_is_as_near_to_float32_as_the_padded_path_is(
    tiny_model: Path, dtype: torch.dtype
) -> None:
    """Weights in float32 (full fine-tuning) and in bfloat16 (LoRA), both multiplied in bfloat16."""
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=dtype).requires_grad_(False)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")).train()
    with torch.autocast("cpu", torch.bfloat16):
        expected = gradients(model, Collator(PAD)(ROWS))
        with prepared(model, PAD) as collate:
            assert isinstance(collate, PackedCollator)
            found = gradients(model, collate(ROWS))
    assert found[0] == pytest.approx(expected[0], rel=0.02)
    norms = [sum(float(g.norm()) ** 2 for g in one.values()) ** 0.5 for one in (expected[1], found[1])]
    away = sum(float((found[1][n] - g).norm()) ** 2 for n, g in expected[1].items()) ** 0.5
    assert away < 0.1 * norms[0]
