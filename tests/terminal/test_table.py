"""A table keeps its shape in every window: numbers right and whole, texts folded, blocks where it is too narrow."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from kagglekit.terminal import console
from kagglekit.terminal.table import ResultTable

LOG = ResultTable(
    "log", ["models", "CV", "file"], [["gru+lstm+tcresnet+convs2s", 0.91234, "a.csv"], ["gru", 0.9, None]]
)


def lines_of(table: ResultTable, width: int) -> list[str]:
    """What rich prints in a window of this width."""
    sheet = Console(file=io.StringIO(), width=width, color_system=None)
    sheet.print(table)
    assert isinstance(sheet.file, io.StringIO)
    return [line.rstrip() for line in sheet.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [45, 80, 160])
def test_where_all_fits(width: int) -> None:
    assert lines_of(LOG, width) == [
        "log",
        "",
        " models                          CV   file",
        " ──────────────────────────────────────────",
        " gru+lstm+tcresnet+convs2s   0.9123   a.csv",
        " gru                         0.9000",
        "",
    ]


def test_letters_of_double_width() -> None:
    assert lines_of(ResultTable("", ["file", "CV"], [["日本.wav", 0.5], ["a.wav", 1.0]]), 60)[4:6] == [
        " 日本.wav   0.5000",
        " a.wav      1.0000",
    ]


def test_texts_are_folded_numbers_are_not() -> None:
    lines = lines_of(LOG, 36)
    assert all(len(line) <= 36 for line in lines)
    (first,) = (line for line in lines if "0.9123" in line)
    assert first.split() == ["gru+lstm+tcresnet", "0.9123", "a.csv"]
    assert lines[lines.index(first) + 1].split() == ["+convs2s"]


def test_too_narrow_a_window_gets_a_block_a_row() -> None:
    assert [line for line in lines_of(LOG, 26) if line] == [
        "log",
        " models   gru+lstm+tcresn",
        "          et+convs2s",
        " CV       0.9123",
        " file     a.csv",
        " models   gru",
        " CV       0.9000",
    ]


def test_numbers_are_aligned_right() -> None:
    lines = lines_of(
        ResultTable("scores", ["model", "epochs"], [["gru", 12], ["lstm", None], ["kwt", 3]]), 60
    )
    assert lines[4:7] == [" gru         12", " lstm", " kwt          3"]


def test_evil_names_are_text() -> None:
    evil = "[red]a[/red]\x1b[2J\nb\x9b"
    for width in (80, 30, 12):
        shown = "".join(line.strip() for line in lines_of(ResultTable(evil, [evil, "n"], [[evil, 1]]), width))
        assert "[red]" in shown and "\\x1b[2J" in shown and "\x1b" not in shown and "\x9b" not in shown


def test_no_rows() -> None:
    assert lines_of(ResultTable("scores", ["model", "CV"], []), 60)[2:] == [" model   CV", " ──────────", ""]


def test_a_pipe_gets_plain_text_and_whole_titles(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure()
    title = "a title that is longer than its table, and no reason to fold it"
    console.result({}, [ResultTable(title, ["model"], [["größe 語"]]), "next: submit"])
    out = capsys.readouterr().out
    assert out.splitlines()[0] == title and "\x1b" not in out and out.endswith("next: submit\n")


def test_hundreds_of_rows_take_no_time() -> None:
    rows = [["2026-11-28 12:00", f"gru+lstm {i}", 0.9, None, 0.8, f"{i}.csv"] for i in range(500)]
    table = ResultTable("log", ["time", "models", "CV", "rank", "public", "file"], rows)
    started = time.process_time()
    assert len(lines_of(table, 160)) == 505
    assert time.process_time() - started < 1  # 0.02 s; cell by cell 0.3 s
