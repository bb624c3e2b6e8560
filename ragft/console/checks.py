"""The table of the data checks: what was found, a row each; what found nothing, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ragft.data.checks import DataCheck

MARKS = {"ok": "[green]ok", "note": "[cyan]note", "warning": "[yellow]warning", "error": "[bold red]error"}
"""The word beside the colour, so that nothing is lost where there are no colours."""


def checks_table(checks: Sequence[DataCheck]) -> Group:
    """Return a table of the checks that found something, and one line that names those that found nothing.

    Messages are folded to the width that there is, never cut.
    """
    found = [check for check in checks if check.severity != "ok"]
    parts: list[RenderableType] = [Text("Checks of the data", style="bold")]
    if found:
        parts.append(_table(found))
    if len(found) < len(checks):
        parts.append(_nothing([check.name for check in checks if check.severity == "ok"]))
    return Group(*parts) if checks else Group()


def _table(found: Sequence[DataCheck]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("check", overflow="fold", max_width=30)
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("what it means", overflow="fold")
    for check in found:
        meaning = f"{check.message}; {check.hint}" if check.hint else check.message
        count = f"{check.found:,} of {check.looked_at:,}"
        table.add_row(MARKS[check.severity], escape(check.title), count, escape(meaning))
    return table


def _nothing(names: Sequence[str]) -> Text:
    checks = "1 check" if len(names) == 1 else f"{len(names)} checks"
    return Text("ok: ", style="green").append(f"{checks} found nothing: {', '.join(names)}", style="dim")
