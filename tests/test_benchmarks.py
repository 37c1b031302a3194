"""Benchmarks run without arguments, and say so where their data is missing."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize("name", ["bench_jobs.py", "bench_prepare.py", "bench_training.py"])
def test_no_data_no_benchmark(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(
        BENCHMARKS, tmp_path / "repository" / "benchmarks", ignore=shutil.ignore_patterns(".*", "submissions")
    )
    monkeypatch.setattr("sys.argv", [name])
    runpy.run_path(str(copy / name), run_name="__main__")
    out = capsys.readouterr().out
    assert out.startswith("skipped: ") and out.count("\n") == 1


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_what_they_import_is_there(path: Path) -> None:
    runpy.run_path(str(path), run_name="imported")
