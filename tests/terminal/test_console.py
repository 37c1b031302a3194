"""Results on stdout, everything else on stderr, and nothing more than was asked for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from rich.table import Table

from kagglekit.terminal import console, progress

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def _loud() -> None:
    console.configure()


def test_quiet_shows_nothing_but_results(capsys: Capture) -> None:
    console.configure(quiet=True)
    console.note("hush")
    with progress.bar("work", 3) as advance:
        advance(3, text="done")
    console.result({"a": 1}, ["one [bold] line :id:"])
    assert capsys.readouterr() == ("one [bold] line :id:\n", "")


@pytest.mark.usefixtures("_loud")
def test_note_is_one_line_on_stderr(capsys: Capture) -> None:
    console.note("[red]:id:" + "long " * 60)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "[red]:id:" + "long " * 60 + "\n")


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


def test_importing_it_does_not_import_rich() -> None:
    code = "import sys, kagglekit.terminal.console; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
