"""Downloading the tiny competition from its folder."""

from __future__ import annotations

import os
from pathlib import Path

from support.verbs import Run


def test_fetch(bare: Path, run: Run) -> None:
    done = run("fetch")
    assert done.code == 0
    assert done.out.startswith("fetched train.zip (")
    assert done.out.endswith("next: kagglekit prepare\n")
    for name in ("train.zip", "test.zip", "sample_submission.csv"):
        assert (bare / ".kagglekit/raw" / name).read_bytes() == (bare / "host" / name).read_bytes()
    assert not (bare / ".kagglekit/raw/solution.csv").exists()


def test_fetch_again_leaves_the_files_alone(bare: Path, run: Run) -> None:
    run("fetch")
    path = bare / ".kagglekit/raw/train.zip"
    os.utime(path, (1, 1))
    assert run("fetch").out.startswith("there already: train.zip, test.zip, sample_submission.csv\n")
    assert path.stat().st_mtime == 1
    assert run("fetch", "--force", "train.zip").out.startswith("fetched train.zip (")
    assert path.stat().st_mtime != 1


def test_fetch_one_file(bare: Path, run: Run) -> None:
    assert run("fetch", "sample_submission.csv").out.startswith("fetched sample_submission.csv (540 B)\n")
    assert not (bare / ".kagglekit/raw/train.zip").exists()


def test_fetch_list(bare: Path, run: Run) -> None:
    lines = run("fetch", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["sample_submission.csv", "test.zip", "train.zip"]
    assert not (bare / ".kagglekit/raw").exists()


def test_a_list_of_many_files_begins_with_a_summary(bare: Path, run: Run) -> None:
    for i in range(60):
        path = bare / "host" / f"train_audio/{i % 2}/{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123456789")
    lines = run("fetch", "--list").out.splitlines()
    assert lines[0].startswith("63 files, ") and lines[1].startswith("not in a folder: 3 files, ")
    assert lines[2:5] == ["train_audio/: 60 files, 600 B", "", "sample_submission.csv  540 B"]
    assert len(lines) == 4 + 63


def test_fetch_takes_a_checkpoint_folder_as_it_is(bare: Path, run: Run) -> None:
    (bare / "ast").mkdir()
    data = run("--json", "fetch", "--checkpoints", "--set", "models.ast.checkpoint=ast").data
    assert {model: Path(path).resolve() for model, path in data["checkpoints"].items()} == {
        "ast": bare / "ast"
    }
