"""Bars and the live table: in a log, on a terminal of any width, from threads and from other processes."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable

import pytest
from rich.console import Console

from kagglekit.terminal import console, progress
from kagglekit.terminal.progress import _Display

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def _loud() -> None:
    console.configure()


@pytest.mark.usefixtures("_loud")
def test_a_bar_in_a_log_is_one_line_at_its_end(capsys: Capture) -> None:
    with progress.bar("fetch train.7z", None, "B") as advance:
        advance(1_500_000)
        advance(500_000, text="[ok]")
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("fetch train.7z: 2.0 MB in ") and line.endswith("[ok]")


@pytest.mark.usefixtures("_loud")
def test_a_bar_ends_when_its_work_fails(capsys: Capture) -> None:
    def work() -> None:
        with progress.bar("work", 4, "clips") as advance:
            advance(1)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert _Display.progress is None and _Display.users == 0
    assert capsys.readouterr().err.startswith("work: 1 clip in ")


@pytest.mark.usefixtures("_loud")
def test_bars_of_several_threads(capsys: Capture) -> None:
    def work(name: str) -> None:
        with progress.bar(name, 200, "clips") as advance:
            for _ in range(200):
                advance()

    threads = [threading.Thread(target=work, args=(f"job {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = sorted(capsys.readouterr().err.splitlines())
    assert [line[:16] for line in lines] == [f"job {i}: 200 clips" for i in range(4)]
    assert _Display.progress is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (999, "B", "999 B"),
        (1000, "B", "1.0 kB"),
        (61_100_000, "B", "61.1 MB"),
        (2e15, "B", "2000.0 TB"),
        (1234.4, "clips", "1,234 clips"),
        (2.5, "batches", "2.5 batches"),
        (1.0, "batches", "1 batch"),
        (1, "clips", "1 clip"),
        (3.0, "", "3"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert progress.amount(value, unit) == text


# --- on a terminal, and in a window of any width ---


def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> io.StringIO:
    """stderr as a terminal of this width; what is written to it."""
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    written = io.StringIO()
    made = Console(file=written, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(console, "err", lambda: made)
    return written


def lines_of(renderables: Iterable[object], width: int) -> list[str]:
    """What rich makes of them."""
    sheet = Console(file=io.StringIO(), width=width, color_system=None)
    for one in renderables:
        sheet.print(one)
    assert isinstance(sheet.file, io.StringIO)
    return [line.rstrip() for line in sheet.file.getvalue().splitlines()]


@pytest.mark.usefixtures("_loud")
@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_bar_is_one_line_in_every_window(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, width)
    with progress.bar("fetch sample_submission.7z", 113_500_000, "B") as advance, progress.bar("work", 9):
        advance(61_100_000, text="a word about it")
        shared = _Display.progress
        assert shared is not None
        lines = lines_of(shared.get_renderables(), width)
    assert len(lines) == 2 and "61.1 MB/113.5 MB" in lines[0]
    assert all(len(line) <= width for line in lines)
    assert ("a word about it" in lines[0]) == (width >= 90)


@pytest.mark.usefixtures("_loud")
def test_the_board_stands_above_the_bars_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch, 60)
    progress.set_row("0", ["nowhere"])
    with progress.live_table("gru/1", ["fold", "epoch", "CV"]):
        with progress.bar("gru fold 0", 4):
            progress.set_row("0", ["1/2", "0.5"])
            progress.set_row("0", ["2/2", "0.7"])
            shared = _Display.progress
            assert shared is not None
            lines = lines_of(shared.get_renderables(), 60)
            assert lines[0] == "gru/1" and "gru fold 0" in lines[-1]
            assert [line.split() for line in lines if "0.7" in line] == [["0", "2/2", "0.7"]]
            assert not any("0.5" in line for line in lines)
        assert shared.tasks == []  # its row says what came of it
    assert _Display.progress is None and _Display.table is None
    assert written.getvalue().rstrip().splitlines()[-1].split() == ["0", "2/2", "0.7"]


@pytest.mark.usefixtures("_loud")
def test_there_is_no_board_in_a_log(capsys: Capture) -> None:
    with progress.live_table("gru/1", ["fold"]):
        progress.set_row("0", [])
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("_loud")
def test_a_notebook_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch, 80)
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    with progress.live_table("gru/1", ["fold"]), progress.bar("work", 4, "clips") as advance:
        advance(4)
    assert written.getvalue().startswith("work: 4 clips in ") and written.getvalue().count("\n") == 1


@pytest.mark.usefixtures("_loud")
def test_rows_of_another_process_reach_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch, 60)
    messages: list[object] = []
    monkeypatch.setattr(console.Mode, "send", messages.append)
    progress.set_row("1", ["3/9"])
    monkeypatch.setattr(console.Mode, "send", None)
    with progress.live_table("gru/1", ["fold", "epoch"]), progress.Relay() as relay:
        for message in messages:
            relay.show(message)
    assert written.getvalue().rstrip().splitlines()[-1].split() == ["1", "3/9"]


@pytest.mark.usefixtures("_loud")
def test_a_long_bar_in_a_log_says_how_far_it_is(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.0)
    with progress.bar("gru fold 0", 8, "batches") as advance:
        advance(2, text="epoch 1")
    going, ended = capsys.readouterr().err.splitlines()
    assert going.startswith("gru fold 0: 2 of 8 batches in ") and going.endswith(" s left epoch 1")
    assert ended.startswith("gru fold 0: 2 batches in ")
