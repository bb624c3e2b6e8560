"""Answers from a causal language model in this process, with PEFT adapters switched on one copy of the base weights."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import GenerationConfig

from ragft.errors import RagftError
from ragft.generation.generator import Generation
from ragft.models.language_model import LanguageModel
from ragft.models.memory import peak_tensor_bytes

ADAPTER_RECORD = "ragft.json"
"""File in an adapter folder that says which base model and prompt the adapter belongs to."""

MIN_LOGIT_CHANGE = 1e-4
"""An adapter that moves no logit by more than this was not loaded."""


class LocalGenerator:
    """Greedy answers from one base model; `adapter(...)` chooses who answers inside its block."""

    def __init__(self, language_model: LanguageModel, max_new_tokens: int) -> None:
        self._lm = language_model
        self._model: Any = language_model.model
        self._loaded: dict[Path, str] = {}
        # Before any adapter is put in; tied weights are one parameter and count once.
        self._weight_bytes = sum(weight.numel() * weight.element_size() for weight in self._model.parameters())
        tokenizer = language_model.tokenizer
        self._config: Any = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=end_of_turn_ids(language_model),
        )

    def cap(self, max_new_tokens: int) -> None:
        """Set the longest answer, in tokens."""
        self._config.max_new_tokens = max_new_tokens

    def unload(self) -> None:
        """Take every adapter out of the base weights, which are then as they were loaded."""
        if isinstance(self._model, PeftModel):
            self._model = self._model.unload()
        self._loaded.clear()

    def count_tokens(self, prompt: str) -> int:
        """Return the tokens of a rendered prompt; the chat template has already placed the special ones."""
        return len(self._lm.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    @contextmanager
    def adapter(self, folder: Path | None) -> Iterator[None]:
        """Answer with the adapter in `folder` inside this block, or with the bare base model for None."""
        if folder is None:
            with self._disabled():
                yield
            return
        if folder not in self._loaded:
            self._load(folder)
        self._model.set_adapter(self._loaded[folder])
        self._lm.model.requires_grad_(False)
        yield

    def _disabled(self) -> Any:  # noqa: ANN401 - PEFT's context manager
        return self._model.disable_adapter() if isinstance(self._model, PeftModel) else nullcontext()

    def _load(self, folder: Path) -> None:
        """Add an adapter to the model and prove that it changes the logits."""
        check_base(folder, self._lm)
        if isinstance(self._model, PeftModel):
            name = f"adapter{len(self._model.peft_config)}"
            self._model.load_adapter(folder, adapter_name=name)
        else:
            name = "adapter0"
            self._model = PeftModel.from_pretrained(self._lm.model, folder, adapter_name=name)
        self._model.eval()
        self._prove(folder, name)
        self._loaded[folder] = name

    @torch.inference_mode()
    def _prove(self, folder: Path, name: str) -> None:
        ids = self._lm.tokenizer("The answer to the question is", return_tensors="pt").to(self._lm.device)
        self._model.set_adapter(name)
        tuned = self._model(**ids).logits.float()
        with self._model.disable_adapter():
            base = self._model(**ids).logits.float()
        change = (tuned - base).abs().max().item()
        if not change > MIN_LOGIT_CHANGE:
            raise RagftError(
                f"the adapter in {folder} changes no logit (largest change {change:.2g}): it was not loaded",
                "train it again: ragft finetune FILE",
            )

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the greedy answers to one batch, left-padded to its longest prompt."""
        started = time.perf_counter()
        tokenizer = self._lm.tokenizer
        batch = tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
        batch = batch.to(self._lm.device)
        self._check_room(int(batch["input_ids"].shape[1]))
        output = self._model.generate(**batch, generation_config=self._config)
        answers = output[:, batch["input_ids"].shape[1] :].tolist()
        seconds = (time.perf_counter() - started) / len(prompts)
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        return [self._generation(ids, length, seconds) for ids, length in zip(answers, lengths, strict=True)]

    def _generation(self, ids: list[int], prompt_tokens: int, seconds: float) -> Generation:
        """Cut an answer at its end of turn; an answer without one has reached the cap."""
        stops = [position for position, token in enumerate(ids) if token in self._config.eos_token_id]
        kept = ids[: stops[0]] if stops else ids
        text = str(self._lm.tokenizer.decode(kept, skip_special_tokens=True)).strip()
        return Generation(text, prompt_tokens, len(kept) + bool(stops), seconds, "stop" if stops else "length")

    def peak_bytes(self, prompt: str) -> int:
        """Return the bytes of the base weights and, at their highest, of the tensors that reading one prompt takes.

        Two tokens are written: the key-value cache and the activations are largest while the prompt is read.
        """
        config = copy.copy(self._config)
        config.max_new_tokens = 2
        batch = self._lm.tokenizer([prompt], return_tensors="pt", add_special_tokens=False).to(self._lm.device)
        with torch.inference_mode():
            work = peak_tensor_bytes(lambda: self._model.generate(**batch, generation_config=config), self._lm.device)
        return self._weight_bytes + work

    def _check_room(self, prompt_tokens: int) -> None:
        limit = getattr(self._lm.model.config, "max_position_embeddings", None)
        if limit is not None and prompt_tokens + self._config.max_new_tokens > limit:
            raise RagftError(
                f"a prompt of {prompt_tokens} tokens and {self._config.max_new_tokens} new ones exceed the model's "
                f"context of {limit}",
                "lower retrieval.top_k, index.chunking.chunk_tokens or the number of shots",
            )


def end_of_turn_ids(language_model: LanguageModel) -> list[int]:
    """Return the ids that end an answer: those of the model's generation config and the tokenizer's end token."""
    configured = getattr(language_model.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return sorted({int(token) for token in [*ids, language_model.tokenizer.eos_token_id] if token is not None})


def check_base(folder: Path, language_model: LanguageModel) -> None:
    """Raise RagftError unless the adapter in `folder` was trained on these base weights."""
    record = folder / ADAPTER_RECORD
    if not record.exists():
        raise RagftError(f"{folder} is not an adapter that ragft trained: there is no {ADAPTER_RECORD} in it")
    base = json.loads(record.read_text(encoding="utf-8"))["base_fingerprint"]
    if base != language_model.folder.fingerprint:
        raise RagftError(
            f"the adapter in {folder} was trained on another base model "
            f"({base[:12]}, and the experiment's is {language_model.folder.fingerprint[:12]})",
            "train it on this model: ragft finetune FILE",
        )
