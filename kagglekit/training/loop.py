"""Train one fold: `train_epochs` is the loop, from top to bottom."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import polars as pl
import torch
from torch import nn

from kagglekit.config import Section, Train
from kagglekit.data.clips import validation_rows
from kagglekit.files.atomic import read_json, write_json
from kagglekit.files.leftovers import temporary_folder
from kagglekit.scoring.cv import Score, score
from kagglekit.scoring.metrics import Metric
from kagglekit.scoring.predictions import predictions, read_predictions, write_predictions
from kagglekit.scoring.task import Task
from kagglekit.terminal import progress
from kagglekit.training import checkpoint
from kagglekit.training.distributed import SINGLE, World
from kagglekit.training.files import META, OOF, STATE, WEIGHTS
from kagglekit.training.fit import fit_fold
from kagglekit.training.losses import loss_of
from kagglekit.training.optimizers import clip_gradients, stop_at_nonfinite
from kagglekit.training.predict import EVAL_BATCH, device, predict, predict_sharded
from kagglekit.training.state import Fold as Fold
from kagglekit.training.state import TrainingState, seed_all, start

Report = Callable[[int, Score], None]
"""Called with (epoch, score) after each epoch; may raise to stop, as a pruner does."""


def train_fold(fold: Fold, report: Report | None = None, world: World = SINGLE) -> pl.DataFrame:
    """Train on the other folds, and return predictions of this one.

    A killed training resumes after its last finished epoch, with the same result. META is written last: a
    fold that has it is not trained again.

    Args:
        report: called with the validation score after each epoch.
        world: the processes that train together; the main one writes the files.

    Raises:
        KagglekitError: the loss is no longer finite.
    """
    if not is_trained(fold) and fold.plan.train.optimizer == "lbfgs":
        fold.folder.mkdir(parents=True, exist_ok=True)
        fitted, model, row = fit_fold(fold)
        write_json(fold.folder / META, describe(fitted, model, [row]), bound=True)
        show_epoch([row], 1)
    elif not is_trained(fold):
        fold.folder.mkdir(parents=True, exist_ok=True)
        state = start(fold, world)
        steps = len(state.batches)
        total = fold.plan.train.epochs * steps
        with progress.bar(f"{fold.plan.model} fold {fold.number}", total, "batches") as bar:
            bar(len(state.history) * steps)
            train_epochs(fold, state, world, bar, report)
        if world.is_main:
            write_json(fold.folder / META, describe(fold, state.model, state.history), bound=True)
            (fold.folder / STATE).unlink(missing_ok=True)
        world.barrier()
    return read_predictions(
        fold.folder / OOF, f"remove the folder {fold.folder} and run the same command again"
    )


def train_epochs(
    fold: Fold, state: TrainingState, world: World, advance: progress.AdvanceBar, report: Report | None
) -> None:
    """Train from the epoch that `state` is at, to the last; `advance` moves the progress bar."""
    train, on, history = fold.plan.train, device(), state.history
    model, optimizer, ema = state.model, state.optimizer, state.ema
    validated, metric = validation_rows(fold.dataset.clips, fold.number), Task.of(fold.config).metric
    for epoch in range(len(history), train.epochs):
        if history and stops_early(history, train, metric):
            break
        seed_all(fold.seed * 10_000 + epoch)
        model.train()
        started, total = time.perf_counter(), torch.zeros((), device=on)
        for step, (x, y, weight) in enumerate(state.batches.epoch(epoch), start=1):
            # --- forward ---
            inputs, targets = world.shard(x).to(on), world.shard(y).to(on)
            with torch.autocast(on.type, dtype=torch.bfloat16, enabled=train.bf16 is True):
                logits = model(inputs)
            # --- loss: weighted, so that its sum over the processes is the batch's ---
            weights = None if weight is None else world.shard(weight).to(on)
            loss = loss_of(logits.float(), targets, train, weights) * (len(targets) / len(y))
            # --- backward ---
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            world.reduce_gradients(model)
            loss = world.all_reduce(loss.detach())
            # --- clip ---
            norm = clip_gradients(model, train.clip_norm)
            stop_at_nonfinite(loss, norm, f"epoch {epoch + 1}, step {step}", optimizer)
            # --- step ---
            optimizer.step()
            state.scheduler.step()
            # --- EMA of the weights ---
            ema.update(model)
            total += loss
            advance(1)
        seconds = time.perf_counter() - started
        # --- validate, with the EMA weights ---
        with ema.applied(model):
            logits = predict_sharded(world, model, fold.dataset, validated, fold.head, train)
        result = score(logits, validated, fold.config, interval=False)
        history.append(epoch_row(fold, state, total.item() / step, seconds, result))
        show_epoch(history, train.epochs, advance)
        # --- save ---
        if world.is_main:
            if is_best(history, train, metric):
                checkpoint.save(fold.folder / WEIGHTS, ema.mean)
                write_predictions(predictions(validated, logits), fold.folder / OOF)
            state.save(fold.folder / STATE, train.batch_size)
        if report is not None:
            report(epoch, result)


def is_trained(fold: Fold) -> bool:
    """Whether the fold has been trained with the plan's batch size.

    Version 0.1 finished a run that was short of memory with folds of smaller batches.
    """
    path = fold.folder / META
    if not path.is_file():
        return False
    with suppress(ValueError, LookupError, TypeError):  # read_meta explains a damaged file
        batch_size = read_json(path, bound=True)["train"]["batch_size"]
        return bool(batch_size == fold.plan.train.batch_size)
    return True


def is_best(history: Sequence[Mapping[str, Any]], train: Train, metric: Metric) -> bool:
    """Whether the last epoch's weights are kept.

    Without early stopping they always are: choosing the best epoch by the clips that the CV score is
    computed on would make that score too good.
    """
    last = history[-1]["cv"]
    return not train.patience or not any(metric.better(epoch["cv"], last) for epoch in history)


def stops_early(history: Sequence[Mapping[str, Any]], train: Train, metric: Metric) -> bool:
    """Whether early stopping ends the training here."""
    best = metric.best(range(len(history)), lambda epoch: float(history[epoch]["cv"])) or 0
    return bool(train.patience) and len(history) - 1 - best >= train.patience


def epoch_row(fold: Fold, state: TrainingState, loss: float, seconds: float, result: Score) -> dict[str, Any]:
    """Return an epoch's row of the history."""
    return {
        "fold": fold.number,
        "epoch": len(state.history),
        "loss": loss,
        "lr": state.optimizer.param_groups[0]["lr"],
        "cv": result.cv,
        "plain": result.plain,
        "seconds": seconds,
        "clips_per_s": state.batches.clips / seconds,
    }


EPOCH_COLUMNS = ("fold", "epoch", "loss", "CV", "unweighted", "clips/s")


def show_epoch(
    history: Sequence[Mapping[str, Any]], epochs: int, advance: progress.AdvanceBar | None = None
) -> None:
    """Show the last epoch behind the bar, and in the fold's row of the live table if there is one."""
    last = history[-1]
    if advance is not None:
        advance(0, text=f"epoch {len(history)} loss {last['loss']:.3f} CV {last['cv']:.3f}")
    scores = ("-" if last[name] is None else f"{last[name]:.3f}" for name in ("loss", "cv", "plain"))
    progress.set_row(str(last["fold"]), [f"{len(history)}/{epochs}", *scores, f"{last['clips_per_s']:,.0f}"])


class _Timed(Exception):
    """Enough steps have been timed."""


def seconds_per_epoch(fold: Fold, steps: int = 8) -> float:
    """Measure the time of an epoch, validation included, by training a few steps that are thrown away."""
    times: list[float] = []

    def advance(n: int = 1, /, text: str = "") -> None:
        times.extend([time.perf_counter()] * n)
        if len(times) > steps:
            raise _Timed

    def report(epoch: int, result: Score) -> None:
        raise _Timed

    with temporary_folder() as folder:
        trial = replace(fold, folder=folder)
        state = start(trial, SINGLE)
        with suppress(_Timed):
            train_epochs(trial, state, SINGLE, advance, report)
    # The first step, slow by its allocations, is not timed.
    training = (times[-1] - times[0]) / max(len(times) - 1, 1) * len(state.batches)
    validated = validation_rows(fold.dataset.clips, fold.number)
    some, started = validated.head(2 * EVAL_BATCH), time.perf_counter()
    predict(state.model, fold.dataset, some, fold.head, fold.plan.train)
    return training + (time.perf_counter() - started) / len(some) * len(validated)


def describe(fold: Fold, model: nn.Module, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of META: with it and the weights, the model can be rebuilt alone."""
    return {
        "model": fold.plan.model,
        "params": cast(Section, model.config).model_dump(mode="json"),
        **{
            name: getattr(fold.head, name)
            for name in ("outputs", "class_of", "classes", "words", "kind", "pool")
        },
        "audio": fold.config.audio.model_dump(),
        "features": fold.plan.features.model_dump(),
        "train": fold.plan.train.model_dump(),
        "fold": fold.number,
        "history": history,
    }
