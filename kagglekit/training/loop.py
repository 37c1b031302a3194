"""One fold's training, to be read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import nn

from kagglekit.config import Config, Section, Train
from kagglekit.data.clips import validation_rows
from kagglekit.files import tables
from kagglekit.files.atomic import write_json
from kagglekit.scoring.cv import Score, score
from kagglekit.terminal import progress
from kagglekit.training import checkpoint
from kagglekit.training.dataset import Dataset, Head
from kagglekit.training.distributed import ALONE, Team
from kagglekit.training.learner import Learner, begin, train_step
from kagglekit.training.optimizers import Ema
from kagglekit.training.plan import Plan
from kagglekit.training.predict import EVAL_BATCH, device, predict, predict_together, predictions

WEIGHTS, STATE, META = "model.safetensors", "last.safetensors", "meta.json"
OOF = "oof.parquet"

Report = Callable[[int, Score], None]
"""Told (epoch, score) after each epoch; may raise to stop, as a pruner does."""


@dataclass(frozen=True)
class Fold:
    """One fold's job."""

    config: Config
    plan: Plan
    dataset: Dataset
    head: Head
    number: int
    folder: Path


def train_fold(job: Fold, report: Report | None = None, team: Team = ALONE) -> pl.DataFrame:
    """Train on the other folds, predict this one.

    A killed training goes on after its last whole epoch, with the same result as one that was not
    killed. meta.json is written last: with it the fold is done, and is not trained again.

    Args:
        job: what to train, and the folder for weights, history and predictions.
        report: told the validation score after each epoch.
        team: the processes that train together; the first of them writes.

    Returns:
        OOF predictions: clip_id, fold, label, part, logits (classes).

    Raises:
        KagglekitError: the loss is no longer finite.
    """
    epochs = job.plan.train.epochs
    oof, again = job.folder / OOF, f"remove the folder {job.folder} and run the same command again"
    if (job.folder / META).is_file():
        return tables.read(oof, again)
    job.folder.mkdir(parents=True, exist_ok=True)

    learner = begin(job.config, job.plan, job.dataset, job.head, job.number, team)
    judged = validation_rows(job.dataset.clips, job.number)
    history = learner.resume(job.folder / STATE)
    bar = progress.bar(f"{job.plan.model} fold {job.number}", epochs * len(learner.batches), "batches")
    with bar as advance:
        advance(len(history) * len(learner.batches))
        for epoch in range(len(history), epochs):
            if history and gave_up(history, job.plan.train):
                break
            started = time.perf_counter()
            loss = learner.epoch(epoch, advance)
            seconds = time.perf_counter() - started
            with learner.ema.applied(learner.model):
                logits = predict_together(team, learner.model, job.dataset, judged, job.head, job.plan.train)
            result = score(logits, judged, job.config, interval=False)
            history.append(row(job, learner, epoch, loss, seconds, result))
            advance(0, text=f"epoch {epoch + 1} loss {loss:.3f} CV {result.cv:.3f}")
            show_epoch(history, epochs)
            if team.leads:
                if is_best(history, job.plan.train):
                    keep(job, learner.ema, judged, logits)
                learner.save(job.folder / STATE, history)
            if report is not None:
                report(epoch, result)
    if team.leads:  # the marker last
        write_json(job.folder / META, describe(job, learner.model, history))
        (job.folder / STATE).unlink(missing_ok=True)
    team.wait()
    return tables.read(oof, again)


def row(
    job: Fold, learner: Learner, epoch: int, loss: float, seconds: float, result: Score
) -> dict[str, Any]:
    """An epoch in the history."""
    return {
        "fold": job.number,
        "epoch": epoch,
        "loss": loss,
        "lr": learner.optimizer.param_groups[0]["lr"],
        "cv": result.cv,
        "plain": result.plain,
        "seconds": seconds,
        "clips_per_s": learner.batches.clips / seconds,
    }


EPOCH_COLUMNS = ("fold", "epoch", "loss", "CV", "plain", "clips/s")


def show_epoch(history: Sequence[Mapping[str, Any]], epochs: int) -> None:
    """Set the fold's row of the live table, where there is one."""
    last = history[-1]
    scores = (f"{last[name]:.3f}" for name in ("loss", "cv", "plain"))
    done, speed = f"{len(history)}/{epochs}", f"{last['clips_per_s']:,.0f}"
    progress.set_row(str(last["fold"]), [done, *scores, speed])


def seconds_per_epoch(config: Config, plan: Plan, dataset: Dataset, head: Head, steps: int = 8) -> float:
    """What an epoch of a fold costs on this machine, validation included, by a few steps thrown away."""
    learner, on = begin(config, plan, dataset, head, 0), device()
    learner.model.train()
    started, done = time.perf_counter(), 0
    # The first step, slow by its allocations, is not timed.
    for done, (x, y) in enumerate(learner.batches.epoch(0)):
        train_step(
            learner.model, learner.optimizer, learner.ema, x.to(on), y.to(on), plan.train, "the trial steps"
        )
        if done == 0:
            started = time.perf_counter()
        if done == steps:
            break
    training = (time.perf_counter() - started) / max(done, 1) * len(learner.batches)
    judged = validation_rows(dataset.clips, 0)
    started, some = time.perf_counter(), judged.head(2 * EVAL_BATCH)
    predict(learner.model, dataset, some, head, plan.train)
    return training + (time.perf_counter() - started) / len(some) * len(judged)


def is_best(history: list[dict[str, Any]], train: Train) -> bool:
    """Whether the last epoch is the one to keep.

    Without early stopping it always is: choosing the best epoch by the clips that the CV score is
    computed on would make that score too good.
    """
    return not train.patience or history[-1]["cv"] >= max(h["cv"] for h in history)


def gave_up(history: list[dict[str, Any]], train: Train) -> bool:
    """Whether early stopping ends the training here."""
    best = max(range(len(history)), key=lambda i: float(history[i]["cv"]))
    return bool(train.patience) and len(history) - 1 - best >= train.patience


def keep(job: Fold, ema: Ema, judged: pl.DataFrame, logits: NDArray[np.float32]) -> None:
    """Weights and predictions of the epoch that counts so far."""
    checkpoint.save(job.folder / WEIGHTS, ema.mean)
    tables.write(predictions(judged, logits), job.folder / OOF)


def describe(job: Fold, model: nn.Module, history: list[dict[str, Any]]) -> dict[str, Any]:
    """meta.json: with it and the weights, the model can be rebuilt alone."""
    return {
        "model": job.plan.model,
        "params": cast(Section, model.config).model_dump(mode="json"),
        "outputs": job.head.outputs,
        "class_of": job.head.class_of,
        "classes": job.head.classes,
        "words": job.head.words,
        "audio": job.config.audio.model_dump(),
        "features": job.plan.features.model_dump(),
        "train": job.plan.train.model_dump(),
        "fold": job.number,
        "history": history,
        **({} if job.head.separator is None else {"separator": job.head.separator}),
    }
