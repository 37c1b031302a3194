"""Tables of results, which fit the window they are shown in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kagglekit.terminal import kernel
from kagglekit.terminal.console import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

BETWEEN = 3  # terminal columns between two columns of a table
MOST_ROWS = 40  # rows that a person reads
MIN_TEXT = 12  # terminal columns that a folded text column keeps


class ResultTable(NamedTuple):
    """A table whose numbers are aligned right and never broken.

    In a narrow window long texts are folded. In one too narrow for that, each row becomes a block of
    `name  value` lines, without empty cells.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """Cells: text, numbers (floats are shown with four digits), or None for an empty cell."""

    @property
    def grid(self) -> kernel.Grid:
        """The table for a notebook's cell."""
        names, rows, numbers = self._texts()
        return kernel.Grid(_shown(self.title), names, rows, numbers)

    def _texts(self) -> tuple[list[str], list[list[str]], list[bool]]:
        """Return the columns' names, the rows as texts, and which columns hold numbers."""
        names = [_shown(name) for name in self.columns]
        rows = [[_shown(cell) for cell in row] for row in self.rows]
        return (
            names,
            rows,
            [any(isinstance(row[i], int | float) for row in self.rows) for i in range(len(names))],
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.box import SIMPLE, Box
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text  # a str would be read as markup

        names, rows, numbers = self._texts()
        cells = [[row[i] for row in rows] for i in range(len(names))]
        widths = [max(map(cell_len, (name, *column))) for name, column in zip(names, cells, strict=True)]
        least = [w if number else min(w, MIN_TEXT) for w, number in zip(widths, numbers, strict=True)]
        room = options.max_width - BETWEEN * len(widths)
        fits, folds = sum(widths) <= room, sum(least) <= room

        # a Table would fold its title to its own width
        yield Text(_shown(self.title), style="bold", overflow="fold")
        box = Box(str(SIMPLE).replace("─", "-"), ascii=True) if options.ascii_only else SIMPLE
        table = Table(box=box, pad_edge=False, show_header=folds)
        if fits:  # one cell of whole lines: rich takes 0.3 s for 500 rows of nine cells

            def line(cells: Sequence[str]) -> str:
                spaces = [" " * (width - cell_len(cell)) for width, cell in zip(widths, cells, strict=True)]
                padded = zip(numbers, spaces, cells, strict=True)
                return (" " * BETWEEN).join(s + cell if number else cell + s for number, s, cell in padded)

            table.add_column(Text(line(names)), no_wrap=True)
            if rows:
                table.add_row(Text("\n".join(map(line, rows))))
        elif folds:
            for name, number, width in zip(names, numbers, least, strict=True):
                side: Any = "right" if number else "left"
                table.add_column(Text(name), justify=side, no_wrap=number, overflow="fold", min_width=width)
            for row in rows:
                table.add_row(*map(Text, row))
        else:
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
            for row in rows:
                for name, cell in zip(names, row, strict=True):
                    if cell:
                        table.add_row(Text(name), Text(cell))
                table.add_section()
        yield table


def first_rows(table: ResultTable, what: str, most: int = MOST_ROWS) -> list[object]:
    """Return a table; of one with many rows the first ones, and a line about the others, which are `what`."""
    if len(table.rows) <= most:
        return [table]
    more = len(table.rows) - most
    return [table._replace(rows=table.rows[:most]), f"and {more:,} more {what}; --json shows all"]


def _shown(cell: Any) -> str:
    """Return a cell's text, control codes escaped."""
    if cell is None:
        return ""
    text = f"{cell:.4f}" if isinstance(cell, float) else str(cell)
    return visible(text).replace("\t", "\\t").replace("\n", "\\n")
