"""Train all folds of a plan: a run, with OOF and test predictions, score and history."""

import gc
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from kagglekit import __version__, models
from kagglekit.config.names import InputKind
from kagglekit.config.yaml_file import dump
from kagglekit.data.clips import LEFT_OUT, TRAINED_ONLY
from kagglekit.data.prepare import Prepared
from kagglekit.errors import listed
from kagglekit.features import embeddings, logmel
from kagglekit.files import parquet
from kagglekit.files.atomic import write_text
from kagglekit.files.keys import key_of
from kagglekit.files.locks import locked
from kagglekit.runs import memory
from kagglekit.runs.folds import train_folds
from kagglekit.runs.predict_test import predict_test
from kagglekit.runs.score import assemble, measure, score_key, scored
from kagglekit.runs.setup import make_folds
from kagglekit.runs.store import Run, load_run, read_meta
from kagglekit.scoring.predictions import write_predictions
from kagglekit.scoring.task import Task
from kagglekit.terminal import console, progress
from kagglekit.training import fit, soft_targets
from kagglekit.training.files import HISTORY, METRICS, SETTINGS, TEST
from kagglekit.training.inputs import frozen_network
from kagglekit.training.loop import EPOCH_COLUMNS
from kagglekit.training.plan import VERSION, Plan


def run_id(prepared: Prepared, plan: Plan) -> str:
    """Return a key that changes with everything that shapes the run's logits."""
    shaping: list[Any] = [
        VERSION,
        plan.as_dict(),
        prepared.key,
        prepared.config.labels.keep_fillers,
        prepared.config.audio.model_dump(),
    ]
    if models.info(plan.model).input is InputKind.LOG_MEL:
        shaping.append(logmel.VERSION)
    name = plan.params.get("checkpoint")
    if name is not None and Path(name).is_dir():  # its content may change below the same name
        from kagglekit.models.hub import fingerprint  # here, because it imports transformers

        shaping.append(fingerprint(Path(name)))
    if models.input_kind(plan.model, plan.params) is InputKind.EMBEDDING:
        shaping.append(embeddings.VERSION)
    if models.info(plan.model).input is InputKind.EMBEDDING:  # a file, named or of an installed package
        shaping.append(frozen_network(plan.model, plan.params).key)
    if plan.train.optimizer == "lbfgs":
        shaping.append(fit.VERSION)
    if plan.train.patience:
        shaping.append(score_key(prepared.config))  # early stopping keeps the epoch with the best score
    return key_of(*shaping)


def train_run(prepared: Prepared, plan: Plan, *, source: str = "recipe") -> Run:
    """Train every fold, predict the test clips, and score. What is done already is not done again.

    A run that runs out of memory is trained again with half the batch size, as another run
    (kagglekit.runs.memory). `source` records where the settings come from.

    Raises:
        KagglekitError: there is no memory for the smallest batches, or the loss is no longer finite.
    """
    identity = run_id(prepared, plan)
    folder = prepared.workspace.runs_of(plan.model) / identity
    if (folder / METRICS).is_file():
        return scored(prepared, load_run(folder))
    if smaller := memory.moved(folder, plan):
        return train_run(prepared, smaller, source=source)
    try:
        with locked(folder, f"run {plan.model}/{identity}"):
            return _train(prepared, plan, folder, source)
    except memory.OutOfMemory as error:
        memory.move(folder, plan, error)
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU is in use
    return train_run(prepared, plan, source=source)


def _train(prepared: Prepared, plan: Plan, folder: Path, source: str) -> Run:
    """Train a run whose folder is locked.

    Raises:
        OutOfMemory: there is not the memory for the plan's batches.
    """
    if (folder / METRICS).is_file():
        return scored(prepared, load_run(folder))
    settings = {"kagglekit": __version__, "model": plan.model, "source": source, **plan.as_dict()}
    write_text(folder / SETTINGS, dump(json.loads(json.dumps(settings))))
    warn_of_unheard(plan, prepared.config.audio.seconds)
    folds = make_folds(prepared, plan, folder, range(prepared.config.validation.folds))
    dataset = folds[0].dataset
    warn_of_rare(dataset.clips, plan.train.only or prepared.task.classes, prepared.task)
    with progress.live_table(f"{plan.model}/{folder.name}", EPOCH_COLUMNS):
        train_folds(folds)
    assemble(prepared, folder)
    write_predictions(predict_test(prepared.config, dataset, folder), folder / TEST)
    limit = soft_targets.shift_limit(dataset.soft_targets)
    return measure(prepared, folder, _facts(prepared, plan, folder, source, limit))


def warn_of_unheard(plan: Plan, seconds: float) -> None:
    """Note where a network hears the beginning of a clip alone."""
    heard = plan.params.get("context_s")
    if heard is not None and heard < seconds:
        console.note(f"{plan.model} hears the first {heard:g} of {seconds:g} s of a clip: model.context_s")


def warn_of_rare(clips: pl.DataFrame, classes: Sequence[str], task: Task) -> None:
    """Note the classes that have no training clip, or clips in a single fold, or none to validate on."""
    used = clips.filter(pl.col("fold") != LEFT_OUT)
    if task.multi:
        used = used.with_columns(task.each(used["label"])).explode("label")
    used = used.group_by("label").agg(pl.len(), pl.col("fold").unique())
    counts = {label: (count, folds) for label, count, folds in used.rows()}
    group = "speaker" if task.filler else "group"
    absent, unjudged, in_one = [], [], []
    for name in classes:
        count, folds = counts.get(name, (0, []))
        if count == 0:
            absent.append(name)
        elif folds == [TRAINED_ONLY]:
            unjudged.append(name)
        elif len(folds) == 1:
            in_one.append(f"'{name}' ({count} of one {group}, or too few)")
    if absent:
        console.note(f"never predicted, as they have no training clip: {listed(absent)}")
    if in_one:
        console.note(
            f"classes with training clips in one fold only: {listed(in_one)}: "
            "that fold's model is trained without them, so their OOF predictions are wrong"
        )
    if unjudged:
        console.note(
            "trained on, and in no clip that folds validate on: "
            f"{len(unjudged):,} of {len(classes):,} classes ({listed(unjudged, 12)}); "
            "the CV score says nothing of them"
        )


def _facts(
    prepared: Prepared, plan: Plan, folder: Path, source: str, shift_limit: float | None
) -> dict[str, Any]:
    """Return what metrics.json holds besides scores, and write history.parquet."""
    metas = [read_meta(folder / f"fold_{n}") for n in range(prepared.config.validation.folds)]
    history = pl.DataFrame([epoch for meta in metas for epoch in meta["history"]])
    parquet.write(history, folder / HISTORY, bound=True)
    model = models.build(plan.model, metas[0]["params"], len(metas[0]["outputs"]))
    only = sorted(plan.train.only)
    return {
        "model": plan.model,
        "run": folder.name,
        "source": source,
        "train_seconds": float(history["seconds"].sum()),
        "clips_per_s": float(np.median(history["clips_per_s"].to_numpy())),
        "parameters": sum(p.numel() for p in model.parameters()),
        # runs that are scored on other clips are not compared or blended
        "clips_key": key_of(prepared.key, only) if only else prepared.key,
        "classes": list(prepared.config.labels.all_classes),
        "only": list(plan.train.only),
        "shift_limit": shift_limit,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
