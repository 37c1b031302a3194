"""Plots of a study in one file that works offline."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import tiny

from kagglekit.cli import main

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("plotly") is None,
    reason="plotly is not installed: pip install 'kagglekit[dashboard]'",
)


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    made = tiny.make(tmp_path / "tiny")
    assert main(["-C", str(made), "--quiet", "fetch"]) == 0
    return made


def tune(yaml: Path, *argv: str) -> int:
    settings = ("--set", "search.epochs=1", "--set", "search.folds=1")
    return main(["-C", str(yaml), "--quiet", "tune", "--model", "gru", *settings, *argv])


def test_a_studys_plots_are_one_file(yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(yaml, "--trials", "3", "--no-train") == 0
    path = tmp_path / "study.html"
    assert tune(yaml, "--plots", str(path)) == 0
    assert f"{path}: 5 plots" in capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"<h2>(.*?)</h2>", text)
    assert names == [
        f"gru: {n}" for n in ("history", "importance", "parallel coordinates", "slices", "learning curves")
    ]
    assert text.count("Plotly.newPlot(") == 5 and '<script src="http' not in text
    assert not list(tmp_path.glob(".*.part"))


def test_no_plots_of_nothing(yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(yaml, "--plots", str(tmp_path / "study.html")) == 1
    assert (
        "error: no finished trial of gru\nhint:  search first: kagglekit tune --model gru\n"
        in capsys.readouterr().err
    )
    assert tune(yaml, "--plots", "study.png") == 1
    assert "error: --plots study.png: not an HTML file" in capsys.readouterr().err
    assert not list(tmp_path.glob("study.*"))
