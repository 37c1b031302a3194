"""Progress bars and the live table above them, shared by threads and worker processes: on stderr, and where
Python is the kernel of a notebook in the cell's output."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from kagglekit.terminal import console, kernel

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.table import Table

HEARTBEAT_S = 60.0  # in a log, a running bar prints a line this often
REDRAW_S = 0.2  # in a notebook's cell, bars are redrawn at most this often
NARROW = 100  # terminal columns below which bars are shorter and leave out units
NO_TEXT = 90  # terminal columns below which bars leave out their text

Advance = Callable[[int], None]
"""Advances a bar by so many units."""


class AdvanceBar(Protocol):
    """Advances a bar by `n` units; `text` replaces the text behind the bar."""

    def __call__(self, n: int = 1, /, text: str = "") -> None: ...


class _LiveTable(NamedTuple):
    """A table above the bars, whose rows change."""

    title: str
    columns: Sequence[str]
    rows: dict[str, Sequence[str]]

    @property
    def grid(self) -> kernel.Grid:
        """The table for a notebook's cell."""
        rows = [tuple(map(console.visible, (key, *cells))) for key, cells in list(self.rows.items())]
        columns = tuple(map(console.visible, self.columns))
        return kernel.Grid(console.visible(self.title), columns, rows, (True,) * len(columns))

    def __rich__(self) -> Table:
        from rich.box import SIMPLE
        from rich.table import Table
        from rich.text import Text  # a str would be read as markup

        title = Text(console.visible(self.title))
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE, pad_edge=False)
        for name in self.columns:
            table.add_column(Text(console.visible(name)), justify="right", no_wrap=True)
        for key, cells in list(self.rows.items()):
            table.add_row(*(Text(console.visible(cell)) for cell in (key, *cells)))
        return table


class _Display:
    """The one rich Progress that all open bars and the live table share: a terminal has one live display."""

    lock = threading.Lock()
    progress: Progress | None = None
    users = 0
    table: _LiveTable | None = None
    block = kernel.Block()
    """Where a notebook's cell shows them."""
    drawn = 0.0
    """When it last did, by time.monotonic."""


def is_live() -> bool:
    """Tell whether stderr can redraw lines: a terminal, and not a log, pipe or notebook.

    `!kagglekit` in a notebook runs in a pseudo-terminal, but the page shows every redrawn line below the
    one before. Jupyter's kernels set JPY_PARENT_PID for their child processes.
    """
    err = console.err()
    return err.is_terminal and not err.is_dumb_terminal and "JPY_PARENT_PID" not in os.environ


@contextmanager
def bar(description: str, total: int | None, unit: str = "") -> Iterator[AdvanceBar]:
    """Show a progress bar with rate and time left on stderr. Threads may advance it.

    Where stderr is not live, it prints one line at the end, and one every HEARTBEAT_S until then. In the
    kernel of a notebook, the cell shows it.

    Args:
        total: number of units, or None if unknown.
        unit: "clips", "B" (shown as kB, MB), "batches" ...
    """
    if send := console.Mode.send:  # the parent process shows the bar
        name = uuid.uuid4().hex
        send(("bar", name, description, total, unit))
        try:
            yield lambda n=1, /, text="": send(("advance", name, n, text))
        finally:
            send(("end", name))
        return
    if console.Mode.quiet:
        yield lambda n=1, /, text="": None
        return
    with _shared_progress() as progress:
        task = progress.add_task(description, total=total, unit=unit, text="")
        last_line = time.monotonic()

        def advance(n: int = 1, /, text: str = "") -> None:
            nonlocal last_line
            fields = {"text": text} if text else {}
            progress.update(task, advance=n, **fields)  # type: ignore[arg-type]
            if kernel.is_kernel():
                _redraw(progress)
            elif not is_live() and time.monotonic() - last_line >= HEARTBEAT_S:
                last_line = time.monotonic()
                _print_line(progress, task, at_end=False)

        try:
            yield advance
        finally:
            with _Display.lock:
                redrawn = kernel.is_kernel() or (progress.live.is_started and is_live())
                if not redrawn:
                    _print_line(progress, task, at_end=True)
                if not redrawn or _Display.table is not None:  # its row shows the outcome
                    progress.remove_task(task)
                if kernel.is_kernel():
                    _redraw(progress, at_once=True)


@contextmanager
def live_table(title: str, columns: Sequence[str]) -> Iterator[None]:
    """Show a table above the bars while the block runs, and leave it there; only on a live terminal, and in
    the kernel of a notebook.

    Args:
        columns: names of the columns; the first holds the keys of `set_row`.
    """
    in_kernel = kernel.is_kernel()
    if console.Mode.quiet or not (is_live() or in_kernel):
        yield
        return
    table = _LiveTable(title, columns, {})
    with _shared_progress() as progress:
        _Display.table = table
        try:
            yield
        finally:
            if in_kernel:
                _redraw(progress, at_once=True)
                _Display.block = kernel.Block()  # this one stays as it is
            _Display.table = None
            progress.refresh()
    if table.rows and not in_kernel:
        console.err().print(table)


def set_row(key: str, cells: Sequence[str]) -> None:
    """Set a row of the open live table; without one do nothing."""
    if console.Mode.send:
        console.Mode.send(("row", key, cells))
    elif _Display.table is not None:
        _Display.table.rows[key] = cells


@contextmanager
def _shared_progress() -> Iterator[Progress]:
    """Yield the shared Progress: the first user starts it, the last one stops it."""
    with _Display.lock:
        if _Display.progress is None:
            _Display.progress = _make_progress()
            _Display.block = kernel.Block()
            _Display.progress.start()
        progress = _Display.progress
        _Display.users += 1
    try:
        yield progress
    finally:
        with _Display.lock:
            _Display.users -= 1
            if _Display.users == 0:
                progress.stop()
                _Display.progress = None


def _redraw(progress: Progress, *, at_once: bool = False) -> None:
    """Show the open bars and the live table in the notebook's cell, at most every REDRAW_S."""
    if at_once or time.monotonic() - _Display.drawn >= REDRAW_S:
        _Display.drawn = time.monotonic()
        table = _Display.table
        _Display.block.show([_state(progress, task) for task in progress.tasks], table and table.grid)


def _state(progress: Progress, task: Task) -> kernel.BarState:
    """Return what the columns of a terminal would show of a bar."""
    columns: Any = progress.columns  # typed as texts, too, which ours are not
    _, _, done, left, *text = (column.render(task) for column in columns)
    share = min(task.completed / task.total, 1.0) if task.total else None
    last = text[0].plain if text else ""
    return kernel.BarState(console.visible(task.description), share, done.plain, left.plain, last)


def send_to(send: Callable[[Any], None]) -> None:
    """Send this process's notes, bars and rows as messages, for a `Relay` in another process to show."""
    console.Mode.send = send


class Relay:
    """Shows the messages of worker processes; closes the bars that they left open at the end of its block."""

    def __init__(self) -> None:
        self._bars: dict[str, tuple[ExitStack, AdvanceBar]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stack, _advance in self._bars.values():
            stack.close()

    def show(self, message: Any) -> None:
        """Show one message."""
        match message:
            case "note", text:
                console.note(text)
            case "bar", name, description, total, unit:
                stack = ExitStack()
                self._bars[name] = stack, stack.enter_context(bar(description, total, unit))
            case "advance", name, n, text:
                self._bars[name][1](n, text=text)
            case "row", key, cells:
                set_row(key, cells)
            case "end", name:
                self._bars.pop(name)[0].close()


def _print_line(progress: Progress, task_id: Any, *, at_end: bool) -> None:
    """Print how far a bar is as one line of a log."""
    task = next(t for t in progress.tasks if t.id == task_id)
    unit, seconds = task.fields["unit"], task.elapsed or 0.0
    rate = task.completed / seconds if seconds > 0 else 0.0
    done, left = amount(task.completed, unit), ""
    if task.total and not at_end:
        done = f"{amount(task.completed, unit if unit == 'B' else '')} of {amount(task.total, unit)}"
        left = f", {(task.total - task.completed) / rate:,.0f} s left" if rate > 0 else ""
    speed = f"({amount(rate, unit)}/s)"
    line = f"{task.description}: {done} in {seconds:.1f} s {speed}{left} {task.fields['text']}"
    console.err().print(console.visible(line.rstrip()), markup=False, soft_wrap=True)


def amount(value: float, unit: str) -> str:
    """Return `1,234 clips`, `1 batch`, `61.1 MB`."""
    if unit == "B":
        for prefix in ("", "k", "M", "G", "T"):
            if value < 1000 or prefix == "T":
                return f"{value:.1f} {prefix}B" if prefix else f"{value:.0f} B"
            value /= 1000
    if value == 1:
        unit = unit.removesuffix("es" if unit.endswith("ches") else "s")
    digits = 0 if value >= 10 or value == int(value) else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def _make_progress() -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, TimeRemainingColumn
    from rich.text import Text

    width = console.err().width
    narrow = width < NARROW

    class Description(ProgressColumn):
        """The description, cut to leave the bar on one line."""

        def render(self, task: Any) -> Text:
            most = max(width - 45, 8) if narrow else width // 3
            return Text(console.visible(task.description), no_wrap=True, overflow="ellipsis", end="")[:most]

    class Done(ProgressColumn):
        """`1,024/6,152 clips  812/s`"""

        def render(self, task: Any) -> Text:
            unit = task.fields["unit"]
            shown = unit if unit == "B" or not narrow else ""
            total = f"/{amount(task.total, shown)}" if task.total else ""
            done = amount(task.completed, "" if total and unit != "B" else shown)
            speed = task.finished_speed or task.speed
            rate = f" {amount(speed, unit if unit == 'B' else '')}/s" if speed else ""
            return Text(f"{done}{total}{rate}", no_wrap=True)

    class LastText(ProgressColumn):
        """The text of the last `advance`, unless a live table shows it."""

        def render(self, task: Any) -> Text:
            text = "" if _Display.table else console.visible(task.fields["text"])
            return Text(text, no_wrap=True, overflow="ellipsis")

    class SharedProgress(Progress):
        """Bars, and the live table above them."""

        def get_renderables(self) -> Iterator[Any]:
            if (table := _Display.table) is not None and table.rows:
                yield table
            yield self.make_tasks_table(self.tasks)

    columns = [
        Description(),
        BarColumn(bar_width=10 if narrow else 24),
        Done(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        *([] if width < NO_TEXT else [LastText()]),
    ]
    return SharedProgress(
        *columns, console=console.err(), refresh_per_second=5, disable=not is_live(), transient=False
    )
