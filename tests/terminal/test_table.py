"""Tables."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

from rich.console import Console

from kagglekit.terminal.table import Grid


def lines_of(renderables: Iterable[object], width: int) -> list[str]:
    """What rich makes of them."""
    sheet = Console(file=io.StringIO(), width=width, color_system=None)
    for one in renderables:
        sheet.print(one)
    assert isinstance(sheet.file, io.StringIO)
    return [line.rstrip() for line in sheet.file.getvalue().splitlines()]


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
