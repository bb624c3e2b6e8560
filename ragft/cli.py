"""The command line: what each command takes, and which function does it. The only code that knows Typer.

Nothing heavy is imported here: each command reaches for what it needs when it runs, so `ragft --help` is quick, and
only once its experiment file has been read, so a fault in that is told at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragft import __version__

if TYPE_CHECKING:
    from ragft.arms.bench import Bench
    from ragft.config import LoadedExperiment
    from ragft.console import Terminal
    from ragft.query import QueryResult, Session
    from ragft.runs import Run
    from ragft.workspace import Workspace

app = typer.Typer(
    name="ragft",
    help="Measure whether to fine-tune a language model, give it retrieval, do both, or just prompt it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment file (YAML).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as retrieval.top_k=3. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no news.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar="RAGFT_RUNS_DIR", help="Where run folders are written.")]
WorkspaceDir = Annotated[
    Path, typer.Option("--workspace", envvar="RAGFT_WORKSPACE", help="Where indexes, adapters and answers are kept.")
]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for another command on the same workspace.")
]

RUNS, WORKSPACE, WAIT_S = Path("runs"), Path(".ragft"), 3600.0


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"ragft {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Measure whether to fine-tune a language model, give it retrieval, do both, or just prompt it."""


@contextmanager
def _speaking(*, debug: bool, quiet: bool = False) -> Iterator[Terminal]:
    """Give the terminal, with every error inside the block turned into a message and an exit code."""
    from ragft.console import Terminal, guarded, quiet_libraries

    quiet_libraries()
    terminal = Terminal(quiet=quiet)
    with guarded(terminal, debug=debug):
        yield terminal


@contextmanager
def _running(
    command: str,
    file: Path,
    overrides: list[str] | None,
    terminal: Terminal,
    runs_dir: Path,
    workspace: Path,
    wait: float,
) -> Iterator[tuple[Bench, Run]]:
    """Load the experiment, open a run folder and hold the workspace while the block runs."""
    from ragft.arms.bench import Bench
    from ragft.config import load_experiment
    from ragft.runs import Run
    from ragft.workspace import Workspace

    loaded = load_experiment(file, overrides or ())
    space = Workspace(workspace.expanduser().resolve()).prepare()
    experiment = loaded.experiment
    run = Run.start(
        runs_dir.expanduser().resolve(),
        command,
        experiment.name,
        argv=sys.argv,
        config_yaml=loaded.resolved_yaml(),
        seed=experiment.seed,
        secrets=loaded.secrets,
    )

    with run, _held(space, f"ragft {command} {file}", wait, terminal):
        yield Bench(experiment, space, terminal), run


def _held(space: Workspace, who: str, wait: float, terminal: Terminal) -> AbstractContextManager[None]:
    """Hold the workspace for one command; whoever waits is told for whom."""

    def on_wait(holder: str) -> None:
        terminal.say(f"waiting for {holder}, which holds {space.root}")

    return space.locked(who, wait_s=wait, on_wait=on_wait)


@app.command()
def compare(
    file: File,
    set_: Set = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and how long it would take.")
    ] = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    workspace: WorkspaceDir = WORKSPACE,
    wait: Wait = WAIT_S,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Build what is missing, ask every arm every question, and say what to ship."""
    with _speaking(debug=debug, quiet=quiet) as terminal:
        if dry_run:
            _dry_run(file, set_, terminal, workspace, wait, as_json=as_json)
            return
        from ragft.console import arms_table, verdict_text

        with _running("compare", file, set_, terminal, runs_dir, workspace, wait) as (bench, run):
            from ragft.compare import compare as run_compare

            result = run_compare(bench, run)
        if as_json:
            terminal.json({"run": run.path, "verdict": asdict(result.verdict), "metrics": result.metrics})
            return
        for line in result.metrics["reused"]:
            terminal.say(f"reused {line}")
        terminal.result(arms_table(result.metrics, result.verdict.arm))
        terminal.result(verdict_text(result.verdict))
        terminal.text(f"report: {run.path / 'report.html'}")


def _dry_run(
    file: Path, overrides: list[str] | None, terminal: Terminal, workspace: Path, wait: float, *, as_json: bool
) -> None:
    """Print the plan; the workspace is held meanwhile, because a journal may not be read while it is written."""
    from ragft.arms.bench import Bench
    from ragft.config import load_experiment
    from ragft.console import plan_text
    from ragft.workspace import Workspace

    loaded = load_experiment(file, overrides or ())
    space = Workspace(workspace.expanduser().resolve()).prepare()
    from ragft.arms.planning import plan

    with _held(space, f"ragft dry run of {file}", wait, terminal):
        planned = plan(Bench(loaded.experiment, space, terminal))
    if as_json:
        terminal.json(planned)
    else:
        terminal.result(plan_text(planned))


@app.command()
def finetune(
    file: File,
    adapter: Annotated[
        list[str] | None, typer.Option("--adapter", "-a", help="Train only this adapter. Repeatable.")
    ] = None,
    set_: Set = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and on what text.")] = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    workspace: WorkspaceDir = WORKSPACE,
    wait: Wait = WAIT_S,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the adapters of the experiment, or reuse those that are there."""
    with _speaking(debug=debug, quiet=quiet) as terminal:
        if dry_run:
            _dry_run(file, set_, terminal, workspace, wait, as_json=as_json)
            return
        from ragft.console import adapters_table

        with _running("finetune", file, set_, terminal, runs_dir, workspace, wait) as (bench, run):
            from ragft.finetune import finetune as run_finetune

            trained = run_finetune(bench, run, adapter or ())
        if as_json:
            terminal.json({"run": run.path, "adapters": trained})
            return
        terminal.result(adapters_table(trained))
        for item in trained:
            terminal.text(f"adapter: {run.path / 'adapter' / item.name}")


@app.command()
def index(
    file: File,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Embed everything again.")] = False,
    evaluate: Annotated[
        bool, typer.Option("--evaluate/--no-evaluate", help="Measure retrieval on the eval examples' gold documents.")
    ] = True,
    set_: Set = None,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    workspace: WorkspaceDir = WORKSPACE,
    wait: Wait = WAIT_S,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Bring the index in step with the documents and measure retrieval."""
    with _speaking(debug=debug, quiet=quiet) as terminal:
        from ragft.console import estimates_table, index_text

        with _running("index", file, set_, terminal, runs_dir, workspace, wait) as (bench, run):
            from ragft.arms.measuring import metric_rows
            from ragft.index import index as run_index

            result = run_index(bench, run, rebuild=rebuild, evaluate=evaluate)
        rows = metric_rows(result.retrieval)
        if as_json:
            terminal.json({"run": run.path, "index": result.state, "retrieval": rows})
            return
        terminal.text(index_text(result.state))
        if rows:
            terminal.result(estimates_table(rows))
        terminal.text(f"run: {run.path}")


@app.command("rag-query")
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
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    workspace: WorkspaceDir = WORKSPACE,
    wait: Wait = WAIT_S,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Answer a question from the documents, with numbered sources."""
    with (
        _speaking(debug=debug, quiet=quiet) as terminal,
        _running("rag-query", file, set_, terminal, runs_dir, workspace, wait) as (bench, run),
    ):
        from ragft.query import Session

        session = Session(bench, arm)
        session.prepare()
        run.note(prompts=[session.arm.prompt])
        asked = [question] if question is not None else _typed(terminal)
        _answer_all(session, run, terminal, asked, as_json=as_json, show_prompt=show_prompt)


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
    *,
    as_json: bool,
    show_prompt: bool,
) -> None:
    """Answer each question and keep the answers in the run folder."""
    from ragft.console import answer_text

    results: list[QueryResult] = []
    for text in questions:
        results.append(session.ask(text))
        run.write_rows(f"answers/{session.arm.name}.jsonl", results)
        if as_json:
            terminal.json(results[-1])
        else:
            terminal.result(answer_text(results[-1], show_prompt=show_prompt))


@app.command()
def validate(file: File, set_: Set = None, as_json: Json = False, debug: Debug = False) -> None:
    """Check an experiment file: every fault at once, each with its line."""
    with _speaking(debug=debug) as terminal:
        from ragft.config import load_experiment
        from ragft.prompts import template

        loaded: LoadedExperiment = load_experiment(file, set_ or ())
        experiment = loaded.experiment
        prompts = [arm.prompt for arm in experiment.compare.arms.values()]
        for name in (*prompts, *(adapter.prompt for adapter in experiment.adapters.values())):
            if name is not None:
                template(name, experiment.task.kind)
        if as_json:
            terminal.json(loaded.resolved())
            return
        arms = ", ".join(experiment.compare.arms)
        terminal.text(f"{file}: valid ({experiment.name}: {experiment.task.kind}; arms: {arms})")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the experiment file, for editors."""
    import json

    from ragft.config import experiment_json_schema

    typer.echo(json.dumps(experiment_json_schema(), indent=2))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write experiment.yaml.")] = Path(),
    quickstart: Annotated[
        bool, typer.Option("--quickstart", help="Also write the quick-start documents and examples.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a commented starter experiment into a folder."""
    with _speaking(debug=debug) as terminal:
        from ragft.config.starter import write_starter

        for path in write_starter(folder, quickstart=quickstart):
            terminal.text(f"wrote {path}")
        if quickstart:
            terminal.say(f"next: ragft compare {folder / 'experiment.yaml'}")
        else:
            terminal.say(f"next: add your documents and examples, then: ragft validate {folder / 'experiment.yaml'}")
