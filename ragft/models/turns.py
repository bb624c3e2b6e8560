"""How a model's turns end, and its tokens of a text and of an answer behind its prompt."""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateError


def ids_of(tokenizer: Any, text: str) -> tuple[int, ...]:  # noqa: ANN401 - a transformers tokenizer
    """Return the tokens of a text, with no special ones around it."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def reads_prompts_apart(tokenizer: Any) -> bool:  # noqa: ANN401
    """Return whether the tokenizer is that of an encoder-decoder model, as `load_tokenizer` has marked it."""
    return bool(getattr(tokenizer, "is_encoder_decoder", False))


def pair_ids(tokenizer: Any, prompt: str, answer: str) -> tuple[tuple[int, ...], tuple[int, ...]]:  # noqa: ANN401
    """Return the tokens of a prompt, and those of an answer as they stand behind it; no end of turn is among them.

    The prompt's are exactly those that the model is asked with. Training and weighing both cut a text here, so a text
    is never weighed in other tokens than it was trained in.
    """
    if reads_prompts_apart(tokenizer):
        asked = tuple(tokenizer(prompt, add_special_tokens=not tokenizer.chat_template)["input_ids"])
        return asked, ids_of(tokenizer, answer)
    asked = ids_of(tokenizer, prompt)
    return asked, _following(tokenizer, prompt, asked, answer)


def _following(tokenizer: Any, prompt: str, asked: tuple[int, ...], answer: str) -> tuple[int, ...]:  # noqa: ANN401
    """Return the answer's tokens as they stand behind the prompt's, or on their own where the two would merge.

    Some tokenizers put a blank before every text that they are given: alone, `green` would be two words apart.
    """
    if not answer:
        return ()
    whole = ids_of(tokenizer, prompt + answer)
    joins = whole[: len(asked)] == asked and len(whole) > len(asked)
    return whole[len(asked) :] if joins else ids_of(tokenizer, answer)


def end_of_turn(tokenizer: Any) -> int:  # noqa: ANN401
    """Return the id that ends an answer: the special token that the chat template puts there, else the end of text.

    The two differ in some chat models (Gemma ends a turn with `<end_of_turn>` and a text with `<eos>`).
    """
    end = int(tokenizer.eos_token_id)
    if not getattr(tokenizer, "chat_template", None):
        return end
    said = "Quux"
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": said}]
    try:
        rendered = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False))
    except TemplateError:  # a template is a program, and may refuse a conversation
        return end
    after = ids_of(tokenizer, rendered.rpartition(said)[2].lstrip())
    return after[0] if after and after[0] in tokenizer.all_special_ids else end
