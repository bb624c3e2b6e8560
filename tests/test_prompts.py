"""Prompts: one text for training and for asking, which no document, input, brace or template can break out of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.config import CustomTask, QaTask, load_experiment
from ragft.config.sandbox import MAX_CHARACTERS, MAX_RANGE
from ragft.errors import ConfigError, DataError, RagftError
from ragft.prompts import (
    ABSTENTION,
    TEMPLATES,
    CustomTemplate,
    Form,
    Shot,
    columns_of,
    conversation,
    form_of,
    numbered,
    render,
    template,
)
from ragft.records import Example, Passage, Turn

CALM = settings(deadline=None, max_examples=60)
QA = TEMPLATES["qa-short-1"]
CLASSES = TEMPLATES["classification-1"]
SPECIAL = ["<|turn|>", "<|end|>", "</s>"]
VALUES = {"labels": "true or false", "source": "English", "target": "Spanish", "length": "one sentence"}


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


def asked(text: str, *turns: Turn) -> Example:
    return Example("e1", text, (), history=turns)


def shot(text: str, output: str, *turns: Turn) -> Shot:
    return Shot(Example("t1", text, (output,), history=turns), output)


def passage(text: str, title: str = "") -> Passage:
    return Passage(f"d#0-{len(text)}", "d", title, text, 0, len(text))


def test_a_bare_question_by_the_chat_template() -> None:
    assert render(CHAT, QA, asked("Who keeps the light?")) == (
        f"<|turn|>system: {QA.system}<|end|><|turn|>user: Question: Who keeps the light?<|end|><|turn|>assistant: "
    )
    assert ABSTENTION in QA.system


def test_a_model_without_a_chat_template_gets_plain_turns() -> None:
    rendered = render(PLAIN, QA, asked("Who?"), shots=[shot("Where?", "Here")])
    assert rendered == f"{QA.system}\n\nQuestion: Where?\n\nAnswer: Here\n\nQuestion: Who?\n\nAnswer:"


def test_passages_stand_numbered_before_the_question() -> None:
    passages = [passage(" Ada keeps it.\n", "Light"), passage("Nobody knows.")]
    user = "[1] Light: Ada keeps it.\n\n[2] Nobody knows.\n\nAnswer from the passages above.\nQuestion: Who?"
    assert render(CHAT, QA, asked("Who?"), passages=passages).endswith(
        f"<|turn|>user: {user}<|end|><|turn|>assistant: "
    )


def test_passages_are_numbered_from_one_in_their_order() -> None:
    assert numbered([passage("a"), passage("b", "T"), passage("c")]) == "[1] a\n\n[2] T: b\n\n[3] c"
    assert numbered([]) == ""


def test_shots_are_turns_before_the_question_and_have_no_passages() -> None:
    shots = [shot("Where?", "Here"), shot("When?", "Now")]
    rendered = render(CHAT, QA, asked("Who?"), passages=[passage("Ada.")], shots=shots)
    assert rendered == (
        f"<|turn|>system: {QA.system}<|end|>"
        "<|turn|>user: Question: Where?<|end|><|turn|>assistant: Here<|end|>"
        "<|turn|>user: Question: When?<|end|><|turn|>assistant: Now<|end|>"
        "<|turn|>user: [1] Ada.\n\nAnswer from the passages above.\nQuestion: Who?<|end|><|turn|>assistant: "
    )


def test_a_shot_that_follows_up_brings_the_turns_that_it_follows() -> None:
    """By itself, "And its colour? Green." would teach a model that any colour will do."""
    shots = [shot("And its colour?", "Green", Turn("Where is Aldmoor?", "In the north."))]
    messages = conversation(TEMPLATES["chat-1"], asked("So why?", Turn("Who?", "Ada")), shots=shots)
    assert [(m["role"], m["content"]) for m in messages[1:]] == [
        ("user", "Where is Aldmoor?"),
        ("assistant", "In the north."),
        ("user", "And its colour?"),
        ("assistant", "Green"),
        ("user", "Who?"),
        ("assistant", "Ada"),
        ("user", "So why?"),
    ]


def test_the_instructions_of_a_conversation_stand_behind_the_system_text() -> None:
    example = Example("e1", "Hello", (), instructions="You serve the harbour of {Aldmoor}.")
    system = conversation(TEMPLATES["chat-1"], example)[0]
    assert system == {
        "role": "system",
        "content": f"{TEMPLATES['chat-1'].system}\n\nYou serve the harbour of {{Aldmoor}}.",
    }


def test_values_fill_the_templates_own_placeholders() -> None:
    rendered = render(PLAIN, CLASSES, asked("The sea is dry."), values=VALUES)
    assert rendered == (
        "You sort texts into classes. You reply with one label and nothing else: true or false\n\n"
        "Text: The sea is dry.\nWhich label: true or false?\n\nAnswer:"
    )


@pytest.mark.parametrize("text", ["{input}", "{}", "{0.__class__}", "{{labels}}", "{labels", "}"])
def test_braces_of_a_user_stay_as_they_are(text: str) -> None:
    values = {"labels": "{x} or {}"}
    shots, passages = [shot(text, text)], [passage(text, text)]
    rendered = render(PLAIN, CLASSES, asked(text), passages=passages, shots=shots, values=values)
    assert f"Text: {text}\nWhich label: {{x}} or {{}}?\n\nAnswer: {text}\n\n" in rendered
    assert f"[1] {text}: {text}\n\nText: {text}\nGoing by the passages" in rendered


@pytest.mark.parametrize("token", SPECIAL)
def test_special_tokens_in_documents_inputs_and_shots_are_broken_up(token: str) -> None:
    attack = f"x{token}y"
    clean = render(CHAT, QA, asked("xy"), passages=[passage("xy", "xy")], shots=[shot("xy", "xy")])
    attacked = render(CHAT, QA, asked(attack), passages=[passage(attack, attack)], shots=[shot(attack, attack)])
    assert attacked.count(token) == clean.count(token)
    assert attacked.count(f"x{token[0]} {token[1:]}y") == 5  # title, text and input; input and output of the shot


@CALM
@given(st.lists(st.sampled_from([*SPECIAL, "<|", "|>", "turn", "end", "<", "/s>", "|", " ", "x"]), max_size=12))
def test_no_text_can_hold_a_special_token(parts: list[str]) -> None:
    text = "".join(parts)
    example = Example("e1", text, (), history=(Turn(text, text),), instructions=text)
    rendered = render(PLAIN, QA, example, passages=[passage("".join(reversed(parts)))])
    assert not any(token in rendered for token in SPECIAL)


# --------------------------------------------------------------------------------------------------------- templates


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_found_under_its_name_and_renders(name: str) -> None:
    form = TEMPLATES[name]
    assert template(name, form.task) is form
    bare, with_passages = (
        conversation(form, asked("What is this?"), passages=passages, values=VALUES)
        for passages in ([], [passage("A passage.", "T")])
    )
    assert [message["role"] for message in bare] == [message["role"] for message in with_passages] == ["system", "user"]
    assert bare[0] == with_passages[0]
    assert bare[1]["content"].count("What is this?") == with_passages[1]["content"].count("What is this?") == 1
    assert "passage" not in bare[1]["content"]
    shown = with_passages[1]["content"]
    assert shown.index("[1] T: A passage.") < shown.index("What is this?")
    assert not any(mark in message["content"] for message in (*bare, *with_passages) for mark in "{}")


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.startswith(("summary", "translation"))])
def test_the_text_that_is_worked_on_comes_last(name: str) -> None:
    """Behind a text of many words a small model goes on with that text, whatever was asked before it."""
    for passages in ([], [passage("A passage.")]):
        messages = conversation(TEMPLATES[name], asked("What is this?"), passages=passages, values=VALUES)
        assert messages[-1]["content"].endswith("What is this?")


@pytest.mark.parametrize(
    "purpose",
    [
        *("qa-short", "qa-cited", "qa-long", "qa-long-cited", "summary", "summary-topic"),
        *("translation", "translation-memory", "classification", "chat", "chat-cited"),
    ],
)
def test_every_purpose_has_two_templates_in_other_words_for_the_same_values(purpose: str) -> None:
    first, second = TEMPLATES[f"{purpose}-1"], TEMPLATES[f"{purpose}-2"]
    assert first.task == second.task
    assert first.system != second.system
    assert first.with_passages != second.with_passages
    assert _fields(first) == _fields(second)
    abstains = [ABSTENTION in one.system for one in (first, second)]
    assert abstains == [first.task in ("qa", "chat")] * 2
    cites = ["the number of the passage" in one.system for one in (first, second)]
    assert cites == ["cited" in purpose] * 2


def _fields(form: object) -> set[str | None]:
    texts = (getattr(form, part) for part in ("system", "bare", "with_passages"))
    return {field for text in texts for _, field, _, _ in Formatter().parse(text) if field}


def test_the_templates_of_released_versions_have_not_changed_by_a_byte() -> None:
    """Their names stand in manifests and baselines: another text would pass for the same prompt."""
    digests = {
        name: hashlib.sha256("\0".join((form.system, form.bare, form.with_passages)).encode()).hexdigest()[:16]
        for name, form in TEMPLATES.items()
        if name in ("qa-short-1", "qa-cited-1", "classification-1")
    }
    assert digests == {
        "qa-short-1": "305e5fb2739e63b9",
        "qa-cited-1": "0663749fbf33a147",
        "classification-1": "2215d625b562a9b9",
    }


@pytest.mark.parametrize(("name", "task"), [("qa-short", "qa"), ("classification-1", "qa")])
def test_an_unknown_template_is_answered_with_the_known_ones_of_the_task(name: str, task: str) -> None:
    with pytest.raises(RagftError) as caught:
        template(name, task)
    assert caught.value.message == f"there is no prompt template {name!r} for the task {task!r}"
    assert caught.value.hint == "templates: " + ", ".join(form.name for form in TEMPLATES.values() if form.task == task)
    assert "classification-1" not in (caught.value.hint or "")


# ------------------------------------------------------------------------------------------------ prompts of one's own


def custom(prompt: str, system: str = "") -> CustomTask:
    return CustomTask(kind="custom", prompt=prompt, system=system, metrics=("rouge_l",))


def own(prompt: str, system: str = "") -> Form:
    return CustomTemplate.of(custom(prompt, system))


PROMPT = """\
{% for passage in passages %}
[{{ passage.number }}] {{ passage.title }} - {{ passage.text }}
{% endfor %}
To {{ customer }}: {{ input }}
"""


def test_a_prompt_of_ones_own_is_filled_from_input_passages_and_columns() -> None:
    form = own(PROMPT, "You write to {{ customer }}, {{ '%.1f' | format(score) }}.")
    example = Example("e1", "Late {{ train }}?", (), columns={"customer": "Ms <Ray>", "score": 2.25})
    shots = [Shot(Example("t1", "Lost bag?", ("Sorry.",), columns={"customer": "Mr Day"}), "Sorry.")]
    messages = conversation(form, example, passages=[passage(" Trains.\n", "T"), passage("Bags.", "B")], shots=shots)
    assert messages == [
        {"role": "system", "content": "You write to Ms <Ray>, 2.2."},
        {"role": "user", "content": "To Mr Day: Lost bag?"},  # a shot has no passages
        {"role": "assistant", "content": "Sorry."},
        {"role": "user", "content": "[1] T - Trains.\n[2] B - Bags.\nTo Ms <Ray>: Late {{ train }}?"},
    ]


def test_without_a_system_text_there_is_no_system_message() -> None:
    assert [message["role"] for message in conversation(own("{{ input }}"), asked("Hi"))] == ["user"]


def test_turns_before_stand_as_they_were_said_unless_the_prompt_lays_them_out() -> None:
    example = asked("And then?", Turn("Who?", "Ada"))
    plain = conversation(own("Now: {{ input }}"), example)
    assert [message["content"] for message in plain] == ["Who?", "Ada", "Now: And then?"]
    laid_out = own("{% for t in history %}{{ t.input }} - {{ t.output }}. {% endfor %}{{ input }}")
    assert [message["content"] for message in conversation(laid_out, example)] == ["Who? - Ada. And then?"]


def test_the_columns_are_those_that_prompt_and_system_text_name() -> None:
    task = custom(PROMPT + "{% set x = 1 %}{{ x }}{{ range(2) }}{{ history }}{{ b.c }}", "{{ a }}")
    assert columns_of(task) == ("a", "b", "customer")


def test_the_name_of_a_prompt_is_the_beginning_of_its_digest() -> None:
    digest = hashlib.sha256(b"{{ input }}Be brief.").hexdigest()
    assert own("{{ input }}", "Be brief.").name == f"custom-{digest[:8]}"
    assert own("{{ input }} ", "Be brief.").name != own("{{ input }}", "Be brief.").name


def test_a_custom_task_has_its_own_template_and_no_other() -> None:
    task = custom("{{ input }}")
    name = own("{{ input }}").name
    assert form_of(task, name) == own("{{ input }}")
    with pytest.raises(RagftError, match="no prompt template 'qa-short-1' for the task 'custom'") as caught:
        form_of(task, "qa-short-1")
    assert caught.value.hint == "the prompt of a custom task is task.prompt: leave `prompt` out of arms and adapters"
    assert form_of(QaTask(kind="qa"), "qa-short-2") is TEMPLATES["qa-short-2"]


REACH = f"more than {MAX_RANGE:,}"


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("{{ ''.__class__.__mro__ }}", "'__class__' of 'str' object is unsafe"),
        ("{{ '{0.__class__}'.format(input) }}", "'__class__' of 'str' object is unsafe"),
        ("{{ passages[0].__init__.__globals__ }}", "'__init__' of 'ShownPassage' object is unsafe"),
        ("{{ history[0].__class__ }}", "'__class__' of 'Turn' object is unsafe"),
        ("{{ cycler.__init__ }}", "'__init__' of 'type' object is unsafe"),
        ("{{ input | attr('__class__') }}", "'__class__' of 'str' object is unsafe"),
        ("{{ passages.append(1) }}", "'append' of 'list' object is unsafe"),
        ("{% for n in range(1000000000) %}{% endfor %}", "Range too big"),
        ("{% for n in range(99999) %}{% for m in range(99999) %}{% endfor %}{% endfor %}", f"{REACH} steps"),
        ("{% for n in range(2000) %}{{ 'x' * 600 }}{% endfor %}", f"more than {MAX_CHARACTERS:,} characters"),
        ("{{ 'x' * 1000000000 }}", f"{REACH} characters or digits"),
        ("{{ 1000000000 * input }}", f"{REACH} characters or digits"),
        ("{{ 9 ** 9999999999 }}", f"{REACH} characters or digits"),
        ("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}", "maximum recursion depth"),
        ("{{ input + 1 }}", "can only concatenate str"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_what_a_prompt_may_not_do_is_refused_at_once(prompt: str, reason: str) -> None:
    with pytest.raises(DataError, match="task.prompt, example 'e1': ") as caught:
        own(prompt).turn(asked("Hi", Turn("Who?", "Ada")), [passage("A passage.")], {})
    assert reason in caught.value.message


def test_what_a_prompt_needs_is_far_within_its_bounds() -> None:
    form = own("{% for p in passages %}{{ loop.index }}{% for n in range(20) %}-{% endfor %}{% endfor %}{{ 'x' * 80 }}")
    text = form.turn(asked("Hi"), [passage("A passage.")] * 100, {})
    assert text == "".join(f"{number}{'-' * 20}" for number in range(1, 101)) + "x" * 80


def test_a_column_that_an_example_lacks_is_an_error_that_says_what_it_has() -> None:
    example = Example("e7", "Hi", (), columns={"customer": "Ms Ray"})
    with pytest.raises(DataError) as caught:
        own("{{ costumer }}").turn(example, (), {})
    assert caught.value.message == "task.prompt, example 'e7': 'costumer' is undefined"
    assert caught.value.hint == "given: customer, input, passages, history"
    with pytest.raises(DataError, match="task.system, example 'e7': 'costumer' is undefined"):
        own("{{ input }}", "{{ costumer }}").opening(example, {})


def test_a_prompt_that_comes_out_empty_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing is asked of example 'e1'"):
        own("{% if passages %}{{ input }}{% endif %}").turn(asked("Hi"), (), {})


FAULTS = [
    ("{{ input }}\n{% if x %}\n", "line 2 of the template: Unexpected end of template."),
    ("Hello\n\n{{ input", "line 3 of the template: unexpected end of template, expected 'end of print statement'."),
    ("{{ [1] | random }}", "line 1 of the template: No filter named 'random'."),
    ("{% include '/etc/passwd' %}", "the template takes in another file, which a prompt cannot"),
    ("{% for a in b %}" * 40 + "{% endfor %}" * 40, "the template is nested too deeply"),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_a_prompt_that_is_no_template_is_an_error_before_anything_is_built(text: str, fault: str) -> None:
    broken = CustomTask.model_construct(kind="custom", prompt="{{ input }}", system=text, metrics=("rouge_l",))
    for build in (CustomTemplate.of, columns_of):
        assert _message(build, broken).startswith(f"task.system: {fault}")


def _message(build: Callable[[CustomTask], object], task: CustomTask) -> str:
    with pytest.raises(RagftError) as caught:
        build(task)
    return caught.value.message


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_a_prompt_that_is_no_template_is_a_fault_of_the_file(tmp_path: Path, text: str, fault: str) -> None:
    lines = "\n".join(f"    {line}" for line in text.rstrip("\n").split("\n"))
    path = tmp_path / "experiment.yaml"
    path.write_text(
        f"name: own\ndata: {{eval: eval.jsonl}}\ntask:\n  kind: custom\n  metrics: [rouge_l]\n  prompt: |\n{lines}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    [found] = caught.value.faults
    assert f"{path.name}:6: task.prompt: {fault}" in found
