"""What can go wrong with a notebook on Kaggle: each scenario of docs/results/notebook-faults.md."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.notebook_faults import SCENARIOS, play
from support.notebook_storm import NotebookTally
from support.notebook_storm import run as storm

QUICK = (
    "queued for long",
    "throws on the hidden test",
    "out of memory",
    "output lost",
    "version ignored, another was saved",
    "push: reply lost",
    "push: weekly quota used up",
    "data set: fails",
    "data set: pending for ever",
    "submission: reply lost, and no look helps",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in SCENARIOS]
)
def test_said_once_and_submitted_once(name: str, tmp_path: Path) -> None:
    play(name, tmp_path / "site")


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < 2 else [pytest.mark.slow]) for seed in range(100)]
)
def test_storms(seed: int, tmp_path: Path) -> None:
    storm(seed, tmp_path / "site", NotebookTally())
