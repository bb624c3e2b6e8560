"""Prompts: one text for training and for asking, which no document, input or brace can break out of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import RagftError
from ragft.prompts import ABSTENTION, TEMPLATES, Shot, numbered, render, template
from ragft.records import Passage

CALM = settings(deadline=None, max_examples=60)
QA = TEMPLATES["qa-short-1"]
CLASSES = TEMPLATES["classification-1"]
SPECIAL = ["<|turn|>", "<|end|>", "</s>"]


class FakeTokenizer:
    """Writes a conversation as `<|turn|>role: content<|end|>`, or has no chat template."""

    all_special_tokens = SPECIAL

    def __init__(self, has_template: bool = True) -> None:
        self.chat_template = "yes" if has_template else None

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        turns = [f"<|turn|>{message['role']}: {message['content']}<|end|>" for message in conversation]
        return "".join(turns) + ("<|turn|>assistant: " if add_generation_prompt else "")


CHAT, PLAIN = FakeTokenizer(), FakeTokenizer(has_template=False)


def passage(text: str, title: str = "") -> Passage:
    return Passage(f"d#0-{len(text)}", "d", title, text, 0, len(text))


def test_a_bare_question_by_the_chat_template() -> None:
    assert render(CHAT, QA, "Who keeps the light?") == (
        f"<|turn|>system: {QA.system}<|end|><|turn|>user: Question: Who keeps the light?<|end|><|turn|>assistant: "
    )
    assert ABSTENTION in QA.system


def test_a_model_without_a_chat_template_gets_plain_turns() -> None:
    rendered = render(PLAIN, QA, "Who?", shots=[Shot("Where?", "Here")])
    assert rendered == f"{QA.system}\n\nQuestion: Where?\n\nAnswer: Here\n\nQuestion: Who?\n\nAnswer:"


def test_passages_stand_numbered_before_the_question() -> None:
    passages = [passage(" Ada keeps it.\n", "Light"), passage("Nobody knows.")]
    user = "[1] Light: Ada keeps it.\n\n[2] Nobody knows.\n\nAnswer from the passages above.\nQuestion: Who?"
    assert render(CHAT, QA, "Who?", passages=passages).endswith(f"<|turn|>user: {user}<|end|><|turn|>assistant: ")


def test_passages_are_numbered_from_one_in_their_order() -> None:
    assert numbered([passage("a"), passage("b", "T"), passage("c")]) == "[1] a\n\n[2] T: b\n\n[3] c"
    assert numbered([]) == ""


def test_shots_are_turns_before_the_question_and_have_no_passages() -> None:
    shots = [Shot("Where?", "Here"), Shot("When?", "Now")]
    rendered = render(CHAT, QA, "Who?", passages=[passage("Ada.")], shots=shots)
    assert rendered == (
        f"<|turn|>system: {QA.system}<|end|>"
        "<|turn|>user: Question: Where?<|end|><|turn|>assistant: Here<|end|>"
        "<|turn|>user: Question: When?<|end|><|turn|>assistant: Now<|end|>"
        "<|turn|>user: [1] Ada.\n\nAnswer from the passages above.\nQuestion: Who?<|end|><|turn|>assistant: "
    )


def test_values_fill_the_templates_own_placeholders() -> None:
    rendered = render(PLAIN, CLASSES, "The sea is dry.", values={"labels": "true or false"})
    assert rendered == (
        "You sort texts into classes. You reply with one label and nothing else: true or false\n\n"
        "Text: The sea is dry.\nWhich label: true or false?\n\nAnswer:"
    )


@pytest.mark.parametrize("text", ["{input}", "{}", "{0.__class__}", "{{labels}}", "{labels", "}"])
def test_braces_of_a_user_stay_as_they_are(text: str) -> None:
    values = {"labels": "{x} or {}"}
    rendered = render(PLAIN, CLASSES, text, passages=[passage(text, text)], shots=[Shot(text, text)], values=values)
    assert f"Text: {text}\nWhich label: {{x}} or {{}}?\n\nAnswer: {text}\n\n" in rendered
    assert f"[1] {text}: {text}\n\nText: {text}\nGoing by the passages" in rendered


@pytest.mark.parametrize("token", SPECIAL)
def test_special_tokens_in_documents_inputs_and_shots_are_broken_up(token: str) -> None:
    attack = f"x{token}y"
    clean = render(CHAT, QA, "xy", passages=[passage("xy", "xy")], shots=[Shot("xy", "xy")])
    attacked = render(CHAT, QA, attack, passages=[passage(attack, attack)], shots=[Shot(attack, attack)])
    assert attacked.count(token) == clean.count(token)
    assert attacked.count(f"x{token[0]} {token[1:]}y") == 5  # title, text and input; input and output of the shot


@CALM
@given(st.lists(st.sampled_from([*SPECIAL, "<|", "|>", "turn", "end", "<", "/s>", "|", " ", "x"]), max_size=12))
def test_no_text_can_hold_a_special_token(parts: list[str]) -> None:
    rendered = render(PLAIN, QA, "".join(parts), passages=[passage("".join(reversed(parts)))])
    assert not any(token in rendered for token in SPECIAL)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_found_under_its_name_and_renders(name: str) -> None:
    form = TEMPLATES[name]
    assert template(name, form.task) is form
    values = {"labels": "a or b"} if form.task == "classification" else {}
    rendered = render(CHAT, form, "What is this?", passages=[passage("A passage.")], values=values)
    assert rendered.count("What is this?") == 1
    assert rendered.count("[1] A passage.") == 1


@pytest.mark.parametrize(("name", "task"), [("qa-short", "qa"), ("classification-1", "qa")])
def test_an_unknown_template_is_answered_with_the_known_ones_of_the_task(name: str, task: str) -> None:
    with pytest.raises(RagftError) as caught:
        template(name, task)
    assert caught.value.message == f"there is no prompt template {name!r} for the task {task!r}"
    assert caught.value.hint == "templates: " + ", ".join(form.name for form in TEMPLATES.values() if form.task == task)
    assert "classification-1" not in (caught.value.hint or "")
