"""Output in the cells of a notebook: bars that are redrawn in place, and tables, as HTML.

Only where Python is the kernel of the notebook (`kagglekit.open`, `%kagglekit`). What `!kagglekit` runs is a
program of its own, whose output is a log.
"""

import sys
import threading
from collections.abc import Sequence
from html import escape
from importlib import import_module
from typing import Any, NamedTuple

NUMBER, TEXT = "text-align: right", "text-align: left"


class BarState(NamedTuple):
    """How far a bar is, as it is shown."""

    description: str
    share: float | None
    """Part of the work that is done, 0 to 1; None where the total is unknown."""
    done: str
    """`1,024/6,152 clips 812/s`"""
    time: str
    """`0:12 left`"""
    text: str


class Grid(NamedTuple):
    """A table as it is shown: cells are texts."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[bool]
    """Whether a column holds numbers, which are aligned right."""

    def html(self) -> str:
        """Return it as HTML."""
        sides = [NUMBER if number else TEXT for number in self.numbers]
        head = "".join(_cell("th", name, side) for name, side in zip(self.columns, sides, strict=True))
        rows = (
            "".join(_cell("td", cell, s) for cell, s in zip(row, sides, strict=True)) for row in self.rows
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        title = f"<caption style='{TEXT}'><b>{escape(self.title)}</b></caption>" if self.title else ""
        return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def plain(self) -> str:
        """Return it as text, for pages that show no HTML."""
        return "\n".join([self.title, *("  ".join(row) for row in (self.columns, *self.rows))])


class Block:
    """A part of a cell's output that is replaced as a whole each time it is shown. Threads may show it."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._lock = threading.Lock()

    def show(self, bars: Sequence[BarState], table: Grid | None = None) -> None:
        """Show bars, and the table above them."""
        rows = "".join(map(_bar, bars))
        html = (table.html() if table else "") + (f"<table>{rows}</table>" if rows else "")
        lines = [f"{bar.description}: {bar.done} {bar.time} {bar.text}".rstrip() for bar in bars]
        data = {"text/html": html, "text/plain": "\n".join(([table.plain()] if table else []) + lines)}
        with self._lock:
            if self._handle is None:
                self._handle = _display(data, display_id=True)
            else:
                self._handle.update(data, raw=True)


def is_kernel() -> bool:
    """Tell whether this process is the kernel of a notebook: Jupyter's, Kaggle's or Colab's."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def show_table(table: Grid) -> None:
    """Show a table as the cell's output."""
    _display({"text/html": table.html(), "text/plain": table.plain()})


def _display(data: dict[str, str], **more: Any) -> Any:
    return import_module("IPython.display").display(data, raw=True, **more)


def _bar(bar: BarState) -> str:
    progress = (
        "<progress></progress>" if bar.share is None else f"<progress value='{bar.share:.4f}'></progress>"
    )
    cells = (
        _cell("td", bar.description, TEXT),
        f"<td>{progress}</td>",
        _cell("td", bar.done, NUMBER),
        _cell("td", bar.time, NUMBER),
        _cell("td", bar.text, TEXT),
    )
    return f"<tr>{''.join(cells)}</tr>"


def _cell(tag: str, text: str, style: str) -> str:
    return f"<{tag} style='{style}'>{escape(text)}</{tag}>"
