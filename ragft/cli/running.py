"""What every command does around its own work: errors become exit codes, a run folder opens, the workspace is held."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragft.arms.bench import Bench
    from ragft.console import Terminal
    from ragft.runs import Run
    from ragft.workspace import Workspace


@contextmanager
def speaking(*, debug: bool, quiet: bool = False) -> Iterator[Terminal]:
    """Give the terminal, with every error inside the block turned into a message and an exit code."""
    from ragft.console import Terminal, guarded, quiet_libraries

    quiet_libraries()
    terminal = Terminal(quiet=quiet)
    with guarded(terminal, debug=debug):
        yield terminal


@contextmanager
def running(
    command: str,
    file: Path,
    overrides: list[str] | None,
    terminal: Terminal,
    runs_dir: Path,
    workspace: Path,
    wait: float,
    *,
    hold: bool = True,
    tags: list[str] | None = None,
) -> Iterator[tuple[Bench, Run]]:
    """Load the experiment, open a run folder and, unless told otherwise, hold the workspace while the block runs."""
    from ragft.arms.bench import Bench
    from ragft.arms.roots import Origin
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
        tags=tags or (),
    )

    holding = held(space, f"ragft {command} {file}", wait, terminal) if hold else nullcontext()
    bench = Bench(experiment, space, terminal, origin=Origin(loaded.path, run.path.name))
    with run, holding, closing(bench):
        yield bench, run


def held(space: Workspace, who: str, wait: float, terminal: Terminal) -> AbstractContextManager[None]:
    """Hold the workspace for one command; whoever waits is told for whom."""

    def on_wait(holder: str) -> None:
        terminal.say(f"waiting for {holder}, which holds {space.root}")

    return space.locked(who, wait_s=wait, on_wait=on_wait)
