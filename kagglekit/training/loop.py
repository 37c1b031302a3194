"""One fold's training, to be read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kagglekit import console, models, tables
from kagglekit.config import Config, Section, Train
from kagglekit.data.clips import training_rows, validation_rows
from kagglekit.processes import cores
from kagglekit.training import checkpoint
from kagglekit.training.augment import shift
from kagglekit.training.batches import Batches
from kagglekit.training.dataset import Dataset, Head, pool, windows_of
from kagglekit.training.optimizers import (
    Ema,
    clip_gradients,
    loss_of,
    lr_factor,
    make_optimizer,
    stop_at_nonfinite,
)
from kagglekit.training.plan import Plan
from kagglekit.training.teaching import lesson
from kagglekit.training.team import ALONE, Team
from kagglekit.validation import Score, score
from kagglekit.workspace import write_json

EVAL_BATCH = 256
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


def device() -> torch.device:
    """A GPU where there is one; on a CPU, no more threads than a container's quota has cores for."""
    torch.set_num_threads(min(torch.get_num_threads(), cores()))
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it, torch computes with so many threads, and at least one."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
    train = job.plan.train
    oof, again = job.folder / OOF, f"remove the folder {job.folder} and run the same command again"
    if (job.folder / META).is_file():
        return tables.read(oof, again)
    job.folder.mkdir(parents=True, exist_ok=True)

    # -- data ---------------------------------------------------------------------------------
    learned = training_rows(job.dataset.clips, job.number, job.config, train.seed)
    judged = validation_rows(job.dataset.clips, job.number)
    taught = lesson(job.dataset.teaching, job.number, learned, job.head)
    batches = Batches(job.plan.model, train, job.dataset, job.head, taught, job.number)

    # -- model, optimizer, running mean of the weights ----------------------------------------
    on = device()
    seed_all(train.seed * 1000 + job.number)
    model = team.synced(models.build(job.plan.model, job.plan.params, len(job.head.outputs)).to(on))
    optimizer = make_optimizer(model, train)
    steps = train.epochs * len(batches)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, train))
    ema = Ema(model, train.ema)
    history = resume(job.folder / STATE, model, optimizer, scheduler, ema, train.batch_size)

    # -- epochs -------------------------------------------------------------------------------
    bar = console.bar(f"{job.plan.model} fold {job.number}", train.epochs * len(batches), "batches")
    with bar as advance:
        advance(len(history) * len(batches))
        for epoch in range(len(history), train.epochs):
            if history and gave_up(history, train):
                break
            started = time.perf_counter()
            seed_all((train.seed * 1000 + job.number) * 10_000 + epoch)  # a resumed run is the same
            model.train()
            total = torch.zeros((), device=on)
            for step, (x, y) in enumerate(batches.epoch(epoch), start=1):
                where = f"epoch {epoch + 1}, step {step}"
                total += train_step(model, optimizer, ema, x.to(on), y.to(on), train, where, team)
                scheduler.step()
                advance(1)
            seconds = time.perf_counter() - started
            with ema.applied(model):
                logits_val = predict_together(team, model, job, judged)
            result = score(logits_val, judged, job.config, interval=False)
            history.append(
                {
                    "fold": job.number,
                    "epoch": epoch,
                    "loss": total.item() / len(batches),
                    "lr": optimizer.param_groups[0]["lr"],
                    "cv": result.cv,
                    "plain": result.plain,
                    "seconds": seconds,
                    "clips_per_s": batches.clips / seconds,
                }
            )
            advance(0, text=f"epoch {epoch + 1} loss {history[-1]['loss']:.3f} CV {result.cv:.3f}")
            show_epoch(history, train.epochs)
            if team.leads:
                if is_best(history, train):
                    keep(job, ema, judged, logits_val)
                state = {"history": history, "batch_size": train.batch_size}
                checkpoint.save(job.folder / STATE, state_tensors(model, optimizer, ema), state)
            if report is not None:
                report(epoch, result)

    # -- done: the marker last -----------------------------------------------------------------
    if team.leads:
        write_json(job.folder / META, describe(job, model, history))
        (job.folder / STATE).unlink(missing_ok=True)
    team.wait()
    return tables.read(oof, again)


EPOCH_COLUMNS = ("fold", "epoch", "loss", "CV", "plain", "clips/s")


def show_epoch(history: Sequence[Mapping[str, Any]], epochs: int) -> None:
    """Set the fold's row of the live table, where there is one."""
    last = history[-1]
    scores = (f"{last[name]:.3f}" for name in ("loss", "cv", "plain"))
    done, speed = f"{len(history)}/{epochs}", f"{last['clips_per_s']:,.0f}"
    console.row(str(last["fold"]), [done, *scores, speed])


def seed_all(seed: int) -> None:
    """Seed what models draw from: torch, and NumPy, from which transformers draws SpecAugment's masks."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: Ema,
    x: Tensor,
    y: Tensor,
    train: Train,
    where: str,
    team: Team = ALONE,
) -> Tensor:
    """One batch: forward, backward, update; its loss.

    Args:
        model, optimizer, ema: what is updated.
        x: (batch, ...) inputs on the model's device.
        y: (batch, outputs) soft targets.
        train: loss, clipping and precision.
        where: epoch and step, for the message.
        team: whose other processes have their own part of the batch.

    Raises:
        KagglekitError: the loss or its gradient is not finite.
    """
    share = team.share(y)
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=train.bf16 is True):
        logits = model(team.share(x))
    # weighted, so that the sum over the team is the mean over the batch
    loss = loss_of(logits.float(), share, train) * (len(share) / len(y))
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    team.add_gradients(model)
    loss = team.total(loss)
    norm = clip_gradients(model, train.clip_norm)
    stop_at_nonfinite(loss, norm, where, optimizer)
    optimizer.step()
    ema.update(model)
    return loss.detach()


def seconds_per_epoch(config: Config, plan: Plan, dataset: Dataset, head: Head, steps: int = 8) -> float:
    """What an epoch of a fold costs on this machine, validation included, by a few steps thrown away."""
    learned, judged = (
        training_rows(dataset.clips, 0, config, plan.train.seed),
        validation_rows(dataset.clips, 0),
    )
    taught = lesson(dataset.teaching, 0, learned, head)
    batches = Batches(plan.model, plan.train, dataset, head, taught, 0)
    on = device()
    model = models.build(plan.model, plan.params, len(head.outputs)).to(on).train()
    optimizer, ema = make_optimizer(model, plan.train), Ema(model, plan.train.ema)
    started, done = time.perf_counter(), 0
    for done, (x, y) in enumerate(batches.epoch(0)):  # the first step, slow by its allocations, is not timed
        train_step(model, optimizer, ema, x.to(on), y.to(on), plan.train, "the trial steps")
        if done == 0:
            started = time.perf_counter()
        if done == steps:
            break
    training = (time.perf_counter() - started) / max(done, 1) * len(batches)
    started, some = time.perf_counter(), judged.head(2 * EVAL_BATCH)
    predict(model, dataset, some, head, plan.train)
    return training + (time.perf_counter() - started) / len(some) * len(judged)


@torch.inference_mode()
def predict(
    model: nn.Module,
    dataset: Dataset,
    clips: pl.DataFrame,
    head: Head,
    train: Train,
    advance: console.Advance = lambda clips: None,
) -> NDArray[np.float32]:
    """Logits of the competition's classes for each of `clips`: (clips, classes)."""
    parts = []
    # networks that hear waveforms are large: what memory holds to train on, it holds to predict
    size = min(EVAL_BATCH, train.batch_size) if dataset.hears_waveforms else EVAL_BATCH
    windows = windows_of(clips)
    share = len(clips) / max(windows.sum(), 1)
    for x in dataset.batches(clips, size):
        parts.append(classify(model, x, head, train, dataset.rate))
        advance(len(x) * share)
    logits = np.concatenate(parts) if parts else np.empty((0, len(head.classes)), np.float32)
    return pool(logits, windows, head)


@torch.inference_mode()
def classify(model: nn.Module, x: Tensor, head: Head, train: Train, rate: float) -> NDArray[np.float32]:
    """Logits of the competition's classes (batch, classes) for inputs x (batch, ..., time).

    Args:
        model, x, head: what is asked what.
        train: precision, and the shifts of test-time augmentation.
        rate: steps of time in a second.
    """
    model.eval()
    on = next(model.parameters()).device
    offsets = [round(ms / 1000 * rate) for ms in (0.0, *train.tta_ms)]
    views = []
    for offset in offsets:
        view = shift(x, torch.full((len(x),), offset)) if offset else x
        with torch.autocast(on.type, dtype=torch.bfloat16, enabled=train.bf16 is True):
            logits = model(view.to(on))
        views.append(head.collapse(logits.float().cpu()))
    if len(views) == 1:
        return views[0].numpy()
    return head.mean(torch.stack(views)).numpy()


def predict_together(team: Team, model: nn.Module, job: Fold, clips: pl.DataFrame) -> NDArray[np.float32]:
    """`predict`, each process of a team its part: (clips, classes)."""
    dataset, head, train = job.dataset, job.head, job.plan.train
    if team.size == 1:
        return predict(model, dataset, clips, head, train)
    logits = torch.zeros(len(clips), len(head.classes), device=device())
    part = clips.gather_every(team.size, team.rank)
    logits[team.rank :: team.size] = torch.from_numpy(predict(model, dataset, part, head, train)).to(logits)
    return team.total(logits).cpu().numpy()


def predictions(clips: pl.DataFrame, logits: NDArray[np.float32]) -> pl.DataFrame:
    """Rows of oof.parquet or test.parquet."""
    kept = [c for c in ("clip_id", "fold", "label", "part") if c in clips.columns]
    return clips.select(kept).with_columns(
        logits=pl.Series(logits, dtype=pl.Array(pl.Float32, logits.shape[1]))
    )


def state_tensors(model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema) -> dict[str, Tensor]:
    """Everything that the next epoch starts from."""
    return {
        **{f"model.{name}": value for name, value in model.state_dict().items()},
        **{f"ema.{name}": value for name, value in ema.mean.items()},
        "ema_steps": torch.tensor(ema.steps),
        **checkpoint.optimizer_tensors(optimizer),
    }


def resume(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    ema: Ema,
    batch_size: int,
) -> list[dict[str, Any]]:
    """Put back the last whole epoch, if there is one of batches of this size; the history so far."""
    if not path.is_file():
        return []
    tensors, state = checkpoint.load(path)
    if state.get("batch_size", batch_size) != batch_size:  # halved for want of memory: other steps
        return []
    model.load_state_dict({n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")})
    for name in ema.mean:
        ema.mean[name].copy_(tensors[f"ema.{name}"])
    ema.steps = int(tensors["ema_steps"])
    checkpoint.restore_optimizer(optimizer, tensors)
    history: list[dict[str, Any]] = state["history"]
    console.note(f"going on after epoch {len(history)}")
    scheduler.last_epoch = ema.steps  # every step of the loop is one of the EMA's
    for group, base in zip(optimizer.param_groups, scheduler.base_lrs, strict=True):
        group["lr"] = base * scheduler.lr_lambdas[0](ema.steps)
    return history


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
