"""The table of the data checks as it is seen in a terminal, and where there is none."""

from __future__ import annotations

import re
from io import StringIO

from rich.console import Console

from ragft.console.checks import checks_table
from ragft.data.checks import DataCheck

CHECKS = (
    DataCheck("repeats", "eval inputs that stand more than once", 1023, 0, "ok", "every eval input stands once"),
    DataCheck("leak_facts", "facts of eval that are taught", 100, 65, "note", "65 of 100 [in other words]"),
    DataCheck("no_gold", "eval examples without gold documents", 85, 2, "warning", "2 name none"),
    DataCheck("leakage", "eval inputs in train", 2, 1, "error", "e1 = t1", ("e1",), "remove them"),
)


def shown(*, colours: bool) -> str:
    out = StringIO()
    Console(file=out, width=140, force_terminal=colours, color_system="standard" if colours else None).print(
        checks_table(CHECKS)
    )
    return out.getvalue()


def test_without_colours_nothing_is_lost() -> None:
    lines = [line.rstrip() for line in shown(colours=False).splitlines()]
    assert lines[0] == "Checks of the data"
    assert [re.split(r"\s{2,}", line) for line in lines[3:]] == [
        ["note", "facts of eval that are taught", "65 of 100", "65 of 100 [in other words]"],
        ["warning", "eval examples without gold", "2 of 85", "2 name none"],
        ["", "documents"],
        ["error", "eval inputs in train", "1 of 2", "e1 = t1; remove them"],
        ["ok: 1 check found nothing: repeats"],
    ]


def test_the_colours_say_how_grave_it_is() -> None:
    text = shown(colours=True)
    assert "\x1b[36mnote" in text
    assert "\x1b[33mwarning" in text
    assert "\x1b[1;31merror" in text
