"""What a person sees: bars and notes on stderr, results on stdout. Light until something is shown."""

from __future__ import annotations

import json
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

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


class _Bars:
    """One rich Progress that all open bars share, since a terminal holds only one live display."""

    lock = threading.Lock()
    progress: Progress | None = None
    open = 0


class SetBar(Protocol):
    """Advances a bar; `text` replaces what stands behind it."""

    def __call__(self, n: int = 1, /, text: str = "") -> None: ...


@contextmanager
def bar(description: str, total: int | None, unit: str = "") -> Iterator[SetBar]:
    """A progress bar with rate and time left, on stderr. Safe to advance from threads.

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
    with _Bars.lock:
        if _Bars.progress is None:
            _Bars.progress = _make_progress()
            _Bars.progress.start()
        progress = _Bars.progress
        _Bars.open += 1
        task = progress.add_task(description, total=total, unit=unit, text="")

    def advance(n: int = 1, /, text: str = "") -> None:
        fields = {"text": text} if text else {}
        progress.update(task, advance=n, **fields)  # type: ignore[arg-type]

    try:
        yield advance
    finally:
        with _Bars.lock:
            _Bars.open -= 1
            if not progress.live.is_started or not err().is_terminal:
                _print_finished(progress, task)
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
            case "end", name:
                bars.pop(name)[0].close()
    for stack, _ in bars.values():
        stack.close()


def _print_finished(progress: Progress, task_id: Any) -> None:
    """In a log there is no live bar: one line when the bar ends."""
    task = next(t for t in progress.tasks if t.id == task_id)
    seconds = task.elapsed or 0.0
    rate = task.completed / seconds if seconds > 0 else 0.0
    amount = _amount(task.completed, task.fields["unit"])
    speed = _amount(rate, task.fields["unit"])
    err().print(
        f"{task.description}: {amount} in {seconds:.1f} s ({speed}/s) {task.fields['text']}".rstrip(),
        markup=False,
        soft_wrap=True,
    )
    progress.remove_task(task_id)


def _amount(value: float, unit: str) -> str:
    if unit == "B":
        for prefix in ("", "k", "M", "G", "T"):
            if value < 1000 or prefix == "T":
                return f"{value:.1f} {prefix}B" if prefix else f"{value:.0f} B"
            value /= 1000
    digits = 0 if value >= 10 or value == int(value) else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def _make_progress() -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Done(ProgressColumn):
        """`1,024/6,152 clips  812 clips/s`"""

        def render(self, task: Any) -> Text:
            unit = task.fields["unit"]
            done = _amount(task.completed, "" if task.total and unit != "B" else unit)
            total = f"/{_amount(task.total, unit)}" if task.total else ""
            speed = task.finished_speed or task.speed
            return Text(f"{done}{total}  {_amount(speed, unit)}/s" if speed else f"{done}{total}")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Done(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[text]}", markup=False),
        console=err(),
        refresh_per_second=5,
        disable=not err().is_terminal,
        transient=False,
    )
