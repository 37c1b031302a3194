"""What a plan trains on: the dataset, the head and the folds."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl

from kagglekit import models
from kagglekit.config.names import InputKind
from kagglekit.data.clips import LEFT_OUT
from kagglekit.data.prepare import Prepared
from kagglekit.runs.zero_shot import zero_shot_head
from kagglekit.training import soft_targets
from kagglekit.training.dataset import Dataset, training_view
from kagglekit.training.head import Head, make_head
from kagglekit.training.inputs import inputs_of
from kagglekit.training.plan import Plan
from kagglekit.training.state import Fold


def make_dataset(prepared: Prepared, plan: Plan, *, unlabelled: bool = False) -> Dataset:
    """Return the inputs of a plan: cached log-mels or embeddings, computed if absent, or decoded clips.

    Args:
        unlabelled: also those of data.unlabelled, which training with soft targets has in any case.
    """
    skipped = {"unlabelled"} if not (unlabelled or plan.train.soft_targets) else set()
    splits = [split for split in prepared.folders if split not in skipped]
    is_log_mel = models.input_kind(plan.model, plan.params) is InputKind.LOG_MEL
    in_batch = is_log_mel and plan.train.augment.domain == "waveform"
    noise, noise_fold = prepared.noise(), prepared.noise_fold
    if plan.train.augment.noise_from == "files" and not noise_fold:
        noise = prepared.noise_files()
        noise_fold = dict.fromkeys(noise, LEFT_OUT)  # no fold validates on them
    return Dataset(
        clips=training_view(prepared.clips, plan.train, prepared.config.labels.silence),
        inputs={split: inputs_of(prepared, plan, split) for split in splits},
        noise=noise,
        noise_fold=noise_fold,
        audio=prepared.config.audio,
        features=plan.features if is_log_mel else None,
        waveforms={split: prepared.store(split) for split in splits} if in_batch else None,
        soft_targets=soft_targets.find(prepared.workspace, plan.train.soft_targets),
    )


def head_for(prepared: Prepared, plan: Plan) -> Head:
    """Return the outputs of a plan's models, the same for all folds."""
    labels, train, task = prepared.config.labels, plan.train, prepared.task
    if train.labels == "zero_shot":
        return replace(zero_shot_head(labels, plan), pool=prepared.config.rows.pool)
    used = training_view(prepared.clips, train, labels.silence).filter(pl.col("fold") != LEFT_OUT)
    head = make_head(
        *(
            used,
            task.classes,
            train.labels,
            task.filler,
            labels.silence,
            train.only,
            task.kind,
            task.auxiliary,
        )
    )
    return replace(head, pool=prepared.config.rows.pool)


def make_folds(prepared: Prepared, plan: Plan, folder: Path, numbers: Iterable[int]) -> list[Fold]:
    """Return the trainings of some folds, which share a dataset and a head, each in `folder`/fold_<k>."""
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    return [Fold(prepared.config, plan, dataset, head, k, folder / f"fold_{k}") for k in numbers]
