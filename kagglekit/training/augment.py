"""Change a whole batch of sounds at once, as cached log-mels or as waveforms.

Both domains have time on the last axis. A gain is added to a log-mel and multiplied with a waveform; sounds
are mixed in the power domain, or added.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

DB = math.log(10) / 10  # natural log of power in a decibel
LEAST_POWER = 1e-9
NO_POWER = 1e-30  # a sum that float32 has rounded to nothing has a logarithm, too
LOUDEST_SECONDS = 0.1  # as in between-class learning
BURSTS = 6  # in a clip with clatter; a third of them are too soft to matter
CURVE_KNOTS = 5  # as many as FilterAugment has bands


class LogMel:
    """(batch, n_mels, frames), natural log of power."""

    def power(self, x: Tensor) -> Tensor:
        """Return the power over time, (batch, ..., time) -> (batch, time)."""
        return x.exp().sum(1)

    def mix_as_heard(self, x: Tensor, other: Tensor, lam: Tensor, rate: float) -> Tensor:
        """Mix x and `other` so that x is heard with the share lam (batch,), as `heard_shares` has it."""
        x, other = x.exp(), other.exp()
        first, second = heard_shares(x.sum(1), other.sum(1), lam, rate)
        mixed = first.square()[:, None, None] * x + second.square()[:, None, None] * other
        return mixed.clamp_min_(NO_POWER).log_()

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

    def mix_as_heard(self, x: Tensor, other: Tensor, lam: Tensor, rate: float) -> Tensor:
        first, second = heard_shares(self.power(x), self.power(other), lam, rate)
        return torch.addcmul(first[:, None] * x, second[:, None], other)


def heard_shares(power: Tensor, other: Tensor, lam: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Return factors on the amplitudes of two sounds, (batch,), so that the first is heard with share lam.

    As in between-class learning (arXiv:1711.10282, section 3.2), without its A-weighting: a sound is as loud
    as its loudest 100 ms, and the mixture has about the level of the two.

    Args:
        power, other: (batch, time), of `rate` steps per second.
    """
    window = min(max(round(LOUDEST_SECONDS * rate), 1), power.shape[1])
    first, second = (
        p[:, : p.shape[1] // window * window].reshape(len(p), -1, window).mean(2).amax(1)
        for p in (power, other)
    )
    ratio = (first.clamp(min=LEAST_POWER) / second.clamp(min=LEAST_POWER)).sqrt()
    share = lam / (lam + ratio * (1 - lam))
    level = (share.square() + (1 - share).square()).rsqrt()
    return share * level, (1 - share) * level


def _factor(speech: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """Return the factor on the noise's power, (batch,), from powers (batch, time)."""
    ratio = speech.mean(1).clamp(min=LEAST_POWER) / noise.mean(1).clamp(min=LEAST_POWER)
    return ratio * (-DB * snr).exp()


Domain = LogMel | Waveform
# of embeddings, only mixup is left (plan.UNCHANGED)
DOMAINS: dict[str, Domain] = {"log_mel": LogMel(), "waveform": Waveform(), "embedding": Waveform()}


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw numbers between two, (count,)."""
    return low + (high - low) * torch.rand(count, generator=generator)


def _at(x: Tensor, index: Tensor) -> Tensor:
    """Read x (batch, ..., time) at index (batch, time)."""
    if x.ndim == 3:
        index = index[:, None, :].expand(-1, x.shape[1], -1)
    return x.gather(-1, index)


def shift(x: Tensor, offset: Tensor) -> Tensor:
    """Shift x (batch, ..., time) right by offset (batch,), repeating the edge."""
    time = torch.arange(x.shape[-1], device=x.device)
    return _at(x, (time - offset.to(x.device)[:, None]).clamp(0, x.shape[-1] - 1))


def stretch(x: Tensor, speed: Tensor) -> Tensor:
    """Play x (batch, ..., time) at `speed` (batch,) about its middle, by linear interpolation."""
    middle = (x.shape[-1] - 1) / 2
    time = torch.arange(x.shape[-1], device=x.device)
    return _between(x, (time - middle) * speed.to(x.device)[:, None] + middle)


def transpose(log_mel: Tensor, bands: Tensor) -> Tensor:
    """Move log_mel (batch, n_mels, time) up by `bands` (batch,), which may be fractions."""
    place = torch.arange(log_mel.shape[1], device=log_mel.device) - bands.to(log_mel.device)[:, None]
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
        loud = level + DB * uniform(batch, -20, 40, generator)  # below 0 dB it is inaudible
        start = uniform(batch, 0, time, generator).floor()
        decay = uniform(batch, 0, 3, generator).exp()  # frames
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
            width = uniform(len(x), 0, most + 1, generator).floor()
            start = (torch.rand(len(x), generator=generator) * (size - width + 1).clamp(min=0)).floor()
            place = torch.arange(size)
            hidden[axis] |= (place >= start[:, None]) & (place < (start + width)[:, None])
    bands, frames = (axis.to(x.device) for axis in hidden)
    return torch.where(bands[:, :, None] | frames[:, None, :], x.mean((1, 2), keepdim=True), x)
