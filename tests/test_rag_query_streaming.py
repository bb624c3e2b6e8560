"""An answer as it is being said: only whole words, nothing taken back, and in the end exactly the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.generation.local import LocalGenerator, _Words
from ragft.generation.words import whole_words
from ragft.models.language_model import LanguageModel, load
from ragft.models.sources import ModelFolder
from ragft.query.reading import Telling, answer_so_far, answer_text
from ragft.tasks.classification import Classification
from ragft.tasks.qa import Qa

CALM = settings(deadline=None, max_examples=60)
PIECES = [
    "The",
    "the",
    "answer",
    "is",
    "to this question",
    "A",
    ":",
    " ",
    "  ",
    "\n",
    "[2]",
    "[12]",
    "cod",
    "1934.",
    ".",
]

LEAD_INS = ["The answer is ", "the answer is : ", "Answer: ", "A : ", "The answer to this question is: "]


@pytest.fixture(scope="module")
def lm(tiny_model: Path) -> LanguageModel:
    return load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "float32", "cpu")


# --------------------------------------------------------------------------------------------------- whole words


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("Satur", ""),
        ("Saturday ", "Saturday"),
        ("on Satur", "on"),
        ("on Saturday\nand", "on Saturday"),
        ("caf\ufffd", ""),  # a byte of é is missing
        ("a caf\ufffd\ufffd", "a"),
        ("火曜日", "火曜日"),  # no spaces between words: nothing to wait for
        ("火曜\ufffd", "火曜"),
        ("1934年 to", "1934年"),
    ],
)
def test_a_word_is_whole_when_something_follows_it(text: str, whole: str) -> None:
    assert whole_words(text) == whole


@CALM
@given(st.text(max_size=60))
def test_whole_words_of_a_growing_text_only_grow(text: str) -> None:
    text = text.replace("\ufffd", "")
    told = [whole_words(text[:n]) for n in range(len(text) + 1)]
    assert all(later.startswith(earlier) for earlier, later in zip(told, told[1:], strict=False))
    assert all(text.startswith(one) for one in told)


# ------------------------------------------------------------------------------------------------------ the model


def test_what_is_streamed_is_what_is_generated(lm: LanguageModel) -> None:
    generator = LocalGenerator(lm, 24)
    for prompt in ("Who?", "What lives at Jorvik?", "<|im_start|>user\nWhich colour has Corvel?<|im_end|>\n"):
        told: list[str] = []
        streamed, asked = generator.stream(prompt, told.append), generator.generate([prompt])[0]
        assert (streamed.text, streamed.output_tokens, streamed.prompt_tokens, streamed.finish_reason) == (
            asked.text,
            asked.output_tokens,
            asked.prompt_tokens,
            asked.finish_reason,
        )
        assert told[-1] == asked.text
        assert all(later.startswith(earlier) for earlier, later in zip(told, told[1:], strict=False))


def test_the_prompt_is_not_told_and_the_end_of_turn_is_not_said(lm: LanguageModel) -> None:
    told: list[str] = []
    generator = LocalGenerator(lm, 8)
    encode: Any = lambda text: lm.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    end = lm.tokenizer.eos_token_id
    words = _Words(generator._said, told.append, 3)
    words.put(torch.tensor([[5, 6, 7]]))
    for token in [*encode("The cod"), end]:
        words.put(torch.tensor([token]))
    assert told == ["The"]
    words.tell("The cod")
    assert told == ["The", "The cod"]


@CALM
@given(text=st.text(max_size=40))
def test_no_token_shows_half_of_a_character(lm: LanguageModel, text: str) -> None:
    """A byte-level token can be a third of a character: told as it comes, it would be U+FFFD on the screen."""
    text = text.replace("\ufffd", "").strip()
    ids: Any = lm.tokenizer(text, add_special_tokens=False)["input_ids"]
    generator, told = LocalGenerator(lm, 8), [""]
    said = generator._said(ids)
    words = _Words(generator._said, told.append, 0)
    for token in ids:
        words.put(torch.tensor([token]))
    assert said.startswith(told[-1])
    assert not any("\ufffd" in one for one in told)


def test_the_room_of_the_context_is_known(lm: LanguageModel) -> None:
    assert LocalGenerator(lm, 8).context_tokens == 2048


# --------------------------------------------------------------------------------------------------- as a task reads


def test_an_answer_keeps_its_citations_where_the_task_drops_them() -> None:
    said = "The answer is: cod [2], and eels [1].\nThat is all."
    assert Qa().parse(said) == "cod, and eels."
    assert answer_text(Qa(), said) == "cod [2], and eels [1]."


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The", ""),
        ("The answer", ""),
        ("The answer is", ""),
        ("The answer is cod", "cod"),
        ("The lighthouse", "The lighthouse"),
        ("A", ""),
        ("A cod", "A cod"),
        ("cod\nThat", "cod"),
    ],
)
def test_an_answer_waits_while_it_may_be_a_lead_in(said: str, told: str) -> None:
    assert answer_so_far(Qa(), said) == told


def test_a_label_is_told_at_the_end_only() -> None:
    task = Classification(("SUPPORTS", "REFUTES"))
    pieces: list[str] = []
    telling = Telling(task, pieces.append)
    for said in ("I", "I think", "I think SUPPORTS"):
        telling.so_far(said)
    assert pieces == []
    assert (telling.end("I think SUPPORTS it"), pieces) == ("SUPPORTS", ["SUPPORTS"])


@CALM
@given(st.sampled_from(["", *LEAD_INS]), st.lists(st.sampled_from(PIECES), max_size=14))
def test_the_pieces_of_an_answer_joined_are_the_answer(lead_in: str, pieces: list[str]) -> None:
    said = "".join([lead_in, *pieces]).strip()
    told: list[str] = []
    telling = Telling(Qa(), told.append)
    for end in range(len(said)):
        telling.so_far(whole_words(said[:end]))
    text = telling.end(said)
    assert "".join(told) == text == answer_text(Qa(), said)
    assert "\n" not in text
