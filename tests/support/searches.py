"""A prepared competition to search, and a stand-in for training."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import polars as pl
from optuna.trial import FrozenTrial

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.clips import validation_rows
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.scoring.cv import Score
from kagglekit.scoring.predictions import predictions
from kagglekit.search import study, tune
from kagglekit.search.results import StudySummary
from kagglekit.search.study import StudyHandle
from kagglekit.training.loop import Fold, Report
from kagglekit.training.plan import resolve

SHORT = ("search.epochs=1", "search.trials=2")


class Place(NamedTuple):
    """A prepared competition."""

    config: Config
    workspace: Workspace
    prepared: Prepared

    def tune(self, trials: int | None = None, **kwargs: Any) -> StudySummary:
        return tune.tune(self.prepared, "gru", trials=trials, **kwargs)

    def handle(self) -> StudyHandle:
        return study.open_study(self.prepared, resolve(self.config, "gru"))

    def study(self) -> optuna.Study:
        return self.handle().study

    def recipe(self) -> dict[str, Any]:
        return self.handle().space.recipe()

    def trials(self) -> list[FrozenTrial]:
        return self.study().get_trials(deepcopy=False)


def open_place(yaml: Path, *overrides: str) -> Place:
    config = load_config(yaml, overrides)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return Place(config, workspace, prepare(workspace))


class FakeTraining:
    """Stands in for train_fold: CV scores to report, one list a fold; OOF predictions that are all right."""

    def __init__(self, *cvs: float | Exception) -> None:
        self.cvs = list(cvs)
        self.jobs: list[Fold] = []

    def __call__(self, job: Fold, report: Report | None = None) -> pl.DataFrame:
        self.jobs.append(job)
        cv = self.cvs.pop(0)
        if isinstance(cv, Exception):
            raise cv
        if report is not None:
            for epoch in range(job.plan.train.epochs):
                report(epoch, Score(cv, 0, 1, cv, None, {}, ()))
        rows = validation_rows(job.dataset.clips, job.number)
        return predictions(rows, self._logits(rows, job.config, cv))

    def _logits(self, rows: pl.DataFrame, config: Config, cv: float) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Right where cv is above a half, else all of the first class."""
        index = {name: i for i, name in enumerate(config.labels.all_classes)}
        chosen = [index[label] if cv > 0.5 else 0 for label in rows["label"]]
        return np.eye(len(index), dtype=np.float32)[chosen]


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)
