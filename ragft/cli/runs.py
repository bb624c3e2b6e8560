"""The commands about what earlier commands left: runs list, show, diff, tag, prune; and report."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragft.cli.options import RUNS, Debug, Json
from ragft.cli.running import speaking

if TYPE_CHECKING:
    from ragft.console import Terminal

NAMES = "a folder, an id, the beginning or end of one, a tag, latest, or latest:EXPERIMENT."

RunName = Annotated[str, typer.Argument(metavar="RUN", help=f"The run: {NAMES}")]
RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar="RAGFT_RUNS_DIR", help="Where the run folders lie.")]
Experiment = Annotated[str | None, typer.Option("--experiment", "-e", help="Only runs of this experiment.")]
Command = Annotated[str | None, typer.Option("--command", "-c", help="Only runs of this command.")]


class Status(StrEnum):
    """What a run can have come to."""

    success = "success"
    failed = "failed"
    cancelled = "cancelled"
    unfinished = "unfinished"
    unreadable = "unreadable"


STATUSES = ", ".join(Status)
Statuses = Annotated[
    list[Status] | None,
    typer.Option("--status", metavar="STATUS", help=f"Only runs that came to this ({STATUSES}). Repeatable."),
]

runs_app = typer.Typer(
    name="runs",
    help="List, show, compare, tag and prune the runs that are there.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@runs_app.command("list")
def list_(
    experiment: Experiment = None,
    command: Command = None,
    status: Statuses = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only runs with this tag. Repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many, the newest first; 0 for all.")] = 20,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """List the runs, the newest first."""
    with speaking(debug=debug) as terminal:
        from ragft.archive import list_runs, select, summarise
        from ragft.console.runs import faults_text, runs_table

        runs = list_runs(_folder(runs_dir))
        statuses = [item.value for item in status or ()]
        found = select(runs, experiment=experiment, command=command, statuses=statuses, tags=tag or ())
        shown = found[:limit] if limit else found
        summaries = [summarise(run) for run in shown]
        if as_json:
            terminal.json([summary.row() for summary in summaries])
            return
        if not summaries:
            terminal.say(f"no runs in {runs_dir}" + (f" that meet the conditions (of {len(runs)})" if runs else ""))
            return
        terminal.result(runs_table(summaries))
        if any(run.fault for run in shown):
            terminal.result(faults_text(shown))
        if len(shown) < len(found):
            terminal.say(f"{len(shown)} of {len(found)} runs; --limit 0 shows them all")


@runs_app.command()
def show(run: RunName, as_json: Json = False, runs_dir: RunsDir = RUNS, debug: Debug = False) -> None:
    """Show one run: how it was made, what it found, how long each stage took."""
    with speaking(debug=debug) as terminal:
        from ragft.archive import details, find_run
        from ragft.console.runs import run_page

        found = details(find_run(_folder(runs_dir), run))
        if as_json:
            terminal.json(
                {
                    **found.summary.row(),
                    "manifest": found.summary.run.manifest,
                    "verdict": found.verdict,
                    "metrics": found.metrics,
                    "probes": found.probes,
                    "stages": found.stages,
                    "shared_bytes": found.shared_bytes,
                    "missing": found.missing,
                    "faults": found.faults,
                }
            )
            return
        for part in run_page(found):
            terminal.result(part)


@runs_app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=f"The run to start from: {NAMES}")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The run to compare with it.")],
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="How many of the examples that moved the most to show.")
    ] = 5,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """Show what differs between two runs, with scores paired by example."""
    with speaking(debug=debug) as terminal:
        from ragft.archive import diff_runs, find_run
        from ragft.console.runs import diff_page

        folder = _folder(runs_dir)
        found = diff_runs(find_run(folder, old), find_run(folder, new), examples=examples)
        if as_json:
            terminal.json(found)
            return
        for part in diff_page(found):
            terminal.result(part)


@runs_app.command()
def tag(
    run: RunName,
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="Names for the run: a-z, 0-9, - and _.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags away instead.")] = False,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """Give a run names by which it is found, and by which it is kept from pruning."""
    with speaking(debug=debug) as terminal:
        from ragft.archive import change_tags, find_run

        found = find_run(_folder(runs_dir), run)
        changed = change_tags(found, remove=tags) if remove else change_tags(found, add=tags)
        terminal.text(f"{changed.id}: {', '.join(changed.tags) or 'no tags'}")


@runs_app.command()
def prune(
    older_than: Annotated[
        float | None, typer.Option("--older-than", metavar="DAYS", min=0, help="Runs that began longer ago than this.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="N", min=0, help="All but the newest N of each experiment, command and status."),
    ] = None,
    status: Annotated[
        list[Status] | None,
        typer.Option(
            "--status", metavar="STATUS", help="Runs that came to this: success, failed and cancelled when absent."
        ),
    ] = None,
    experiment: Experiment = None,
    command: Command = None,
    tagged: Annotated[bool, typer.Option("--tagged", help="Also runs that have a tag.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them; without this nothing is removed.")] = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """Remove the runs that meet every condition given; without --yes only say which."""
    with speaking(debug=debug) as terminal:
        from ragft.archive import list_runs, plan_prune, select, summarise
        from ragft.archive import prune as prune_runs
        from ragft.console.runs import runs_table, size, spared_text

        plan = plan_prune(
            select(list_runs(_folder(runs_dir)), experiment=experiment, command=command),
            now=datetime.now(UTC),
            older_than_days=older_than,
            keep=keep,
            statuses=[item.value for item in status or ()],
            tagged=tagged,
        )
        summaries = [summarise(run) for run in plan.runs]
        if yes:
            prune_runs(plan)
        if as_json:
            rows = [summary.row() for summary in summaries]
            terminal.json({"removed": yes, "runs": rows, "freed_bytes": plan.freed_bytes, "spared": dict(plan.spared)})
            return
        if summaries:
            terminal.result(runs_table(summaries))
        _say_pruned(terminal, len(summaries), size(plan.freed_bytes), spared_text(plan), yes=yes)


def _say_pruned(terminal: Terminal, n: int, freed: str, spared: str, *, yes: bool) -> None:
    runs = f"{n} run{'' if n == 1 else 's'}"
    if n == 0:
        terminal.text("no run meets the conditions")
    elif yes:
        terminal.text(f"removed {runs}, {freed} freed")
    else:
        terminal.text(f"{runs} would go, {freed} freed; nothing was removed: --yes removes them")
    if spared:
        terminal.say(f"stays in any case: {spared}")


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help=f"The run of `compare`: {NAMES}")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Write there instead of the run folder.")
    ] = None,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """Render report.html and report.md of a `compare` run again from its JSON files."""
    with speaking(debug=debug) as terminal:
        from ragft.archive import find_run, record_artifacts
        from ragft.errors import RagftError

        found = find_run(_folder(runs_dir), run, command="compare")
        if found.command != "compare":
            raise RagftError(
                f"run {found.id} is of `ragft {found.command}`, which makes no report",
                "`ragft runs list --command compare` shows the runs that have one",
            )
        folder = found.path if output is None else output.expanduser().resolve()
        names = _render(found.path, folder)
        if folder == found.path.resolve():
            record_artifacts(found, names)
        if as_json:
            terminal.json({"run": found.path, "files": [folder / name for name in names]})
            return
        terminal.text(f"report: {folder / names[0]}")


def _render(run_dir: Path, folder: Path) -> tuple[str, str]:
    """Write both reports and return their names; nothing is written if the run cannot be read."""
    from ragft import jsonl
    from ragft.report import load_report, render_html, render_markdown

    data = load_report(run_dir)
    pages = render_html(data), render_markdown(data)
    folder.mkdir(parents=True, exist_ok=True)
    names = "report.html", "report.md"
    for name, text in zip(names, pages, strict=True):
        jsonl.write_text(folder / name, text)
    return names


def _folder(runs_dir: Path) -> Path:
    return runs_dir.expanduser().resolve()
