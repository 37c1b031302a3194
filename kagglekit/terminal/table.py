"""Tables that fit the window they are shown in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

BETWEEN = 3  # columns of a window between two of a table
LEAST = 12  # of a text before its table is turned on its side; longer ones are folded


class Column(NamedTuple):
    """A column with its cells as they are shown."""

    name: str
    numbers: bool
    cells: list[str]

    @property
    def natural(self) -> int:
        """Columns of a window that it would like to have."""
        return max(map(len, (self.name, *self.cells)))


class Grid:
    """A table; numbers to the right and never broken. In a narrow window, a block of lines for each row.

    Args:
        title: above it.
        columns: their names.
        rows: cells: text, numbers (floats with four digits), or None for nothing.
    """

    def __init__(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.title = title
        self.columns = [
            Column(
                name,
                any(isinstance(row[index], int | float) for row in rows),
                [_shown(row[index]) for row in rows],
            )
            for index, name in enumerate(columns)
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if sum(c.natural for c in self.columns) + BETWEEN * len(self.columns) <= options.max_width:
            yield self._lines()
            return
        least = sum(c.natural if c.numbers else min(c.natural, LEAST) for c in self.columns)
        if least + BETWEEN * len(self.columns) <= options.max_width:
            yield self._table()
        else:
            yield from self._blocks()

    def _lines(self) -> Text:
        """Where every cell fits: as `_table` looks, but rows by the hundred in no time."""
        from rich.text import Text

        sides = [f">{c.natural}" if c.numbers else f"<{c.natural}" for c in self.columns]

        def line(cells: Iterable[str]) -> str:
            return f" {(' ' * BETWEEN).join(map(format, cells, sides))} "

        head = line(column.name for column in self.columns)
        rule = f" {'─' * (len(head) - 2)} "
        rows = map(line, zip(*(column.cells for column in self.columns), strict=True))
        blank = " " * len(head)
        made = Text(no_wrap=True, overflow="ignore", end="")
        made.append(f"{self.title:<{len(head)}}\n", style="bold")
        made.append(f"{blank}\n")
        made.append(f"{head}\n", style="bold")
        made.append("\n".join([rule, *rows, blank, ""]))
        return made

    def _table(self) -> Table:
        """Where texts have to be folded."""
        from rich.box import SIMPLE
        from rich.table import Table

        made = Table(title=self.title, title_justify="left", box=SIMPLE, title_style="bold", pad_edge=False)
        for column in self.columns:
            side = "right" if column.numbers else "left"
            made.add_column(column.name, justify=side, overflow="fold", no_wrap=column.numbers)  # type: ignore[arg-type]
        for row in zip(*(column.cells for column in self.columns), strict=True):
            made.add_row(*row)
        return made

    def _blocks(self) -> RenderResult:
        """`name  value` lines; cells that hold nothing are left out."""
        from rich.text import Text

        yield Text(f"\n{self.title}", style="bold")
        wide = max(len(column.name) for column in self.columns)
        for row in range(len(self.columns[0].cells)):
            yield Text("")
            for column in self.columns:
                if column.cells[row]:
                    yield Text(f"{column.name:<{wide}}  {column.cells[row]}", overflow="fold")
        yield Text("")


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
