"""A model asked: logits of the competition's classes for clips."""

from __future__ import annotations

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
from kagglekit.training.dataset import Dataset, Head, pool, windows_of
from kagglekit.training.distributed import Team

EVAL_BATCH = 256


def device() -> torch.device:
    """A GPU where there is one; on a CPU, no more threads than a container's quota has cores for."""
    torch.set_num_threads(min(torch.get_num_threads(), cores()))
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it, torch computes with so many threads, and at least one."""
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
    """Logits of the competition's classes for each of `clips`: (clips, classes)."""
    parts = []
    # networks that hear waveforms are large: what memory holds to train on, it holds to predict
    size = min(EVAL_BATCH, train.batch_size) if dataset.takes_waveforms else EVAL_BATCH
    windows = windows_of(clips)
    share = len(clips) / max(windows.sum(), 1)
    for x in dataset.batches(clips, size):
        parts.append(classify(model, x, head, train, dataset.rate))
        advance(len(x) * share)
    logits = np.concatenate(parts) if parts else np.empty((0, len(head.classes)), np.float32)
    return pool(logits, windows, head)


@torch.inference_mode()
def classify(model: nn.Module, x: Tensor, head: Head, train: Train, rate: float) -> NDArray[np.float32]:
    """Logits of the competition's classes (batch, classes) for inputs x (batch, ..., time).

    Args:
        model, x, head: what is asked what.
        train: precision, and the shifts of test-time augmentation.
        rate: steps of time in a second.
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


def predict_together(
    team: Team, model: nn.Module, dataset: Dataset, clips: pl.DataFrame, head: Head, train: Train
) -> NDArray[np.float32]:
    """`predict`, each process of a team its part: (clips, classes)."""
    if team.size == 1:
        return predict(model, dataset, clips, head, train)
    logits = torch.zeros(len(clips), len(head.classes), device=device())
    part = clips.gather_every(team.size, team.rank)
    logits[team.rank :: team.size] = torch.from_numpy(predict(model, dataset, part, head, train)).to(logits)
    return team.total(logits).cpu().numpy()


def predictions(clips: pl.DataFrame, logits: NDArray[np.float32]) -> pl.DataFrame:
    """Rows of oof.parquet or test.parquet."""
    kept = [c for c in ("clip_id", "fold", "label", "part") if c in clips.columns]
    return clips.select(kept).with_columns(
        logits=pl.Series(logits, dtype=pl.Array(pl.Float32, logits.shape[1]))
    )
