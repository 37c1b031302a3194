"""A checkpoint that already names words, used as it is: its labels mapped to ours, nothing trained."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import polars as pl

from kagglekit import models
from kagglekit.config import Labels
from kagglekit.data.clips import validation_rows
from kagglekit.errors import ConfigError
from kagglekit.files import tables
from kagglekit.files.atomic import replacing, write_json
from kagglekit.scoring.cv import score
from kagglekit.terminal import console, progress
from kagglekit.training import checkpoint
from kagglekit.training.dataset import Head
from kagglekit.training.loop import META, OOF, WEIGHTS, Fold, describe
from kagglekit.training.plan import Plan
from kagglekit.training.predict import device, predict, predictions
from kagglekit.training.thresholds import rule_for


def zero_shot_head(labels: Labels, plan: Plan) -> Head:
    """The checkpoint's labels as outputs: one of our names is that class, every other a filler word.

    Raises:
        ConfigError: none of them is a target.
    """
    said = labels_of(plan.params["checkpoint"])
    ours = {_plain(name): index for index, name in enumerate(labels.classes)}
    filler = len(labels.classes) - 1
    class_of = tuple(ours.get(_plain(name), filler) for name in said)
    named = {labels.classes[index] for index in class_of}
    missing = [name for name in labels.targets if name not in named]
    if len(missing) == len(labels.targets):
        raise ConfigError(
            f"checkpoint '{plan.params['checkpoint']}' says {', '.join(said[:8])}: none is a target of ours",
            hint="choose one fine-tuned on these words, or fine-tune it: --set train.labels=targets",
        )
    if missing:
        console.note(f"{plan.params['checkpoint']} has no label for {', '.join(missing)}: never predicted")
    rule = rule_for(plan.train.labels, len(labels.classes), class_of)
    return Head(said, class_of, labels.classes, words=False, double=None, rule=rule)


def labels_of(name: str) -> tuple[str, ...]:
    """What a checkpoint's outputs are called.

    Raises:
        KagglekitError: there is no such checkpoint, or it is not one that classifies.
    """
    from kagglekit.models.hub import find  # here, because it loads Hugging Face's client

    path = find(name) / "config.json"
    try:
        id2label = json.loads(path.read_text(encoding="utf-8"))["id2label"]
        return tuple(str(id2label[str(index)]) for index in range(len(id2label)))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"checkpoint '{name}' does not say what its outputs are",
            hint="zero_shot needs a fine-tuned one, whose config.json has id2label",
        ) from error


def _plain(name: str) -> str:
    """`_Silence_` -> `silence`: checkpoints set their special labels apart."""
    return name.strip("_ ").casefold()


def predict_fold(job: Fold) -> pl.DataFrame:
    """What train_fold leaves behind, without training; OOF predictions in their raw form."""
    again = f"remove the folder {job.folder} and run the same command again"
    if not (job.folder / META).is_file():
        job.folder.mkdir(parents=True, exist_ok=True)
        judged = validation_rows(job.dataset.clips, job.number)
        model = models.build(job.plan.model, job.plan.params, len(job.head.outputs)).to(device())
        started = time.perf_counter()
        with progress.bar(f"{job.plan.model} fold {job.number}", len(judged), "clips") as advance:
            logits = predict(model, job.dataset, judged, job.head, job.plan.train, advance)
        seconds = time.perf_counter() - started
        found = score(logits, judged, job.config)
        epoch = {
            "fold": job.number,
            "epoch": 0,
            "loss": None,
            "lr": 0.0,
            "cv": found.cv,
            "plain": found.plain,
            "seconds": 0.0,
            "clips_per_s": len(judged) / seconds,
        }
        same = job.folder.with_name("fold_0") / WEIGHTS
        if job.number and same.is_file():
            link(same, job.folder / WEIGHTS)
        else:
            checkpoint.save(job.folder / WEIGHTS, model.state_dict())
        tables.write(predictions(judged, logits), job.folder / OOF)
        write_json(job.folder / META, describe(job, model, [epoch]))
    return tables.read(job.folder / OOF, again)


def link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the disk has no links: all folds are one model."""
    with replacing(target) as part:
        part.unlink(missing_ok=True)  # after a kill it may be a link to the source itself
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
