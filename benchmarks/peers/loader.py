"""A torch DataLoader over `datasets`: cached log-mels, augmented clip by clip in two workers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch.utils.data import DataLoader

WORKERS, BATCH = 2, 128
DB = math.log(10) / 10


def load(folder: Path, augmented: bool = True) -> datasets.Dataset:
    """Columns x (n_mels, frames) and labels, of the arrays in `folder`."""
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    features = datasets.Features(
        {"x": datasets.Array2D(x.shape[1:], "float32"), "labels": datasets.Value("int64")}
    )
    stored = folder / "datasets"
    if not stored.exists():
        datasets.Dataset.from_dict({"x": x.astype(np.float32), "labels": y}, features=features).save_to_disk(
            stored
        )
    table = datasets.load_from_disk(str(stored)).with_format("torch")
    if not augmented:
        return table
    noise = torch.from_numpy(np.load(folder / "noise.npy"))
    formatted = table

    class Augmented(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(formatted)

        def __getitem__(self, index: int) -> dict[str, Any]:
            row = formatted[index]
            return {"x": augment(row["x"], noise), "labels": row["labels"]}

    return Augmented()


def augment(x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Shift, gain, noise, filter, and two masks on each axis of one clip (n_mels, frames)."""
    time = torch.arange(x.shape[1])
    x = x[:, (time - int(torch.randint(-10, 11, ()))).clamp(0, x.shape[1] - 1)]
    x = x + DB * (12 * torch.rand(()) - 6)
    if torch.rand(()) < 0.15:
        start = int(torch.randint(noise.shape[1] - x.shape[1] + 1, ()))
        sound = noise[:, start : start + x.shape[1]]
        level = x.exp().sum(0).mean().log() - sound.exp().sum(0).mean().log()
        x = torch.logaddexp(x, sound + level - DB * 30 * torch.rand(()))
    knots = torch.randn(1, 1, 5)
    curve = torch.nn.functional.interpolate(knots, x.shape[0], mode="linear", align_corners=True)[0, 0]
    x = x + 3 * DB * curve[:, None]
    mean = x.mean()
    for most, axis in ((10, 1), (10, 1), (2, 0), (2, 0)):
        width = int(torch.randint(most + 1, ()))
        start = int(torch.randint(x.shape[axis] - width + 1, ()))
        x = x.index_fill(axis, torch.arange(start, start + width), float(mean))
    return x


def loader(table: Any) -> DataLoader[Any]:
    """Shuffled batches."""
    return DataLoader(
        table, BATCH, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=True
    )
