"""The terminal: progress and news on stderr, results on stdout, libraries kept quiet."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from ragft import jsonl
from ragft.arms.listening import Work

if TYPE_CHECKING:
    from ragft.arms.planning import PlannedProbe
    from ragft.data.checks import DataCheck

PIPED: dict[str, Any] = {"width": 240, "soft_wrap": True}
"""How tables are laid out where there is no terminal: wide enough for every column."""


def quiet_libraries() -> None:
    """Send the chatter of libraries to the log of the run, and keep them from opening progress bars of their own."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler announces itself on stderr
    logging.captureWarnings(True)
    for name in ("py.warnings", "transformers", "sentence_transformers", "chromadb", "ragft"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    logging.getLogger("ragft").setLevel(logging.INFO)


class Terminal:
    """A Listener that shows work on stderr when that is a terminal, and says news there unless told to be quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        # In a pipe or a file nothing is cut to the width of a terminal that is not there.
        self.err = Console(stderr=True, highlighter=NullHighlighter(), **({} if sys.stderr.isatty() else PIPED))
        self.out = Console(highlighter=NullHighlighter(), **({} if sys.stdout.isatty() else PIPED))

    @contextmanager
    def work(self, title: str, total: int, unit: str) -> Iterator[Work]:
        """Open one piece of work with a bar, its rate and the time left; nothing is drawn where nobody looks."""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[dim]{task.fields[note]}"),
        )
        shown = self.err.is_terminal and not self._quiet
        with Progress(*columns, console=self.err, disable=not shown) as progress:
            task = progress.add_task(title, total=total or None, rate="", note="")
            yield _Bar(progress, task, unit)

    def say(self, text: str) -> None:
        """Print one line of news on stderr."""
        if not self._quiet:
            self.err.print(escape(text), style="dim")

    def checks(self, checks: Sequence[DataCheck]) -> None:
        """Print the checks of the data on stderr."""
        if checks and not self._quiet:
            from ragft.console.checks import checks_table

            self.err.print(checks_table(checks))

    def probes(self, planned: Sequence[PlannedProbe], budget_s: float | None) -> None:
        """Print what the probes would take on stderr."""
        if planned and not self._quiet:
            from ragft.console.probes import probe_plan

            self.err.print(probe_plan(planned, budget_s))

    def result(self, value: Any) -> None:  # noqa: ANN401 - any renderable
        """Print a result on stdout."""
        self.out.print(value)

    def text(self, text: str) -> None:
        """Print text on stdout as it is, without markup and without wrapping."""
        sys.stdout.write(f"{text}\n")

    def json(self, value: Any) -> None:  # noqa: ANN401 - any JSON-like value
        """Print one JSON value on stdout."""
        self.text(json.dumps(jsonl.plain(value), ensure_ascii=False, indent=2))

    def error(self, message: str, hint: str | None = None) -> None:
        """Print an error and how to mend it on stderr."""
        self.err.print(Text("error: ", style="bold red").append(message, style="default"), soft_wrap=True)
        if hint:
            self.err.print(Text("  try: ", style="bold").append(hint, style="default"), soft_wrap=True)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID, unit: str) -> None:
        self._progress, self._task = progress, task

    def advance(self, done: int = 1, note: str = "") -> None:
        """Count units as done and show the rate."""
        self._progress.advance(self._task, done)
        task = self._progress.tasks[0]
        rate = f"{task.completed / task.elapsed:.1f}/s" if task.elapsed and task.completed else ""
        self._progress.update(self._task, rate=rate, note=note or task.fields["note"])

    def total(self, units: int) -> None:
        """Set how many units there are."""
        self._progress.update(self._task, total=units)
