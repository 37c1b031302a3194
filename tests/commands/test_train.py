"""Training, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.verbs import CLASSES, Run

from kagglekit.commands import show_score
from kagglekit.scoring.cv import Score


def test_train_again_does_nothing(here: Path, run: Run) -> None:
    weights = sorted(here.glob(".kagglekit/runs/*/*/fold_*/model.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    done = run("train", "--model", "tcresnet,gru")
    assert done.code == 0 and len(weights) == 4
    assert [path.stat().st_mtime_ns for path in weights] == before
    assert done.out.endswith("next: kagglekit submit --ensemble tcresnet,gru\n")


def test_train_shows_the_score(here: Path, run: Run) -> None:
    done = run("train", "--model", "gru")
    (path,) = here.glob(".kagglekit/runs/gru/*/metrics.json")
    metrics = json.loads(path.read_text())
    assert f"gru/{path.parent.name}: 2 folds, " in done.out
    assert f"CV {metrics['cv']:.4f} (95 % {metrics['low']:.4f} to {metrics['high']:.4f})" in done.out
    oof = pl.read_parquet(path.parent / "oof.parquet")
    right = np.array(CLASSES)[oof["logits"].to_numpy().argmax(1)] == oof["label"].to_numpy()
    assert metrics["plain"] == pytest.approx(right.mean())


def test_train_with_several_seeds_tells_their_spread(here: Path, run: Run) -> None:
    quick = ["--set", "models.gru.train.epochs=2", "--set", "jobs=1"]
    done = run("--json", "train", "--model", "gru", "--seeds", "2", *quick)
    runs = done.data["runs"]
    assert len({made["run"] for made in runs}) == 2 and runs[0]["cv"] != runs[1]["cv"]
    said = run("train", "--model", "gru", "--seeds", "2", *quick).out.splitlines()
    mean, half = (runs[0]["cv"] + runs[1]["cv"]) / 2, abs(runs[0]["cv"] - runs[1]["cv"]) / 2**0.5
    assert f"gru over 2 seeds: CV {mean:.4f} ± {half:.4f} (standard deviation)" in said
    done = run("train", "--model", "gru", "--seeds", "0")
    assert (done.code, "error: --seeds 0: must be at least 1\n" in done.err) == (1, True)


def test_train_checks_names_before_work_begins(bare: Path, run: Run) -> None:
    done = run("train", "--model", "tcresnet,grru")
    assert done.code == 1
    assert done.err.endswith("\nerror: there is no model 'grru'\nhint:  did you mean 'gru'?\n")


def test_a_score_of_a_task_without_filler_names_no_keywords() -> None:
    plain = Score(0.9, 0.8, 1.0, 0.9, None, {"keyword": 0.9}, ())
    assert [line for line in show_score(plain) if "keyword" in line] == []
    filler = plain._replace(parts={"keyword": 0.9, "unseen": 0.5})
    assert show_score(filler)[-1] == "  by part: keyword 0.900, unseen 0.500"
    assert "  rows are windows of 5 s" in show_score(plain._replace(notes=("rows are windows of 5 s",)))
