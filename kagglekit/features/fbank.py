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

    def forward(self, waveform: Tensor) -> Tensor:
        """Filterbank of every clip.

        Args:
            waveform: (batch, samples), float32 at 16 kHz, at least 400 samples.

        Returns:
            (batch, frames, n_mels), natural logarithm of the mel power; frames = 1 + (samples - 400) // 160.
        """
        return torch.cat([self._block(clips) for clips in torch.split(waveform, BLOCK)])

    def _block(self, waveform: Tensor) -> Tensor:
        frames = waveform.unfold(-1, WINDOW, HOP)  # (batch, frames, WINDOW)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        # The first sample of a frame has no predecessor, but the Hann window is 0 there: leave it out.
        # What remains starts a sample later, which changes the spectrum's phase, not its power.
        frames = (
            torch.sub(frames[..., 1:], frames[..., :-1], alpha=PREEMPHASIS) * self.get_buffer("window")[1:]
        )
        spectrum = torch.view_as_real(torch.fft.rfft(frames, N_FFT))
        # (batch, frames, N_FFT // 2 + 1); a sum over an axis of two would take four times as long
        power = spectrum[..., 0].square().addcmul_(spectrum[..., 1], spectrum[..., 1])
        return (power @ self.get_buffer("filters")).clamp_min(FLOOR).log()


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
