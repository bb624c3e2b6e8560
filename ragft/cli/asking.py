"""The command that answers questions: rag-query. Answers go to stdout and everything else to stderr."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragft.cli.options import RUNS, WAIT_S, WORKSPACE, Debug, File, Quiet, RunsDir, Set, Tags, Wait, WorkspaceDir
from ragft.cli.running import held, running, speaking

if TYPE_CHECKING:
    from ragft.console import Terminal
    from ragft.query import QueryResult, Session
    from ragft.runs import Run

CLOSED = 141
"""What a shell says of a command that wrote into a pipe that nobody reads any more: 128 + SIGPIPE."""

COMMANDS = {
    "/sources": "the sources of the last answer, in full",
    "/prompt": "the last prompt as the model read it",
    "/clear": "forget the conversation so far",
    "/help": "this list",
    "/quit": "end, as Ctrl-D does",
}


def rag_query(
    file: File,
    question: Annotated[
        str | None, typer.Argument(help="The question; without one, a prompt, or one question per line from a pipe.")
    ] = None,
    arm: Annotated[
        str | None, typer.Option("--arm", help="The arm that answers: rag, or the first that retrieves.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", metavar="N", help="Passages given to the model instead of retrieval.top_k.")
    ] = None,
    answer_anyway: Annotated[
        bool, typer.Option("--answer-anyway", help="Ask the model even where nothing related is found.")
    ] = False,
    follow_ups: Annotated[
        bool | None,
        typer.Option(
            "--follow-ups/--no-follow-ups",
            help="Take a question as following those before it: yes at a prompt, no in a pipe.",
            show_default=False,
        ),
    ] = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Also show the prompt as the model reads it.")
    ] = False,
    set_: Set = None,
    tag: Tags = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per question, on a line each.")
    ] = False,
    runs_dir: RunsDir = RUNS,
    workspace: WorkspaceDir = WORKSPACE,
    wait: Wait = WAIT_S,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Answer a question from the documents, with numbered sources."""
    if question is not None and not question.strip():
        raise typer.BadParameter("the question is empty", param_hint="QUESTION")
    at_prompt = question is None and sys.stdin.isatty()
    with (
        speaking(debug=debug, quiet=quiet) as terminal,
        running("rag-query", file, set_, terminal, runs_dir, workspace, wait, tags=tag, hold=False) as (bench, run),
    ):
        from ragft.query import Session

        # Between two questions nobody is kept from the workspace.
        def holding() -> AbstractContextManager[None]:
            return held(bench.workspace, f"ragft rag-query {file}", wait, terminal)

        follows = at_prompt if follow_ups is None else follow_ups
        session = Session(bench, arm, top_k=top_k, follow_ups=follows, answer_anyway=answer_anyway)
        with holding():
            session.prepare()
            run.inputs(bench.input_files())
            run.note(prompts=[session.arm.prompt], fingerprints=session.fingerprints())
        talk = _Talk(session, run, terminal, holding, as_json, show_prompt, quiet)
        closed = not _all_asked(talk, [question] if question is not None else _typed(terminal), at_prompt=at_prompt)
    if closed:
        raise typer.Exit(CLOSED)


@dataclass(slots=True)
class _Talk:
    """One conversation: who is asked, where answers go, and the last one."""

    session: Session
    run: Run
    terminal: Terminal
    holding: Callable[[], AbstractContextManager[None]]
    as_json: bool
    show_prompt: bool
    quiet: bool
    last: QueryResult | None = None

    def ask(self, question: str, *, stoppable: bool) -> None:
        """Answer one question and keep the answer in the run folder."""
        from ragft import jsonl
        from ragft.console import Speaker, answer_notes

        speaker = Speaker(self.terminal)
        tell: Callable[[str], None] = (lambda _: None) if self.as_json else speaker.say
        try:
            with self.holding():
                result = self.session.ask(question, tell, stoppable=stoppable)
        finally:
            speaker.end()
        self.last = result
        jsonl.append_row(self.run.folder("answers") / f"{self.session.arm.name}.jsonl", result)
        if self.as_json:
            print_line(jsonl.dumps(result))
        elif not result.text:
            print_line("")  # an empty answer is a line too, so that answers in a pipe stay in step with questions
        if not self.quiet and not (self.as_json and not self.show_prompt):
            self.show(answer_notes(result, marks=self._marks, show_prompt=self.show_prompt))

    @property
    def _marks(self) -> bool:
        """Whether what supports an answer must be marked by characters: stderr shows no colours."""
        return self.terminal.err.color_system is None or self.terminal.err.no_color

    def show(self, text: Any) -> None:  # noqa: ANN401 - any renderable
        """Print beside the answer, on stderr."""
        err = self.terminal.err
        err.print(text, soft_wrap=not err.is_terminal)

    def obey(self, command: str) -> None:
        """Do what a line beginning with a slash says; one that is no command is told, not asked."""
        match command:
            case "/clear":
                self.terminal.say(f"forgot {self.session.clear()} turns")
                self.last = None
            case "/help":
                self.terminal.say("\n".join(f"{name:<9} {what}" for name, what in COMMANDS.items()))
            case "/sources" | "/prompt":
                self._repeat(command)
            case _:
                self.terminal.say(f"there is no command {command}; /help lists them")

    def _repeat(self, command: str) -> None:
        """Show the prompt of the last answer, or its sources in full."""
        from ragft.console import sources_text
        from ragft.console.answers import prompt_text

        if self.last is None:
            self.terminal.say("nothing was asked yet")
        elif command == "/prompt":
            self.terminal.say(prompt_text(self.last))
        else:
            sources = sources_text(self.last, marks=self._marks, whole=True)
            sources.rstrip()
            self.show(sources or "the last answer has no sources")


def print_line(text: str) -> None:
    """Print one line on stdout at once; in JSON, no character that could command a terminal stands as itself."""
    safe = re.sub(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)
    sys.stdout.write(f"{safe}\n")
    sys.stdout.flush()


class _Terminated(KeyboardInterrupt):
    """SIGTERM: ends the command wherever it comes, where Ctrl-C only ends the answer that is being written."""


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    def end(*_: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _all_asked(talk: _Talk, lines: Iterable[str], *, at_prompt: bool) -> bool:
    """Answer every line that is not a command; returns False where nobody reads the answers any more.

    At a prompt Ctrl-C ends an answer and an error ends a question; elsewhere both end the command.
    """
    asking = _prompted if at_prompt else _Talk.ask
    try:
        with _ending_on_sigterm():
            for line in lines:
                if line == "/quit":
                    break
                if re.fullmatch(r"/[\w-]*", line):
                    talk.obey(line)
                else:
                    asking(talk, line, stoppable=at_prompt)
    except (BrokenPipeError, SystemExit):  # Rich makes a SystemExit of its own where stderr is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        talk.run.event("output_closed")
        return False
    return True


def _prompted(talk: _Talk, line: str, *, stoppable: bool) -> None:
    from ragft.errors import RagftError

    try:
        talk.ask(line, stoppable=stoppable)
    except RagftError as error:
        talk.terminal.error(error.message, error.hint)
    except _Terminated:
        raise
    except KeyboardInterrupt:  # before the first word: while searching or loading
        talk.terminal.say("stopped")


def _typed(terminal: Terminal) -> Iterator[str]:
    """Yield one line after another from the keyboard or a pipe until it ends; empty ones are passed over."""
    at_keyboard = sys.stdin.isatty()
    if at_keyboard:
        terminal.say("ask a question; /help lists the commands, Ctrl-C stops an answer, Ctrl-D ends")
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a broken byte spoils its character, not the questions after it
    read: Callable[[], str] = sys.stdin.readline
    if at_keyboard and sys.stdout.isatty():
        read = _edited()
    while True:
        if at_keyboard and not sys.stdout.isatty():
            terminal.err.print("? ", end="")
        try:
            line = read()
        except _Terminated:
            raise
        except KeyboardInterrupt:
            if not at_keyboard:
                raise
            terminal.err.print()
            continue
        except EOFError:
            line = ""
        if not line:
            if at_keyboard:
                terminal.err.print()
            return
        if line.strip():
            yield line.strip()


def _edited() -> Callable[[], str]:
    """Return a reader of lines with editing, history by the arrow keys, and commands completed by the tabulator."""
    try:
        import readline
    except ImportError:  # not on every system
        return lambda: f"{input('? ')}\n"

    def completed(start: str, number: int) -> str | None:
        return next(iter([name for name in COMMANDS if start and name.startswith(start)][number:]), None)

    readline.set_completer(completed)
    readline.set_completer_delims(" ")
    readline.parse_and_bind("tab: complete")
    return lambda: f"{input('? ')}\n"
