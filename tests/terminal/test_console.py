"""Results on stdout, everything else on stderr, and nothing more than was asked for."""

from __future__ import annotations

import json
import os
import shlex
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


def run_apart(code: str, *redirects: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    line = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {' '.join(redirects)}"
    return subprocess.run(["sh", "-c", line], capture_output=True, env={**os.environ, **environment})


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_what_a_terminal_cannot_show_is_an_escape(encoding: str) -> None:
    code = r"""if True:
        from kagglekit.terminal import console
        from kagglekit.terminal.table import ResultTable
        console.open_streams()
        text = "gr\u00f6\u00dfe \u65e5\u672c"
        console.note(text)
        console.show([ResultTable(text, [text, "n"], [["\u00b1", 1]])])
        console.configure(json_output=True)
        console.result({text: "\u65e5\x9b\udcff"}, [])
        """
    done = run_apart(code, PYTHONIOENCODING=encoding, PYTHONUTF8="0", LC_ALL="C", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding)
    words = "größe 日本".encode(encoding, "backslashreplace").decode(encoding)
    assert words in shown and words in done.stderr.decode(encoding)
    assert ("─" in shown) == (encoding == "utf-8")
    assert json.loads(shown.splitlines()[-1]) == {"größe 日本": "日\x9b\udcff"}
    assert "\x9b" not in shown


@pytest.mark.parametrize("redirects", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(redirects: str) -> None:
    code = """if True:
        from kagglekit.cli import main
        from kagglekit.terminal import console
        code = main(["leaderboard"])
        console.note("a note")
        console.show(["a line"])
        console.configure(json_output=True)
        console.result({}, [])
        raise SystemExit(code + 1)
        """
    assert run_apart(code, redirects).returncode == 2


def test_control_codes_are_escapes() -> None:
    evil = "[/x] \x1b[31m \x07 \x7f \x9b2J \u202e \udcff tab\tend\n"
    assert console.visible(evil) == "[/x] \\x1b[31m \\x07 \\x7f \\x9b2J \\u202e \\udcff tab\tend\n"
    assert console.visible("größe 日本 🐶") == "größe 日本 🐶"
