"""Augment a whole batch at once, as cached log-mels or as waveforms.

Both domains have time on the last axis. A gain is added to a log-mel and multiplied with a waveform; sounds
are mixed in the power domain, or added.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.nn import functional

from kagglekit.config import Augment

DB = math.log(10) / 10  # natural log of power in a decibel
LEAST_POWER = 1e-9
NO_POWER = 1e-30  # a sum that float32 has rounded to nothing has a logarithm, too
BURSTS = 6  # in a clip with clatter; a third of them are too soft to matter
CURVE_KNOTS = 5  # as many as FilterAugment has bands


class LogMel:
    """(batch, n_mels, frames), natural log of power."""

    def power(self, x: Tensor) -> Tensor:
        """Return the power over time, (batch, ..., time) -> (batch, time)."""
        return x.exp().sum(1)

    def louder(self, x: Tensor, db: Tensor) -> Tensor:
        """Apply a gain of db (batch,)."""
        return x + (db * DB)[:, None, None]

    def mix(self, x: Tensor, sound: Tensor, snr: Tensor) -> Tensor:
        """Mix another sound into x at a signal-to-noise ratio of snr dB (batch,)."""
        x, sound = x.exp(), sound.exp()  # once for the powers and for the sum, which logaddexp is not
        sound *= _factor(x.sum(1), sound.sum(1), snr)[:, None, None]
        return x.add_(sound).clamp_min_(NO_POWER).log_()


class Waveform:
    """(batch, samples) in [-1, 1]; the methods of LogMel."""

    def power(self, x: Tensor) -> Tensor:
        return x.square()

    def louder(self, x: Tensor, db: Tensor) -> Tensor:
        return x * (db * DB / 2).exp()[:, None]

    def mix(self, x: Tensor, sound: Tensor, snr: Tensor) -> Tensor:
        return x + sound * _factor(self.power(x), self.power(sound), snr).sqrt()[:, None]


def _factor(speech: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """Return the factor on the noise's power, (batch,), from powers (batch, time)."""
    ratio = speech.mean(1).clamp(min=LEAST_POWER) / noise.mean(1).clamp(min=LEAST_POWER)
    return ratio * (-DB * snr).exp()


Domain = LogMel | Waveform
DOMAINS: dict[str, Domain] = {"log_mel": LogMel(), "waveform": Waveform()}


class Augmenter:
    """Draws and applies the augmentations of `Augment`.

    Args:
        domain: log-mel or waveform.
        rate: frames or samples per second.
        noise: recordings of noise, each (..., time).
    """

    def __init__(self, settings: Augment, domain: Domain, rate: float, noise: Sequence[Tensor]) -> None:
        self.settings = settings
        self.domain = domain
        self.rate = rate
        self.noise = torch.cat(list(noise), -1) if noise else None
        ends = accumulate((recording.shape[-1] for recording in noise), initial=0)
        self.recordings = list(pairwise(ends))
        """First step of each in `noise`, and the first after it."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Change speed, pitch, position and gain, then add noise, filter and mask: (batch, ..., time)."""
        s = self.settings
        if s.speed:
            x = stretch(x, _uniform(len(x), 1 - s.speed, 1 + s.speed, generator))
        if s.pitch and x.ndim == 3:
            x = transpose(x, _uniform(len(x), -s.pitch, s.pitch, generator))
        if s.shift_ms:
            most = s.shift_ms / 1000 * self.rate
            x = shift(x, _uniform(len(x), -most, most, generator).round().long())
        if s.gain_db:
            x = self.domain.louder(x, _uniform(len(x), -s.gain_db, s.gain_db, generator))
        if s.noise and self.noise is not None:
            x = self._add_noise(x, self.noise, generator)
        if s.filter_db and x.ndim == 3:
            x = x + DB * s.filter_db * smooth_curves(len(x), x.shape[1], generator)[:, :, None]
        if x.ndim == 3 and (s.time_mask or s.freq_mask):
            x = mask(x, s.time_mask, s.freq_mask, generator)
        return x

    def _add_noise(self, x: Tensor, noise: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise at a drawn SNR to a share of the batch."""
        chosen = (torch.rand(len(x), generator=generator) < self.settings.noise).nonzero()[:, 0]
        if len(chosen) == 0:
            return x
        starts = [self._start(x.shape[-1], generator) for _ in chosen]
        crops = noise.unfold(-1, x.shape[-1], 1).movedim(-2, 0)  # (start, ..., time), a view
        snr = _uniform(len(chosen), *self.settings.noise_snr_db, generator)
        return x.index_copy(0, chosen, self.domain.mix(x[chosen], crops[starts], snr))

    def _start(self, length: int, generator: torch.Generator) -> int:
        """Draw the start of a crop that lies within one recording of noise."""
        first, end = self.recordings[int(torch.randint(len(self.recordings), (), generator=generator))]
        return first + int(torch.randint(end - first - length + 1, (), generator=generator))


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _at(x: Tensor, index: Tensor) -> Tensor:
    """Read x (batch, ..., time) at index (batch, time)."""
    if x.ndim == 3:
        index = index[:, None, :].expand(-1, x.shape[1], -1)
    return x.gather(-1, index)


def shift(x: Tensor, offset: Tensor) -> Tensor:
    """Shift x (batch, ..., time) right by offset (batch,), repeating the edge."""
    time = torch.arange(x.shape[-1])
    return _at(x, (time - offset[:, None]).clamp(0, x.shape[-1] - 1))


def stretch(x: Tensor, speed: Tensor) -> Tensor:
    """Play x (batch, ..., time) at `speed` (batch,) about its middle, by linear interpolation."""
    middle = (x.shape[-1] - 1) / 2
    return _between(x, (torch.arange(x.shape[-1]) - middle) * speed[:, None] + middle)


def transpose(log_mel: Tensor, bands: Tensor) -> Tensor:
    """Move log_mel (batch, n_mels, time) up by `bands` (batch,), which may be fractions."""
    place = torch.arange(log_mel.shape[1]) - bands[:, None]
    return _between(log_mel.transpose(1, 2), place).transpose(1, 2)


def _between(x: Tensor, place: Tensor) -> Tensor:
    """Interpolate x (batch, ..., time) linearly at place (batch, time), repeating the edges."""
    last = x.shape[-1] - 1
    place = place.clamp(0, last)
    below = place.floor()
    part = (place - below).view(len(x), *[1] * (x.ndim - 2), -1)
    return torch.lerp(_at(x, below.long()), _at(x, (below.long() + 1).clamp(max=last)), part)


def energy_centre(power: Tensor) -> Tensor:
    """Return the centre of energy above the background, (batch, time) -> (batch,) in whole steps."""
    above = (power - power.quantile(0.2, dim=1, keepdim=True)).clamp(min=0)
    time = torch.arange(power.shape[1], dtype=power.dtype)
    return ((above @ time) / above.sum(1).clamp(min=LEAST_POWER)).round().long()


def join(x: Tensor, y: Tensor, domain: Domain) -> Tensor:
    """Join the first part of each x to the second part of each y, at their energy centres.

    Args:
        x, y: (batch, ..., time).
        domain: log-mel or waveform.

    Returns:
        (batch, ..., time): words that do not exist, at the loudness of x.
    """
    power_x, power_y = domain.power(x), domain.power(y)
    centre_x, centre_y = energy_centre(power_x), energy_centre(power_y)
    ratio = power_x.mean(1).clamp(min=LEAST_POWER) / power_y.mean(1).clamp(min=LEAST_POWER)
    y = domain.louder(y, 10 * torch.log10(ratio))
    meet = (centre_x + centre_y) // 2
    first, second = shift(x, meet - centre_x), shift(y, meet - centre_y)
    before = torch.arange(x.shape[-1]) < meet[:, None]
    return torch.where(before[:, None, :] if x.ndim == 3 else before, first, second)


def smooth_curves(count: int, points: int, generator: torch.Generator) -> Tensor:
    """Return lines between CURVE_KNOTS normal numbers: (count, points)."""
    knots = torch.randn(count, 1, CURVE_KNOTS, generator=generator)
    return functional.interpolate(knots, points, mode="linear", align_corners=True)[:, 0]


def clatter(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add BURSTS sounds that start at once and die away to each of the log-mels x (batch, n_mels, time).

    Each has a colour, a moment, a decay of 1 to 20 frames, and a level of -20 to 40 dB against
    the clip's mean power.
    """
    batch, bands, time = x.shape
    power = x.exp()
    level = power.mean((1, 2)).clamp(min=LEAST_POWER).log()
    spectra, courses = torch.empty(batch, bands, BURSTS), torch.empty(batch, BURSTS, time)
    for burst in range(BURSTS):
        colour = 10 * DB * smooth_curves(batch, bands, generator)
        loud = level + DB * _uniform(batch, -20, 40, generator)  # below 0 dB it is inaudible
        start = _uniform(batch, 0, time, generator).floor()
        decay = _uniform(batch, 0, 3, generator).exp()  # frames
        since = torch.arange(time) - start[:, None]
        spectra[:, :, burst] = (loud[:, None] + colour).exp()
        courses[:, burst] = torch.where(since >= 0, -since / decay[:, None], -torch.inf).exp()
    return power.baddbmm_(spectra, courses).clamp_min_(NO_POWER).log_()


def mask(x: Tensor, time_mask: int, freq_mask: int, generator: torch.Generator) -> Tensor:
    """Apply SpecAugment (arXiv:1904.08779): two masks on each axis, filled with the clip's mean."""
    hidden = [torch.zeros(len(x), size, dtype=torch.bool) for size in x.shape[1:]]
    for axis, most in ((1, time_mask), (0, freq_mask)):
        size = x.shape[axis + 1]
        for _ in range(2 if most else 0):
            width = _uniform(len(x), 0, most + 1, generator).floor()
            start = (torch.rand(len(x), generator=generator) * (size - width + 1).clamp(min=0)).floor()
            place = torch.arange(size)
            hidden[axis] |= (place >= start[:, None]) & (place < (start + width)[:, None])
    bands, frames = hidden
    return torch.where(bands[:, :, None] | frames[:, None, :], x.mean((1, 2), keepdim=True), x)
