"""Train one set of parameters fold after fold, and report the score after every epoch.

Folds are fidelities like epochs: the score of step `fold * epochs + epoch` is the mean over the folds done
and the current fold after that epoch. The final score is that of all OOF predictions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from kagglekit import models
from kagglekit.config import Config
from kagglekit.data.prepare import Prepared
from kagglekit.errors import DamagedCacheError, KagglekitError, MissingError
from kagglekit.files.faults import is_fault
from kagglekit.runs.export_onnx import median_ms
from kagglekit.runs.setup import make_folds
from kagglekit.runs.store import finite_logits, rows_of
from kagglekit.scoring.cv import Score, score
from kagglekit.search.space import configure
from kagglekit.training.loop import Fold, train_fold
from kagglekit.training.plan import Plan, with_epochs

LATENCY_RUNS = 20
ReportScore = Callable[[int, float], None]
"""Receives (step, score) after each epoch; may raise to stop the trial."""


@dataclass(frozen=True)
class Candidate:
    """A set of parameters to train."""

    prepared: Prepared
    model: str
    params: Mapping[str, Any]
    """By name, as `Space.suggest` draws them."""
    folder: Path
    """Folder of the folds' checkpoints; named by the parameters."""


class TrialResult(NamedTuple):
    """The score of a complete trial."""

    score: float
    noise: float
    """Standard error of the score."""


def with_trial_epochs(plan: Plan, config: Config) -> Plan:
    """Return the plan with the epochs of a trial."""
    return with_epochs(plan, config.search.epochs or plan.train.epochs)


def folds_per_trial(config: Config) -> int:
    """Return the number of folds that a trial trains."""
    return min(config.search.folds or config.validation.folds, config.validation.folds)


def train_trial(candidate: Candidate, report_score: ReportScore) -> TrialResult:
    """Train the folds of a trial one after the other.

    Raises:
        KagglekitError: the parameters contradict each other, or the loss is not finite.
        Exception: whatever `report_score` raises.
    """
    jobs = fold_jobs(candidate)
    parts: list[pl.DataFrame] = []
    scores: list[float] = []
    for job in jobs:
        epochs = job.plan.train.epochs

        def report(epoch: int, now: Score, first: int = job.number * epochs) -> None:
            report_score(first + epoch, float(np.mean([*scores, now.cv])))

        parts.append(train_fold(job, report))
        scores.append(score_folds(candidate, parts[-1:]).score)
    return score_folds(candidate, parts)


def fold_jobs(candidate: Candidate) -> list[Fold]:
    """Return the trainings of a trial, one per fold."""
    config, plan = configure(candidate.prepared.config, candidate.model, candidate.params)
    plan = with_trial_epochs(plan, config)
    prepared = candidate.prepared.with_config(config)
    return make_folds(prepared, plan, candidate.folder, range(folds_per_trial(config)))


def score_folds(candidate: Candidate, parts: Sequence[pl.DataFrame]) -> TrialResult:
    """Score the OOF predictions of some folds.

    Raises:
        KagglekitError: a prediction is not finite.
    """
    oof = pl.concat(parts)
    logits, prepared = finite_logits(oof, "OOF predictions", "lower the learning rate"), candidate.prepared
    cv = score(logits, rows_of(oof, prepared.clips), prepared.config)
    return TrialResult(cv.cv, (cv.high - cv.low) / (2 * 1.96))


def measure_costs(candidate: Candidate, objectives: Sequence[str]) -> list[float]:
    """Return each objective but the score: params, or latency in ms per clip on one thread of this CPU."""
    if not objectives:
        return []
    job = fold_jobs(candidate)[0]
    model = models.build(job.plan.model, job.plan.params, len(job.head.outputs)).eval()
    clip = next(job.dataset.batches(job.dataset.clips.filter(pl.col("fold") >= 0).head(1), 1))
    costs = {
        "params": lambda: float(sum(p.numel() for p in model.parameters())),
        "latency": lambda: median_ms(lambda: model(clip), LATENCY_RUNS),
    }
    return [costs[objective]() for objective in objectives]


def is_outside_failure(error: Exception) -> bool:
    """Return whether the machine or a damaged file failed, rather than the parameters."""
    return isinstance(error, DamagedCacheError | MissingError) or is_fault(error)


def failure_reason(error: Exception) -> str:
    """Return in one line why a trial failed."""
    first = next(iter(str(error).splitlines()), "")
    return first if isinstance(error, KagglekitError) else f"{type(error).__name__}: {first}"
