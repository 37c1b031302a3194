"""Export a run as an ONNX file, from a waveform to logits, for a phone or a single-board computer.

The graph is that of a notebook (kagglekit.runs.graph), of one run: its metadata has what a program without
kagglekit needs.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from kagglekit.runs.graph import INPUT, open_graph, write_graph
from kagglekit.runs.graph_precision import Precision
from kagglekit.runs.store import Run
from kagglekit.training.predict import threads

RUNS = 200  # timed, after WARMUP_RUNS
MOST_SECONDS = 10.0
WARMUP_RUNS = 3


class Exported(NamedTuple):
    """The file, its size and its speed."""

    path: Path
    parameters: int
    size: int
    """Bytes."""
    error: float
    """Largest difference from torch's logits."""
    clip_ms: float
    """Median time for a clip on one core, log-mel included."""
    sample_rate: int
    """Of the input, in Hz."""
    samples: int
    """Of the input."""


def export(run: Run, path: Path, fold: int | None = 0, precision: Precision = "float32") -> Exported:
    """Write a run as ONNX, check it before it replaces `path`, and time it.

    Args:
        fold: the fold whose network to write; None: the mean of all folds' probabilities.

    Raises:
        ConfigError, KagglekitError: as `write_graph`.
    """
    graph = write_graph(run, path, fold, precision)
    session = open_graph(path)
    noise = np.random.default_rng(0).normal(0, 0.1, (1, graph.samples)).astype(np.float32)
    clip_ms = median_ms(lambda: session.run(None, {INPUT: noise}), RUNS)
    return Exported(
        path, graph.parameters, graph.size, graph.error, clip_ms, graph.sample_rate, graph.samples
    )


@torch.inference_mode()
def median_ms(work: Callable[[], object], runs: int) -> float:
    """Return the median time of `work` in milliseconds, torch on one core, after WARMUP_RUNS.

    It stops after MOST_SECONDS, with fewer runs.
    """
    times = []
    with threads(1):
        begun = time.perf_counter()
        for _ in range(WARMUP_RUNS + runs):
            started = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - started))
            if len(times) > WARMUP_RUNS and time.perf_counter() - begun > MOST_SECONDS:
                break
    return float(np.median(times[WARMUP_RUNS:]))
