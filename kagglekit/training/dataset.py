"""What models see: batches of log-mels or waveforms of the clips table's rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from kagglekit.config import Audio, Features, Train
from kagglekit.data.clips import WINDOWS
from kagglekit.data.store import Store
from kagglekit.features.logmel import FULL_SCALE, geometry, log_mel
from kagglekit.training.thresholds import FLOOR, Rule, Thresholds, rule_for


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
    teaching: Path | None = None
    """Folder of what is learnt besides labels; None: nothing is."""

    @property
    def takes_waveforms(self) -> bool:
        """Whether models are given decoded clips."""
        return any(isinstance(source, Store) for source in self.inputs.values())

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
        """The inputs of `clips`, in their order, all windows of each."""
        windows = windows_of(clips)
        splits = np.repeat(clips["split"].to_numpy(), windows)
        rows = np.repeat(clips["row"].to_numpy().astype(np.int64), windows) + places(windows)
        for start in range(0, len(rows), size):
            yield self.take(splits[start : start + size], rows[start : start + size])


def windows_of(clips: pl.DataFrame) -> NDArray[np.int64]:
    """How many rows each clip has in its split's store, one after the other: (clips,)."""
    if WINDOWS not in clips.columns:
        return np.ones(len(clips), np.int64)
    return clips[WINDOWS].fill_null(1).to_numpy().astype(np.int64)


def places(windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... within each clip: [1, 3] -> [0, 0, 1, 2]."""
    starts = np.cumsum(windows) - windows
    return np.arange(windows.sum()) - np.repeat(starts, windows)


def pool(logits: NDArray[np.float32], windows: NDArray[np.int64], head: Head) -> NDArray[np.float32]:
    """What the windows of each clip say together: (windows, classes) -> (clips, classes)."""
    if (windows == 1).all():
        return logits
    ends = np.cumsum(windows)
    clips = [
        head.mean(torch.from_numpy(logits[end - count : end])[:, None])[0]
        for end, count in zip(ends, windows, strict=True)
    ]
    return torch.stack(clips).numpy()


@dataclass(frozen=True)
class Head:
    """What a model's logits mean, and how they become the competition's classes."""

    outputs: tuple[str, ...]
    """One name for each logit: classes, words and DOUBLE, or a checkpoint's labels."""
    class_of: tuple[int, ...]
    """Index of the competition's class of each output."""
    classes: tuple[str, ...]
    words: bool
    """Whether outputs are words."""

    double: int | None
    """Output of a clip made of two words: a filler. None: there is no filler class."""
    rule: Rule | None = None
    """How classes without an output are given out; None: they are not."""
    thresholds: Thresholds | None = None
    """Of the rule; None: raw forms are wanted."""
    separator: str | None = None
    """Between the labels of a clip; None: each has one. With several, a logit is a yes or no to its class."""

    def collapse(self, logits: Tensor) -> Tensor:
        """(batch, outputs) -> (batch, classes): the logits, the log of summed probabilities, or the rule."""
        if self.outputs == self.classes and self.rule is None:
            return logits
        log_probs = logits.log_softmax(1)
        members = torch.tensor(self.class_of)
        by_class = [self._join(log_probs[:, members == c]) for c in range(len(self.classes))]
        joined = torch.stack(by_class, 1)
        if self.rule is None:
            return joined
        if not self.rule.says_silence:
            rest = 1 - joined.exp().sum(1)  # silence was at the floor
            joined[:, self.rule.silence] = rest.clamp(min=FLOOR).log()
        return joined if self.thresholds is None else self._ruled(joined)

    def _join(self, log_probs: Tensor) -> Tensor:
        """(batch, outputs of one class) -> (batch,): their best or their sum; none are at the floor."""
        if log_probs.shape[1] == 0:
            return log_probs.new_full((len(log_probs),), math.log(FLOOR))
        return log_probs.logsumexp(1) if self.rule is None else log_probs.amax(1)

    def _ruled(self, raw: Tensor) -> Tensor:
        assert self.rule is not None and self.thresholds is not None
        return torch.from_numpy(self.rule.apply(raw.numpy(), self.thresholds))

    def mean(self, views: Tensor) -> Tensor:
        """Logits that several views of a clip have in common: (views, clips, classes) -> (clips, classes)."""
        if self.separator is not None:
            return views.sigmoid().mean(0).logit(eps=1e-6)  # float32 has no less beside 1
        # what a rule is for are logarithms already, which need not add up to 1
        probs = views.softmax(2) if self.rule is None else views.exp()
        return probs.mean(0).clamp(min=FLOOR).log()

    def hot(self, clips: pl.DataFrame) -> Tensor | None:
        """1 where a training clip is of a class, (clips, outputs); None where each is of one (`targets`)."""
        if self.separator is None:
            return None
        labels = clips["label"].str.split(self.separator)
        columns = [labels.list.contains(name).to_numpy() for name in self.outputs]
        return torch.from_numpy(np.stack(columns, 1)).float()

    def targets(self, clips: pl.DataFrame) -> Tensor:
        """Output index of each training clip, int64 (clips,)."""
        index = {name: i for i, name in enumerate(self.outputs)}
        column = "word" if self.words else "label"
        return torch.tensor([index[name] for name in clips[column].to_list()])


DOUBLE = "_double_"


def make_head(
    clips: pl.DataFrame,
    classes: tuple[str, ...],
    labels: str,
    filler: str | None,
    silence: str | None = None,
    only: tuple[str, ...] = (),
    separator: str | None = None,
) -> Head:
    """The outputs of a model trained on `clips`.

    Args:
        clips: training rows of every fold, so that all folds have the same outputs.
        classes: the competition's, filler last.
        labels: "targets" or "cascade", "words", or "words_threshold".
        filler: the class of DOUBLE; None: no such output.
        silence: the class that words_threshold does not train.
        only: classes that there are clips of; empty: all.
        separator: between the labels of a clip that may have several.
    """
    class_index = {name: i for i, name in enumerate(classes)}
    if filler is not None and only and filler not in only:
        filler = None
    if labels in ("targets", "cascade"):
        outputs = tuple(name for name in classes if name in only) if only else classes
        double = None if filler is None else outputs.index(filler)
        class_of = tuple(class_index[name] for name in outputs)
        return Head(outputs, class_of, classes, False, double, separator=separator)
    if labels == "words_threshold":
        clips = clips.filter(pl.col("label") != silence)
    pairs = dict(sorted(clips.select("word", "label").unique().iter_rows()))
    if filler is not None:
        pairs[DOUBLE] = filler
    class_of = tuple(class_index[label] for label in pairs.values())
    double = None if filler is None else len(pairs) - 1
    rule = rule_for(labels, len(classes), class_of)
    return Head(tuple(pairs), class_of, classes, words=True, double=double, rule=rule)


def training_view(clips: pl.DataFrame, train: Train, silence: str | None) -> pl.DataFrame:
    """The clips table as a training sees it: with the clips that it wants, in the roles that they have.

    Args:
        clips: the clips table.
        train: says which classes, and whether silence is one to learn.
        silence: its name.
    """
    if train.only:
        wanted = pl.col("label").is_in(train.only)
        clips = clips.with_columns(fold=pl.when(wanted).then("fold").otherwise(pl.lit(-1, pl.Int32)))
    if train.labels == "words_threshold":
        # No comparison with null is true: no fold learns from these clips, yet each validates its own.
        learned = pl.col("label") != silence
        clips = clips.with_columns(heldout_fold=pl.when(learned | learned.is_null()).then("heldout_fold"))
    return clips
