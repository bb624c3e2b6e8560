"""Encoder-decoder models small enough for tests: a T5 and a BART with random weights, and what they are asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from conftest import HARBOURS, text_of_everything

from ragft.models.language_model import LanguageModel, load
from ragft.models.sources import ModelFolder
from ragft.training.examples import TrainingText, TrainingTokens, tokenized

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


def write_tiny_seq2seq(folder: Path, kind: str) -> Path:
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


def model_of(folder: Path, dtype: Any = "float32") -> LanguageModel:
    return load(ModelFolder(str(folder), folder, "f" * 64), dtype, "cpu")


def rows_of(lm: LanguageModel, texts: tuple[TrainingText, ...] = TEXTS) -> list[TrainingTokens]:
    return tokenized(texts, lm.tokenizer, None)


def prefix_of(lm: LanguageModel) -> list[int]:
    """T5 begins with its pad token; BART with `</s>` and the `<s>` that its generation config forces behind it."""
    return {"t5": [0], "bart": [1, 3]}[lm.model.config.model_type]
