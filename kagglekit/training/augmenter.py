"""Draw the augmentations of a batch, and apply them."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from kagglekit.config import Augment
from kagglekit.training.augment import DB, Domain, mask, shift, smooth_curves, stretch, transpose, uniform
from kagglekit.training.filters import filtered

Noise = Callable[[int, int, torch.Generator], Sequence[Tensor]]
"""Draws crops of background noise: (count, time, generator) -> as many (..., time)."""


class NoiseRecordings:
    """Draws crops that lie within one recording each.

    Args:
        recordings: each (..., time), no shorter than a crop.
    """

    def __init__(self, recordings: Sequence[Tensor]) -> None:
        self.noise = torch.cat(list(recordings), -1)
        ends = accumulate((recording.shape[-1] for recording in recordings), initial=0)
        self.recordings = list(pairwise(ends))
        """First step of each in `noise`, and the first after it."""

    def __call__(self, count: int, time: int, generator: torch.Generator) -> list[Tensor]:
        """Draw `count` crops of `time` steps, which are views."""
        starts = [self._start(time, generator) for _ in range(count)]
        return [self.noise[..., start : start + time] for start in starts]

    def _start(self, time: int, generator: torch.Generator) -> int:
        first, end = self.recordings[int(torch.randint(len(self.recordings), (), generator=generator))]
        return first + int(torch.randint(end - first - time + 1, (), generator=generator))


class Augmenter:
    """Draws and applies the augmentations of `Augment` to sounds, on any device, by a generator of the CPU.

    Args:
        domain: log-mel or waveform.
        rate: frames or samples per second.
        noise: source of background noise; None for none.
    """

    def __init__(self, settings: Augment, domain: Domain, rate: float, noise: Noise | None) -> None:
        self.settings = settings
        self.domain = domain
        self.rate = rate
        self.noise = noise

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Change speed, pitch, position and gain, add noise, and mask log-mels or filter waveforms.

        Args:
            x: (batch, ..., time); waveforms are changed in place, as copies of a batch would take longer.
        """
        s = self.settings
        if s.speed:
            x = stretch(x, uniform(len(x), 1 - s.speed, 1 + s.speed, generator))
        if s.pitch and x.ndim == 3:
            x = self._transposed(x, generator)
        if s.shift_ms:
            most = s.shift_ms / 1000 * self.rate
            x = shift(x, uniform(len(x), -most, most, generator).round().long())
        if s.gain_db:
            gain = uniform(len(x), -s.gain_db, s.gain_db, generator).to(x.device)
            x = self.domain.louder(x, gain, out=x if x.ndim == 2 else None)
        if s.noise and self.noise is not None:
            x = self._add_noise(x, self.noise, generator)
        return self._masked(x, generator) if x.ndim == 3 else self._filtered(x, generator)

    def picture(self, log_mel: Tensor, generator: torch.Generator) -> Tensor:
        """Augment log-mels of augmented waveforms, (batch, n_mels, frames): pitch, filter and masks."""
        if self.settings.pitch:
            log_mel = self._transposed(log_mel, generator)
        return self._masked(log_mel, generator)

    def _transposed(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return transpose(x, uniform(len(x), -self.settings.pitch, self.settings.pitch, generator))

    def _masked(self, x: Tensor, generator: torch.Generator) -> Tensor:
        s = self.settings
        if s.filter_db:
            curves = smooth_curves(len(x), x.shape[1], generator).to(x.device)
            x = x + DB * s.filter_db * curves[:, :, None]
        return mask(x, s.time_mask, s.freq_mask, generator) if s.time_mask or s.freq_mask else x

    def _filtered(self, x: Tensor, generator: torch.Generator) -> Tensor:
        s = self.settings
        if s.polarity:
            for clip in (torch.rand(len(x), generator=generator) < s.polarity).nonzero()[:, 0].tolist():
                x[clip].neg_()
        if s.lowpass or s.highpass or s.bandpass or s.eq:
            x = filtered(x, s, self.rate, generator)
        return x

    def _add_noise(self, x: Tensor, noise: Noise, generator: torch.Generator) -> Tensor:
        """Add noise at a drawn SNR to a share of the batch."""
        chosen = (torch.rand(len(x), generator=generator) < self.settings.noise).nonzero()[:, 0]
        if len(chosen) == 0:
            return x
        crops = noise(len(chosen), x.shape[-1], generator)
        snr = uniform(len(chosen), *self.settings.noise_snr_db, generator).to(x.device)
        return self.domain.add_noise(x, chosen.to(x.device), crops, snr)
