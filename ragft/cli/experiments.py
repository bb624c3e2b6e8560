"""The commands that build and measure: compare, finetune, index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragft.cli.durations import seconds_of
from ragft.cli.options import RUNS, WAIT_S, WORKSPACE, Debug, File, Json, Quiet, RunsDir, Set, Tags, Wait, WorkspaceDir
from ragft.cli.running import held, running, speaking

if TYPE_CHECKING:
    from ragft.arms.bench import Bench
    from ragft.compare import CompareResult, Probing
    from ragft.console import Terminal
    from ragft.gates import Baseline
    from ragft.runs import Run


def compare(
    file: File,
    set_: Set = None,
    tag: Tags = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="RUN|FILE", help="Hold this run or baseline file against the gates."),
    ] = None,
    write_baseline: Annotated[
        Path | None, typer.Option("--write-baseline", metavar="FILE", help="Write this run as a baseline file.")
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            "--probe",
            metavar="NAME",
            help="Run this probe after the comparison, and no other; `all` for every one. Repeatable.",
        ),
    ] = None,
    no_probes: Annotated[bool, typer.Option("--no-probes", help="Run none of the probes that the file lists.")] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="TIME", help="Keep the probes within this time (90s, 10m, 2h) by asking fewer examples."
        ),
    ] = None,
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
    if probe and no_probes:
        raise typer.BadParameter("does not go with --no-probes", param_hint="--probe")
    budget_s = None if budget is None else seconds_of(budget)
    with speaking(debug=debug, quiet=quiet) as terminal:
        from ragft.compare import Probing

        probing = Probing(tuple(probe or ()), budget_s, no_probes)
        if dry_run:
            _dry_run(file, set_, terminal, workspace, wait, as_json=as_json, probing=probing)
            return
        then = _prepared_baseline(baseline, write_baseline, runs_dir)
        with running("compare", file, set_, terminal, runs_dir, workspace, wait, tags=tag) as (bench, run):
            from ragft.compare import compare as run_compare

            result = run_compare(bench, run, then, becomes_baseline=write_baseline is not None, probing=probing)
        if write_baseline is not None:
            from ragft.gates import write_baseline as save_baseline

            save_baseline(write_baseline, result.evidence)
            terminal.say(f"baseline written: {write_baseline}")
        _show_comparison(result, run, terminal, as_json=as_json)
        # After the run folder is closed: the run itself has succeeded, and can serve as a baseline.
        if (error := result.error()) is not None:
            raise error


def _prepared_baseline(baseline: str | None, target: Path | None, runs_dir: Path) -> Baseline | None:
    """Return the baseline; before hours of work, not after, it shows what is none and where none can be written."""
    from ragft.archive import find_run
    from ragft.gates import check_target, read_baseline

    if target is not None:
        check_target(target)
    if baseline is None:
        return None
    path = Path(baseline).expanduser()
    return read_baseline(path if path.exists() else find_run(runs_dir, baseline, command="compare").path)


def _show_comparison(result: CompareResult, run: Run, terminal: Terminal, *, as_json: bool) -> None:
    from ragft.console import arms_table, gates_table, probes_text, tell_github, verdict_text
    from ragft.gates import gates_json

    if as_json:
        found = None if result.gates is None else gates_json(result.gates)
        probes = {one.probe: one for one in result.probes}
        told = {"run": run.path, "verdict": asdict(result.verdict), "metrics": result.metrics, "gates": found}
        terminal.json({**told, "probes": probes})
    else:
        for line in result.metrics["reused"]:
            terminal.say(f"reused {line}")
        terminal.result(arms_table(result.metrics, result.verdict))
        for part in probes_text(result.probes):
            terminal.result(part)
        terminal.result(verdict_text(result.verdict))
        if result.gates is not None:
            terminal.result(gates_table(result.gates))
        terminal.text(f"report: {run.path / 'report.html'}")
    tell_github(result.gates, (run.path / "report.md").read_text(encoding="utf-8"), os.environ, terminal)


def _dry_run(
    file: Path,
    overrides: list[str] | None,
    terminal: Terminal,
    workspace: Path,
    wait: float,
    *,
    as_json: bool,
    adapters: Sequence[str] | None = None,
    probing: Probing | None = None,
) -> None:
    """Print the plan of `compare`, or of `finetune` where `adapters` are given (none of them named: all).

    The workspace is held meanwhile, because a journal may not be read while it is written.
    """
    from ragft.arms.bench import Bench
    from ragft.config import load_experiment
    from ragft.console import checks_table, plan_text, probe_plan
    from ragft.workspace import Workspace

    loaded = load_experiment(file, overrides or ())
    space = Workspace(workspace.expanduser().resolve()).prepare()
    from ragft.arms.planning import plan, plan_training
    from ragft.finetune import wanted_adapters

    with held(space, f"ragft dry run of {file}", wait, terminal):
        bench = Bench(loaded.experiment, space, terminal)
        planned = plan(bench) if adapters is None else plan_training(bench, wanted_adapters(bench, adapters))
        if probing is not None and (configs := probing.configs(bench)):
            from ragft.probes import plan_probes

            planned = replace(planned, probes=plan_probes(bench, configs))
    if as_json:
        terminal.json(planned)
    else:
        terminal.result(checks_table(planned.checks))
        terminal.result(plan_text(planned))
        if planned.probes:
            terminal.result(probe_plan(planned.probes, None if probing is None else probing.budget_s))


def finetune(
    file: File,
    adapter: Annotated[
        list[str] | None, typer.Option("--adapter", "-a", help="Train only this adapter. Repeatable.")
    ] = None,
    set_: Set = None,
    tag: Tags = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Also write each adapter merged into its model, as a plain model folder.")
    ] = False,
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
            _dry_run(file, set_, terminal, workspace, wait, as_json=as_json, adapters=adapter or ())
            return
        from ragft.console import adapters_table

        with running("finetune", file, set_, terminal, runs_dir, workspace, wait, tags=tag) as (bench, run):
            from ragft.finetune import finetune as run_finetune

            trained = run_finetune(bench, run, adapter or ())
            if merge:
                _merge(bench, run, [item.name for item in trained])
        if as_json:
            terminal.json({"run": run.path, "adapters": trained})
            return
        terminal.result(adapters_table(trained))
        for item in trained:
            terminal.text(f"adapter: {run.path / 'adapter' / item.name}")
            if merge:
                terminal.text(f"merged model: {run.path / 'merged' / item.name}")


def _merge(bench: Bench, run: Run, names: Sequence[str]) -> None:
    """Write each trained adapter, merged into the base model, into the run folder."""
    from ragft.export import record_of, write_merged

    for name in names:
        adapter = run.path / "adapter" / name
        with run.stage(f"merge {name}"), bench.listener.work(f"Merging {name}", 0, ""):
            merged = write_merged(adapter, bench.local.folder, run.folder(f"merged/{name}"), record_of(adapter))
        run.note(merged={name: asdict(merged)})


def index(
    file: File,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Embed everything again.")] = False,
    evaluate: Annotated[
        bool, typer.Option("--evaluate/--no-evaluate", help="Measure dense, BM25 and hybrid on the eval examples.")
    ] = True,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Afterwards drop what no experiment file uses any more of the index in this workspace; adapters, "
            "answers, checkpoints and kept web pages are no index and stay.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --prune: only show what would be dropped, and index nothing.")
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
    """Bring the index in step with the documents and measure retrieval."""
    if dry_run and not prune:
        raise typer.BadParameter("only goes with --prune", param_hint="--dry-run")
    with speaking(debug=debug, quiet=quiet) as terminal:
        if dry_run:
            _show_unused(file, set_, terminal, workspace, wait, as_json=as_json)
            return
        from ragft.console import index_text, retrieval_page, set_aside_lines

        with running("index", file, set_, terminal, runs_dir, workspace, wait, tags=tag) as (bench, run):
            from ragft.index import index as run_index
            from ragft.index import retrieval_part

            result = run_index(bench, run, rebuild=rebuild, evaluate=evaluate, drop_unused=prune)
        found = retrieval_part(result.retrieval)
        more = {} if result.pruned is None else {"pruned": result.pruned}
        if as_json:
            terminal.json({"run": run.path, "index": result.state, **found, "set_aside": result.set_aside} | more)
            return
        terminal.text(index_text(result.state))
        for line in set_aside_lines(result.set_aside, run.path / "set_aside.jsonl"):
            terminal.text(line)
        for part in retrieval_page(found["retrieval"], found["retrievers"]):
            terminal.result(part)
        if evaluate and result.retrieval is None:
            terminal.text("retrieval was not measured: no eval example names a gold document or an answer to look for")
        if result.pruned is not None:
            from ragft.console.upkeep import pruned_lines

            for line in pruned_lines(result.pruned):
                terminal.text(line)
        terminal.text(f"run: {run.path}")


def _show_unused(
    file: Path, overrides: list[str] | None, terminal: Terminal, workspace: Path, wait: float, *, as_json: bool
) -> None:
    """Print what `index --prune` would drop; the workspace is held, so that nothing changes meanwhile."""
    from ragft.arms.upkeep import prune
    from ragft.config import load_experiment
    from ragft.console.upkeep import pruned_lines
    from ragft.workspace import Workspace

    loaded = load_experiment(file, overrides or ())
    space = Workspace(workspace.expanduser().resolve()).prepare()
    with held(space, f"ragft index {file} --prune --dry-run", wait, terminal):
        pruned = prune(space, loaded.experiment.index.store, dry_run=True)
    if as_json:
        terminal.json({"pruned": pruned})
        return
    for line in pruned_lines(pruned):
        terminal.text(line)
