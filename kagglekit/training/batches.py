"""Shuffled, augmented training batches."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kagglekit import models
from kagglekit.config import Train
from kagglekit.training.augment import DOMAINS, Augmenter, clatter, join
from kagglekit.training.dataset import Dataset, windows_of
from kagglekit.training.head import Head
from kagglekit.training.soft_targets import TrainingSet


class TrainingBatch(NamedTuple):
    """What a step learns from."""

    x: Tensor
    """(batch, ...)."""
    y: Tensor
    """(batch, outputs)."""
    weight: Tensor | None
    """(batch, outputs) or (batch, 1), weight of the loss; None: all alike."""


class Batches:
    """Shuffled, augmented training batches with soft targets.

    Args:
        model: name of the architecture, which determines the input.
        fold: the fold that is left out; it is part of the seed.
    """

    def __init__(
        self, model: str, train: Train, dataset: Dataset, head: Head, training_set: TrainingSet, fold: int
    ) -> None:
        clips, self.soft, self.weights = training_set
        self.train, self.dataset, self.head, self.fold = train, dataset, head, fold
        self.domain = DOMAINS[models.info(model).input]
        self.splits = clips["split"].to_numpy()
        self.rows = clips["row"].to_numpy().astype(np.int64)
        self.windows = windows_of(clips)
        self.targets = head.targets(clips) if self.soft is None else self.soft.argmax(1)
        self.is_speech = torch.from_numpy((clips["part"] != "silence").to_numpy())
        self.chance = class_chance(clips, train.balance) if train.balance else None
        noise = dataset.noise_for(fold) if train.augment.noise else []
        self.augmenter = Augmenter(train.augment, self.domain, dataset.rate, noise)

    def __len__(self) -> int:
        """Count the batches of an epoch; a last, smaller one is dropped unless it is the only one."""
        return max(len(self.rows) // self.train.batch_size, 1)

    @property
    def clips(self) -> int:
        """Number of clips in an epoch."""
        return min(len(self) * self.train.batch_size, len(self.rows))

    def epoch(self, number: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch; with one label per clip, rows of y sum to 1."""
        train = self.train
        generator = torch.Generator().manual_seed((train.seed * 1000 + self.fold) * 10_000 + number)
        if self.chance is None:
            order = torch.randperm(len(self.rows), generator=generator).numpy()
        else:
            order = self.chance.multinomial(len(self.rows), replacement=True, generator=generator).numpy()
        order = order[: self.clips]
        inputs = self.dataset.read(self.splits[order], self._rows(order, generator), train.batch_size)
        for x, first in zip(inputs, range(0, self.clips, train.batch_size), strict=True):
            chosen = order[first : first + train.batch_size]
            index = self.targets[chosen]
            speech = self.is_speech[chosen]
            x = self._clutter(x, ~speech, generator)
            x, index = self._reversed_words(x, index, speech, generator)
            x, index = self._double_words(x, index, speech, generator)
            x = self.augmenter(x, generator)
            y = self._soft(chosen, index)
            yield self._mixup(x, y, torch.from_numpy(chosen), generator)

    def _rows(self, chosen: NDArray[np.int64], generator: torch.Generator) -> NDArray[np.int64]:
        """Choose a row of each clip: one of its windows at random."""
        count = self.windows[chosen]
        if (count == 1).all():  # without a draw, so that other draws stay the same
            return self.rows[chosen]
        drawn = torch.rand(len(chosen), generator=generator).numpy()
        return self.rows[chosen] + np.minimum((drawn * count).astype(np.int64), count - 1)

    def _soft(self, chosen: NDArray[np.int64], index: Tensor) -> Tensor:
        """Return targets (batch, outputs): the soft ones, and one-hot where augmentation made filler."""
        y = functional.one_hot(index, len(self.head.outputs)).float()
        if self.soft is None:
            return y
        return torch.where((index == self.targets[chosen])[:, None], self.soft[chosen], y)

    # The next three change x in place, as `read` gives copies.

    def _clutter(self, x: Tensor, silence: Tensor, generator: torch.Generator) -> Tensor:
        """Add clatter to a share of the silence clips (log-mels)."""
        share = self.train.augment.clutter
        if not share or x.ndim != 3:
            return x
        drawn = torch.rand(len(x), generator=generator) < share
        chosen = (drawn & silence).nonzero()[:, 0]
        return x.index_copy_(0, chosen, clatter(x[chosen], generator)) if len(chosen) else x

    def _reversed_words(
        self, x: Tensor, index: Tensor, speech: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Play a share of the batch backwards, as filler."""
        share = self.train.augment.reversed_words
        if not share or self.head.double is None:
            return x, index
        words = speech.nonzero()[:, 0]
        chosen = words[torch.randperm(len(words), generator=generator)][: round(share * len(x))]
        return x.index_copy_(0, chosen, x[chosen].flip(-1)), index.index_fill(0, chosen, self.head.double)

    def _double_words(
        self, x: Tensor, index: Tensor, speech: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Replace a share of the batch by two half words, as filler: words that no clip contains."""
        share = self.train.augment.double_words
        if not share or self.head.double is None:
            return x, index
        words = speech.nonzero()[:, 0]
        words = words[torch.randperm(len(words), generator=generator)]
        first = words[: round(share * len(x))]
        second = words.roll(-len(first))[: len(first)]
        differ = index[first] != index[second]  # two halves of one word are that word
        first, second = first[differ], second[differ]
        if len(first) == 0:
            return x, index
        joined = join(x[first], x[second], self.domain)
        return x.index_copy_(0, first, joined), index.index_fill(0, first, self.head.double)

    def _mixup(self, x: Tensor, y: Tensor, chosen: Tensor, generator: torch.Generator) -> TrainingBatch:
        alpha, weights = self.train.augment.mixup, self.weights
        if not alpha:
            return TrainingBatch(x, y, None if weights is None else weights.of_batch(chosen))
        concentration = torch.full((len(x), 2), alpha)
        gamma = torch._standard_gamma(concentration, generator=generator)
        lam = (gamma[:, 0] / gamma.sum(1)).clamp(0, 1)
        other = torch.randperm(len(x), generator=generator)
        lam_x = lam.view(-1, *[1] * (x.ndim - 1))
        x, y = lam_x * x + (1 - lam_x) * x[other], lam[:, None] * y + (1 - lam[:, None]) * y[other]
        return TrainingBatch(x, y, None if weights is None else weights.of_batch(chosen, chosen[other], lam))


def class_chance(clips: pl.DataFrame, balance: float) -> Tensor:
    """Return each clip's weight when drawn, its class's size to the power of -balance: (clips,)."""
    size = clips.select(pl.len().over("label")).to_series().to_numpy()
    return torch.from_numpy(size.astype(np.float64) ** -balance)
