"""All folds of one plan -> a run: OOF and test logits, score, history."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from kagglekit import __version__, models
from kagglekit.config import Config
from kagglekit.config.names import InputKind
from kagglekit.config.yaml_file import dump
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.errors import ConfigError, KagglekitError
from kagglekit.features import embeddings, logmel
from kagglekit.files import tables
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.files.workspace import Workspace
from kagglekit.parallel.processes import cores, run_all
from kagglekit.runs.predict_test import predict_test
from kagglekit.runs.store import (
    HISTORY,
    METRICS,
    SETTINGS,
    TEST,
    Run,
    assemble,
    load_run,
    measure,
    read_meta,
    score_key,
    scored,
)
from kagglekit.runs.zero_shot import predict_fold, zero_shot_head
from kagglekit.terminal import console, progress
from kagglekit.training import soft_targets
from kagglekit.training.dataset import Dataset, Head, make_head, training_view
from kagglekit.training.distributed import joined
from kagglekit.training.inputs import inputs_of
from kagglekit.training.loop import EPOCH_COLUMNS, META, STATE, Fold, show_epoch, train_fold
from kagglekit.training.plan import VERSION, Plan
from kagglekit.training.predict import device

LEAST_BATCH = 8  # clips; in fewer, batch normalisation learns nothing
WORTH_A_PROCESS = 1500  # steps, of all folds: to start processes takes as long as some hundred


def make_dataset(prepared: Prepared, plan: Plan) -> Dataset:
    """Inputs for a plan: cached log-mels or embeddings, computed if need be, or decoded clips."""
    return Dataset(
        clips=training_view(prepared.clips, plan.train, prepared.config.labels.silence),
        inputs={split: inputs_of(prepared, plan, split) for split in prepared.folders},
        noise=prepared.noise(),
        noise_fold=prepared.noise_fold,
        audio=prepared.config.audio,
        features=plan.features if models.input_kind(plan.model, plan.params) is InputKind.LOG_MEL else None,
        teaching=soft_targets.find(prepared.workspace, plan.train.teaching),
    )


def head_for(prepared: Prepared, plan: Plan) -> Head:
    """Outputs of the plan's models, the same for all folds."""
    labels, train = prepared.config.labels, plan.train
    if train.labels == "zero_shot":
        return zero_shot_head(labels, plan)
    used = training_view(prepared.clips, train, labels.silence).filter(pl.col("fold") >= 0)
    return make_head(
        used,
        labels.classes,
        train.labels,
        labels.filler,
        labels.silence,
        train.only,
        prepared.config.separator,
    )


def clips_key(prepared: Prepared, plan: Plan) -> str:
    """Changes with the clips that a run is judged on: runs on others are neither compared nor blended."""
    return key_of(prepared.key, sorted(plan.train.only)) if plan.train.only else prepared.key


def run_id(prepared: Prepared, plan: Plan) -> str:
    """Changes with everything that shapes the run's logits."""
    shaping: list[Any] = [
        VERSION,
        plan.as_dict(),
        prepared.key,
        prepared.config.labels.keep_fillers,
        prepared.config.audio.model_dump(),
    ]
    if models.info(plan.model).input is InputKind.LOG_MEL:
        shaping.append(logmel.VERSION)
    shaping += _pretrained(plan)
    if plan.train.patience:
        shaping.append(score_key(prepared.config))  # the score says which epoch is kept
    return key_of(*shaping)


def _pretrained(plan: Plan) -> list[Any]:
    """What a run starts from besides the name of a checkpoint: its files, where it is a folder, which may
    hold others tomorrow; and how a frozen network's embeddings are made."""
    found: list[Any] = []
    name = plan.params.get("checkpoint")
    if name is not None and Path(name).is_dir():
        from kagglekit.models.hub import fingerprint  # here, because it imports transformers

        found.append(fingerprint(Path(name)))
    if models.input_kind(plan.model, plan.params) is InputKind.EMBEDDING:
        found.append(embeddings.VERSION)
    return found


def train_run(
    prepared: Prepared,
    plan: Plan,
    *,
    source: str = "recipe",
) -> Run:
    """Train every fold, predict the test clips, and score. What is there already is not done again.

    Args:
        config, workspace, prepared: the competition.
        plan: the architecture and its settings.
        source: where the settings come from, for the record.
    """
    identity = run_id(prepared, plan)
    folder = prepared.workspace.runs / plan.model / identity
    if (folder / METRICS).is_file():
        return scored(prepared, load_run(folder))
    with locked(folder, f"run {plan.model}/{identity}"):
        if (folder / METRICS).is_file():
            return scored(prepared, load_run(folder))
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"kagglekit": __version__, "model": plan.model, "source": source, **plan.as_dict()}
        (folder / SETTINGS).write_text(dump(_plain(settings)), encoding="utf-8")
        dataset = make_dataset(prepared, plan)
        head = head_for(prepared, plan)
        warn_of_rare(
            dataset.clips, plan.train.only or prepared.config.labels.classes, prepared.config.separator
        )
        folds = [
            Fold(prepared.config, plan, dataset, head, number, folder / f"fold_{number}")
            for number in range(prepared.config.validation.folds)
        ]
        with progress.live_table(f"{plan.model}/{identity}", EPOCH_COLUMNS):
            train_folds(folds)
        assemble(prepared, folder)
        tables.write(predict_test(prepared.config, dataset, folder), folder / TEST)
        limit = soft_targets.shift_limit(dataset.teaching)
        return measure(prepared, folder, _facts(prepared, plan, folder, source, limit))


def train_folds(jobs: Sequence[Fold]) -> None:
    """Train the folds of a run that are not trained yet, side by side where that is faster."""
    left = [job for job in jobs if not (job.folder / META).is_file()]
    for job in jobs:
        if job not in left and (history := read_meta(job.folder)["history"]):
            show_epoch(history, job.plan.train.epochs)
    together = jobs[0].config.processes
    if together > 1 and jobs[0].plan.train.labels != "zero_shot":
        train_together(left, together)
        return
    processes = processes_for(left)
    if processes > 1:
        run_all(_train_apart, [(job.config, job.plan, job.number, job.folder) for job in left], processes)
        return
    plan = jobs[0].plan
    for job in left:  # what had to be halved for want of memory stays so
        plan = train_within_memory(replace(job, plan=plan)).plan


def train_together(jobs: Sequence[Fold], size: int) -> None:
    """Train folds one after the other, each with `size` processes that share its batches.

    Raises:
        ConfigError: a batch, or the machine, is too small for so many.
        KagglekitError: there is not the memory, or the loss is no longer finite.
    """
    if not jobs:
        return
    job = jobs[0]
    if size > cores() or job.plan.train.batch_size < 2 * size:
        raise ConfigError(
            f"processes is {size}: there are {cores()} cores, {job.plan.train.batch_size} clips in a batch",
            hint="use no more than there are cores, and two clips of a batch for each",
        )
    folds = [(each.number, each.folder) for each in jobs]
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        run_all(_join, [(job.config, job.plan, folds, rank, size, meeting) for rank in range(size)], size)


def _join(job: tuple[Config, Plan, list[tuple[int, Path]], int, int, Path]) -> None:
    """One process of a team: each fold in turn."""
    config, plan, folds, rank, size, meeting = job
    if rank:
        progress.send_to(lambda message: None)  # the first speaks for all
    workspace = Workspace(config)
    prepared = prepare(workspace)
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    with joined(rank, size, meeting) as team:
        for number, folder in folds:
            try:
                train_fold(Fold(config, plan, dataset, head, number, folder), team=team)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                raise KagglekitError(
                    f"out of memory with batches of {plan.train.batch_size} clips in {size} processes",
                    hint="set train.batch_size lower",
                ) from error


def processes_for(jobs: Sequence[Fold]) -> int:
    """How many of these trainings to run at once, as Config.jobs says."""
    if not jobs:
        return 1
    job = jobs[0]
    if job.config.jobs != "auto":
        return min(job.config.jobs, len(jobs))
    steps = job.plan.train.epochs * len(job.dataset.clips) // job.plan.train.batch_size
    short = steps * len(jobs) < WORTH_A_PROCESS or job.plan.train.labels == "zero_shot"
    if short or job.dataset.takes_waveforms or device().type != "cpu":  # waveforms: for memory's sake
        return 1
    return min(cores(), len(jobs))


def _train_apart(job: tuple[Config, Plan, int, Path]) -> None:
    """`train_within_memory` in a process that was handed no more than names."""
    config, plan, number, folder = job
    workspace = Workspace(config)
    prepared = prepare(workspace)
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    with locked(folder, f"fold {number}"):  # a process whose parent was just killed may have a moment left
        train_within_memory(Fold(config, plan, dataset, head, number, folder))


def warn_of_rare(clips: pl.DataFrame, classes: Sequence[str], separator: str | None = None) -> None:
    """Say of which classes there is too little to learn, or to judge, in every fold."""
    used = clips.filter(pl.col("fold") >= 0)
    if separator is not None:
        used = used.with_columns(pl.col("label").str.split(separator)).explode("label")
    used = used.group_by("label").agg(pl.len(), pl.col("fold").unique())
    counts = {label: (count, folds) for label, count, folds in used.rows()}
    for name in classes:
        count, folds = counts.get(name, (0, []))
        if count == 0:
            console.note(f"there is no training clip of '{name}': it is never predicted")
        elif len(folds) == 1:
            console.note(
                f"the training clips of '{name}', {count} in all, are of one fold (one speaker, or too few): "
                "the model judged on them has heard none, so in the CV score they are wrong"
            )


def train_within_memory(job: Fold) -> Fold:
    """Train a fold, in smaller batches where there is not the memory for the plan's; the job as it went.

    Raises:
        KagglekitError: there is none for LEAST_BATCH clips either.
    """
    while True:
        train = job.plan.train
        try:
            if train.labels == "zero_shot":
                predict_fold(job)
            else:
                train_fold(job)
            return job
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        # Out of the except block, whose error holds on to what filled the memory.
        half = train.batch_size // 2
        if half < LEAST_BATCH:
            raise KagglekitError(
                f"out of memory with batches of {train.batch_size} clips",
                hint=f"choose a smaller {job.plan.model}, or a machine with more memory",
            )
        console.note(f"out of memory: going on with batches of {half} clips instead of {train.batch_size}")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        (job.folder / STATE).unlink(missing_ok=True)  # its steps were of the other size
        smaller = train.model_copy(update={"batch_size": half})
        job = replace(job, plan=replace(job.plan, train=smaller))


def _out_of_memory(error: Exception) -> bool:
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(w in str(error) for w in words)


def _plain(settings: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(settings, dict):
        return {k: _plain(v) for k, v in settings.items()}
    return [_plain(v) for v in settings] if isinstance(settings, list | tuple) else settings


def _facts(
    prepared: Prepared, plan: Plan, folder: Path, source: str, shift_limit: float | None
) -> dict[str, Any]:
    """What metrics.json holds besides scores; history.parquet is written on the way."""
    metas = [read_meta(folder / f"fold_{n}") for n in range(prepared.config.validation.folds)]
    history = pl.DataFrame([epoch for meta in metas for epoch in meta["history"]])
    tables.write(history, folder / HISTORY)
    model = models.build(plan.model, metas[0]["params"], len(metas[0]["outputs"]))
    return {
        "model": plan.model,
        "run": folder.name,
        "source": source,
        "train_seconds": float(history["seconds"].sum()),
        "clips_per_s": float(np.median(history["clips_per_s"].to_numpy())),
        "parameters": sum(p.numel() for p in model.parameters()),
        "clips_key": clips_key(prepared, plan),
        "classes": list(prepared.config.labels.classes),
        "only": list(plan.train.only),
        "shift_limit": shift_limit,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
