"""A table that fits the screen, however wide it is: intervals go to a second line, then columns to a further table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ragft.report.probe_tables import Shown

NAME_WIDTH = 24
"""Columns of a terminal that the name of a row takes at most; a longer one is folded."""

TEXT_WIDTH = 32
"""Columns of a terminal that a cell of text takes at most; a longer one is folded."""

TITLE_WIDTH = 7
"""Columns of a terminal that a title of several words has at least."""

GAP = 2
"""Columns of a terminal between two columns of a table, one of which is Rich's own."""

INDENT = 2
"""Columns of a terminal before what belongs to a title."""


def indented(part: RenderableType, above: int = 0) -> Padding:
    """Return a part of a page moved to the right, with empty lines `above` it."""
    return Padding(part, (above, 0, 0, INDENT), expand=False)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table that fits the screen; `words` says which columns hold text, `total` that the last row sums the others."""

    first: str
    titles: Sequence[str]
    rows: Sequence[tuple[str, tuple[Shown, ...]]]
    words: Sequence[bool] = ()
    total: bool = False

    @property
    def width(self) -> int:
        """Columns of a terminal that all of it takes with intervals beside the values."""
        return self._width(range(len(self.titles)), apart=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one table with intervals beside the values, or below them, or as many tables as are needed."""
        every = range(len(self.titles))
        apart = self.width > options.max_width
        if not apart or self._width(every, apart=True) <= options.max_width:
            yield self._table(every, apart=apart)
            return
        for number, columns in enumerate(self._parts(options.max_width)):
            yield from [Text()] if number else []
            yield self._table(columns, apart=True)

    def _parts(self, most: int) -> Iterator[list[int]]:
        """Yield the columns of each table, as many as fit into `most` columns of a terminal, and at least one."""
        part: list[int] = []
        for column in range(len(self.titles)):
            if part and self._width([*part, column], apart=True) > most:
                yield part
                part = []
            part.append(column)
        yield part

    def _width(self, columns: Sequence[int], *, apart: bool) -> int:
        widths = (self._column_width(column, apart=apart) + GAP for column in columns)
        return INDENT + self._name_width() + sum(widths)

    def _name_width(self) -> int:
        return min(NAME_WIDTH, max([*(cell_len(name) for name, _ in self.rows), _title_width(self.first)], default=0))

    def _column_width(self, column: int, *, apart: bool) -> int:
        cells = [_lines(cells[column], apart=apart) for _, cells in self.rows]
        widest = max((cell_len(line) for cell in cells for line in cell.split("\n")), default=0)
        return max(min(widest, TEXT_WIDTH), min(_title_width(self.titles[column]), TEXT_WIDTH))

    def _table(self, columns: Sequence[int], *, apart: bool) -> Padding:
        table = Table(
            box=SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=False, padding=(0, GAP - 1, 0, 0),
            collapse_padding=True,
        )  # fmt: skip
        name = self._name_width()
        table.add_column(Text(_wrapped(self.first, name)), width=name, overflow="fold")
        for column in columns:
            width = self._column_width(column, apart=apart)
            justify: Literal["left", "right"] = "left" if self.words and self.words[column] else "right"
            title = Text(_wrapped(self.titles[column], width))
            table.add_column(title, width=width, justify=justify, overflow="fold", vertical="top")
        for number, (row, cells) in enumerate(self.rows):
            last = self.total and number == len(self.rows) - 1
            shown = (Text(_lines(cells[column], apart=apart)) for column in columns)
            table.add_row(Text(row), *shown, style="bold" if last else "")
        return indented(table)


def _lines(cell: Shown, *, apart: bool) -> str:
    """Return the lines of a cell: its value and interval in one, or apart in two, and its counts in their own."""
    said = [part for part in (cell.text, cell.interval) if part]
    return "\n".join([*(said if apart else [" ".join(said)]), *([cell.counts] if cell.counts else [])])


def _title_width(title: str) -> int:
    """Return the columns of a terminal that a title needs: for its longest word, and for more than one short word."""
    return max([min(cell_len(title), TITLE_WIDTH), *map(cell_len, title.split())])


def _wrapped(title: str, width: int) -> str:
    return "\n".join(textwrap.wrap(title, max(1, width)))
