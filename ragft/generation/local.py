"""Answers from a language model in this process, with what was trained switched on over one loaded base.

PEFT adapters lie beside the base weights and are switched; fully trained weights take the base's place while they
answer. Knows nothing of tasks or arms.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from ragft.errors import RagftError
from ragft.generation.generator import Generation, Likelihood
from ragft.generation.likelihood import Scales
from ragft.generation.words import Told, whole_words
from ragft.models.fused import fused
from ragft.models.language_model import LanguageModel, auto_class, probed
from ragft.models.memory import peak_tensor_bytes
from ragft.models.turns import end_of_turn
from ragft.records import FinishReason

ADAPTER_RECORD = "ragft.json"
"""File in an adapter folder that says which base model and prompt the adapter belongs to."""

PEFT_CONFIG = "adapter_config.json"
"""File that makes a folder a PEFT adapter; a folder without it holds a whole model."""

MIN_LOGIT_CHANGE = 1e-4
"""An adapter that moves no logit by more than this was not loaded."""


class LocalGenerator:
    """Greedy answers from one base model; `adapter(...)` chooses who answers inside its block."""

    def __init__(self, language_model: LanguageModel, max_new_tokens: int) -> None:
        self._lm = language_model
        self._model: Any = language_model.model
        self._loaded: dict[Path, str] = {}
        self._proven: set[Path] = set()
        # Before any adapter is put in, which renames them; tied weights are one parameter and count once.
        self._weights: dict[str, torch.nn.Parameter] = dict(self._model.named_parameters())
        self._weight_bytes = sum(weight.numel() * weight.element_size() for weight in self._weights.values())
        tokenizer = language_model.tokenizer
        self._prefix = language_model.decoder_prefix
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
        """Return the tokens of a rendered prompt, with those that the tokenizer puts around what an encoder reads."""
        return len(self._lm.tokenizer(prompt, add_special_tokens=self._lm.surrounds_prompts)["input_ids"])

    @contextmanager
    def adapter(self, folder: Path | None) -> Iterator[None]:
        """Answer with what was trained into `folder` inside this block, or with the bare base model for None.

        A PEFT adapter stays loaded, and choosing it again costs next to nothing; its layers are fused as in training,
        so what is asked is computed as it was trained. Fully trained weights are read from the disk
        each time, and the base's wait in main memory.
        """
        if folder is None:
            with self._disabled():
                yield
            return
        if not (folder / PEFT_CONFIG).exists():
            with self._disabled(), self._exchanged(folder):
                yield
            return
        if folder not in self._loaded:
            self._load(folder)
        self._model.set_adapter(self._loaded[folder])
        self._lm.model.requires_grad_(False)
        with fused(self._model):
            yield

    def _disabled(self) -> Any:  # noqa: ANN401 - PEFT's context manager
        return self._model.disable_adapter() if isinstance(self._model, PeftModel) else nullcontext()

    def _load(self, folder: Path) -> None:
        """Add an adapter to the model and prove that it changes the logits.

        It answers in the precision of the base. PEFT would hold it in float32, as for training, and then a bfloat16
        base reads prompts at half the speed.
        """
        check_base(folder, self._lm)
        kind = PeftConfig.from_pretrained(str(folder)).peft_type
        if isinstance(self._model, PeftModel) and self._model.active_peft_config.peft_type != kind:
            self.unload()  # PEFT holds adapters of one kind at a time: LoRA beside LoRA, IA3 beside IA3
        if isinstance(self._model, PeftModel):
            name = f"adapter{len(self._model.peft_config)}"
            self._model.load_adapter(folder, adapter_name=name, autocast_adapter_dtype=False)
        else:
            name = "adapter0"
            self._model = PeftModel.from_pretrained(
                self._lm.model, folder, adapter_name=name, autocast_adapter_dtype=False
            )
        self._model.eval()
        self._prove(folder, name)
        self._loaded[folder] = name

    @contextmanager
    def _exchanged(self, folder: Path) -> Iterator[None]:
        """Put the weights of the model in `folder` in the place of the base's, which come back bit for bit."""
        check_base(folder, self._lm)
        trained = self._read(folder)
        before = self._probed() if folder not in self._proven else None
        kept = {name: weight.data.to("cpu") for name, weight in self._weights.items()}
        try:
            for name, weight in self._weights.items():
                weight.data = trained.pop(name).to(self._lm.device)
            if before is not None:
                _check_change(folder, self._probed(), before)
                self._proven.add(folder)
            yield
        finally:
            for name, weight in self._weights.items():
                weight.data = kept.pop(name).to(self._lm.device)

    def _read(self, folder: Path) -> dict[str, torch.Tensor]:
        """Return the weights of a model folder by name; raises RagftError unless they have the base's shapes."""
        try:
            model = auto_class(folder).from_pretrained(folder, dtype=self._lm.dtype, local_files_only=True)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise RagftError(
                f"{folder} holds neither an adapter nor a whole model: {error}", "train it again: ragft finetune FILE"
            ) from error
        found = {name: weight.data for name, weight in model.named_parameters()}
        if {name: weight.shape for name, weight in found.items()} != {n: w.shape for n, w in self._weights.items()}:
            raise RagftError(
                f"the model in {folder} has other weights than its base", "train it again: ragft finetune FILE"
            )
        return found

    def _probed(self) -> torch.Tensor:
        """Return the logits of a fixed text, of whoever would answer now."""
        return probed(self._model, self._lm.tokenizer)

    def _prove(self, folder: Path, name: str) -> None:
        self._model.set_adapter(name)
        tuned = self._probed()
        with self._model.disable_adapter():
            base = self._probed()
        _check_change(folder, tuned, base)

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the greedy answers to one batch, padded to its longest prompt."""
        started = time.perf_counter()
        batch, in_front = self._asked(prompts)
        self._check_room(int(batch["input_ids"].shape[1]))
        sure = _Certainty()
        output = self._model.generate(**batch, generation_config=self._config, logits_processor=sure.noted)
        answers = output[:, in_front:].tolist()
        seconds = (time.perf_counter() - started) / len(prompts)
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        rows = zip(answers, lengths, sure.rows(), strict=True)
        return [self._generation(ids, length, seconds, logprobs) for ids, length, logprobs in rows]

    @torch.inference_mode()
    def stream(self, prompt: str, on_text: Callable[[str], None]) -> Generation:
        """Return what `generate` answers to one prompt, telling `on_text` all that was said so far, word by word.

        What is told only grows: each text begins with the one before, and the last one is the whole answer. A word is
        told when the next one begins, so nobody sees half of a word or of a character.
        """
        started = time.perf_counter()
        batch, in_front = self._asked([prompt])
        length = int(batch["input_ids"].shape[1])
        self._check_room(length)
        words, sure = _Words(lambda ids: self._said(ids), on_text, in_front), _Certainty()
        output = self._model.generate(
            **batch, generation_config=self._config, streamer=words, logits_processor=sure.noted
        )
        seconds = time.perf_counter() - started
        generation = self._generation(output[0, in_front:].tolist(), length, seconds, sure.rows()[0])
        words.tell(generation.text)
        return generation

    @torch.inference_mode()
    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        """Return how likely whoever answers now finds each (prompt, answer), in order.

        The answer is cut into tokens as training does behind that prompt. What a prompt needs is computed once for all
        of its answers. Raises RagftError for a prompt that leaves no room for its answer.
        """
        return Scales(self._model, self._lm).weighed(pairs)

    def _asked(self, prompts: Sequence[str]) -> tuple[dict[str, torch.Tensor], int]:
        """Return what the model is given for these prompts, and how many tokens stand in front of each answer.

        An encoder reads a prompt with the tokenizer's own special tokens (T5 knows no text without `</s>` behind it),
        and the decoder is given the tokens that its answers begin with. Elsewhere the prompt itself stands in front.
        """
        around = self._lm.surrounds_prompts
        read = self._lm.tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=around)
        read = read.to(self._lm.device)
        if not self._prefix:
            return dict(read), int(read["input_ids"].shape[1])
        batch = {name: read[name] for name in ("input_ids", "attention_mask")}
        batch["decoder_input_ids"] = torch.tensor([self._prefix] * len(prompts), device=self._lm.device)
        return batch, len(self._prefix)

    def _generation(self, ids: list[int], prompt_tokens: int, seconds: float, logprobs: list[float]) -> Generation:
        """Cut an answer at its end of turn; an answer without one has reached the cap."""
        kept = self._kept(ids)
        stopped = len(kept) < len(ids)
        reason: FinishReason = "stop" if stopped else "length"
        sure = statistics.fmean(logprobs[: len(kept)]) if kept else None
        return Generation(self._said(ids), prompt_tokens, len(kept) + stopped, seconds, reason, sure)

    def _kept(self, ids: list[int]) -> list[int]:
        """Return the tokens before the end of turn."""
        stops = (position for position, token in enumerate(ids) if token in self._config.eos_token_id)
        return ids[: next(stops, len(ids))]

    def _said(self, ids: list[int]) -> str:
        return str(self._lm.tokenizer.decode(self._kept(ids), skip_special_tokens=True)).strip()

    @property
    def context_tokens(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None where the model's files do not say.

        Of an encoder-decoder model they are the encoder's own and those of the longest answer: they share no room.
        """
        limit = self._lm.reads_tokens
        return limit + self._config.max_new_tokens if limit is not None and self._prefix else limit

    def peak_bytes(self, prompt: str) -> int:
        """Return the bytes of the base weights and, at their highest, of the tensors that reading one prompt takes.

        Two tokens are written: the key-value cache and the activations are largest while the prompt is read.
        """
        config = copy.copy(self._config)
        config.max_new_tokens = 2
        batch, _ = self._asked([prompt])
        with torch.inference_mode():
            work = peak_tensor_bytes(lambda: self._model.generate(**batch, generation_config=config), self._lm.device)
        return self._weight_bytes + work

    def _check_room(self, prompt_tokens: int) -> None:
        limit, new = self._lm.reads_tokens, self._config.max_new_tokens
        if limit is None:
            return
        shorter = "lower retrieval.top_k, index.chunking.chunk_tokens or the number of shots"
        if not self._prefix:
            if prompt_tokens + new > limit:
                raise RagftError(
                    f"a prompt of {prompt_tokens} tokens and {new} new ones exceed the model's context of {limit}",
                    shorter,
                )
            return
        if prompt_tokens > limit:
            raise RagftError(f"a prompt has {prompt_tokens} tokens, and the model's encoder reads {limit}", shorter)
        if len(self._prefix) + new > limit:
            raise RagftError(
                f"answers of {new} tokens are longer than the model's decoder writes ({limit})",
                "lower generation.max_new_tokens",
            )


class _Words:
    """Takes tokens as `generate` makes them (it asks for `put` and `end`) and tells the words that they make."""

    def __init__(self, said: Callable[[list[int]], str], on_text: Callable[[str], None], prompt_tokens: int) -> None:
        self._said, self._told = said, Told(on_text)
        self._left = prompt_tokens  # the prompt itself is put first
        self._ids: list[int] = []

    def put(self, tokens: torch.Tensor) -> None:
        """Take the next tokens and tell the words that are whole."""
        ids = tokens.flatten().tolist()
        skipped = min(self._left, len(ids))
        self._left -= skipped
        if len(ids) > skipped:
            self._ids += ids[skipped:]
            self.tell(whole_words(self._said(self._ids)))

    def end(self) -> None:
        """Do nothing: the last word is told with the whole answer."""

    def tell(self, text: str) -> None:
        """Tell all that was said so far."""
        self._told.tell(text)


class _Certainty(LogitsProcessor):
    """Notes how likely each token is that a greedy answer takes: the highest logit less the log of the sum of all.

    `generate` calls it with the model's own logits in float32, before it chooses, and nothing is changed. What is noted
    of a row that has ended already belongs to no token.
    """

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    @property
    def noted(self) -> LogitsProcessorList:
        """What `generate` is given so that it is noted here."""
        return LogitsProcessorList([self])

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, vocabulary), as they are."""
        self._steps.append(scores.amax(dim=-1) - scores.logsumexp(dim=-1))
        return scores

    def rows(self) -> list[list[float]]:
        """Return the log-probabilities (nats) of each row's tokens."""
        found: list[list[float]] = torch.stack(self._steps, dim=1).tolist()
        return found


def _check_change(folder: Path, tuned: torch.Tensor, base: torch.Tensor) -> None:
    """Raise RagftError unless what was trained into `folder` moves a logit."""
    change = (tuned - base).abs().max().item()
    if not change > MIN_LOGIT_CHANGE:
        raise RagftError(
            f"the adapter in {folder} changes no logit (largest change {change:.2g}): it was not loaded",
            "train it again: ragft finetune FILE",
        )


def end_of_turn_ids(language_model: LanguageModel) -> list[int]:
    """Return the ids that end an answer.

    They are those of the model's generation config, the tokenizer's end token, and what the chat template ends a turn
    with, which training teaches and a base model's configuration may not name.
    """
    configured = getattr(language_model.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    tokenizer = language_model.tokenizer
    own = [tokenizer.eos_token_id]
    if tokenizer.eos_token_id is not None:
        own.append(end_of_turn(tokenizer))
    return sorted({int(token) for token in [*ids, *own] if token is not None})


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
