"""Speeds before anything was asked: timed on a slice of the model, without its weights."""

from __future__ import annotations

import shutil
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from tiny_seq2seq import write_tiny_seq2seq
from transformers import GPT2Config, Qwen3Config

from ragft.models import pace
from ragft.models.pace import Rates, Speeds, speeds

CPU = torch.device("cpu")


def all_positive(found: Speeds) -> bool:
    return min(*astuple(found.bare), *astuple(found.adapted), found.training) > 0


def folder_of(config: Any, path: Path) -> Path:
    config.save_pretrained(path)
    return path


@pytest.fixture
def unsliceable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("no such layers")

    monkeypatch.setattr(pace, "_of_slice", refuse)


@pytest.fixture
def sliced(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> float:
        raise AssertionError("a slice of the model is to be timed")

    monkeypatch.setattr(pace, "_matrix_flops", never)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_slice_is_timed_without_the_weights(tiny_model: Path, tmp_path: Path, dtype: Any, sliced: None) -> None:
    shutil.copy(tiny_model / "config.json", tmp_path / "config.json")
    assert all_positive(speeds(tmp_path, dtype, CPU, 4))


def test_layers_of_several_types_and_other_names_for_them(tmp_path: Path, sliced: None) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
    mixed = Qwen3Config(
        vocab_size=50, num_hidden_layers=6, head_dim=8, max_window_layers=3, use_sliding_window=True, **sizes
    )
    assert len(set(mixed.layer_types)) == 2
    assert all_positive(speeds(folder_of(mixed, tmp_path / "mixed"), torch.float32, CPU, 2))
    named = GPT2Config(vocab_size=50, n_embd=16, n_layer=6, n_head=2, n_positions=512)
    assert all_positive(speeds(folder_of(named, tmp_path / "named"), torch.float32, CPU, 2))


def test_more_layers_take_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_seconds", lambda work: 0.001 * bool(work().numel()))
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 32}
    few, many = (
        speeds(
            folder_of(Qwen3Config(vocab_size=50, num_hidden_layers=n, **sizes), tmp_path / str(n)),
            torch.float32,
            CPU,
            2,
        )
        for n in (2, 20)
    )
    slow, fast = Rates(2 * 256 / 0.011, 2 / 0.011, 1 / 0.011), Rates(2 * 256 / 0.002, 2 / 0.002, 1 / 0.002)
    assert few == Speeds(fast, fast, 8 * 64 / 0.002)
    assert many == Speeds(slow, slow, 8 * 64 / 0.011)


def test_an_adapter_beside_the_base_is_timed_in_its_precision_and_trained_in_float32(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[torch.dtype]] = []

    def spied(kept: Any) -> Any:
        def spy(model: Any, *rest: Any) -> Any:
            seen.append({weight.dtype for name, weight in model.named_parameters() if "lora" in name})
            return kept(model, *rest)

        return spy

    for name in ("_rates", "_training"):
        monkeypatch.setattr(pace, name, spied(getattr(pace, name)))
    monkeypatch.setattr(pace, "_seconds", lambda work: 0.001 * bool(work().numel()))
    tuned: list[Any] = []
    monkeypatch.setattr(pace, "get_peft_model", lambda *a, **k: tuned.append(get_peft_model(*a, **k)) or tuned[0])
    speeds(tiny_model, torch.bfloat16, CPU, 2)
    assert seen == [set(), {torch.bfloat16}, {torch.bfloat16}]
    assert {weight.dtype for weight in tuned[0].parameters() if weight.requires_grad} == {torch.float32}


def test_random_numbers_of_others_do_not_move(tiny_model: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    speeds(tiny_model, torch.float32, CPU, 2)
    assert torch.equal(torch.rand(4), expected)


def test_an_encoder_is_judged_by_its_size(tmp_path: Path) -> None:
    folder = write_tiny_seq2seq(tmp_path / "t5", "t5")
    assert all_positive(speeds(folder, torch.float32, CPU, 4))


def test_a_model_of_unknown_layers_is_judged_by_its_size(tiny_model: Path, unsliceable: None) -> None:
    assert all_positive(speeds(tiny_model, torch.float32, CPU, 4))
