"""All stages in one command."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from support.verbs import Run, hand_graded


def test_run_does_all_of_it(bare: Path, run: Run) -> None:
    done = run("run", "--model", "tcresnet,gru", "--upload", "--yes")
    (csv,) = bare.glob("submissions/*.csv")
    assert done.code == 0
    assert f"sent as 1: public {hand_graded(csv, 'Public'):.5f}, " in done.out
    assert len(list(bare.glob(".kagglekit/runs/*/*/metrics.json"))) == 2


@pytest.mark.slow
def test_run_within_a_time_limit(bare: Path, run: Run) -> None:
    done = run("run", "--model", "tcresnet", "--time-limit", "8s", "--set", "train.epochs=100000")
    (csv,) = bare.glob("submissions/*.csv")
    (metrics,) = bare.glob(".kagglekit/runs/tcresnet/*/metrics.json")
    assert done.code == 0
    assert len(pl.read_csv(csv)) == 24
    epochs = [len(json.loads(p.read_text())["history"]) for p in metrics.parent.glob("fold_*/meta.json")]
    assert epochs[0] == epochs[1] and 3 <= epochs[0] < 100_000


def test_run_without_time(bare: Path, run: Run) -> None:
    done = run("--quiet", "run", "--time-limit", "0.01s")
    assert done == (
        1,
        "",
        "error: the time limit is too short to train a model\nhint:  raise it, for example --time-limit 30m\n",
    )
