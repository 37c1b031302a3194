"""Inputs of models: batches of log-mels, embeddings or waveforms for rows of the clips table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from kagglekit.config import Audio, Features, Train
from kagglekit.data.clips import WINDOWS
from kagglekit.data.store import Store
from kagglekit.features.cache import CheckedRows
from kagglekit.features.logmel import FULL_SCALE, geometry, log_mel
from kagglekit.training.head import Head


@dataclass(frozen=True)
class Dataset:
    """The inputs of every clip, and of the noise recordings."""

    clips: pl.DataFrame
    """The clips table."""
    inputs: Mapping[str, NDArray[Any] | CheckedRows | Store]
    """By split: a cached feature array (clips, n_mels, frames), or decoded clips."""
    noise: Mapping[str, NDArray[np.int16]]
    """Noise pieces by name."""
    noise_fold: Mapping[str, int]
    """Validation fold of each piece: that fold's training must not use it."""
    audio: Audio
    features: Features | None
    """Settings of the log-mels; None if the model takes another input."""
    waveforms: Mapping[str, Store] | None = None
    """By split: the decoded clips of which training computes log-mels in each batch; None if it does not."""
    soft_targets: Path | None = None
    """Folder of pseudo-labels and soft targets; None to learn from the labels alone."""

    def for_training(self) -> Self:
        """Return the dataset that training augments: of waveforms where it computes log-mels of them."""
        if self.waveforms is None:
            return self
        return replace(self, inputs=self.waveforms, features=None)

    @property
    def takes_waveforms(self) -> bool:
        """Whether models take decoded clips."""
        return any(isinstance(source, Store) for source in self.inputs.values())

    @property
    def rate(self) -> float:
        """Steps per second on the input's time axis."""
        if self.features is None:
            return float(self.audio.sample_rate)
        return self.audio.sample_rate / geometry(self.features, self.audio.sample_rate)[1]

    def read(self, splits: NDArray[Any], rows: NDArray[np.int64], size: int) -> Iterator[Tensor]:
        """Read the inputs at (split, row) pairs, `size` pairs at a time and the next ones ahead.

        Yields float32 (size, n_mels, frames) or (size, samples); the last one may be smaller.
        """
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        names = [str(name) for name in np.unique(splits)]
        if len(names) == 1:
            yield from self._read_split(names[0], [rows[part] for part in parts])
            return
        readers = {
            name: self._read_split(name, [rows[part][splits[part] == name] for part in parts])
            for name in names
        }
        for part in parts:
            read = {name: next(reader) for name, reader in readers.items()}
            out = torch.empty((len(rows[part]), *read[names[0]].shape[1:]))
            for name, x in read.items():
                out[torch.from_numpy(splits[part] == name)] = x
            yield out

    def _read_split(self, split: str, parts: list[NDArray[np.int64]]) -> Iterator[Tensor]:
        source = self.inputs[split]
        if isinstance(source, Store):
            return map(torch.from_numpy, source.waveforms(parts))
        return (torch.from_numpy(source[rows]).float() for rows in parts)

    def noise_for(self, fold: int) -> list[Tensor]:
        """Return the noise recordings as inputs, without those that `fold` validates on."""
        pieces = [torch.tensor(piece) for name, piece in self.noise.items() if self.noise_fold[name] != fold]
        if self.features is None:
            return [piece.float() / FULL_SCALE for piece in pieces]
        return [log_mel(piece[None], self.features, self.audio.sample_rate)[0] for piece in pieces]

    def batches(self, clips: pl.DataFrame, size: int) -> Iterator[Tensor]:
        """Yield the inputs of `clips` in their order, with all windows of each."""
        windows = windows_of(clips)
        splits = np.repeat(clips["split"].to_numpy(), windows)
        rows = np.repeat(clips["row"].to_numpy().astype(np.int64), windows) + places(windows)
        yield from self.read(splits, rows, size)


def windows_of(clips: pl.DataFrame) -> NDArray[np.int64]:
    """Count the windows of each clip, which are consecutive rows of its split's store: (clips,)."""
    if WINDOWS not in clips.columns:
        return np.ones(len(clips), np.int64)
    return clips[WINDOWS].fill_null(1).to_numpy().astype(np.int64)


def places(windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the windows within each clip: [1, 3] -> [0, 0, 1, 2]."""
    starts = np.cumsum(windows) - windows
    return np.arange(windows.sum()) - np.repeat(starts, windows)


def pool(logits: NDArray[np.float32], windows: NDArray[np.int64], head: Head) -> NDArray[np.float32]:
    """Join the windows of each clip as `head` does: (windows, classes) -> (clips, classes)."""
    if (windows == 1).all():
        return logits
    clips = torch.split(torch.from_numpy(logits), windows.tolist())
    return torch.stack([head.joined(views) for views in clips]).numpy()


def training_view(clips: pl.DataFrame, train: Train, silence: str | None) -> pl.DataFrame:
    """Mark in the clips table which clips a training leaves out.

    Args:
        train: `only` names the classes to train and score; the rest get fold -1.
        silence: the silence class. `words_threshold` validates on it, and does not train on it.
    """
    if train.only:
        wanted = pl.col("label").is_in(train.only)
        clips = clips.with_columns(fold=pl.when(wanted).then("fold").otherwise(pl.lit(-1, pl.Int32)))
    if train.labels == "words_threshold":
        # No comparison with null is true, so no fold trains on these clips, yet each validates its share.
        trained = pl.col("label") != silence
        clips = clips.with_columns(heldout_fold=pl.when(trained | trained.is_null()).then("heldout_fold"))
    return clips
