"""Searching, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

from support.verbs import Run

from kagglekit.config.yaml_file import parse


def test_tune_then_train_the_best(here: Path, run: Run) -> None:
    settings = ("--set", "search.epochs=1", "--set", "train.seed=1")  # whatever is best, no run has it
    done = run("tune", "--model", "gru", "--trials", "2", "--no-train", *settings)
    assert done.code == 0
    assert done.out.startswith("gru: 2 trials, 0 pruned, best CV 0.")
    assert done.out.endswith(f"next: kagglekit {' '.join(settings)} train --tuned --model gru\n")
    assert len(list(here.glob(".kagglekit/runs/gru/*/metrics.json"))) == 1
    (tuned,) = run("--json", "train", "--tuned", "--model", "gru", *settings).data["runs"]
    assert tuned["source"].startswith("study gru-")
    assert len(list(here.glob(".kagglekit/runs/gru/*/metrics.json"))) == 2


def test_tune_trains_the_best(here: Path, run: Run) -> None:
    command = ("tune", "--model", "gru", "--trials", "1", "--set", "search.epochs=1", "--set", "train.seed=1")
    done = run("--json", *command)
    (study,) = done.data["studies"]
    assert study["run"]["source"] == f"study {study['study']} trial 0"
    assert study["params"]["train.lr"] == 0.01  # the recipe is the first trial
    (trial,) = [json.loads(line) for line in done.out.splitlines()[:-1]]
    assert (trial["trial"], trial["state"], trial["values"]) == (0, "finished", [study["cv"]])
    assert trial["params"] == study["params"]


def test_tune_prints_the_yaml_to_keep(here: Path, run: Run) -> None:
    settings = ("--model", "gru", "--set", "search.epochs=1")
    none = run("tune", "--best", *settings)
    assert (none.code, none.err.splitlines()[-2]) == (1, "error: no finished trial of gru")
    run("tune", "--no-train", "--trials", "1", *settings)
    done = run("tune", "--best", *settings)
    kept = parse(done.out)[1]
    assert done.out.startswith("# study gru-") and "trial 0 of 1: CV 0." in done.out
    assert kept["models"]["gru"]["train"]["lr"] == 0.01
    assert kept["models"]["gru"]["model"]["hidden"] == 16
    assert kept["labels"] == {"keep_fillers": "all"}
    (found,) = run("--json", "tune", "--best", *settings).data["best"]
    assert found["settings"] == kept


def test_tune_without_a_finished_trial_says_so(here: Path, run: Run) -> None:
    settings = ("train.lr=1e30", "train.optimizer=sgd", "train.clip_norm=0", "search.epochs=3")
    options = [word for setting in settings for word in ("--set", setting)]
    done = run("tune", "--model", "gru", "--trials", "2", *options)
    assert (done.code, done.out) == (1, "")
    assert "error: no trial of gru has finished: 2 trials, 2 failed\n" in done.err


def test_tune_wants_a_trial(here: Path, run: Run) -> None:
    done = run("tune", "--model", "gru", "--trials", "0")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("\nerror: --trials 0: must be at least 1\nhint:  for example --trials 20\n")
