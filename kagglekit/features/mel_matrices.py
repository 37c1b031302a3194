"""Log-mels by matrix products alone, for graphs that other programs run (kagglekit.runs.graph).

The Fourier transform is a product, made four times as small by symmetry. A window is even around its centre,
so that sums of samples at equal distance m from the centre give the cosines, and their differences the sines.
As cos(2 pi k (N/2 - m) / N) = (-1)^k cos(2 pi k m / N), the same is done again around N/4, for even and for
odd bins k. The phase, which the centre changes, is not in the power. Bins that no filter takes are left out.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kagglekit.config import Features
from kagglekit.features import fbank
from kagglekit.features.logmel import FLOOR, geometry, mel_filters


class MatrixLogMel(nn.Module):
    """`log_mel` for clips of one length."""

    def __init__(self, spec: Features, sample_rate: int, samples: int) -> None:
        """Compute the matrices in float64.

        Raises:
            AudioError: as `mel_filters`.
        """
        super().__init__()
        self.window, self.hop, size = geometry(spec, sample_rate)
        self.samples, self.frames = samples, 1 + samples // self.hop
        self.n_mels = spec.n_mels
        # Distances from the centre, the largest first; where there is a sample at the centre, it is last and
        # half as heavy, being added to itself. The first sample of a periodic window is 0 and left out.
        distance = self.window / 2 - torch.arange(1, self.window // 2 + 1, dtype=torch.float64)
        hann = 0.5 + 0.5 * torch.cos(2 * math.pi * distance / self.window)
        self.register_buffer("hann", (hann * torch.where(distance == 0, 0.5, 1.0)).float())
        self.outer = int((distance > size / 4).sum())
        inner = distance[self.outer :]
        # Where the first of the outer samples, reversed, meets its partner N/2 - m among the inner ones.
        self.offset = int(inner[0] - (size / 2 - distance[self.outer - 1])) if self.outer else 0
        filters = mel_filters(spec, sample_rate)
        used = filters.sum(1).nonzero()
        for name, first in ("even", 0), ("odd", 1):
            bins = torch.arange(first, len(filters), 2)
            bins = bins[(bins >= used.min()) & (bins <= used.max())]
            angle = 2 * math.pi / size * inner[:, None] * bins
            self.register_buffer(f"cos_{name}", angle.cos().float())
            self.register_buffer(f"sin_{name}", angle.sin().float())
            self.register_buffer(f"filters_{name}", filters[bins].float())

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) in [-1, 1] to log-mels (batch, n_mels, frames)."""
        left = -(-self.window // 2)  # where log_mel places an odd window
        padded = F.pad(waveform[:, None], (left, self.window // 2), mode="reflect")[:, 0]
        frames = _frames(padded, self.samples + self.window, self.window, self.hop)
        half = self.window // 2
        before = frames[..., 1 : half + 1]
        after = frames[..., self.window - half :].flip(2)
        hann = self.get_buffer("hann")
        total, difference = self._fold((before + after) * hann), self._fold((before - after) * hann)
        # The sine's sign at N/2 - m is the opposite of the cosine's.
        even = self._mel("even", total[0], difference[1])
        odd = self._mel("odd", total[1], difference[0])
        log_mel = (even + odd + FLOOR).log().transpose(1, 2)
        return log_mel.reshape(-1, self.n_mels, self.frames)  # says the sizes to whoever traces it

    def _fold(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Add the outer samples to their partners among the inner ones, and subtract them."""
        inner, outer = x[..., self.outer :], x[..., : self.outer].flip(2)
        behind = inner.shape[2] - self.offset - self.outer
        outer = F.pad(outer, (self.offset, behind))
        return inner + outer, inner - outer

    def _mel(self, name: str, for_cos: Tensor, for_sin: Tensor) -> Tensor:
        real = for_cos @ self.get_buffer(f"cos_{name}")
        imaginary = for_sin @ self.get_buffer(f"sin_{name}")
        return (real * real + imaginary * imaginary) @ self.get_buffer(f"filters_{name}")


class MatrixPower(nn.Module):
    """The power spectrum of frames that a linear map has prepared, for waveforms of one length."""

    def __init__(self, prepare: Tensor, n_fft: int, hop: int, samples: int) -> None:
        """Multiply the map and the Fourier transform.

        Args:
            prepare: (prepared, window), float64: what is done to a frame, such as a window on its diagonal.
            samples: in a waveform, with all padding.
        """
        super().__init__()
        self.window, self.hop, self.samples = prepare.shape[1], hop, samples
        transform = torch.fft.rfft(prepare, n_fft, dim=0).T  # (window, bins)
        self.register_buffer("real", transform.real.float().contiguous(), persistent=False)
        self.register_buffer("imaginary", transform.imag.float().contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) to (batch, frames, bins)."""
        frames = _frames(waveform, self.samples, self.window, self.hop)
        real, imaginary = frames @ self.get_buffer("real"), frames @ self.get_buffer("imaginary")
        return real * real + imaginary * imaginary


class MatrixFbank(nn.Module):
    """`KaldiFbank` for clips of one length."""

    def __init__(self, n_mels: int, samples: int) -> None:
        super().__init__()
        frame = torch.eye(fbank.WINDOW, dtype=torch.float64) - 1 / fbank.WINDOW  # minus its mean
        frame[1:] -= fbank.PREEMPHASIS * frame[:-1]
        frame *= torch.hann_window(fbank.WINDOW, periodic=False, dtype=torch.float64)[:, None]
        self.power = MatrixPower(frame, fbank.N_FFT, fbank.HOP, samples)
        self.register_buffer("filters", fbank.mel_filters(n_mels), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, samples) to (batch, frames, n_mels), as KaldiFbank."""
        power = self.power(waveform - waveform.mean(dim=1, keepdim=True))
        mel: Tensor = power @ self.get_buffer("filters")
        return mel.clamp(min=fbank.FLOOR).log()


def _frames(waveform: Tensor, samples: int, window: int, hop: int) -> Tensor:
    """Cut (batch, samples) into (batch, frames, window), by copies of whole hops."""
    frames, blocks = 1 + (samples - window) // hop, -(-window // hop)
    length = (frames + blocks - 1) * hop
    waveform = F.pad(waveform, (0, max(length - samples, 0)))[:, :length]
    hops = waveform.reshape(-1, frames + blocks - 1, hop)
    return torch.cat([hops[:, i : i + frames] for i in range(blocks)], 2)[..., :window]
