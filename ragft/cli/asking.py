"""The command that answers questions: rag-query."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from ragft.cli.options import RUNS, WAIT_S, WORKSPACE, Debug, File, Json, Quiet, RunsDir, Set, Tags, Wait, WorkspaceDir
from ragft.cli.running import held, running, speaking

if TYPE_CHECKING:
    from ragft.console import Terminal
    from ragft.query import QueryResult, Session
    from ragft.runs import Run


def rag_query(
    file: File,
    question: Annotated[
        str | None, typer.Argument(help="The question; without one, a prompt that takes one after another.")
    ] = None,
    arm: Annotated[
        str | None, typer.Option("--arm", help="The arm that answers: rag, or the first that retrieves.")
    ] = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Also show the prompt as the model reads it.")
    ] = False,
    set_: Set = None,
    tag: Tags = None,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    workspace: WorkspaceDir = WORKSPACE,
    wait: Wait = WAIT_S,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Answer a question from the documents, with numbered sources."""
    if question is not None and not question.strip():
        raise typer.BadParameter("the question is empty", param_hint="QUESTION")
    with (
        speaking(debug=debug, quiet=quiet) as terminal,
        running("rag-query", file, set_, terminal, runs_dir, workspace, wait, tags=tag, hold=False) as (bench, run),
    ):
        from ragft.query import Session

        # Between two questions nobody is kept from the workspace.
        def holding() -> AbstractContextManager[None]:
            return held(bench.workspace, f"ragft rag-query {file}", wait, terminal)

        session = Session(bench, arm)
        with holding():
            session.prepare()
            run.inputs(bench.input_files())
            run.note(prompts=[session.arm.prompt], fingerprints=session.fingerprints())
        asked = [question] if question is not None else _typed(terminal)
        _answer_all(session, run, terminal, asked, holding, as_json=as_json, show_prompt=show_prompt)


def _typed(terminal: Terminal) -> Iterator[str]:
    """Yield one question after another from the keyboard or a pipe, until the end of input or /quit."""
    if sys.stdin.isatty():
        terminal.say("ask a question; an empty line or /quit ends")
    while True:
        if sys.stdin.isatty():
            terminal.err.print("? ", end="")
        line = sys.stdin.readline()
        if not line or line.strip() in ("", "/quit"):
            return
        yield line.strip()


def _answer_all(
    session: Session,
    run: Run,
    terminal: Terminal,
    questions: Iterable[str],
    holding: Callable[[], AbstractContextManager[None]],
    *,
    as_json: bool,
    show_prompt: bool,
) -> None:
    """Answer each question and keep the answers in the run folder."""
    from ragft.console import answer_text

    results: list[QueryResult] = []
    for text in questions:
        with holding():
            results.append(session.ask(text))
        run.write_rows(f"answers/{session.arm.name}.jsonl", results)
        if as_json:
            terminal.json(results[-1])
        else:
            terminal.result(answer_text(results[-1], show_prompt=show_prompt))
