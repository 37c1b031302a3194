"""Everything that training changes: model, optimizer, schedule, EMA and history; saved after each epoch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kagglekit import models
from kagglekit.config import Config
from kagglekit.data.clips import training_rows
from kagglekit.errors import MissingError
from kagglekit.scoring.task import Task
from kagglekit.terminal import console
from kagglekit.training import checkpoint
from kagglekit.training.batches import Batches
from kagglekit.training.dataset import Dataset
from kagglekit.training.distributed import World
from kagglekit.training.files import STATE
from kagglekit.training.head import Head
from kagglekit.training.optimizers import Ema, lr_factor, make_optimizer
from kagglekit.training.plan import Plan
from kagglekit.training.predict import device
from kagglekit.training.soft_targets import training_set


@dataclass(frozen=True)
class Fold:
    """What to train: a plan, on all folds but one."""

    config: Config
    plan: Plan
    dataset: Dataset
    head: Head
    number: int
    folder: Path
    """For weights, history and predictions."""

    @property
    def seed(self) -> int:
        """The fold's random seed."""
        return self.plan.train.seed * 1000 + self.number


@dataclass
class TrainingState:
    """A model in training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LambdaLR
    ema: Ema
    batches: Batches
    history: list[dict[str, Any]] = field(default_factory=list)
    """One entry per finished epoch."""

    def save(self, path: Path, batch_size: int) -> None:
        """Write everything that the next epoch starts from."""
        tensors = {
            **{f"model.{name}": value for name, value in self.model.state_dict().items()},
            **{f"ema.{name}": value for name, value in self.ema.mean.items()},
            "ema_steps": torch.tensor(self.ema.steps),
            **checkpoint.optimizer_tensors(self.optimizer),
        }
        checkpoint.save(path, tensors, {"history": self.history, "batch_size": batch_size})

    def resume(self, path: Path, batch_size: int) -> None:
        """Restore the last finished epoch, unless there is none, it is damaged, or it had other batches."""
        if not path.is_file():
            return
        try:
            tensors, facts = checkpoint.load(path)
        except MissingError as error:
            console.note(f"{error}: training starts again from the first epoch")
            return
        if facts.get("batch_size", batch_size) != batch_size:
            return
        self.model.load_state_dict(
            {n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")}
        )
        for name in self.ema.mean:
            self.ema.mean[name].copy_(tensors[f"ema.{name}"])
        self.ema.steps = int(tensors["ema_steps"])
        checkpoint.restore_optimizer(self.optimizer, tensors)
        self.history = facts["history"]
        console.note(f"resuming after epoch {len(self.history)}")
        self.scheduler.last_epoch = self.ema.steps  # the EMA counts every step of the loop
        for group, base in zip(self.optimizer.param_groups, self.scheduler.base_lrs, strict=True):
            group["lr"] = base * self.scheduler.lr_lambdas[0](self.ema.steps)


def start(fold: Fold, world: World) -> TrainingState:
    """Build an untrained model and its batches, or resume after the last finished epoch."""
    train, head, dataset = fold.plan.train, fold.head, fold.dataset
    rows = training_rows(dataset.clips, fold.number, fold.config, train.seed)
    task = Task.of(fold.config)
    clips = training_set(dataset.soft_targets, fold.number, rows, head, task, train.class_weight)
    batches = Batches(fold.plan.model, train, dataset, head, clips, fold.number)
    seed_all(fold.seed)
    model = models.build(fold.plan.model, fold.plan.params, len(head.outputs)).to(device())
    model = world.sync_batch_norms(model)
    optimizer = make_optimizer(model, train)
    steps = train.epochs * len(batches)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, train))
    state = TrainingState(model, optimizer, scheduler, Ema(model, train.ema), batches)
    state.resume(fold.folder / STATE, train.batch_size)
    return state


def seed_all(seed: int) -> None:
    """Seed what models draw from: torch, and NumPy, from which transformers draws SpecAugment's masks."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
