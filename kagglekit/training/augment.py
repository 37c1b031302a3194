"""Change a whole batch of sounds at once, as cached log-mels or as waveforms.

Both domains have time on the last axis. A gain is added to a log-mel and multiplied with a waveform; sounds
are mixed in the power domain, or added.
"""

import math
from collections.abc import Sequence

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

    def louder(self, x: Tensor, db: Tensor, out: Tensor | None = None) -> Tensor:
        """Apply a gain of db (batch,), into `out` where it is given."""
        return torch.add(x, (db * DB)[:, None, None], out=out)

    def mix(self, x: Tensor, sound: Tensor, snr: Tensor) -> Tensor:
        """Mix another sound into x at a signal-to-noise ratio of snr dB (batch,)."""
        x, sound = x.exp(), sound.exp()  # once for the powers and for the sum, which logaddexp is not
        sound *= _factor(x.sum(1).mean(1), sound.sum(1).mean(1), snr)[:, None, None]
        return x.add_(sound).clamp_min_(NO_POWER).log_()

    def add_noise(self, x: Tensor, chosen: Tensor, noise: Sequence[Tensor], snr: Tensor) -> Tensor:
        """Mix noise, each (..., time), into the chosen clips of x at a signal-to-noise ratio of snr dB."""
        return x.index_copy(0, chosen, self.mix(x[chosen], torch.stack([*noise]).to(x.device), snr))

    def mix_as_heard(self, x: Tensor, other: Tensor, lam: Tensor, rate: float) -> Tensor:
        """Mix x with its clips at `other` (batch,), so that each is heard with its share lam (batch,)."""
        power = x.exp()
        loudest = _loudest(power.sum(1), rate)
        first, second = (share.square()[:, None, None] for share in heard_shares(loudest, other, lam))
        return (first * power + second * power[other]).clamp_min_(NO_POWER).log_()


class Waveform:
    """(batch, samples) in [-1, 1]; the methods of LogMel."""

    def power(self, x: Tensor) -> Tensor:
        return x.square()

    def louder(self, x: Tensor, db: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.mul(x, (db * DB / 2).exp()[:, None], out=out)

    def mix(self, x: Tensor, sound: Tensor, snr: Tensor) -> Tensor:
        return x + sound * self._level(x, sound, snr)[:, None]

    def add_noise(self, x: Tensor, chosen: Tensor, noise: Sequence[Tensor], snr: Tensor) -> Tensor:
        """Change x in place, clip by clip: copies of a batch would take longer than the sums."""
        for clip, sound, ratio in zip(chosen.tolist(), noise, snr, strict=True):
            row, sound = x[clip][None], sound.to(x.device)[None]
            row.addcmul_(sound, self._level(row, sound, ratio[None])[:, None])
        return x

    def mix_as_heard(self, x: Tensor, other: Tensor, lam: Tensor, rate: float) -> Tensor:
        window = _window(x.shape[1], rate)
        parts = x[:, : x.shape[1] // window * window].reshape(len(x), -1, window)
        loudest = torch.linalg.vector_norm(parts, dim=2).amax(1).square() / window
        return self.blend(x, other, *heard_shares(loudest, other, lam))

    def blend(self, x: Tensor, other: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Return first * x + second * x[other], without copying the batch once more."""
        out = x * first[:, None]
        for row, place, factor in zip(out, other.tolist(), second, strict=True):
            row.addcmul_(x[place], factor)
        return out

    def _level(self, x: Tensor, sound: Tensor, snr: Tensor) -> Tensor:
        power, noise = (torch.linalg.vector_norm(y, dim=1).square() / y.shape[1] for y in (x, sound))
        return _factor(power, noise, snr).sqrt()


def _window(time: int, rate: float) -> int:
    return min(max(round(LOUDEST_SECONDS * rate), 1), time)


def _loudest(power: Tensor, rate: float) -> Tensor:
    """Return the mean power of the loudest LOUDEST_SECONDS, (batch, time) -> (batch,)."""
    window = _window(power.shape[1], rate)
    whole = power.shape[1] // window * window
    return power[:, :whole].reshape(len(power), -1, window).mean(2).amax(1)


def heard_shares(loudest: Tensor, other: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Return factors on the amplitudes of clips, (batch,), so that each is heard with its share lam.

    As in between-class learning (arXiv:1711.10282, section 3.2), without its A-weighting: a sound is as loud
    as its loudest 100 ms, and the mixture has about the level of the two.

    Args:
        loudest: (batch,), powers.
        other: (batch,), the clip that each is mixed with.
        lam: (batch,).
    """
    level = loudest.clamp(min=LEAST_POWER).sqrt()
    share = lam / (lam + level / level[other] * (1 - lam))
    scale = (share.square() + (1 - share).square()).rsqrt()
    return share * scale, (1 - share) * scale


def _factor(speech: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """Return the factor on the noise's power, (batch,), from mean powers (batch,)."""
    return speech.clamp(min=LEAST_POWER) / noise.clamp(min=LEAST_POWER) * (-DB * snr).exp()


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
