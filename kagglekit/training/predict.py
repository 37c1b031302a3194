"""Inference: logits of the classes for clips."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kagglekit.config import Train
from kagglekit.parallel.processes import cores
from kagglekit.terminal import progress
from kagglekit.training.augment import shift
from kagglekit.training.dataset import Dataset, pool, windows_of
from kagglekit.training.distributed import World
from kagglekit.training.head import Head

EVAL_BATCH = 256


def device() -> torch.device:
    """Return the GPU if there is one; on a CPU, limit torch's threads to the cores of a container's quota."""
    torch.set_num_threads(min(torch.get_num_threads(), cores()))
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set the number of torch's threads within the block, at least one."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def predict(
    model: nn.Module,
    dataset: Dataset,
    clips: pl.DataFrame,
    head: Head,
    train: Train,
    advance: progress.Advance = lambda clips: None,
) -> NDArray[np.float32]:
    """Return logits (clips, classes) for rows of the clips table."""
    parts = []
    # Networks that take waveforms are large: batches that fit to train on fit to predict.
    size = min(EVAL_BATCH, train.batch_size) if dataset.takes_waveforms else EVAL_BATCH
    windows = windows_of(clips)
    clips_per_window = len(clips) / max(windows.sum(), 1)
    for x in dataset.batches(clips, size):
        parts.append(classify(model, x, head, train, dataset.rate))
        advance(len(x) * clips_per_window)
    logits = np.concatenate(parts) if parts else np.empty((0, len(head.classes)), np.float32)
    return pool(logits, windows, head)


@torch.inference_mode()
def classify(model: nn.Module, x: Tensor, head: Head, train: Train, rate: float) -> NDArray[np.float32]:
    """Return logits of the classes (batch, classes) for inputs x (batch, ..., time).

    Args:
        head: maps its outputs to the classes.
        train: precision, and the shifts of test-time augmentation.
        rate: steps per second on x's time axis.
    """
    model.eval()
    on = next(model.parameters()).device
    offsets = [round(ms / 1000 * rate) for ms in (0.0, *train.tta_ms)]
    views = []
    for offset in offsets:
        view = shift(x, torch.full((len(x),), offset)) if offset else x
        with torch.autocast(on.type, dtype=torch.bfloat16, enabled=train.bf16 is True):
            logits = model(view.to(on))
        views.append(head.collapse(logits.float().cpu()))
    if len(views) == 1:
        return views[0].numpy()
    return head.mean(torch.stack(views)).numpy()


def predict_sharded(
    world: World, model: nn.Module, dataset: Dataset, clips: pl.DataFrame, head: Head, train: Train
) -> NDArray[np.float32]:
    """Call `predict` with each process predicting its part of the clips: (clips, classes)."""
    if world.size == 1:
        return predict(model, dataset, clips, head, train)
    logits = torch.zeros(len(clips), len(head.classes), device=device())
    part = clips.gather_every(world.size, world.rank)
    world.shard(logits).copy_(torch.from_numpy(predict(model, dataset, part, head, train)))
    return world.all_reduce(logits).cpu().numpy()
