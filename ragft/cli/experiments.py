"""The commands that build and measure: compare, finetune, index."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragft.cli.options import RUNS, WAIT_S, WORKSPACE, Debug, File, Json, Quiet, RunsDir, Set, Wait, WorkspaceDir
from ragft.cli.running import held, running, speaking

if TYPE_CHECKING:
    from ragft.console import Terminal


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
    with speaking(debug=debug, quiet=quiet) as terminal:
        if dry_run:
            _dry_run(file, set_, terminal, workspace, wait, as_json=as_json)
            return
        from ragft.console import arms_table, verdict_text

        with running("compare", file, set_, terminal, runs_dir, workspace, wait) as (bench, run):
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

    with held(space, f"ragft dry run of {file}", wait, terminal):
        planned = plan(Bench(loaded.experiment, space, terminal))
    if as_json:
        terminal.json(planned)
    else:
        terminal.result(plan_text(planned))


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
    with speaking(debug=debug, quiet=quiet) as terminal:
        if dry_run:
            _dry_run(file, set_, terminal, workspace, wait, as_json=as_json)
            return
        from ragft.console import adapters_table

        with running("finetune", file, set_, terminal, runs_dir, workspace, wait) as (bench, run):
            from ragft.finetune import finetune as run_finetune

            trained = run_finetune(bench, run, adapter or ())
        if as_json:
            terminal.json({"run": run.path, "adapters": trained})
            return
        terminal.result(adapters_table(trained))
        for item in trained:
            terminal.text(f"adapter: {run.path / 'adapter' / item.name}")


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
    with speaking(debug=debug, quiet=quiet) as terminal:
        from ragft.console import estimates_table, index_text

        with running("index", file, set_, terminal, runs_dir, workspace, wait) as (bench, run):
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
