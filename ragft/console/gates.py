"""What the terminal and GitHub see of the gates: a table, annotations, the summary of the job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from ragft.console.terminal import Terminal

if TYPE_CHECKING:
    from ragft.gates import GateReport, GateResult

SUMMARY_BYTES = 1024 * 1024 - 1024
"""Most that one step may put into its summary, with some room: above 1 MiB GitHub shows none of it."""

ANNOTATIONS = 10
"""How many errors of one step GitHub shows; it drops the rest without a word."""

MARKS = {"passed": "[green]passed", "failed": "[bold red]failed", "not_comparable": "[yellow]could not be compared"}


def gates_table(report: GateReport) -> Table:
    """Return a table of the gates: what was asked, whether it held, and what was found."""
    table = Table(header_style="bold", pad_edge=False)
    table.add_column("gate")
    table.add_column("", no_wrap=True)
    table.add_column("what was found")
    for result in report.results:
        table.add_row(escape(result.title), MARKS[result.status], escape(result.message))
    return table


def workflow_commands(report: GateReport) -> list[str]:
    """Return GitHub's workflow commands for the gates: an error for each that did not pass, else one notice.

    At most as many as GitHub shows; the last one then says how many more there are.
    """
    bad = [*report.of("failed"), *report.of("not_comparable")]
    if not bad:
        return [_command("notice", "Gates passed", f"{len(report.results)} gate checks passed.")]
    shown = bad if len(bad) <= ANNOTATIONS else bad[: ANNOTATIONS - 1]
    lines = [_command("error", _heading(result), result.message) for result in shown]
    if len(shown) < len(bad):
        rest = f"{len(bad) - len(shown)} more gate checks did not pass; the job summary lists all of them."
        lines.append(_command("error", "More gates", rest))
    return lines


def _heading(result: GateResult) -> str:
    return f"{'Gate failed' if result.status == 'failed' else 'Gate could not be compared'}: {result.title}"


def _command(name: str, title: str, message: str) -> str:
    """Return `::name title=...::message`, escaped as the runner takes it apart (docs.github.com, workflow commands)."""
    return f"::{name} title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}::{_escaped(message)}"


def _escaped(text: str) -> str:
    # The percent sign first, or the others would be escaped twice.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def append_step_summary(markdown: str, environment: Mapping[str, str]) -> str | None:
    """Append Markdown to the file that $GITHUB_STEP_SUMMARY names; nothing happens where it names none.

    Returns a sentence to be said where the file could not be written or the text had to be cut; it never raises, for
    a summary is no reason to fail a run.
    """
    name = environment.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    try:
        return _append(Path(name), markdown)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        return f"the job summary could not be written: {getattr(error, 'strerror', None) or error}: {name}"


def _append(path: Path, markdown: str) -> str | None:
    room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
    text = f"{markdown.rstrip()}\n\n".encode("utf-8", "replace")
    cut = len(text) > room
    if cut:
        text = text[: max(0, room)].decode("utf-8", "ignore").rpartition("\n")[0].encode() + b"\n\n(cut)\n\n"
    with path.open("ab") as file:
        file.write(text)
    return f"the job summary was cut: GitHub shows at most {SUMMARY_BYTES // 1024} kB" if cut else None


def tell_github(report: GateReport | None, markdown: str, environment: Mapping[str, str], terminal: Terminal) -> None:
    """Tell GitHub Actions what it understands: the report into the job summary, annotations of the gates on stderr.

    Outside GitHub Actions nothing happens. stderr, because stdout may carry JSON; the runner reads both.
    """
    trouble = append_step_summary(markdown, environment)
    if trouble is not None:
        terminal.say(trouble)
    if report is not None and environment.get("GITHUB_ACTIONS") == "true":
        for line in workflow_commands(report):
            terminal.err.print(line, markup=False, highlight=False, soft_wrap=True)
