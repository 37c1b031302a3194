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
from kagglekit.config.names import LabelKind
from kagglekit.errors import ConfigError
from kagglekit.features.logmel import FULL_SCALE, log_mel
from kagglekit.training.augment import DOMAINS, clatter, join
from kagglekit.training.augmenter import Augmenter, Noise, NoiseRecordings
from kagglekit.training.dataset import Dataset, windows_of
from kagglekit.training.head import Head
from kagglekit.training.mixing import draw
from kagglekit.training.predict import device
from kagglekit.training.soft_share import SoftShare
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
        self.train, self.head, self.fold = train, head, fold
        self.dataset, self.features = dataset.for_training(), dataset.features
        self.in_batch = dataset.waveforms is not None
        """Whether log-mels are computed of augmented waveforms."""
        self.domain = DOMAINS["waveform" if self.in_batch else models.info(model).input]
        self.splits = clips["split"].to_numpy()
        self.rows = clips["row"].to_numpy().astype(np.int64)
        self.windows = windows_of(clips)
        self.targets = head.targets(clips) if self.soft is None else self.soft.argmax(1)
        self.is_speech = torch.from_numpy((clips["part"] != "silence").to_numpy())
        self.share = SoftShare(clips, train.soft_share)
        self.chance = self._chance(clips) if train.balance else None
        self.augmenter = Augmenter(train.augment, self.domain, self.dataset.rate, self._noise(clips))

    def __len__(self) -> int:
        """Count the batches of an epoch; a last, smaller one is dropped unless it is the only one."""
        return max(self.share.count // self.train.batch_size, 1)

    @property
    def clips(self) -> int:
        """Number of clips in an epoch."""
        return min(len(self) * self.train.batch_size, self.share.count)

    def epoch(self, number: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch; with one label per clip, rows of y sum to 1."""
        train = self.train
        generator = torch.Generator().manual_seed((train.seed * 1000 + self.fold) * 10_000 + number)
        order = self.share.order(self.chance, generator)[: self.clips]
        inputs = self.dataset.read(self.splits[order], self._rows(order, generator), train.batch_size)
        for x, first in zip(inputs, range(0, self.clips, train.batch_size), strict=True):
            chosen = order[first : first + train.batch_size]
            index = self.targets[chosen]
            speech = self.is_speech[chosen]
            x = self._clutter(x, ~speech, generator)
            x, index = self._reversed_words(x, index, speech, generator)
            x, index = self._double_words(x, index, speech, generator)
            y = self._soft(chosen, index)
            x, y, known = self._added(x, y, torch.from_numpy(chosen), generator)
            if self.in_batch:
                x = x.to(device())
            x = self.augmenter(x, generator)
            batch = self._mixed(x, y, torch.from_numpy(chosen), known, generator)
            yield self._pictures(batch, generator) if self.in_batch else batch

    def _pictures(self, batch: TrainingBatch, generator: torch.Generator) -> TrainingBatch:
        """Compute the log-mels of a batch of waveforms, and augment them."""
        assert self.features is not None
        x = log_mel(batch.x * FULL_SCALE, self.features, round(self.dataset.rate), exact=False)
        return batch._replace(x=self.augmenter.picture(x, generator))

    def _chance(self, clips: pl.DataFrame) -> Tensor:
        if self.head.kind is LabelKind.MULTI and self.soft is not None:
            return rarest_chance(self.soft, self.train.balance)
        return class_chance(clips, self.train.balance)

    def _noise(self, clips: pl.DataFrame) -> Noise | None:
        """Return the source of background noise that the settings name; None if there is none.

        Raises:
            ConfigError: no training clip of the fold is background.
        """
        augment = self.train.augment
        if not augment.noise:
            return None
        if augment.noise_from == "clips":
            return self._background(np.flatnonzero(clips["label"].to_numpy() == augment.noise_class))
        recordings = self.dataset.noise_for(self.fold)
        return NoiseRecordings(recordings) if recordings else None

    def _background(self, quiet: NDArray[np.int64]) -> Noise:
        """Draw crops from the training clips at `quiet`, (clips,)."""
        if len(quiet) == 0:
            what = self.train.augment.noise_class
            raise ConfigError(
                f"train.augment.noise_from is clips, and fold {self.fold} trains on no clip "
                + (f"of the class {what}" if what else "without a class"),
                hint="set noise_class to the class of the background, or train.augment.noise: 0",
            )

        def crops(count: int, time: int, generator: torch.Generator) -> list[Tensor]:
            chosen = quiet[torch.randint(len(quiet), (count,), generator=generator).numpy()]
            rows = self._rows(chosen, generator)
            return [*next(iter(self.dataset.read(self.splits[chosen], rows, count)))]

        return crops

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

    def _added(
        self, x: Tensor, y: Tensor, chosen: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Add clips without labels to labelled ones.

        Returns:
            x, y, and (batch, outputs) of which outputs it is known if they are there; None: of all.
        """
        known = None if self.weights is None or self.weights.known is None else self.weights.known[chosen]
        adding = self.share.adding(chosen, self.train.soft_mix, generator)
        if adding is None:
            return x, y, known
        mixed, snr = (adding.lam < 1).nonzero()[:, 0], self.train.augment.noise_snr_db
        ratio = snr[0] + (snr[1] - snr[0]) * torch.rand(len(mixed), generator=generator)
        x = x.index_copy(0, mixed, self.domain.mix(x[mixed], x[adding.other[mixed]], ratio))
        known = None if known is None else adding.known(known, y)
        return x, adding.targets(y, single=self.head.kind is LabelKind.SINGLE), known

    def _mixed(
        self, x: Tensor, y: Tensor, chosen: Tensor, known: Tensor | None, generator: torch.Generator
    ) -> TrainingBatch:
        """Mix the clips of a batch, their targets and weights."""
        mixing = draw(len(x), self.train.augment, generator)
        weight = None if self.weights is None else self.weights.of_batch(chosen, mixing, y, known)
        if mixing is not None:
            x = mixing.sounds(x, self.train.augment, self.domain, self.dataset.rate)
            y = mixing.targets(y, single=self.head.kind is LabelKind.SINGLE)
        return TrainingBatch(x, y, weight)


def class_chance(clips: pl.DataFrame, balance: float) -> Tensor:
    """Return each clip's weight when drawn, its class's size to the power of -balance: (clips,)."""
    size = clips.select(pl.len().over("label")).to_series().to_numpy()
    return torch.from_numpy(size.astype(np.float64) ** -balance)


def rarest_chance(targets: Tensor, balance: float) -> Tensor:
    """Return each clip's weight when drawn, that of its rarest class: (clips,).

    Args:
        targets: (clips, classes); clips without a class count as a class of their own.
    """
    targets = torch.cat([targets, (targets.sum(1, keepdim=True) == 0).float()], 1).double()
    sizes = targets.sum(0).clamp(min=1)
    return (targets * sizes**-balance).amax(1)
