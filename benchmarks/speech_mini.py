"""The prepared competition that several benchmarks train on, and what their peers are given of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness import HERE, need
from torch import Tensor

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.clips import training_rows
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.fetch import fetch
from kagglekit.runs.setup import head_for, make_dataset
from kagglekit.scoring.task import Task
from kagglekit.training.batches import Batches, TrainingBatch
from kagglekit.training.dataset import Dataset
from kagglekit.training.head import Head
from kagglekit.training.plan import Plan, resolve
from kagglekit.training.soft_targets import training_set


class Job(NamedTuple):
    """A fold's training, as the loop has it."""

    config: Config
    plan: Plan
    dataset: Dataset
    head: Head
    batches: Batches


def open_prepared() -> tuple[Config, Workspace, Prepared]:
    """speech-mini, fetched and prepared where it is not yet; ends the benchmark where there is none."""
    config = load_config(HERE / "speech_mini.yaml")
    assert config.competition.local is not None
    need(config.competition.local.files)
    workspace = Workspace(config)
    fetch(workspace, open_host(config, workspace.root))
    return config, workspace, prepare(workspace)


def job_for(model: str, clips: int, *, augmented: bool = True) -> Job:
    """The first `clips` that fold 0 learns from, with the recipe of a model, or without its augmentation."""
    config, _workspace, prepared = open_prepared()
    plan = resolve(config, model)
    if not augmented:
        off = {name: 0 for name in type(plan.train.augment).model_fields if name != "noise_snr_db"}
        augment = plan.train.augment.model_copy(update=off)
        plan = replace(plan, train=plan.train.model_copy(update={"augment": augment, "balance": 0.0}))
    dataset, head = make_dataset(prepared, plan), head_for(prepared, plan)
    learned = training_rows(dataset.clips, 0, config, plan.train.seed)
    learned = learned.sample(clips, seed=0)
    taught = training_set(dataset.soft_targets, 0, learned, head, Task.of(config))
    return Job(config, plan, dataset, head, Batches(model, plan.train, dataset, head, taught, 0))


def arrays(job: Job) -> tuple[Tensor, Tensor]:
    """The same clips as tensors in memory: (clips, n_mels, frames) float32, and the output of each."""
    return job.dataset.take(job.batches.splits, job.batches.rows), job.batches.targets


def hand_over(job: Job, folder: Path) -> None:
    """The same for a peer, with one noise recording."""
    x, y = arrays(job)
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "y.npy", y.numpy())
    np.save(folder / "noise.npy", job.dataset.noise_for(0)[0].numpy())


def epochs(job: Job) -> Iterator[TrainingBatch]:
    """Batches of the loop, without end."""
    number = 0
    while True:
        yield from job.batches.epoch(number)
        number += 1
