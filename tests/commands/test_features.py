"""The features of the tiny competition."""

from __future__ import annotations

from pathlib import Path

from support.verbs import Run


def test_features(here: Path, run: Run) -> None:
    done = run("features", "--set", "features.n_mels=12")
    assert done.code == 0
    assert done.out.startswith("log-mels of 76 clips: 12 x 32 numbers each\n")
    assert run("features", "--model", "gru").out.endswith("next: kagglekit train --model gru\n")
