"""Train one model with several processes.

Each process draws the whole batch with the same seed and takes every n-th clip of it. Gradients are summed
after the backward pass, and batch norms see the whole batch, so that without dropout the losses are those of
one process, up to rounding; dropout draws other masks. torch's SyncBatchNorm runs on GPUs alone (torch 2.13),
and its DistributedDataParallel is slower for small networks on a CPU (docs/LOG.md).
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class World:
    """The processes of one training, seen from one of them; a single one by default."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self.is_main = rank == 0  # and so writes the files

    def shard(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch (batch, ...)."""
        return batch[self.rank :: self.size]

    def all_reduce(self, value: Tensor) -> Tensor:
        """Return the sum of every process's value, without gradient."""
        if self.size > 1:
            value = value.detach().clone()
            dist.all_reduce(value)
        return value

    def barrier(self) -> None:
        """Wait for the other processes."""
        if self.size > 1:
            dist.barrier()

    def reduce_gradients(self, model: nn.Module) -> None:
        """Replace the gradients by their sum over the processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def sync_batch_norms(self, model: nn.Module) -> nn.Module:
        """Replace the batch norms of a model by norms over the whole batch, and return the model."""
        for parent in list(model.modules()) if self.size > 1 else ():
            for name, child in list(parent.named_children()):
                if isinstance(child, _BatchNorm):
                    setattr(parent, name, _WholeBatchNorm(child))
        return model


SINGLE = World()


@contextmanager
def joined(rank: int, size: int, meeting: Path) -> Iterator[World]:
    """Join `size` processes of this machine within the block.

    Args:
        rank: of this process, from 0.
        size: number of processes.
        meeting: a file that does not exist yet, the same for all of them.
    """
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(rank % torch.cuda.device_count())
    else:  # on one machine, whatever its name resolves to
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    backend = "nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=size)
    try:
        yield World(rank, size)
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Sums over all processes, in the backward pass too: each loss depends on every process's value."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _sum(gradients[0])


_sum = cast(Callable[[Tensor], Tensor], _Sum.apply)


class _WholeBatchNorm(_BatchNorm):
    """A batch norm over the batch of all processes, with the parameters, buffers and names of another."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        # timm's norms are followed by dropout and activation
        self.drop: nn.Module = getattr(norm, "drop", nn.Identity())
        self.act: nn.Module = getattr(norm, "act", nn.Identity())

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept what the replaced norm accepts."""

    def forward(self, input: Tensor) -> Tensor:
        """(batch, features, ...) -> the same."""
        if not self.training:
            return self._followed(super().forward(input))
        x = input.float()
        others, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        summed = _sum(torch.cat([x.sum(others), x.new_tensor([x.numel() / x.shape[1]])]))
        count = summed[-1]
        mean = summed[:-1] / count
        centred = x - mean.view(shape)
        variance = _sum(centred.square().sum(others)) / count
        self._update_statistics(mean, variance * count / (count - 1))
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return self._followed(normal.to(input.dtype))

    def _followed(self, normal: Tensor) -> Tensor:
        followed: Tensor = self.act(self.drop(normal))
        return followed

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, unbiased: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(unbiased, weight)
