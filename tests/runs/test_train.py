"""Training a run."""

from __future__ import annotations

import polars as pl
import pytest

from kagglekit.config import Features, Train
from kagglekit.runs.train import warn_of_rare, warn_of_unheard
from kagglekit.scoring.task import Task
from kagglekit.terminal import console
from kagglekit.training.plan import Plan


def test_rare_classes_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure()
    clips = pl.DataFrame({"label": ["a", "a", "b", "b", "c"], "fold": [0, 1, 1, 1, -1]})
    classes = ("a", "b", "c")
    warn_of_rare(clips, classes, Task(classes, classes, None, "accuracy"))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "never predicted, as they have no training clip: c"
    assert second.startswith(
        "classes with training clips in one fold only: 'b' (2 of one group, or too few): "
    )


def test_notes_of_many_rare_classes_fit_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure()
    classes = tuple(f"species_{n:04d}" for n in range(1000))
    clips = pl.DataFrame({"label": classes[:500], "fold": [0] * 500})
    warn_of_rare(clips, classes, Task(classes, classes, None, "accuracy"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(" ... (500)" in line and len(line) < 1200 for line in lines)


def test_classes_that_no_fold_validates_are_noted_together(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure()
    clips = pl.DataFrame({"label": ["a", "a", "b", "c", "a", "d", "d"], "fold": [0, 1, -2, -2, -2, 0, -2]})
    classes = ("a", "b", "c", "d")
    warn_of_rare(clips, classes, Task(classes, classes, None, "accuracy"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("trained on, and in no clip that folds validate on: 2 of 4 classes (b, c)")


def test_what_a_network_does_not_hear_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure()
    plan = Plan("whisper", {"context_s": 1}, Train(), Features())
    warn_of_unheard(plan, 1.0)
    assert capsys.readouterr().err == ""
    warn_of_unheard(plan, 5.0)
    assert "whisper hears the first 1 of 5 s of a clip" in capsys.readouterr().err
