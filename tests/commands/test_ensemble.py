"""Blending the runs of two models."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.verbs import Run

from kagglekit.files.atomic import read_json, write_json


def test_ensemble(here: Path, run: Run) -> None:
    data = run("--json", "ensemble", "--model", "gru,tcresnet").data
    assert data["name"] == "gru+tcresnet"
    assert sum(data["weights"].values()) == pytest.approx(1)
    shown = run("ensemble").out  # all trained models by default
    assert f"CV {data['cv']:.4f}" in shown and f"{data['weights']['gru']:.4f}" in shown


def test_ensemble_shows_every_method_and_decision(here: Path, run: Run) -> None:
    from kagglekit.ensemble.decisions import DECISIONS
    from kagglekit.ensemble.methods import METHODS

    data = run("--json", "ensemble", "--model", "runs").data
    assert {row["name"] for row in data["methods"]} == set(METHODS)
    assert {row["name"] for row in data["decisions"]} == set(DECISIONS)
    shown = run("ensemble", "--model", "all").out
    assert "chosen: " in shown and f"--method {data['method']} --decision {data['decision']}\n" in shown
    named = run("--json", "ensemble", "--method", "rank", "--decision", "bias").data
    assert (named["method"], named["decision"]) == ("rank", "bias")
    assert [row["name"] for row in named["methods"] if row["name"] != "mean"] == ["rank"]


def test_ensemble_of_runs_by_name(here: Path, run: Run) -> None:
    (folder,) = here.glob(".kagglekit/runs/gru/*/")
    data = run("--json", "ensemble", "--model", f"gru/{folder.name},tcresnet").data
    assert set(data["weights"]) == {"gru", "tcresnet"}
    done = run("--quiet", "ensemble", "--model", "gru/0123")
    assert (done.code, done.err) == (
        1,
        f"error: there is no finished run gru/0123\nhint:  known: {folder.name}\n",
    )


def test_without_names_a_model_of_other_folds_is_left_out(here: Path, run: Run) -> None:
    (path,) = here.glob(".kagglekit/runs/tcresnet/*/metrics.json")
    write_json(path, read_json(path, bound=True) | {"clips_key": "other"}, bound=True)
    done = run("--json", "ensemble")
    assert (done.code, done.data["name"]) == (0, "gru")
    assert "skipping tcresnet: it was trained on other clips or folds than the present ones\n" in done.err
    named = run("--quiet", "submit", "--ensemble", "gru,tcresnet")
    assert (named.code, "the run of tcresnet was trained on other" in named.err) == (1, True)


def test_ensemble_before_training(bare: Path, run: Run) -> None:
    run("fetch")
    done = run("--quiet", "ensemble")
    assert done.err == (
        "error: no model is trained yet\nhint:  train one: kagglekit train --model tcresnet\n"
    )
