"""Results on stdout, everything else on stderr, and nothing more than was asked for."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable

import pytest
from rich.console import Console
from rich.table import Table

from kagglekit.terminal import console
from kagglekit.terminal.table import Grid

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def _loud() -> None:
    console.configure()


def test_quiet_shows_nothing_but_results(capsys: Capture) -> None:
    console.configure(quiet=True)
    console.note("hush")
    with console.bar("work", 3) as advance:
        advance(3, text="done")
    console.result({"a": 1}, ["one [bold] line"])
    assert capsys.readouterr() == ("one [bold] line\n", "")


@pytest.mark.usefixtures("_loud")
def test_note_is_one_line_on_stderr(capsys: Capture) -> None:
    console.note("[red]" + "long " * 60)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "[red]" + "long " * 60 + "\n")


def test_json_is_one_line_and_all_of_stdout(capsys: Capture) -> None:
    console.configure(json_output=True)
    console.result({"word": "größe", "path": console.__name__, "n": [1, 2]}, ["for people"])
    out = capsys.readouterr().out
    assert json.loads(out) == {"word": "größe", "path": "kagglekit.terminal.console", "n": [1, 2]}
    assert out.count("\n") == 1 and "größe" in out


@pytest.mark.usefixtures("_loud")
def test_a_table_is_shown(capsys: Capture) -> None:
    table = Table("model", "cv")
    table.add_row("tcresnet", "0.91")
    console.result({}, [table, "next: submit"])
    out = capsys.readouterr().out
    assert "tcresnet" in out and "0.91" in out and out.endswith("next: submit\n")


@pytest.mark.usefixtures("_loud")
def test_a_bar_in_a_log_is_one_line_at_its_end(capsys: Capture) -> None:
    with console.bar("fetch train.7z", None, "B") as advance:
        advance(1_500_000)
        advance(500_000, text="[ok]")
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("fetch train.7z: 2.0 MB in ") and line.endswith("[ok]")


@pytest.mark.usefixtures("_loud")
def test_a_bar_ends_when_its_work_fails(capsys: Capture) -> None:
    def work() -> None:
        with console.bar("work", 4, "clips") as advance:
            advance(1)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert console._Bars.progress is None and console._Bars.open == 0
    assert capsys.readouterr().err.startswith("work: 1 clips in ")


@pytest.mark.usefixtures("_loud")
def test_bars_of_several_threads(capsys: Capture) -> None:
    def work(name: str) -> None:
        with console.bar(name, 200, "clips") as advance:
            for _ in range(200):
                advance()

    threads = [threading.Thread(target=work, args=(f"job {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = sorted(capsys.readouterr().err.splitlines())
    assert [line[:16] for line in lines] == [f"job {i}: 200 clips" for i in range(4)]
    assert console._Bars.progress is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (999, "B", "999 B"),
        (1000, "B", "1.0 kB"),
        (61_100_000, "B", "61.1 MB"),
        (2e15, "B", "2000.0 TB"),
        (1234.4, "clips", "1,234 clips"),
        (2.5, "batches", "2.5 batches"),
        (3.0, "", "3"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert console._amount(value, unit) == text


def test_importing_it_does_not_import_rich() -> None:
    code = "import sys, kagglekit.terminal.console; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


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
    with console.bar("fetch sample_submission.7z", 113_500_000, "B") as advance, console.bar("work", 9):
        advance(61_100_000, text="a word about it")
        progress = console._Bars.progress
        assert progress is not None
        lines = lines_of(progress.get_renderables(), width)
    assert len(lines) == 2 and "61.1 MB/113.5 MB" in lines[0]
    assert all(len(line) <= width for line in lines)
    assert ("a word about it" in lines[0]) == (width >= 90)


@pytest.mark.usefixtures("_loud")
def test_the_board_stands_above_the_bars_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch, 60)
    console.row("0", ["nowhere"])
    with console.board("gru/1", ["fold", "epoch", "CV"]):
        with console.bar("gru fold 0", 4):
            console.row("0", ["1/2", "0.5"])
            console.row("0", ["2/2", "0.7"])
            progress = console._Bars.progress
            assert progress is not None
            lines = lines_of(progress.get_renderables(), 60)
            assert lines[0] == "gru/1" and "gru fold 0" in lines[-1]
            assert [line.split() for line in lines if "0.7" in line] == [["0", "2/2", "0.7"]]
            assert not any("0.5" in line for line in lines)
        assert progress.tasks == []  # its row says what came of it
    assert console._Bars.progress is None and console._Bars.board is None
    assert written.getvalue().rstrip().splitlines()[-1].split() == ["0", "2/2", "0.7"]


@pytest.mark.usefixtures("_loud")
def test_there_is_no_board_in_a_log(capsys: Capture) -> None:
    with console.board("gru/1", ["fold"]):
        console.row("0", [])
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("_loud")
def test_a_notebook_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch, 80)
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    with console.board("gru/1", ["fold"]), console.bar("work", 4, "clips") as advance:
        advance(4)
    assert written.getvalue().startswith("work: 4 clips in ") and written.getvalue().count("\n") == 1


@pytest.mark.usefixtures("_loud")
def test_rows_of_another_process_reach_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch, 60)
    messages: list[object] = []
    monkeypatch.setattr(console._Mode, "send", messages.append)
    console.row("1", ["3/9"])
    monkeypatch.setattr(console._Mode, "send", None)
    with console.board("gru/1", ["fold", "epoch"]):
        console.relay(iter([*messages, None]).__next__)
    assert written.getvalue().rstrip().splitlines()[-1].split() == ["1", "3/9"]


@pytest.mark.usefixtures("_loud")
def test_a_long_bar_in_a_log_says_how_far_it_is(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "HEARTBEAT_S", 0.0)
    with console.bar("gru fold 0", 8, "batches") as advance:
        advance(2, text="epoch 1")
    going, ended = capsys.readouterr().err.splitlines()
    assert going.startswith("gru fold 0: 2 of 8 batches in ") and going.endswith(" s left epoch 1")
    assert ended.startswith("gru fold 0: 2 batches in ")


def test_where_all_fits_it_looks_as_where_rich_folds() -> None:
    grid = Grid("scores", ["model", "score", "epochs"], [["gru", 0.5, 12], ["tcresnet", None, 3]])
    shown = []
    for made in (grid, grid._table()):
        console = Console(width=60, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        console.print(made)
        shown.append(console.file.getvalue())  # type: ignore[attr-defined]
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in shown]
    assert plain[0] == plain[1]
    assert "\x1b[1mscores" in shown[0]


def test_a_table_fits_the_window() -> None:
    grid = Grid(
        "log", ["models", "CV", "file"], [["gru+lstm+tcresnet+convs2s", 0.91234, "a.csv"], ["gru", 0.9, None]]
    )
    wide = lines_of([grid], 80)
    assert wide[0] == "log" and ["gru+lstm+tcresnet+convs2s", "0.9123", "a.csv"] in [
        line.split() for line in wide
    ]
    folded = lines_of([grid], 36)
    assert any("0.9123" in line for line in folded) and all(len(line) <= 36 for line in folded)
    blocks = [line for line in lines_of([grid], 26) if line]
    assert blocks[-2:] == ["models  gru", "CV      0.9000"] and "CV      0.9123" in blocks
    assert "file    a.csv" in blocks and blocks.count("file") == 0
