"""Results on stdout, everything else on stderr, and nothing more than was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from rich.table import Table

from kagglekit import console

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
    assert json.loads(out) == {"word": "größe", "path": "kagglekit.console", "n": [1, 2]}
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
    code = "import sys, kagglekit.console; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
