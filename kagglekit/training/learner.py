"""What training changes: a model, its optimizer, and the running mean of its weights; one epoch of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kagglekit import models
from kagglekit.config import Config, Train
from kagglekit.data.clips import training_rows
from kagglekit.terminal import console, progress
from kagglekit.training import checkpoint
from kagglekit.training.batches import Batches
from kagglekit.training.dataset import Dataset, Head
from kagglekit.training.distributed import ALONE, Team
from kagglekit.training.optimizers import (
    Ema,
    clip_gradients,
    loss_of,
    lr_factor,
    make_optimizer,
    stop_at_nonfinite,
)
from kagglekit.training.plan import Plan
from kagglekit.training.predict import device
from kagglekit.training.soft_targets import lesson


@dataclass
class Learner:
    """A model in training on all folds but one."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LambdaLR
    ema: Ema
    batches: Batches
    train: Train
    seed: int
    """Of this fold."""
    team: Team

    def epoch(self, number: int, advance: progress.Advance) -> float:
        """Train once on every clip; the mean loss.

        Args:
            number: from 0. It seeds what is drawn, so that a resumed training is the same.
            advance: told of each batch.

        Raises:
            KagglekitError: the loss is no longer finite.
        """
        seed_all(self.seed * 10_000 + number)
        on = device()
        self.model.train()
        total = torch.zeros((), device=on)
        for step, (x, y) in enumerate(self.batches.epoch(number), start=1):
            where = f"epoch {number + 1}, step {step}"
            total += train_step(
                self.model, self.optimizer, self.ema, x.to(on), y.to(on), self.train, where, self.team
            )
            self.scheduler.step()
            advance(1)
        return total.item() / len(self.batches)

    def save(self, path: Path, history: list[dict[str, Any]]) -> None:
        """Everything that the next epoch starts from."""
        tensors = {
            **{f"model.{name}": value for name, value in self.model.state_dict().items()},
            **{f"ema.{name}": value for name, value in self.ema.mean.items()},
            "ema_steps": torch.tensor(self.ema.steps),
            **checkpoint.optimizer_tensors(self.optimizer),
        }
        checkpoint.save(path, tensors, {"history": history, "batch_size": self.train.batch_size})

    def resume(self, path: Path) -> list[dict[str, Any]]:
        """Put back the last whole epoch, if there is one of batches of this size; the history so far."""
        if not path.is_file():
            return []
        tensors, state = checkpoint.load(path)
        size = self.train.batch_size
        if state.get("batch_size", size) != size:  # halved for want of memory: other steps
            return []
        self.model.load_state_dict(
            {n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")}
        )
        for name in self.ema.mean:
            self.ema.mean[name].copy_(tensors[f"ema.{name}"])
        self.ema.steps = int(tensors["ema_steps"])
        checkpoint.restore_optimizer(self.optimizer, tensors)
        history: list[dict[str, Any]] = state["history"]
        console.note(f"going on after epoch {len(history)}")
        self.scheduler.last_epoch = self.ema.steps  # every step of the loop is one of the EMA's
        for group, base in zip(self.optimizer.param_groups, self.scheduler.base_lrs, strict=True):
            group["lr"] = base * self.scheduler.lr_lambdas[0](self.ema.steps)
        return history


def begin(config: Config, plan: Plan, dataset: Dataset, head: Head, fold: int, team: Team = ALONE) -> Learner:
    """A model that has learnt nothing yet, and the clips of all folds but one to learn from."""
    train = plan.train
    learned = training_rows(dataset.clips, fold, config, train.seed)
    taught = lesson(dataset.teaching, fold, learned, head)
    batches = Batches(plan.model, train, dataset, head, taught, fold)
    seed = train.seed * 1000 + fold
    seed_all(seed)
    model = team.synced(models.build(plan.model, plan.params, len(head.outputs)).to(device()))
    optimizer = make_optimizer(model, train)
    steps = train.epochs * len(batches)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, train))
    return Learner(model, optimizer, scheduler, Ema(model, train.ema), batches, train, seed, team)


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
