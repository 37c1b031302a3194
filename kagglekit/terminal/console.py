"""What a person sees: bars and notes on stderr, results on stdout. Light until something is shown."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

HEARTBEAT_S = 60.0  # in a log, a bar that goes on says so this often
NARROW = 100  # columns of a window, below which bars are short and say less

Advance = Callable[[int], None]
"""Say that so many more units are done."""


class _Mode:
    """How `cli.main` wants things shown."""

    quiet = False
    json = False
    send: Callable[[Any], None] | None = None
    """In a process of processes.py: bars and notes are messages to the parent, which shows them."""


def configure(*, quiet: bool = False, json_output: bool = False) -> None:
    """Set once by `cli.main`. With `json_output` only `result` writes to stdout."""
    _Mode.quiet = quiet
    _Mode.json = json_output


@cache
def err() -> Console:
    """The console of progress, notes and errors: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@cache
def out() -> Console:
    """The console of results: stdout, never wrapped where it is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def note(text: str) -> None:
    """One line on stderr; silent with --quiet."""
    if _Mode.send:
        _Mode.send(("note", text))
    elif not _Mode.quiet:
        err().print(text, markup=False, soft_wrap=True)


def result(data: Mapping[str, Any], lines: Sequence[object]) -> None:
    """What a verb made: `data` as one JSON line with --json, else the rich `lines`, on stdout."""
    if _Mode.json:
        print(json.dumps(data, default=str, ensure_ascii=False))
    show(lines)


def event(data: Mapping[str, Any]) -> None:
    """One JSON line on stdout about something that happened before the verb's result; with --json only."""
    if _Mode.json:
        print(json.dumps(data, default=str, ensure_ascii=False), flush=True)


def show(lines: Sequence[object]) -> None:
    """Rich `lines` on stdout, before a verb's result; nothing with --json."""
    if _Mode.json:
        return
    for line in lines:
        if isinstance(line, str):
            out().print(line, markup=False, soft_wrap=True)
        else:
            out().print(line)


class _Board(NamedTuple):
    """A table above the bars, whose rows change."""

    title: str
    columns: Sequence[str]
    rows: dict[str, Sequence[str]]

    def table(self) -> Table:
        """As rich shows it."""
        from rich.box import SIMPLE
        from rich.table import Table

        made = Table(title=self.title, title_justify="left", title_style="bold", box=SIMPLE, pad_edge=False)
        for name in self.columns:
            made.add_column(name, justify="right", no_wrap=True)
        for key, cells in list(self.rows.items()):
            made.add_row(key, *cells)
        return made


class _Bars:
    """One rich Progress that all open bars and the board share: a terminal holds only one live display."""

    lock = threading.Lock()
    progress: Progress | None = None
    open = 0
    board: _Board | None = None


class SetBar(Protocol):
    """Advances a bar; `text` replaces what stands behind it."""

    def __call__(self, n: int = 1, /, text: str = "") -> None: ...


def is_live() -> bool:
    """Whether stderr is a terminal that can redraw lines: no log, no pipe, no notebook.

    `!kagglekit` in a notebook runs in a terminal of which the page shows only what is written, redrawn
    lines one below the other; Jupyter's kernels say by JPY_PARENT_PID that they are the parent.
    """
    return err().is_terminal and not err().is_dumb_terminal and "JPY_PARENT_PID" not in os.environ


@contextmanager
def bar(description: str, total: int | None, unit: str = "") -> Iterator[SetBar]:
    """A progress bar with rate and time left, on stderr. Safe to advance from threads.

    Where there is no live terminal it is a line at its end, and one a minute until then.

    Args:
        description: what is being done.
        total: units in all, or None where nobody knows.
        unit: "clips", "B" (shown as kB, MB), "batches" ...
    """
    if _Mode.send:
        with _sent_bar(_Mode.send, description, total, unit) as sent:
            yield sent
        return
    if _Mode.quiet:
        yield lambda n=1, /, text="": None
        return
    with _display() as progress:
        task = progress.add_task(description, total=total, unit=unit, text="")
        said = time.monotonic()

        def advance(n: int = 1, /, text: str = "") -> None:
            nonlocal said
            fields = {"text": text} if text else {}
            progress.update(task, advance=n, **fields)  # type: ignore[arg-type]
            if not is_live() and time.monotonic() - said >= HEARTBEAT_S:
                said = time.monotonic()
                _print_line(progress, task, at_end=False)

        try:
            yield advance
        finally:
            with _Bars.lock:
                if not progress.live.is_started or not is_live():
                    _print_line(progress, task, at_end=True)
                    progress.remove_task(task)
                elif _Bars.board is not None:  # whose row says what came of it
                    progress.remove_task(task)


@contextmanager
def board(title: str, columns: Sequence[str]) -> Iterator[None]:
    """A table above the bars, filled by `row`; it stays when the block ends. Only on a live terminal.

    Args:
        title: above it.
        columns: their names; the first is the rows'.
    """
    if _Mode.quiet or not is_live():
        yield
        return
    made = _Board(title, columns, {})
    with _display() as progress:
        _Bars.board = made
        try:
            yield
        finally:
            _Bars.board = None
            progress.refresh()
    if made.rows:
        err().print(made.table())


def row(key: str, cells: Sequence[str]) -> None:
    """Set a row of the open board, where there is one."""
    if _Mode.send:
        _Mode.send(("row", key, cells))
    elif _Bars.board is not None:
        _Bars.board.rows[key] = cells


@contextmanager
def _display() -> Iterator[Progress]:
    """The shared Progress; it starts with the first user and stops with the last."""
    with _Bars.lock:
        if _Bars.progress is None:
            _Bars.progress = _make_progress()
            _Bars.progress.start()
        progress = _Bars.progress
        _Bars.open += 1
    try:
        yield progress
    finally:
        with _Bars.lock:
            _Bars.open -= 1
            if _Bars.open == 0:
                progress.stop()
                _Bars.progress = None


@contextmanager
def _sent_bar(
    send: Callable[[Any], None], description: str, total: int | None, unit: str
) -> Iterator[SetBar]:
    """A bar that the parent process shows."""
    name = uuid.uuid4().hex
    send(("bar", name, description, total, unit))
    try:
        yield lambda n=1, /, text="": send(("advance", name, n, text))
    finally:
        send(("end", name))


def send_to(send: Callable[[Any], None]) -> None:
    """From now on this process shows nothing itself: `relay` in another one does."""
    _Mode.send = send


def relay(receive: Callable[[], Any]) -> None:
    """Show what processes send, until None comes."""
    bars: dict[str, tuple[ExitStack, SetBar]] = {}
    while (message := receive()) is not None:
        match message:
            case "note", text:
                note(text)
            case "bar", name, description, total, unit:
                stack = ExitStack()
                bars[name] = stack, stack.enter_context(bar(description, total, unit))
            case "advance", name, n, text:
                bars[name][1](n, text=text)
            case "row", key, cells:
                row(key, cells)
            case "end", name:
                bars.pop(name)[0].close()
    for stack, _ in bars.values():
        stack.close()


def _print_line(progress: Progress, task_id: Any, *, at_end: bool) -> None:
    """How far a bar is, in a line of a log."""
    task = next(t for t in progress.tasks if t.id == task_id)
    unit, seconds = task.fields["unit"], task.elapsed or 0.0
    rate = task.completed / seconds if seconds > 0 else 0.0
    done, left = _amount(task.completed, unit), ""
    if task.total and not at_end:
        done = f"{_amount(task.completed, unit if unit == 'B' else '')} of {_amount(task.total, unit)}"
        left = f", {(task.total - task.completed) / rate:,.0f} s left" if rate > 0 else ""
    speed = f"({_amount(rate, unit)}/s)"
    line = f"{task.description}: {done} in {seconds:.1f} s {speed}{left} {task.fields['text']}"
    err().print(line.rstrip(), markup=False, soft_wrap=True)


def _amount(value: float, unit: str) -> str:
    if unit == "B":
        for prefix in ("", "k", "M", "G", "T"):
            if value < 1000 or prefix == "T":
                return f"{value:.1f} {prefix}B" if prefix else f"{value:.0f} B"
            value /= 1000
    digits = 0 if value >= 10 or value == int(value) else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def _make_progress() -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, TimeRemainingColumn
    from rich.text import Text

    width = err().width
    narrow = width < NARROW

    class Name(ProgressColumn):
        """What is being done, cut where the window is narrow: a bar is one line."""

        def render(self, task: Any) -> Text:
            most = max(width - 45, 8) if narrow else width // 3
            return Text(task.description, no_wrap=True, overflow="ellipsis", end="")[:most]

    class Done(ProgressColumn):
        """`1,024/6,152 clips  812/s`"""

        def render(self, task: Any) -> Text:
            unit = task.fields["unit"]
            shown = unit if unit == "B" or not narrow else ""
            total = f"/{_amount(task.total, shown)}" if task.total else ""
            done = _amount(task.completed, "" if total and unit != "B" else shown)
            speed = task.finished_speed or task.speed
            return Text(
                f"{done}{total}" + (f" {_amount(speed, unit if unit == 'B' else '')}/s" if speed else ""),
                no_wrap=True,
            )

    class Behind(ProgressColumn):
        """The last word of what is being done, where there is room for it and no board to say it."""

        def render(self, task: Any) -> Text:
            return Text("" if _Bars.board else task.fields["text"], no_wrap=True, overflow="ellipsis")

    class Shared(Progress):
        """Bars, and the board above them."""

        def get_renderables(self) -> Iterator[Any]:
            if (board := _Bars.board) is not None and board.rows:
                yield board.table()
            yield self.make_tasks_table(self.tasks)

    columns = [
        Name(),
        BarColumn(bar_width=10 if narrow else 24),
        Done(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    ]
    return Shared(
        *columns,
        *([] if width < 90 else [Behind()]),
        console=err(),
        refresh_per_second=5,
        disable=not is_live(),
        transient=False,
    )
