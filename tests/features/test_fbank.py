from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import ASTFeatureExtractor
from transformers.audio_utils import mel_filter_bank

from kagglekit.features.fbank import BLOCK, KaldiFbank, mel_filters


def speech_like(clips: int, samples: int = 16_000) -> torch.Tensor:
    """Tones that come and go in noise, with an offset: everything the filterbank has to remove."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(samples) / 16_000
    pitch = 100 + 3000 * torch.rand(clips, 1, generator=generator)
    tone = torch.sin(2 * torch.pi * pitch * time) * torch.sin(torch.pi * time).square()
    return 0.1 * tone + 0.01 * torch.randn(clips, samples, generator=generator) + 0.05


def exact(waveform: torch.Tensor, n_mels: int) -> torch.Tensor:
    """The filterbank by its definition, in float64."""
    frames = waveform.double().unfold(1, 400, 160)
    frames = frames - frames.mean(2, keepdim=True)
    window = torch.hann_window(400, periodic=False, dtype=torch.float64)
    power = torch.fft.rfft((frames[..., 1:] - 0.97 * frames[..., :-1]) * window[1:], 512).abs().square()
    return (power @ mel_filters(n_mels).double()).clamp_min(torch.finfo(torch.float32).eps).log()


def test_an_offset_and_padding_cost_no_precision() -> None:
    waveform = speech_like(8) + 0.2
    waveform[:, 9_000:] = 0
    assert (KaldiFbank(40)(waveform) - exact(waveform, 40)).abs().max() < 1e-3


@pytest.mark.filterwarnings(
    "ignore:At least one mel filter"
)  # 128 mels are too many for 257 bins, AST has them
@pytest.mark.parametrize("n_mels", [64, 128])
def test_equals_the_feature_extractor(n_mels: int) -> None:
    waveform = speech_like(BLOCK + 1)
    extractor = ASTFeatureExtractor(num_mel_bins=n_mels, max_length=98, do_normalize=False)
    expected = np.stack(extractor(list(waveform.numpy()), sampling_rate=16_000)["input_values"])
    assert np.abs(KaldiFbank(n_mels)(waveform).numpy() - expected).max() < 1e-3


def test_digital_silence_is_the_floor() -> None:
    fbank = KaldiFbank()(torch.zeros(1, 16_000))
    assert fbank.shape == (1, 98, 128)
    assert fbank.unique().tolist() == [pytest.approx(-15.942385)]  # log of float32's epsilon


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (48_000, 298)])
def test_only_whole_windows_are_frames(samples: int, frames: int) -> None:
    assert KaldiFbank(40)(speech_like(2, samples)).shape == (2, frames, 40)


def test_filters_equal_transformers() -> None:
    expected = mel_filter_bank(257, 80, 20, 8000, 16_000, mel_scale="kaldi", triangularize_in_mel_space=True)
    assert np.abs(mel_filters(80).numpy() - expected).max() < 1e-6


@pytest.mark.parametrize(
    "n_mels", [1, 40, 600]
)  # of 600, the first 32 lie between two bins: they hear nothing
def test_bands_of_mels_leave_nothing_out(n_mels: int) -> None:
    fbank, power = KaldiFbank(n_mels), torch.rand(5, 257)
    banded = torch.zeros(5, n_mels)
    for bins, band in fbank.bands:
        banded[:, band] = power[:, bins] @ mel_filters(n_mels)[bins, band]
    assert torch.allclose(banded, power @ mel_filters(n_mels), atol=1e-5)
    assert KaldiFbank(n_mels)(speech_like(2)).shape == (2, 98, n_mels)
