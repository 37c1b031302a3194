"""Kaldi's log mel filterbank in batched torch, as the Audio Spectrogram Transformer was trained on.

Reference: kaldi-asr/kaldi feat/feature-fbank.cc, in the settings of transformers' ASTFeatureExtractor:
25 ms Hann windows every 10 ms, mean removed, pre-emphasis 0.97, mels of 20 Hz to half the rate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WINDOW = 400  # samples: 25 ms at 16 kHz
HOP = 160  # samples: 10 ms
N_FFT = 512  # next power of two
SAMPLE_RATE = 16_000
PREEMPHASIS = 0.97
FMIN = 20.0  # Hz
FLOOR = torch.finfo(torch.float32).eps  # of the mel power, as Kaldi's
STEP = 80  # samples: window and hop are multiples of it
BAND = 32  # mels
BLOCK = 8  # clips at once: 1.3 MB of frames a second, which stay in a core's cache from step to step


class KaldiFbank(nn.Module):
    """Waveforms at 16 kHz to log mel power.

    Args:
        n_mels: mel filters.
    """

    def __init__(self, n_mels: int = 128) -> None:
        super().__init__()
        # Not saved with a model: made the same again.
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False), persistent=False)
        self.register_buffer("filters", mel_filters(n_mels), persistent=False)
        self.bands = _bands(self.get_buffer("filters"))

    def forward(self, waveform: Tensor) -> Tensor:
        """Filterbank of every clip.

        Args:
            waveform: (batch, samples), float32 in [-1, 1] (of larger ones more is rounded away), 16 kHz, at
                least 400 samples.

        Returns:
            (batch, frames, n_mels), natural logarithm of the mel power; frames = 1 + (samples - 400) // 160.
        """
        window, filters = self.get_buffer("window")[1:], self.get_buffer("filters")
        frames, block = 1 + (waveform.shape[1] - WINDOW) // HOP, min(BLOCK, len(waveform))
        out = waveform.new_empty(len(waveform), frames, filters.shape[1])
        windowed = waveform.new_zeros(block, frames, N_FFT)  # behind the window it stays zero
        power = waveform.new_empty(block, frames, N_FFT // 2 + 1)
        for start in range(0, len(waveform), BLOCK):
            clips = waveform[start : start + BLOCK]
            n = len(clips)
            _windowed(clips, window, windowed[:n])
            parts = torch.view_as_real(torch.fft.rfft(windowed[:n]))
            # A sum over the axis of two would take four times as long.
            torch.square(parts[..., 0], out=power[:n]).addcmul_(parts[..., 1], parts[..., 1])
            rows, mels = power[:n].flatten(0, 1), out[start : start + n].flatten(0, 1)
            for bins, band in self.bands:
                torch.mm(rows[:, bins], filters[bins, band], out=mels[:, band])
            mels.clamp_min_(FLOOR).log_()
        return out


def _windowed(clips: Tensor, window: Tensor, out: Tensor) -> None:
    """Frames without their mean, pre-emphasised and windowed, at the start of `out` (clips, frames, N_FFT).

    x[i] - m - a (x[i - 1] - m) is x[i] - a x[i - 1] - (1 - a) m, whose first part is the same in every
    frame. The first sample of a frame has no predecessor, but the Hann window is 0 there: it is left out.
    What remains starts a sample later, which changes the spectrum's phase, not its power.
    """
    clips = clips - clips.mean(dim=1, keepdim=True)  # changes nothing but the rounding
    sums = clips.unfold(1, STEP, STEP).sum(2)
    means = sums.unfold(1, WINDOW // STEP, HOP // STEP).sum(2, keepdim=True) / WINDOW  # (clips, frames, 1)
    emphasised = torch.sub(clips[:, 1:], clips[:, :-1], alpha=PREEMPHASIS)
    frames = out[..., : WINDOW - 1]
    torch.mul(emphasised.unfold(1, WINDOW - 1, HOP), window, out=frames)
    frames.addcmul_(means, window, value=PREEMPHASIS - 1)


def _bands(filters: Tensor) -> list[tuple[slice, slice]]:
    """Mels in groups, each with the bins that it hears: a quarter of the products of all with all."""
    bands: list[tuple[slice, slice]] = []
    for start in range(0, filters.shape[1], BAND):
        heard = filters[:, start : start + BAND].any(dim=1).nonzero().flatten().tolist()
        bins = slice(heard[0], heard[-1] + 1) if heard else slice(0)
        bands.append((bins, slice(start, start + BAND)))
    return bands


def mel_filters(n_mels: int) -> Tensor:
    """Triangular filters on Kaldi's mel scale.

    Returns:
        (N_FFT // 2 + 1, n_mels) float32, frequency bin to mel.
    """
    edges = torch.linspace(
        _mel(torch.tensor(FMIN)).item(),
        _mel(torch.tensor(SAMPLE_RATE / 2)).item(),
        n_mels + 2,
        dtype=torch.float64,
    )
    bins = _mel(torch.arange(N_FFT // 2 + 1) * (SAMPLE_RATE / N_FFT)).unsqueeze(1)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0).float()


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz.double() / 700.0)
