"""One training by several processes: each has a part of every batch, and all have the same weights.

As DistributedDataParallel does, gradients are summed over the processes after each backward pass; as
SyncBatchNorm does (which torch has for GPUs alone), batch norms see the whole batch. Each process draws the
whole batch with the same seed and takes every n-th clip of it, so that without dropout the losses are those
of one process, up to rounding; dropout draws other masks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Team:
    """The processes of one training, as one of them sees them; alone where there are no others."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch (batch, ...)."""
        return batch[self.rank :: self.size]

    def total(self, value: Tensor) -> Tensor:
        """The sum of every process's value; without gradient."""
        if self.size > 1:
            value = value.detach().clone()
            dist.all_reduce(value)
        return value

    def add_gradients(self, model: nn.Module) -> None:
        """Give every process the sum of all processes' gradients."""
        if self.size == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def synced(self, model: nn.Module) -> nn.Module:
        """The model with batch norms that see the whole batch."""
        if self.size > 1:
            for parent in list(model.modules()):
                for name, child in list(parent.named_children()):
                    if isinstance(child, _BatchNorm):
                        setattr(parent, name, _WholeBatchNorm(child))
        return model


ALONE = Team()


@contextmanager
def joined(rank: int, size: int, meeting: Path) -> Iterator[Team]:
    """One of `size` processes of this machine, within the block; they meet at a file that nobody has made."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(rank % torch.cuda.device_count())
    else:  # on one machine, whatever its name resolves to
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    backend = "nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=size)
    try:
        yield Team(rank, size)
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, as each process's loss depends on every one's value."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


def _sum(value: Tensor) -> Tensor:
    summed: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return summed


class _WholeBatchNorm(_BatchNorm):
    """A batch norm over the batch of all processes, with the parameters, buffers and names of another."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked

    def _check_input_dim(self, input: Tensor) -> None:
        """Any that the norm it stands for takes."""

    def forward(self, input: Tensor) -> Tensor:
        """(batch, features, ...) to the same."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        others = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        summed = _sum(torch.cat([x.sum(others), x.new_tensor([x.numel() / x.shape[1]])]))
        count = summed[-1]
        mean = summed[:-1] / count
        centred = x - mean.view(shape)
        variance = _sum(centred.square().sum(others)) / count
        self._remember(mean, variance * count / (count - 1))
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, unbiased: Tensor) -> None:
        """Take the batch into the running statistics."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(unbiased, weight)
