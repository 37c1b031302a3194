"""Objectives of a search besides the score: model size and latency."""

import statistics
import time
from collections.abc import Sequence

import torch

from kagglekit import models
from kagglekit.search.trial import Candidate, fold_jobs

LATENCY_RUNS = 20  # measured, after WARMUP_RUNS
WARMUP_RUNS = 3


def measure_costs(candidate: Candidate, objectives: Sequence[str]) -> list[float]:
    """Return each objective but the score: params, or latency in ms per clip on one thread of this CPU."""
    if not objectives:
        return []
    job = fold_jobs(candidate)[0]
    model = models.build(job.plan.model, job.plan.params, len(job.head.outputs)).eval()
    costs = {"params": lambda: float(sum(p.numel() for p in model.parameters()))}
    clip = next(job.dataset.batches(job.dataset.clips.filter(job.dataset.clips["fold"] >= 0).head(1), 1))
    costs["latency"] = lambda: latency_ms(model, clip)
    return [costs[objective]() for objective in objectives]


@torch.inference_mode()
def latency_ms(model: torch.nn.Module, clip: torch.Tensor) -> float:
    """Return the median time in ms for one clip (1, ...) on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for _ in range(LATENCY_RUNS + WARMUP_RUNS):
            started = time.perf_counter()
            model(clip)
            times.append(1000 * (time.perf_counter() - started))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times[WARMUP_RUNS:])
