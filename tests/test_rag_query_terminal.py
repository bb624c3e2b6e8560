"""What a person sees of rag-query, and what a pipe gets: on a real terminal, in a pipe, and from hostile documents."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallExperiment, heed_ctrl_c, read
from rich.console import Console
from typer.testing import CliRunner, Result

import ragft
from ragft import jsonl
from ragft.cli import app
from ragft.cli.asking import print_line
from ragft.console.answers import Speaker, answer_notes, sources_text, visible
from ragft.query import Nearest, QueryResult, Seconds, Source, Span
from ragft.records import Passage, Turn

ROOT = Path(ragft.__file__).parents[1]
EVIL = "The \x1b[2Jpier\x07 is [bold]red[/bold] [link=http://x]here[/link] \x9b31m and \u202edeb\r\nEnd."


def passage(text: str = EVIL, title: str = "Pier") -> Passage:
    return Passage("d#0-9", "d", title, text, 0, len(text))


def result_of(*sources: Source, **fields: Any) -> QueryResult:
    given: dict[str, Any] = {
        "question": "Which?",
        "arm": "rag",
        "answer": "red",
        "text": "red [1]",
        "abstained": False,
        "relevant": True,
        "reason": None,
        "nearest": None,
        "top_k": 5,
        "seconds": Seconds(0.125, 0.5, 1.5, 1.625),
        "sources": sources,
        "prompt": "p",
        "prompt_tokens": 9,
        "output_tokens": 3,
        "finish_reason": "stop",
    }
    return QueryResult(**{**given, **fields})


# ------------------------------------------------------------------------------------------------- hostile texts


def test_nothing_in_a_text_commands_the_terminal() -> None:
    assert visible(EVIL) == ("The ␛[2Jpier␇ is [bold]red[/bold] [link=http://x]here[/link] �31m and �deb\nEnd.")
    assert visible("a\tb\nc é 火 🎉") == "a\tb\nc é 火 🎉"
    assert visible("\x7f\ud800") == "␡�"


def test_a_document_is_neither_markup_nor_escape_sequences() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system="truecolor")
    source = Source(1, passage(EVIL, EVIL), 0.5, "cosine", True, (Span(0, 3, "answer"),))
    console.print(answer_notes(result_of(source, prompt=EVIL, reason=EVIL), marks=False, show_prompt=True))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert set(re.findall(r"\x1b\[[\d;]*[^\d;]", shown)) <= set(re.findall(r"\x1b\[[\d;]*m", shown))
    assert not set("\x07\x9b\u202e") & set(shown)
    assert shown.count("[bold]red[/bold]") == 4


def test_json_keeps_every_character_and_shows_none_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(jsonl.dumps({"text": f"{EVIL}\x7f\u2028\ud800"}))
    line = capsys.readouterr().out
    assert json.loads(line) == {"text": f"{EVIL}\x7f\u2028\ud800"}
    assert line.isprintable() or not set("\x1b\x07\x9b\x7f\u2028") & set(line)
    assert line.count("\n") == 1


# ------------------------------------------------------------------------------------------------------- sources


def test_sources_with_what_supports_the_answer() -> None:
    first = Source(1, passage("The pier is red. It is old."), 0.6254, "cosine", True, (Span(12, 15, "answer"),))
    second = Source(2, Passage("e#5-9", "e", "", "Cod.", 5, 9), None, None, False, ())
    assert answer_notes(result_of(first, second), marks=True).plain == (
        "\n[1] Pier ← cited\n    d, characters 0-27, cosine 0.625\n    The pier is ⟦red⟧. It is old.\n"
        "\n[2] e\n    e, characters 5-9\n    Cod.\n"
        "\nrag: retrieval 0.12 s, first word 0.50 s, whole 1.62 s, 9 prompt tokens, 3 output tokens"
    )


def test_a_long_passage_is_cut_around_its_support() -> None:
    text = "Lorem ipsum dolor. " * 40 + "The pier is red. " + "Sit amet elit. " * 40
    start = text.index("The pier")
    source = Source(1, passage(text), 0.5, "BM25", False, (Span(start, start + 16, "sentence"),))
    shown = sources_text(result_of(source), marks=True).plain.splitlines()[3].strip()
    assert shown.startswith("… ") and shown.endswith(" …")
    assert "⟦The pier is red.⟧" in shown
    assert len(shown) < 340
    kept = shown.strip("… ").replace("⟦", "").replace("⟧", "")
    assert f" {kept} " in f" {' '.join(text.split())} "  # cut between words
    whole = sources_text(result_of(source), marks=True, whole=True).plain
    assert "…" not in whole


def test_a_long_passage_without_support_begins_at_its_beginning() -> None:
    source = Source(1, passage("Lorem ipsum dolor. " * 40), 0.5, "fusion", False, ())
    shown = sources_text(result_of(source), marks=True).plain
    assert "    Lorem ipsum" in shown and "⟦" not in shown and shown.rstrip().endswith("…")


def test_why_nothing_was_asked() -> None:
    unasked = {"prompt": None, "finish_reason": None, "relevant": False, "prompt_tokens": 0, "output_tokens": 0}
    nearest = Nearest("d#0-9", "d", "Pier", 0.1, 0.3)
    shown = answer_notes(result_of(reason="too far", nearest=nearest, **unasked), marks=True).plain
    assert shown == ("not asked: too far (--answer-anyway asks the model all the same)\nrag: retrieval 0.12 s")


def test_turns_that_were_left_out_are_said() -> None:
    shown = answer_notes(result_of(dropped_turns=2, history=(Turn("a", "b"),), finish_reason="length"), marks=True)
    assert shown.plain.splitlines()[:2] == [
        "2 of 3 earlier turns had no room in the prompt",
        "the answer was cut off at generation.max_new_tokens",
    ]


class Out:
    """The part of a terminal that a speaker needs."""

    def __init__(self, width: int) -> None:
        self.out = Console(file=io.StringIO(), force_terminal=True, width=width, no_color=True)


def test_words_on_a_terminal_are_wrapped_as_they_come() -> None:
    terminal = Out(10)
    speaker = Speaker(terminal)  # type: ignore[arg-type]
    for piece in ("The", " pier", " of", " Aldmoor", " is", " incomprehensible", "\nred", " 火曜日火曜"):
        speaker.say(piece)
    shown = re.sub(r"\x1b\[\d*m", "", terminal.out.file.getvalue())  # type: ignore[attr-defined]
    assert shown == "The pier\nof Aldmoor\nis\nincomprehensible\nred\n火曜日火曜"


# --------------------------------------------------------------------------------------------------------- pipes


def piped(built: SmallExperiment, text: str | bytes, *options: str) -> Result:
    return CliRunner().invoke(
        app, ["rag-query", str(built.file), "--answer-anyway", *options, *built.places()], input=text
    )


def test_questions_from_a_pipe_are_answered_one_a_line(built: SmallExperiment) -> None:
    text = "When was Corvel built?\n\n  \nWho owns Hollin?\n/nope\n/etc/hosts holds what?\n/quit\nNever asked\n"
    result = piped(built, text, "--no-follow-ups")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 3)
    assert "\x1b" not in result.stdout + result.stderr
    assert result.stderr.count("rag: retrieval") == 3
    assert "there is no command /nope; /help lists them" in result.stderr
    rows = [row for _, row in jsonl.read_rows(built.latest_run() / "answers" / "rag.jsonl")]
    assert [row["question"] for row in rows] == ["When was Corvel built?", "Who owns Hollin?", "/etc/hosts holds what?"]
    assert [row["history"] for row in rows] == [[], [], []]


def test_json_is_one_object_a_line_and_alone(built: SmallExperiment) -> None:
    result = piped(built, b"When was Corvel built?\nWho owns \xe9?\n", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    first, second = map(json.loads, result.stdout.splitlines())
    assert second["question"] == "Who owns \ufffd?"
    assert set(first) == set(QueryResult.__dataclass_fields__)
    assert set(first["sources"][0]) == {"number", "passage", "score", "scale", "cited", "spans"}
    assert set(first["seconds"]) == {"retrieval", "first_word", "generation", "total"}


def test_a_conversation_stands_in_the_run_folder_with_its_history(built: SmallExperiment) -> None:
    text = "/sources\nWhen was Corvel built?\nAnd Hollin?\n/prompt\n/sources\n/clear\n/sources\nWho?\n/help\n"
    result = piped(built, text, "--follow-ups")
    said = result.stderr
    rows = [row for _, row in jsonl.read_rows(built.latest_run() / "answers" / "rag.jsonl")]
    turn = {"input": "When was Corvel built?", "output": rows[0]["answer"]}
    assert [row["history"] for row in rows] == [[], [turn], []]
    assert said.count("nothing was asked yet") == 2
    assert "forgot 2 turns" in said
    assert "Question: When was Corvel built?<|im_end|>" in said.replace("\n", " ").replace("  ", " ")
    assert said.count("[1] The harbour of") >= 4  # three answers, and /sources
    assert "/clear    forget the conversation so far" in said


def run_of(built: SmallExperiment) -> dict[str, Any]:
    found: dict[str, Any] = read(built.latest_run() / "manifest.json")
    return found


def test_a_reader_who_has_seen_enough_ends_it_silently(built: SmallExperiment) -> None:
    """`ragft rag-query FILE < questions | head -1`."""
    script = (
        f"set -o pipefail; yes 'When was Corvel built?' | head -400 | {sys.executable} -m ragft rag-query {built.file} "
        f"--answer-anyway --quiet {' '.join(built.places())} | head -1; echo ${{PIPESTATUS[2]}}"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300, env=env, check=False)
    answer, status = found.stdout.splitlines()
    assert (status, found.stderr, bool(answer)) == ("141", "", True)
    assert run_of(built)["status"] == "success"
    assert "output_closed" in (built.latest_run() / "events.jsonl").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------- a real terminal


def test_a_conversation_at_a_real_terminal(built: SmallExperiment) -> None:
    pexpect = pytest.importorskip("pexpect")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "40"}
    command = ["-m", "ragft", "rag-query", str(built.file), "--answer-anyway", *built.places()]
    limits = ["--set", "generation.max_new_tokens=1500"]  # random weights never end a turn: time to stop them
    child = pexpect.spawn(
        sys.executable,
        [*command, *limits],
        env=env,
        encoding="utf-8",
        timeout=120,
        dimensions=(30, 40),
        preexec_fn=heed_ctrl_c,
    )
    log = io.StringIO()
    child.logfile_read = log
    child.expect_exact("? ")
    child.sendline("")
    child.expect_exact("? ")
    child.sendline("/nope")
    child.expect_exact("there is no command /nope")
    child.expect_exact("? ")
    child.sendline("When was Corvel built?")
    child.expect_exact("1m")  # the first word, in bold
    child.sendintr()
    child.expect_exact("stopped")
    child.expect(r"output\s+tokens")
    child.expect_exact("? ")
    child.send("/so\t")  # completed by readline
    child.sendline("")
    child.expect_exact("[1]")
    child.expect_exact("? ")
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, child.signalstatus) == (0, None)
    assert not re.search(r"\x1b\[(?:\d+;)*[34]\d", log.getvalue())  # NO_COLOR
    assert run_of(built)["status"] == "success"
    (row,) = [row for _, row in jsonl.read_rows(built.latest_run() / "answers" / "rag.jsonl")]
    assert row["finish_reason"] == "interrupted"
    assert row["text"] != ""
