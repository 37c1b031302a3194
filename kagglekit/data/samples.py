"""Samples as arrays: channels joined, floating-point numbers scaled as they are meant, rates, int16."""

import functools
import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import soxr

Int16 = npt.NDArray[np.int16]
Float32 = npt.NDArray[np.float32]

Number = TypeVar("Number", np.int16, np.float32)

FULL_SCALE = 32768
_BLOCK = 2**20
CANCELLED = 0.25
"""Channels cancel each other if their mean's RMS is below this part of what it would be for channels that
have nothing in common. That is a correlation of -0.94 for two of equal level; a plug wired the wrong way
round gives -1."""
_INTEGERS = (2**15, 2**23, 2**31)
_FAR_OVER = 64.0  # 36 dB over full scale, which no mixer leaves in a file
_SHARE_OVER = 0.1


class Channels:
    """Averages the channels of a file block by block, and tells whether that has cancelled them.

    Args:
        count: number of channels.
        only: take this one instead of the mean.
    """

    def __init__(self, count: int, only: int | None = None) -> None:
        self.count, self.only = count, only
        self._frames = 0
        self._sums = np.zeros(count)
        self._products = np.zeros((count, count))

    def join(self, block: Float32) -> Float32:
        """Return the mean of (frames, channels), or the channel that is wanted: (frames,)."""
        if self.count == 1 or self.only is not None:
            return block[:, self.only or 0]
        self._frames += len(block)
        self._sums += np.ones(len(block), np.float32) @ block
        self._products += block.T @ block
        joined: Float32 = functools.reduce(np.add, block.T) / self.count
        return joined

    @property
    def loudest_if_cancelled(self) -> int | None:
        """The channel to take instead of the mean; None if the mean is right."""
        if self.count == 1 or not self._frames or self.only is not None:
            return None
        means = self._sums / self._frames
        raw = self._products / self._frames
        covariance = raw - np.outer(means, means)  # a constant offset is not heard
        power = covariance.diagonal()
        total, of_sum = float(power.sum()), float(covariance.sum())
        if not total > 1e-5 * float(raw.trace()):  # float32 has no more digits; not >, as NaN is neither
            return None
        return int(power.argmax()) if of_sum < CANCELLED**2 * total else None


def join(block: Float32) -> Float32:
    """Average (frames, channels) to (frames,), or take the loudest channel where the mean cancels them."""
    if block.shape[1] == 1:
        return block[:, 0]
    channels = Channels(block.shape[1])
    joined = channels.join(block)
    loudest = channels.loudest_if_cancelled
    return joined if loudest is None else block[:, loudest]


def as_meant(waveform: Float32, channels: int = 1) -> tuple[Float32, tuple[str, ...], str]:
    """Scale floating-point samples of the size of integers, and count those that are no number.

    Args:
        waveform: (frames,), the mean of so many channels.

    Returns:
        The waveform, where 1 is full scale, NaN 0 and infinity full scale; flags of kagglekit.data.decode;
        and what they are about.
    """
    finite = np.isfinite(waveform)
    flags, message = [], ""
    if missing := len(waveform) - int(np.count_nonzero(finite)):
        flags, message = ["damaged"], f"{missing:,} of {len(waveform):,} samples are NaN or infinite"
        if missing == len(waveform):
            return waveform[:0], ("unreadable",), message
    numbers = np.where(finite, waveform, 0) if missing else waveform
    peak = float(np.abs(numbers).max(initial=0.0))
    scale = next((size for size in _INTEGERS if peak < 2 * size), None)
    if scale is None:
        return waveform[:0], ("unreadable",), f"floating-point samples up to {peak:.0e}"
    if _are_integers(numbers, peak, channels):
        flags.append("rescaled")
        message = message or f"floating-point samples up to {peak:,.0f}, divided by {scale:,}"
        numbers = numbers / np.float32(scale)
    elif peak >= _FAR_OVER:
        flags.append("damaged")
        message = message or f"floating-point samples up to {peak:,.0f}, where 1 is full scale"
    if missing:
        numbers = np.where(finite, numbers, np.nan_to_num(waveform, nan=0.0, posinf=1.0, neginf=-1.0))
    return numbers, tuple(dict.fromkeys(flags)), message


def _are_integers(waveform: Float32, peak: float, channels: int) -> bool:
    """Tell whether samples are whole numbers, or far over full scale as only integers that were filtered."""
    if peak < 2:
        return False
    summed = waveform * np.float32(channels)
    if np.array_equal(summed, np.rint(summed)):
        return True
    return peak >= _FAR_OVER and float(np.mean(np.abs(waveform) > 1)) >= _SHARE_OVER


def resample(waveform: Int16 | Float32, rate: int, target: int) -> Float32:
    """Resample (frames,) from one sample rate to another, in Hz: (frames * target / rate,) in [-1, 1)."""
    if waveform.dtype == np.int16:
        scaled = waveform.astype(np.float32) / np.float32(FULL_SCALE)
    else:
        scaled = finite(waveform)
    resampled: Float32 = soxr.resample(scaled, rate, target)
    return resampled


def to_int16(waveform: Int16 | Float32) -> Int16:
    """Scale float32 in [-1, 1) to int16; int16 stays as it is."""
    if waveform.dtype == np.int16:
        return waveform.astype(np.int16, copy=False)
    floats, pcm = waveform.astype(np.float32, copy=False), np.empty(len(waveform), np.int16)
    for block, out in zip(blocks_of(floats), blocks_of(pcm), strict=True):
        scaled = finite(block).copy()
        scale_to_int16(scaled)
        out[:] = scaled
    return pcm


def blocks_of(samples: npt.NDArray[Number]) -> Iterator[npt.NDArray[Number]]:
    """Yield views of an array, so that copies of an hour are not made at once."""
    for start in range(0, len(samples), _BLOCK):
        yield samples[start : start + _BLOCK]


def concatenate(blocks: list[Float32]) -> Float32:
    """Join blocks, of which each is freed as it is copied."""
    if len(blocks) == 1:
        return blocks.pop()
    at = sum(map(len, blocks))
    joined = np.empty(at, np.float32)
    while blocks:
        block = blocks.pop()
        joined[at - len(block) : at] = block
        at -= len(block)
    return joined


def scale_to_int16(waveform: Float32) -> None:
    """Scale (samples,) in [-1, 1) in place to whole numbers in the range of int16."""
    waveform *= FULL_SCALE
    np.rint(waveform, out=waveform)
    np.clip(waveform, -FULL_SCALE, FULL_SCALE - 1, out=waveform)


def finite(waveform: Int16 | Float32) -> Float32:
    """Return float32 with 0 for NaN, and full scale for infinity."""
    if math.isfinite(float(np.sum(waveform))):
        return waveform.astype(np.float32, copy=False)
    return np.nan_to_num(waveform.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
