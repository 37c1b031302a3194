"""Filter waveforms in batches: low pass, high pass, band pass and a random equaliser.

A clip's filters are one gain over its spectrum, so that any number of them costs one transform and its
inverse. They do not change the phase. On batches of 64 clips of 5 s at 32 kHz that is several times as fast
as torch-audiomentations' windowed sincs and as audiomentations' recursive filters, clip after clip
(docs/BENCHMARKS.md), and draws from the batch's generator, as a resumed training needs.
"""

import math

import torch
from torch import Tensor

from kagglekit.config import Augment
from kagglekit.training.augment import DB, smooth_curves, uniform

ORDER = 2
"""Of the Butterworth gains 1 / sqrt(1 + (f / cut-off) ** (2 * ORDER)): 12 dB per octave."""
RINGING = 0.05  # seconds of zeros after a clip, so that its end does not ring into its start
CURVE_POINTS = 64
"""Of an equaliser's curve, which is smooth, over the octaves from LOWEST_HZ to half the sample rate."""
LOWEST_HZ = 31.25


def filtered(x: Tensor, settings: Augment, rate: float, generator: torch.Generator) -> Tensor:
    """Filter the drawn shares of waveforms x (batch, samples), of `rate` Hz."""
    count = len(x)
    low, high, band, eq = (
        torch.rand(count, generator=generator) < share
        for share in (settings.lowpass, settings.highpass, settings.bandpass, settings.eq)
    )
    lowpass_hz = _between(count, settings.lowpass_hz, generator)
    highpass_hz = _between(count, settings.highpass_hz, generator)
    curves = DB / 2 * settings.eq_db * smooth_curves(count, CURVE_POINTS, generator)
    chosen = (low | high | band | eq).nonzero()[:, 0]
    if len(chosen) == 0:
        return x
    at = chosen.to(x.device)
    gain = response(
        fast_size(x.shape[-1] + round(RINGING * rate)),
        rate,
        lowpass_hz.where(low | band, math.inf)[chosen].to(x),
        highpass_hz.where(high | band, 0)[chosen].to(x),
        curves.where(eq[:, None], 0)[chosen].to(x),
    )
    size = 2 * (gain.shape[-1] - 1)
    return x.index_copy(0, at, torch.fft.irfft(torch.fft.rfft(x[at], size) * gain, size)[:, : x.shape[-1]])


def fast_size(least: int) -> int:
    """Return the smallest even number >= `least` whose only primes are 2, 3 and 5: quick to transform."""
    odd: list[int] = [3**three * 5**five for three in range(20) for five in range(14)]
    return min(factor * max(2, 1 << (-(-least // factor) - 1).bit_length()) for factor in odd)


def response(size: int, rate: float, lowpass_hz: Tensor, highpass_hz: Tensor, curves: Tensor) -> Tensor:
    """Return gains over the bins of a transform of `size` samples at `rate` Hz, (batch, size // 2 + 1).

    Args:
        lowpass_hz: (batch,), infinite for no filter.
        highpass_hz: (batch,), 0 for no filter.
        curves: (batch, CURVE_POINTS), natural logarithms of gains, at even steps of log frequency.
    """
    hertz = torch.arange(size // 2 + 1, device=curves.device) * (rate / size)
    octave = (hertz.clamp(min=LOWEST_HZ) / LOWEST_HZ).log2() / math.log2(rate / 2 / LOWEST_HZ)
    place = octave.clamp(max=1) * (curves.shape[1] - 1)
    below = place.long().clamp(max=curves.shape[1] - 2)
    gain = torch.lerp(curves[:, below], curves[:, below + 1], place - below).exp_()
    power = 2 * ORDER
    gain *= (1 + (hertz / lowpass_hz[:, None]) ** power).rsqrt_()
    gain *= (1 + (highpass_hz[:, None] / hertz.clamp(min=rate / size)) ** power).rsqrt_()
    return gain


def _between(count: int, hertz: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Draw frequencies uniformly in octaves, (count,)."""
    low, high = hertz
    return low * (high / low) ** uniform(count, 0, 1, generator)
