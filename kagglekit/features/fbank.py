"""Kaldi's log mel filterbank in batched torch, the input of the Audio Spectrogram Transformer.

Reference: kaldi-asr/kaldi feat/feature-fbank.cc, in the settings of transformers' ASTFeatureExtractor:
25 ms Hann windows every 10 ms, mean removed, pre-emphasis 0.97, mels from 20 Hz to half the sample rate.
"""

import torch
from torch import Tensor, nn

WINDOW = 400  # samples: 25 ms at 16 kHz
HOP = 160  # samples: 10 ms
N_FFT = 512  # next power of two
SAMPLE_RATE = 16_000
PREEMPHASIS = 0.97
FMIN = 20.0  # Hz
FLOOR = torch.finfo(torch.float32).eps  # lower bound of the mel power, as in Kaldi
STEP = 80  # samples, of which window and hop are multiples
BAND = 32  # mels in a matrix product
BLOCK = 8  # clips at a time: their frames, 1.3 MB for each second, stay in a core's cache


class KaldiFbank(nn.Module):
    """Log mel filterbank of waveforms at 16 kHz, with `n_mels` filters."""

    def __init__(self, n_mels: int = 128) -> None:
        super().__init__()
        # Not saved with a model, which computes them again.
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False), persistent=False)
        self.register_buffer("filters", mel_filters(n_mels), persistent=False)
        self.bands = _bands(self.get_buffer("filters"))

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the filterbank of every clip.

        Args:
            waveform: (batch, samples), float32 in [-1, 1] (larger values lose precision), 16 kHz, at
                least 400 samples.

        Returns:
            (batch, frames, n_mels), natural logarithm of the mel power; frames = 1 + (samples - 400) // 160.
        """
        window, filters = self.get_buffer("window")[1:], self.get_buffer("filters")
        frames, block = 1 + (waveform.shape[1] - WINDOW) // HOP, min(BLOCK, len(waveform))
        out = waveform.new_empty(len(waveform), frames, filters.shape[1])
        windowed = waveform.new_zeros(block, frames, N_FFT)  # stays zero behind the window
        power = waveform.new_empty(block, frames, N_FFT // 2 + 1)
        for start in range(0, len(waveform), BLOCK):
            clips = waveform[start : start + BLOCK]
            n = len(clips)
            _windowed(clips, window, windowed[:n])
            parts = torch.view_as_real(torch.fft.rfft(windowed[:n]))
            # A sum over the last axis would take four times as long.
            torch.square(parts[..., 0], out=power[:n]).addcmul_(parts[..., 1], parts[..., 1])
            rows, mels = power[:n].flatten(0, 1), out[start : start + n].flatten(0, 1)
            for bins, band in self.bands:
                torch.mm(rows[:, bins], filters[bins, band], out=mels[:, band])
            mels.clamp_min_(FLOOR).log_()
        return out


def _windowed(clips: Tensor, window: Tensor, out: Tensor) -> None:
    """Write frames, without mean, pre-emphasised and windowed, to the start of `out` (clips, frames, N_FFT).

    x[i] - m - a (x[i - 1] - m) = x[i] - a x[i - 1] - (1 - a) m, whose first part is the same in all frames. A
    frame's first sample has no predecessor, but is left out, as the Hann window is 0 there: the remaining
    frame starts a sample later, which changes the spectrum's phase, but not its power.
    """
    clips = clips - clips.mean(dim=1, keepdim=True)  # reduces rounding errors
    sums = clips.unfold(1, STEP, STEP).sum(2)
    means = sums.unfold(1, WINDOW // STEP, HOP // STEP).sum(2, keepdim=True) / WINDOW  # (clips, frames, 1)
    emphasised = torch.sub(clips[:, 1:], clips[:, :-1], alpha=PREEMPHASIS)
    frames = out[..., : WINDOW - 1]
    torch.mul(emphasised.unfold(1, WINDOW - 1, HOP), window, out=frames)
    frames.addcmul_(means, window, value=PREEMPHASIS - 1)


def _bands(filters: Tensor) -> list[tuple[slice, slice]]:
    """Group mels, and return each group's slices of bins and mels: a quarter of the full matrix product."""
    bands: list[tuple[slice, slice]] = []
    for start in range(0, filters.shape[1], BAND):
        nonzero = filters[:, start : start + BAND].any(dim=1).nonzero().flatten().tolist()
        bins = slice(nonzero[0], nonzero[-1] + 1) if nonzero else slice(0)
        bands.append((bins, slice(start, start + BAND)))
    return bands


def mel_filters(n_mels: int) -> Tensor:
    """Return triangular filters on Kaldi's mel scale, (N_FFT // 2 + 1, n_mels) float32."""
    low, high = (_mel(torch.tensor(hertz)).item() for hertz in (FMIN, SAMPLE_RATE / 2))
    edges = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
    bins = _mel(torch.arange(N_FFT // 2 + 1) * (SAMPLE_RATE / N_FFT)).unsqueeze(1)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0).float()


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz.double() / 700.0)
