"""What a search does with one set of parameters: train fold after fold, and tell the score on the way.

Folds are fidelities as epochs are: step `fold * epochs + epoch` of a trial has the mean score of the folds
done and of the present one as it is after that epoch. The value at the end is that of all OOF predictions.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.errors import KagglekitError
from kagglekit.runs.store import logits_of, rows_of
from kagglekit.runs.train import head_for, make_dataset
from kagglekit.scoring.cv import Score, score
from kagglekit.search.space import configure
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.plan import Plan, with_epochs

Watch = Callable[[int, float], None]
"""Told (step, score) after each epoch; may raise to stop the trial."""


@dataclass(frozen=True)
class Candidate:
    """A trial to be trained."""

    prepared: Prepared
    model: str
    params: Mapping[str, Any]
    """As `Space.suggest` draws them."""
    folder: Path
    """For the folds' weights and where they stand; named by the parameters."""


class Result(NamedTuple):
    """What came of a trial."""

    score: float
    noise: float
    """Standard error of the score."""


def budgeted(plan: Plan, config: Config) -> Plan:
    """The plan with the epochs of a trial."""
    return with_epochs(plan, config.search.epochs or plan.train.epochs)


def folds_of(config: Config) -> int:
    """Folds of a trial."""
    return min(config.search.folds or config.validation.folds, config.validation.folds)


def train_trial(task: Candidate, watch: Watch) -> Result:
    """Train the folds of a trial one after the other.

    Raises:
        KagglekitError: the parameters cannot be, or the loss is no longer finite.
        Whatever `watch` raises.
    """
    jobs = fold_jobs(task)
    parts: list[pl.DataFrame] = []
    scores: list[float] = []
    for job in jobs:
        epochs = job.plan.train.epochs

        def report(epoch: int, now: Score, first: int = job.number * epochs) -> None:
            watch(first + epoch, float(np.mean([*scores, now.cv])))

        parts.append(train_fold(job, report))
        scores.append(judge(task, parts[-1:]).score)
    return judge(task, parts)


def fold_jobs(task: Candidate) -> list[Fold]:
    """The trainings that a trial is made of."""
    config, plan = configure(task.prepared.config, task.model, task.params)
    plan = budgeted(plan, config)
    prepared = task.prepared.with_config(config)
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    return [
        Fold(config, plan, dataset, head, number, task.folder / f"fold_{number}")
        for number in range(folds_of(config))
    ]


def judge(task: Candidate, parts: list[pl.DataFrame]) -> Result:
    """The score of the OOF predictions of some folds.

    Raises:
        KagglekitError: they are not finite.
    """
    oof = pl.concat(parts)
    if not np.isfinite(logits_of(oof)).all():
        raise KagglekitError("OOF predictions hold NaN or infinity", hint="lower the learning rate")
    found = score(logits_of(oof), rows_of(oof, task.prepared.clips), task.prepared.config)
    return Result(found.cv, (found.high - found.low) / (2 * 1.96))


def from_outside(error: Exception) -> bool:
    """Whether the disk or the network failed, for which no parameters are to blame."""
    # of a full disk, polars and safetensors pass on no more than the words
    return isinstance(error, OSError) or os.strerror(errno.ENOSPC) in str(error)


def reason_of(error: Exception) -> str:
    """Why a trial failed, in one line."""
    first = next(iter(str(error).splitlines()), "")
    return first if isinstance(error, KagglekitError) else f"{type(error).__name__}: {first}"
