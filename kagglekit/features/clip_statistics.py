"""Describe each clip by statistics of its log-mels over time: its background, its sounds, its level.

The lower decile of a band is what is always there, the background of a recorder and its place; what rises
above it are the sounds. Frames of digital silence, as padding leaves them, are left out, so that a clip's
length tells nothing here.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kagglekit.config import Audio, Features
from kagglekit.config.following import FMAX_SHARE, WINDOWS_MS, resolves
from kagglekit.data.samples import Int16
from kagglekit.features.logmel import FLOOR, log_mel

VERSION = 1  # part of the verdict's key: raise it when a number below or the method changes
BANDS = 20
FMIN = 50.0  # Hz; below it recorders differ by their high-pass filters, which no class needs
HOP_SHARE = 0.5  # of a window
QUANTILES = (0.1, 0.5, 0.9)
EMPTY = 0.7  # above the floor, 3 dB: a band in which a file holds nothing
LEAKAGE = 12.7  # below the loudest band, 55 dB: what the window leaks from there
DECIBELS = 10 / np.log(10)

Float32 = NDArray[np.float32]


class ClipStatistics(NamedTuple):
    """Statistics of clips, natural logarithms of power but for the bandwidth."""

    background: Float32
    """(clips, BANDS), lower decile over time."""
    sounds: Float32
    """(clips, BANDS), upper decile above the lower one."""
    course: Float32
    """(clips, 2 * BANDS), median above the lower decile, and standard deviation over time."""
    level: Float32
    """(clips,), mean power of all bands."""
    bandwidth: Float32
    """(clips,), Hz, upper edge of the highest band that is not empty."""

    @property
    def heard(self) -> NDArray[np.float64]:
        """(clips, 4 * BANDS), what the domain classifier judges by."""
        return np.concatenate([self.background, self.sounds, self.course], axis=1, dtype=np.float64)

    def take(self, rows: NDArray[np.integer]) -> "ClipStatistics":
        """Return some of the clips."""
        return ClipStatistics(*(column[rows] for column in self))


def spec_of(audio: Audio) -> Features:
    """Return the log-mel of BANDS bands that suits a sample rate, whatever the models' own."""
    fmax = round(FMAX_SHARE * audio.sample_rate / 2, 1)
    windows = [ms for ms in WINDOWS_MS if resolves(BANDS, ms, FMIN, fmax, audio.sample_rate)]
    window = windows[0] if windows else WINDOWS_MS[-1]
    return Features(
        n_mels=BANDS, fmin=FMIN, fmax=fmax, window_ms=window, hop_ms=min(window * HOP_SHARE, 100.0)
    )


def edges_of(spec: Features) -> NDArray[np.float64]:
    """Return the upper edge of each band's triangle in Hz, (BANDS,)."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (spec.fmin, spec.fmax))
    edges: NDArray[np.float64] = 700 * (10 ** (np.linspace(low, high, spec.n_mels + 2) / 2595) - 1)
    return edges[2:]


def clip_statistics(batches: Iterable[Int16], audio: Audio) -> ClipStatistics:
    """Compute the statistics of clips.

    Args:
        batches: int16 (n, samples) each, at audio.sample_rate; at least one.

    Raises:
        AudioError: clips are shorter than half a window.
    """
    spec = spec_of(audio)
    parts = list(_of_batches(batches, spec, audio.sample_rate))
    return ClipStatistics(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_batches(batches: Iterable[Int16], spec: Features, rate: int) -> Iterator[ClipStatistics]:
    top = edges_of(spec)
    for rows in batches:
        # a copy, as torch needs writable memory
        yield _of_log_mel(log_mel(torch.tensor(rows), spec, rate).numpy(), top)


def _of_log_mel(mels: Float32, top: NDArray[np.float64]) -> ClipStatistics:
    """Compute the statistics of log-mels (n, BANDS, frames)."""
    silent = (mels <= np.log(FLOOR) + 1e-3).all(1)  # (n, frames)
    silent[silent.all(1)] = False  # a clip that is nothing else is judged as it is
    low, middle, high = np.quantile(mels, QUANTILES, axis=2)
    deviation = mels.std(2)
    level = np.exp(mels).mean(2).sum(1)
    for clip in np.flatnonzero(silent.any(1)):
        kept = mels[clip][:, ~silent[clip]]
        low[clip], middle[clip], high[clip] = np.quantile(kept, QUANTILES, axis=1)
        deviation[clip], level[clip] = kept.std(1), np.exp(kept).mean(1).sum()
    filled = high > np.maximum(np.log(FLOOR) + EMPTY, high.max(1, keepdims=True) - LEAKAGE)
    highest = filled.shape[1] - 1 - filled[:, ::-1].argmax(1)
    bandwidth = np.where(filled.any(1), top[highest], 0.0)
    course = np.concatenate([middle - low, deviation], axis=1)
    columns = (low, high - low, course, np.log(level), bandwidth)
    return ClipStatistics(*(np.asarray(column, np.float32) for column in columns))
