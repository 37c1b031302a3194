"""Plots of a study in one file that works offline."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support import tiny

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
    assert tune(yaml, "--plots", "--out", str(path)) == 0
    assert f"{path}: 5 plots" in capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"<h2>(.*?)</h2>", text)
    assert names == [
        f"gru: {n}" for n in ("history", "importance", "parallel coordinates", "slices", "learning curves")
    ]
    assert text.count("Plotly.newPlot(") == 5 and '<script src="http' not in text
    assert not list(tmp_path.glob(".*.part"))


def test_no_plots_of_nothing(yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(yaml, "--plots", "--out", str(tmp_path / "study.html")) == 1
    assert "error: no finished trial of gru\nhint:  search first: kagglekit -C " in capsys.readouterr().err
    assert tune(yaml, "--plots", "--out", "study.png") == 1
    assert "error: --out study.png: not an HTML file" in capsys.readouterr().err
    assert not list(tmp_path.glob("study.*"))


@pytest.mark.skipif(
    importlib.util.find_spec("optuna_dashboard") is None,
    reason="optuna-dashboard is not installed: pip install 'kagglekit[dashboard]'",
)
def test_the_dashboard_serves_the_study_until_ctrl_c(yaml: Path) -> None:
    assert tune(yaml, "--trials", "1", "--no-train") == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-C", str(yaml), "tune", "--model", "gru", "--dashboard"]
    command += ["--set", "search.epochs=1", "--set", "search.folds=1"]
    code = (  # whoever runs the tests may have had Ctrl-C ignored
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from kagglekit import cli; from kagglekit.search import plots; "
        f"plots.PORT = {port}; cli.main({command})"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        studies = _ask(f"http://127.0.0.1:{port}/api/studies", child)
        assert [study["study_name"].partition("-")[0] for study in studies["study_summaries"]] == ["gru"]
    finally:
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=60)[1]
    assert f"http://127.0.0.1:{port}/ shows gru-" in said and "Traceback" not in said


def _ask(url: str, child: subprocess.Popen[str]) -> Any:
    """The JSON at a loopback address, as soon as somebody answers."""
    while child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=60) as reply:
                return json.load(reply)
        except (ConnectionError, urllib.error.URLError):
            time.sleep(0.2)
    raise AssertionError(child.communicate()[1])
