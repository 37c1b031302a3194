"""Benchmarks run without arguments, say so where their data is missing, and what they share does what it says."""

from __future__ import annotations

import contextlib
import json
import re
import runpy
import shutil
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SHARED = ("harness", "run_all", "speech_mini", "bench_logmel")


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one benchmark imports from its folder, another does from its own."""
    for name in SHARED:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("harness")


@pytest.fixture
def run_all(harness: ModuleType) -> ModuleType:
    return import_module("run_all")


@pytest.mark.parametrize(
    "name", ["bench_epoch", "bench_jobs", "bench_prepare", "bench_rerun", "bench_training"]
)
def test_no_data_no_benchmark(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(
        BENCHMARKS, tmp_path / "repository" / "benchmarks", ignore=shutil.ignore_patterns(".*", "submissions")
    )
    monkeypatch.setattr("sys.argv", [name])
    monkeypatch.syspath_prepend(str(copy))
    with contextlib.suppress(SystemExit):
        runpy.run_path(str(copy / f"{name}.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert out.startswith("skipped: ") and out.count("\n") == 1


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_what_they_import_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    runpy.run_path(str(path), run_name="imported")


def test_every_row_has_its_file_and_every_peer_its_script(run_all: ModuleType) -> None:
    assert {file for file in run_all.ROWS.values() if not (BENCHMARKS / file).is_file()} == set()
    named = set()
    for path in BENCHMARKS.glob("bench_*.py"):
        named |= set(re.findall(r'(?:Peer|process)\("(\w+\.py)"', path.read_text(encoding="utf-8")))
    shared = {"serve.py", "loader.py", "steps.py"}
    assert named == {path.name for path in (BENCHMARKS / "peers").glob("*.py")} - shared


def test_sides_take_turns(harness: ModuleType) -> None:
    called: list[str] = []
    sides = {name: (lambda name=name: called.append(name) or float(len(called))) for name in "ab"}
    assert harness.take_turns(sides, 3) == {"a": [1, 4, 5], "b": [2, 3, 6]}
    assert called == ["a", "b", "b", "a", "a", "b"]


def test_a_figure_may_stand_in_for_another(harness: ModuleType) -> None:
    slow = harness.Figure("rate", [7000.0], "clips/s", least=8000)
    ahead = harness.Figure("ratio", [1.7], least=1.6, instead_of="rate")
    wrong = harness.Figure("error", [0.1], "", most=1e-4)
    assert harness.Row("a", "", "", [slow, ahead]).met
    assert not harness.Row("a", "", "", [slow]).met
    assert not harness.Row("a", "", "", [slow, ahead, wrong]).met
    assert harness.Figure("no demand", [1.0]).met is None


def test_a_peer_does_a_round_when_it_is_called(harness: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        f"import sys; sys.path.append({str(BENCHMARKS / 'peers')!r})\n"
        "from serve import serve\nprint('noise')\nrounds = []\n"
        "serve(lambda: rounds.append(1) or {'seconds': 2.5, 'rounds': len(rounds)})\n"
    )
    with harness.Peer(str(script), python=sys.executable) as peer:
        assert peer() == 2.5
        assert peer.facts["rounds"] == 2  # one to warm up
    assert peer.process.returncode == 0


def test_what_a_peer_made_comes_by_file(harness: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        f"import sys; sys.path.append({str(BENCHMARKS / 'peers')!r})\n"
        "import numpy; from serve import serve; serve(lambda: numpy.arange(3))\n"
    )
    with harness.Peer(str(script), python=sys.executable) as peer:
        assert 0 < peer() < 10
        assert np.array_equal(peer.result(tmp_path / "made.npy"), [0, 1, 2])


def test_a_peer_that_ends_says_why(harness: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text("raise ValueError('no such thing')")
    with pytest.raises(SystemExit, match="no such thing"):
        harness.Peer(str(script), python=sys.executable)


def test_own_memory_leaves_mapped_files_out(harness: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    np.save(path, np.ones(25_000_000))
    with harness.own_memory() as peak:
        before = peak[0] if peak else harness._own_megabytes() if Path("/proc/self/status").exists() else 0
        assert np.load(path, mmap_mode="r").sum() == 25_000_000
    if not peak:
        pytest.skip("only Linux tells a process's own memory")
    assert peak[0] < before + 100  # of 200 MB


def row(harness: ModuleType, *values: float) -> object:
    figures = [
        harness.Figure("ratio", list(values), least=2),
        harness.Figure("ours", [3.0] * len(values), "s"),
    ]
    return harness.Row(
        "start", "work", "bench_start.py", figures, ["a remark"], "a machine", {"torch": "2"}, "today"
    )


def test_a_row_is_kept_with_all_of_its_rounds(
    harness: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "measured"
    monkeypatch.setattr(harness, "MEASURED", kept)
    harness.report(row(harness, 2.0))
    assert not kept.exists() and "not kept" in capsys.readouterr().out
    harness.report(row(harness, 1.0, 2.0, 3.0, 4.0, 5.0))
    found = harness.parse((kept / "start.json").read_text())
    assert found.figures[0].median == 3 and found.met and found.versions.keys() == set(harness.PACKAGES)
    assert json.loads((kept / "start.json").read_text())["machine"].startswith(
        f"{harness.os.cpu_count()} cores"
    )


def test_a_ratio_has_fallen_when_no_round_is_as_good(run_all: ModuleType, harness: ModuleType) -> None:
    before = row(harness, 4.0, 5.0)
    assert run_all.fallen(before, row(harness, 3.0, 4.5)) == []  # within the spread
    assert run_all.fallen(before, row(harness, 3.0, 3.5)) == [
        "start: ratio: 3.25 x (3 to 3.5), was 4.5 x (4 to 5)"
    ]
    fewer = harness.Figure("of", [2.0, 3.0], most=1)
    assert run_all.is_worse(harness.Figure("of", [0.5, 0.6], most=1), fewer)


def test_the_page_shows_rows_and_notes(run_all: ModuleType, harness: ModuleType) -> None:
    page = run_all.render(
        [("start", row(harness, 1.0, 1.5)), ("rerun", None)], {"start": "What a profile said."}
    )
    assert "| [work](#start) | ratio: >= 2 | 1.25 x (1 to 1.5) | **missed** |" in page
    assert "| ratio | 1.25 x | 1 | 1.5 | >= 2 | missed |" in page
    assert "What a profile said." in page and "`python benchmarks/bench_start.py`, 2 rounds, today." in page
    assert "| rerun | | not measured yet | |" in page


def test_the_page_is_what_was_measured(run_all: ModuleType) -> None:
    rows = [(name, run_all.measured(name)) for name in run_all.ROWS]
    assert run_all.PAGE.read_text(encoding="utf-8") == run_all.render(rows, run_all.read_notes())
    assert set(run_all.read_notes()) <= set(run_all.ROWS)
