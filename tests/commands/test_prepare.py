"""Preparing the tiny competition."""

from __future__ import annotations

import zipfile
from pathlib import Path

from support.verbs import Run


def test_prepare_lists_problems(bare: Path, run: Run) -> None:
    spoken = (bare / "host/train.zip", "train/audio/low/00000003_nohash_0.wav")
    with zipfile.ZipFile(spoken[0]) as archive:
        content = archive.read(spoken[1])
    with zipfile.ZipFile(spoken[0], "a") as archive:
        archive.writestr("train/audio/low/0000000a_nohash_0.wav", b"")
        archive.writestr("train/audio/mid/0000000b_nohash_0.wav", content)
    run("fetch")
    lines = run("prepare", "--list").out.splitlines()
    assert lines[0] == "42 train, 13 silence, 24 test clips; 2 folds by speaker"
    assert lines[1] in ("train: 1 empty, 1 duplicate", "train: 1 duplicate, 1 empty")
    assert lines[2] == "2 train clips are left out of training (data.leave_out)"
    assert lines[3:5] == ["low/0000000a_nohash_0.wav  empty", "mid/0000000b_nohash_0.wav  duplicate"]


def test_prepare_before_fetch(bare: Path, run: Run) -> None:
    done = run("--quiet", "prepare")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("train.zip does not exist\nhint:  fetch it: kagglekit fetch\n")
