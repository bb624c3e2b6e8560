"""Asking: nothing twice, in batches that an interruption does not change, and every answer back at its prompt."""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import RagftError
from ragft.generation.generator import Generation, Journal, ask, batches

CALM = settings(deadline=None, max_examples=40)


class ScriptedGenerator:
    """Answers each prompt with itself in upper case, remembers its batches, and stops before batch `dies_at`."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.asked: list[list[str]] = []
        self._dies_at = dies_at

    def count_tokens(self, prompt: str) -> int:
        return len(prompt)

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        if len(self.asked) == self._dies_at:
            raise KeyboardInterrupt
        self.asked.append(list(prompts))
        return [answer(prompt) for prompt in prompts]


class SinglyGenerator(ScriptedGenerator):
    """Answers one by one from the last prompt to the first; those with `?` get no answer, and `!` ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def answers(self, prompts: Sequence[str]) -> Yields[tuple[int, Generation], None, None]:
        self.asked.append(list(prompts))
        try:
            for place in reversed(range(len(prompts))):
                if "!" in prompts[place]:
                    raise RagftError("a wrong key")
                yield place, no_answer() if "?" in prompts[place] else answer(prompts[place])
        finally:
            self.is_closed = True


def no_answer() -> Generation:
    return Generation("", 1, 0, 0.0, "error", error="HTTP 500")


def answer(prompt: str) -> Generation:
    return Generation(prompt.upper(), len(prompt), 1, 0.25, "stop")


def test_the_longest_are_asked_first_and_answers_come_in_the_order_of_the_prompts(tmp_path: Path) -> None:
    generator = ScriptedGenerator()
    prompts = ["a", "dddd", "bb", "ccc", "ee"]
    done: list[int] = []
    answers = ask(generator, prompts, Journal(tmp_path / "j.jsonl"), batch_size=2, on_batch=done.append)
    assert generator.asked == [["dddd", "ccc"], ["bb", "ee"], ["a"]]
    assert answers == [answer(prompt) for prompt in prompts]
    assert done == [2, 2, 1]


def test_a_prompt_that_stands_twice_is_asked_once(tmp_path: Path) -> None:
    generator = ScriptedGenerator()
    answers = ask(generator, ["a", "bb", "a", "a"], Journal(tmp_path / "j.jsonl"), batch_size=4)
    assert generator.asked == [["bb", "a"]]
    assert [item.text for item in answers] == ["A", "BB", "A", "A"]


def test_nothing_is_asked_twice_not_even_by_the_next_command(tmp_path: Path) -> None:
    path, prompts = tmp_path / "j.jsonl", ["a", "bb", "ccc"]
    first = ask(ScriptedGenerator(), prompts, Journal(path), batch_size=2)
    again = ScriptedGenerator()
    assert ask(again, list(reversed(prompts)), Journal(path), batch_size=2) == list(reversed(first))
    assert again.asked == []


def test_only_the_prompts_that_changed_are_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    ask(ScriptedGenerator(), ["a", "bb", "ccc"], Journal(path), batch_size=2)
    again = ScriptedGenerator()
    ask(again, ["a", "bX", "ccc"], Journal(path), batch_size=2)
    assert again.asked == [["bX"]]


def test_no_prompts_have_no_answers(tmp_path: Path) -> None:
    assert ask(ScriptedGenerator(), [], Journal(tmp_path / "j.jsonl"), batch_size=2) == []
    assert not (tmp_path / "j.jsonl").exists()


@CALM
@given(
    prompts=st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=20),
    batch_size=st.integers(1, 5),
    dies_at=st.integers(0, 6),
)
def test_an_interrupted_command_goes_on_with_the_batches_of_an_uninterrupted_one(
    tmp_path_factory: pytest.TempPathFactory, prompts: list[str], batch_size: int, dies_at: int
) -> None:
    folder = tmp_path_factory.mktemp("journals")
    whole, dying, resuming = ScriptedGenerator(), ScriptedGenerator(dies_at), ScriptedGenerator()
    expected = ask(whole, prompts, Journal(folder / "whole.jsonl"), batch_size=batch_size)
    try:
        ask(dying, prompts, Journal(folder / "j.jsonl"), batch_size=batch_size)
    except KeyboardInterrupt:
        assert len(dying.asked) == dies_at
    assert ask(resuming, prompts, Journal(folder / "j.jsonl"), batch_size=batch_size) == expected
    assert dying.asked + resuming.asked == whole.asked


def test_a_crash_while_a_batch_is_written_loses_that_batch_whole(tmp_path: Path) -> None:
    path, prompts = tmp_path / "j.jsonl", ["aaaa", "bbb", "cc", "d"]
    ask(ScriptedGenerator(), prompts, Journal(path), batch_size=2)
    path.write_bytes(path.read_bytes()[:-20])  # the second batch is torn
    resuming = ScriptedGenerator()
    answers = ask(resuming, prompts, Journal(path), batch_size=2)
    assert resuming.asked == [["cc", "d"]]
    assert answers == [answer(prompt) for prompt in prompts]
    assert ask(ScriptedGenerator(dies_at=0), prompts, Journal(path), batch_size=2) == answers


@pytest.mark.parametrize("text", ["two\nlines", "a\u2028b\x85c", "é 🙂", '"', ""])
def test_any_answer_survives_the_journal(tmp_path: Path, text: str) -> None:
    said = Generation(text, 3, 2, 0.5, "length")
    Journal(tmp_path / "j.jsonl").add(["p"], [said])
    journal = Journal(tmp_path / "j.jsonl")
    assert journal.get("p") == said
    assert journal.get("q") is None


def test_a_generator_that_loses_an_answer_is_a_fault_and_nothing_is_remembered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    with pytest.raises(ValueError, match="shorter"):
        journal.add(["p", "q"], [answer("p")])
    assert journal.get("p") is None
    assert not (tmp_path / "j.jsonl").exists()


# ------------------------------------------------------------------------------- generators that answer one by one


def test_one_that_answers_singly_is_given_all_that_is_missing_at_once(tmp_path: Path) -> None:
    path, generator = tmp_path / "j.jsonl", SinglyGenerator()
    Journal(path).add(["bb"], [answer("bb")])
    done: list[int] = []
    prompts = ["a", "bb", "a", "cc", "d"]
    answers = ask(generator, prompts, Journal(path), batch_size=2, on_batch=done.append)
    assert generator.asked == [["a", "cc", "d"]]
    assert answers == [answer(prompt) for prompt in prompts]
    assert done == [1, 1, 1, 1]  # what was known, then each as it comes


def test_what_got_no_answer_is_returned_and_asked_again_by_the_next_command(tmp_path: Path) -> None:
    path, again = tmp_path / "j.jsonl", SinglyGenerator()
    first = ask(SinglyGenerator(), ["a", "b?", "c"], Journal(path), batch_size=2)
    assert first == [answer("a"), no_answer(), answer("c")]
    ask(again, ["a", "b?", "c", "d"], Journal(path), batch_size=2)
    assert again.asked == [["b?", "d"]]


def test_an_error_that_ends_it_keeps_what_came_before(tmp_path: Path) -> None:
    path, generator = tmp_path / "j.jsonl", SinglyGenerator()
    with pytest.raises(RagftError, match="a wrong key"):
        ask(generator, ["a", "b!", "c"], Journal(path), batch_size=2)
    assert Journal(path).get("c") == answer("c")
    assert Journal(path).get("a") is None


def test_an_interrupted_command_closes_what_is_under_way(tmp_path: Path) -> None:
    generator = SinglyGenerator()

    def press_ctrl_c(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(generator, ["a", "b", "c"], Journal(tmp_path / "j.jsonl"), batch_size=2, on_batch=press_ctrl_c)
    assert generator.is_closed
    assert Journal(tmp_path / "j.jsonl").get("c") == answer("c")


def test_a_batch_is_remembered_without_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path).add(["a", "b"], [answer("a"), no_answer()])
    Journal(path).add(["b"], [no_answer()])
    assert Journal(path).get("a") == answer("a")
    assert Journal(path).get("b") is None
    assert path.read_text().count("\n") == 1


def test_batches_do_not_depend_on_the_order_of_the_prompts() -> None:
    prompts = ["bb", "aa", "c", "dddd", "aa"]
    expected = [["dddd", "aa"], ["bb", "c"]]
    for order in (prompts, sorted(prompts), sorted(prompts, reverse=True)):
        assert list(batches(ScriptedGenerator(), order, 2)) == expected
