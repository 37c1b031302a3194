"""What models see: batches of log-mels or waveforms of the clips table's rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from kagglekit.config import Audio, Features
from kagglekit.data.store import Store
from kagglekit.features.logmel import geometry, log_mel

FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Dataset:
    """The inputs of every clip, and of the noise recordings."""

    clips: pl.DataFrame
    """The clips table."""
    inputs: Mapping[str, NDArray[Any] | Store]
    """By split: a cached feature array (clips, n_mels, frames), or decoded clips."""
    noise: Mapping[str, NDArray[np.int16]]
    """Noise pieces by name."""
    noise_fold: Mapping[str, int]
    """Fold whose training must not hear a piece."""
    audio: Audio
    features: Features | None
    """None: the model hears waveforms."""

    @property
    def rate(self) -> float:
        """Steps of the input's time axis in a second."""
        if self.features is None:
            return float(self.audio.sample_rate)
        return self.audio.sample_rate / geometry(self.features, self.audio.sample_rate)[1]

    def take(self, splits: NDArray[Any], rows: NDArray[np.int64]) -> Tensor:
        """Inputs of the clips at (split, row) pairs: float32 (batch, n_mels, frames) or (batch, samples)."""
        names = np.unique(splits)
        if len(names) == 1:
            return self._take(str(names[0]), rows)
        first = self._take(str(names[0]), rows[splits == names[0]])
        out = torch.empty((len(rows), *first.shape[1:]))
        out[torch.from_numpy(splits == names[0])] = first
        for name in names[1:]:
            here = splits == name
            out[torch.from_numpy(here)] = self._take(str(name), rows[here])
        return out

    def _take(self, split: str, rows: NDArray[np.int64]) -> Tensor:
        source = self.inputs[split]
        if isinstance(source, Store):
            return torch.from_numpy(source.take(rows)).float().div_(FULL_SCALE)
        return torch.from_numpy(source[rows]).float()

    def noise_for(self, fold: int | None) -> list[Tensor]:
        """Noise recordings as inputs, without those that `fold` validates on."""
        heard = [piece for name, piece in self.noise.items() if fold is None or self.noise_fold[name] != fold]
        if self.features is None:
            return [torch.tensor(piece).float() / FULL_SCALE for piece in heard]
        return [
            log_mel(torch.tensor(piece)[None], self.features, self.audio.sample_rate)[0] for piece in heard
        ]

    def batches(self, clips: pl.DataFrame, size: int) -> Iterator[Tensor]:
        """The inputs of `clips`, in their order."""
        splits, rows = clips["split"].to_numpy(), clips["row"].to_numpy().astype(np.int64)
        for start in range(0, len(clips), size):
            yield self.take(splits[start : start + size], rows[start : start + size])


@dataclass(frozen=True)
class Head:
    """What a model's logits mean, and how they become the competition's classes."""

    outputs: tuple[str, ...]
    """One name for each logit: classes, or words and DOUBLE."""
    class_of: tuple[int, ...]
    """Index of the competition's class of each output."""
    classes: tuple[str, ...]
    words: bool
    """Whether outputs are words."""

    double: int | None
    """Output of a clip made of two words: a filler. None: there is no filler class."""

    def collapse(self, logits: Tensor) -> Tensor:
        """(batch, outputs) -> (batch, classes): the logits, or the log of summed probabilities."""
        if not self.words:
            return logits
        log_probs = logits.log_softmax(1)
        members = torch.tensor(self.class_of)
        return torch.stack([log_probs[:, members == c].logsumexp(1) for c in range(len(self.classes))], 1)

    def targets(self, clips: pl.DataFrame) -> Tensor:
        """Output index of each training clip, int64 (clips,)."""
        index = {name: i for i, name in enumerate(self.outputs)}
        column = "word" if self.words else "label"
        return torch.tensor([index[name] for name in clips[column].to_list()])


DOUBLE = "_double_"


def make_head(clips: pl.DataFrame, classes: tuple[str, ...], labels: str, filler: str | None) -> Head:
    """The outputs of a model trained on `clips`.

    Args:
        clips: training rows of every fold, so that all folds have the same outputs.
        classes: the competition's, filler last.
        labels: "targets" or "words".
        filler: the class of DOUBLE; None: no such output.
    """
    if labels == "targets":
        double = None if filler is None else classes.index(filler)
        return Head(classes, tuple(range(len(classes))), classes, words=False, double=double)
    pairs = dict(sorted(clips.select("word", "label").unique().iter_rows()))
    if filler is not None:
        pairs[DOUBLE] = filler
    class_index = {name: i for i, name in enumerate(classes)}
    class_of = tuple(class_index[label] for label in pairs.values())
    return Head(
        tuple(pairs), class_of, classes, words=True, double=None if filler is None else len(pairs) - 1
    )
