"""Log-mel spectrograms, computed in blocks of clips that stay in the processor's cache.

Triangular filters of unit peak, evenly spaced on the HTK mel scale (Young et al., The HTK Book), are applied
to the power spectrum of centred, reflect-padded frames under a periodic Hann window, as in
`librosa.feature.melspectrogram(htk=True, norm=None)`; then log(x + 1e-6) as in BC-ResNet (arXiv:2106.04140).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from kagglekit.config import Features
from kagglekit.errors import AudioError

VERSION = 2  # part of the cache key: raise it when a number below or the method changes
FLOOR = 1e-6  # added to mel power; 20 dB above the quantisation noise of int16
BLOCK = 4  # clips at a time on a CPU, so that frames and spectra stay in its cache
GPU_BLOCK = 512  # clips at a time on a GPU, 110 MB of frames, so that there are few kernel launches
FULL_SCALE = 32768.0


def geometry(spec: Features, sample_rate: int) -> tuple[int, int, int]:
    """Return (window, hop, n_fft) in samples: 480, 160, 512 for 30/10 ms at 16 kHz.

    n_fft is the smallest power of two that holds a window.
    """
    window = round(spec.window_ms * sample_rate / 1000)
    return window, round(spec.hop_ms * sample_rate / 1000), 1 << (window - 1).bit_length()


def mel_filters(spec: Features, sample_rate: int) -> Tensor:
    """Return the triangular filters, float64 (n_fft // 2 + 1, n_mels).

    Raises:
        AudioError: fmax is above half the sample rate, or a filter contains no frequency bin.
    """
    nyquist = sample_rate / 2
    if spec.fmax > nyquist:
        raise AudioError(
            f"features.fmax is {spec.fmax:g} Hz, above {nyquist:g} Hz, half the sample rate",
            hint=f"set features.fmax to at most {nyquist:g}",
        )
    _, _, size = geometry(spec, sample_rate)
    bins = torch.arange(size // 2 + 1, dtype=torch.float64) * sample_rate / size
    low, high = (2595 * math.log10(1 + f / 700) for f in (spec.fmin, spec.fmax))
    edges = 700 * (10 ** (torch.linspace(low, high, spec.n_mels + 2, dtype=torch.float64) / 2595) - 1)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0)
    empty = int((filters.sum(0) == 0).sum())
    if empty:
        raise AudioError(
            f"{empty} of {spec.n_mels} mel filters hold no frequency bin ({sample_rate / size:.0f} Hz apart)",
            hint="set features.n_mels lower or features.window_ms higher",
        )
    return filters


@lru_cache(maxsize=8)
def _constants(spec: Features, sample_rate: int, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the window, centred in n_fft and divided by full scale, and the filters."""
    window, _, size = geometry(spec, sample_rate)
    before = (size - window) // 2
    scaled = torch.hann_window(window, dtype=torch.float64) / FULL_SCALE
    padded = torch.nn.functional.pad(scaled, (before, size - window - before))
    return padded.to(device, dtype), mel_filters(spec, sample_rate).to(device, dtype)


def log_mel(waveform: Tensor, spec: Features, sample_rate: int, *, exact: bool = True) -> Tensor:
    """Compute log-mel spectrograms.

    Args:
        waveform: (batch, samples), int16, or float with int16's full scale, 32768.
        spec: window and hop in ms; fmin and fmax in Hz.
        sample_rate: Hz.
        exact: transform in float64 on a CPU. False takes half the time, for training batches whose
            augmentation is larger than the error.

    Returns:
        (batch, n_mels, frames), natural log of mel power (a full-scale sine is about 9), float64 for
        float64 waveforms, else float32; frames = 1 + samples // hop.

    Raises:
        AudioError: the waveform is not 2-D or shorter than half a window, or spec does not fit sample_rate.
    """
    _, hop, size = geometry(spec, sample_rate)
    if waveform.ndim != 2 or waveform.shape[1] <= size // 2:
        raise AudioError(
            f"waveform of shape {tuple(waveform.shape)}: must be (batch, more than {size // 2} samples)",
            hint="set audio.seconds higher or features.window_ms lower",
        )
    # A float32 transform errs by 1e-7 of a frame's loudest bin: by 7e-4 in the log of a quiet band.
    dtype = torch.float64 if exact and waveform.device.type == "cpu" else torch.float32
    window, filters = _constants(spec, sample_rate, str(waveform.device), dtype)
    # A filter sums numbers >= 0, for which float32 is enough: it errs by 4e-7 in the log.
    out_dtype = torch.float64 if waveform.dtype == torch.float64 else torch.float32
    filters = filters.to(out_dtype)
    frames, block = 1 + waveform.shape[1] // hop, BLOCK if waveform.device.type == "cpu" else GPU_BLOCK
    out = torch.empty(len(waveform), spec.n_mels, frames, dtype=out_dtype, device=waveform.device)
    # Blocks share the memory of frames and spectra: fresh memory would cost as much as the transform.
    windowed = out.new_empty(min(block, len(waveform)), frames, size, dtype=dtype)
    spectra = out.new_empty(len(windowed), frames, size // 2 + 1, dtype=dtype.to_complex())
    for start in range(0, len(waveform), block):
        clips = waveform[start : start + block].to(dtype)
        padded = torch.nn.functional.pad(clips[:, None], (size // 2, size // 2), mode="reflect")[:, 0]
        torch.mul(padded.unfold(1, size, hop), window, out=windowed[: len(clips)])
        parts = torch.view_as_real(torch.fft.rfft(windowed[: len(clips)], out=spectra[: len(clips)]))
        # Squaring the parts is faster than abs(), which takes a square root.
        power = parts[..., 0].square().addcmul_(parts[..., 1], parts[..., 1])  # (clips, frames, bins)
        mel = power.to(out_dtype) @ filters
        out[start : start + block] = mel.add_(FLOOR).log_().transpose(1, 2)
    return out
