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
    assert lines[0] == "42 train, 13 silence, 24 test clips; 2 folds by group"
    assert lines[1] == "train: 1 empty, 1 duplicate"
    assert lines[2] == "0 audio files match no pattern of competition.yaml"
    assert [line.split() for line in lines[2:] if " 8,000: " in line] == [
        ["train", "41", *["0.50"] * 5, "8,000:", "41"],
        ["test", "24", *["0.50"] * 5, "8,000:", "24"],
    ]
    after = lines.index("2 train clips are left out of training (data.leave_out)")
    odd = ["low/0000000a_nohash_0.wav  empty", "mid/0000000b_nohash_0.wav  duplicate"]
    assert lines[after + 1 : after + 3] == odd


def test_prepare_before_fetch(bare: Path, run: Run) -> None:
    done = run("--quiet", "prepare")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("raw is empty\nhint:  fetch it: kagglekit fetch\n")
