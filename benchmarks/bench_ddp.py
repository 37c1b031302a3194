"""Two processes that share each batch: our sum of gradients against torch's DistributedDataParallel.

Blocks of ten steps of both take turns within the same two processes, one thread each, 64 clips a process.
Prints milliseconds a step: the median and the least of ten blocks, and the median of CPU time. The batch
norms are ours in both, as torch's SyncBatchNorm has no CPU kernel.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from kagglekit import models
from kagglekit.training.distributed import joined

ROUNDS, STEPS = 10, 10


def work(rank: int, meeting: Path, name: str, queue: Any) -> None:
    """Measure one architecture, as one of two processes."""
    torch.set_num_threads(1)
    x, y = torch.randn(64, 40, 101), torch.randint(0, 12, (64,))
    with joined(rank, 2, meeting) as world:
        sides: dict[str, tuple[Any, Any, Any]] = {}
        for side in ("ours", "ddp"):
            model = world.sync_batch_norms(models.build(name, {"n_mels": 40}, 12)).train()
            network = DistributedDataParallel(model) if side == "ddp" else model
            sides[side] = (model, network, torch.optim.AdamW(model.parameters(), fused=True))
        times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for _ in range(ROUNDS + 1):
            for side, (model, network, optimizer) in sides.items():
                world.barrier()
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(STEPS):
                    loss = cross_entropy(network(x), y)
                    optimizer.zero_grad(set_to_none=True)
                    torch.autograd.backward(loss)
                    if side == "ours":
                        world.reduce_gradients(model)
                    optimizer.step()
                world.barrier()
                times[side].append((time.perf_counter() - wall, time.process_time() - cpu))
        if rank == 0:
            queue.put({side: list(zip(*blocks[1:], strict=True)) for side, blocks in times.items()})


def main(names: list[str]) -> None:
    """Measure each architecture."""
    context = get_context("spawn")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            queue = context.Queue()
            args = [(rank, Path(folder) / "meeting", name, queue) for rank in range(2)]
            processes = [context.Process(target=work, args=each) for each in args]
            for process in processes:
                process.start()
            measured = queue.get()
            for process in processes:
                process.join()
        for side, (wall, cpu) in measured.items():
            figures = [statistics.median(wall), min(wall), statistics.median(cpu)]
            print(name, side, *(f"{1000 / STEPS * figure:.1f}" for figure in figures), "ms a step")


if __name__ == "__main__":
    main(sys.argv[1:] or ["tcresnet", "gru"])
