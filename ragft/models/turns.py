"""How a model's turns end, and its tokens of a text."""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateError


def ids_of(tokenizer: Any, text: str) -> tuple[int, ...]:  # noqa: ANN401 - a transformers tokenizer
    """Return the tokens of a text, with no special ones around it."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


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
