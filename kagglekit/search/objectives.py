"""What a search can look for besides the score: how large a model is, and how long it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch

from kagglekit import models
from kagglekit.search.trial import Candidate, fold_jobs

LATENCY_RUNS = 20  # after a few to warm up; their median


def cost_of(task: Candidate, objectives: Sequence[str]) -> list[float]:
    """The values of objectives besides the score, in their order.

    Args:
        task: a trial.
        objectives: `params`, the number of parameters; `latency`, ms for one clip on one thread of this CPU.
    """
    if not objectives:
        return []
    job = fold_jobs(task)[0]
    model = models.build(job.plan.model, job.plan.params, len(job.head.outputs)).eval()
    costs = {"params": lambda: float(sum(p.numel() for p in model.parameters()))}
    clip = next(job.dataset.batches(job.dataset.clips.filter(job.dataset.clips["fold"] >= 0).head(1), 1))
    costs["latency"] = lambda: latency_ms(model, clip)
    return [costs[objective]() for objective in objectives]


@torch.inference_mode()
def latency_ms(model: torch.nn.Module, clip: torch.Tensor) -> float:
    """Median time in ms that a model takes for one clip (1, ...), on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken = []
        for _ in range(LATENCY_RUNS + 3):
            started = time.perf_counter()
            model(clip)
            taken.append(1000 * (time.perf_counter() - started))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(taken[3:])
