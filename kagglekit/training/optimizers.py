"""Optimizers, learning rate schedule, gradient clipping and EMA."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kagglekit.config import Train
from kagglekit.errors import KagglekitError


class Ema:
    """Exponential moving average of weights and buffers; decay 0 follows the weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.mean = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Add the weights after a step; early on, average over the steps so far."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        names = [n for n, v in self.mean.items() if v.is_floating_point()]
        current = model.state_dict()
        torch._foreach_lerp_([self.mean[n] for n in names], [current[n] for n in names], 1 - decay)
        for name, value in current.items():
            if not value.is_floating_point():
                self.mean[name].copy_(value)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averaged weights within the block."""
        saved = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.mean)
        try:
            yield
        finally:
            model.load_state_dict(saved)


def make_optimizer(model: nn.Module, train: Train) -> torch.optim.Optimizer:
    """Build the optimizer by name, without weight decay on biases and norms."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if train.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=train.lr, momentum=0.9, nesterov=True)
    if train.optimizer in ("adamw", "adam"):
        kind = torch.optim.AdamW if train.optimizer == "adamw" else torch.optim.Adam
        return kind(groups, lr=train.lr, fused=True)
    other = torch.optim.Adamax if train.optimizer == "adamax" else torch.optim.RMSprop
    return other(groups, lr=train.lr)


def lr_factor(step: int, steps: int, train: Train) -> float:
    """Return the factor on the peak learning rate: a linear warm-up, then the schedule."""
    warmup = max(round(train.warmup * steps), 1)
    if step < warmup:
        return (step + 1) / warmup
    if train.schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def clip_gradients(model: nn.Module, max_norm: float) -> Tensor:
    """Scale gradients to a norm of at most `max_norm` (0 for no limit), and return the norm before."""
    return nn.utils.clip_grad_norm_(model.parameters(), max_norm or math.inf)


def stop_at_nonfinite(loss: Tensor, norm: Tensor, where: str, optimizer: torch.optim.Optimizer) -> None:
    """Raise KagglekitError where the loss or its gradient is no longer finite."""
    if not (torch.isfinite(loss) and torch.isfinite(norm)):
        group = optimizer.param_groups[0]
        lr, peak = group["lr"], group.get("initial_lr", group["lr"])
        raise KagglekitError(
            f"the loss is {loss.item():g} (gradient norm {norm.item():g}) in {where}, learning rate {lr:.2g}",
            hint=f"try a lower one: --set train.lr={peak / 3:.1g}",
        )
