"""What all verbs have in common: the next command, JSON, notes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.verbs import Run


def test_the_next_command_keeps_the_config(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bare.parent)
    done = run("-C", "bare/competition.yaml", "fetch")
    assert done.out.endswith("next: kagglekit -C bare/competition.yaml prepare\n")


def test_the_next_command_keeps_the_settings(bare: Path, run: Run) -> None:
    done = run("--set", "labels.targets=[low, mid]", "fetch", "--set", "train.epochs=3")
    settings = "--set 'labels.targets=[low, mid]' --set train.epochs=3"
    assert done.out.endswith(f"next: kagglekit {settings} prepare\n")


def test_json_is_one_line_and_quiet_is_quiet(here: Path, run: Run) -> None:
    keys = {
        "fetch": "files",
        "prepare": "clips",
        "features": "shape",
        "train --model tcresnet": "runs",
        "tune --model gru --trials 1 --set search.epochs=1": "studies",
        "predict --model gru": "test",
        "ensemble": "weights",
        "submit": "csv",
        "submit --upload --yes": "public",
        "leaderboard --sync": "entries",
        "run --model gru,lstm --set models.lstm.train.epochs=1 --upload --yes": "private",
    }
    for command, key in keys.items():
        done = run("--quiet", "--json", *command.split())
        assert (done.code, done.err) == (0, ""), command
        assert key in done.data, command
        assert done.out.count("\n") == (2 if command.startswith("tune") else 1), command


def test_notes_and_bars_are_on_stderr(bare: Path, run: Run) -> None:
    run("fetch")
    done = run("prepare")
    assert "prepare train: 42 files in " in done.err
    assert "42 files in" not in done.out
