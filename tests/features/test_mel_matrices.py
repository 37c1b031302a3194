"""Log-mels by matrix products equal those by an FFT."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kagglekit.config import Features
from kagglekit.features.logmel import FULL_SCALE, log_mel
from kagglekit.features.mel_matrices import MatrixLogMel


@pytest.mark.parametrize(
    ("rate", "seconds", "settings"),
    [
        (16_000, 1.0, {}),
        (32_000, 1.0, {"n_mels": 128, "fmin": 40.0, "fmax": 15_000.0}),
        (16_000, 0.3, {"window_ms": 20.0625}),  # an odd window, 321
        (22_050, 0.7, {"window_ms": 17.3, "hop_ms": 20.0}),  # an odd one, shorter than the hop
        (16_000, 0.2, {"window_ms": 10.0, "n_mels": 16}),
        (8000, 0.5, {"window_ms": 32.0, "n_mels": 20, "fmax": 3900.0}),  # as long as the transform
        (16_000, 0.017, {}),  # hardly longer than half a window
    ],
)
def test_equal_to_the_fft(rate: int, seconds: float, settings: dict[str, float]) -> None:
    spec, samples = Features(**settings), round(rate * seconds)
    rng = np.random.default_rng(0)
    pcm = torch.from_numpy(rng.normal(0, 3000, (3, samples))).to(torch.int16)
    found, exact = MatrixLogMel(spec, rate, samples)(pcm.float() / FULL_SCALE), log_mel(pcm, spec, rate)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-3)  # of single quiet bins
    assert (found - exact).abs().mean() < 2e-6


def test_quiet_bands_beside_a_loud_tone_are_as_good_as_with_a_float32_fft() -> None:
    time = np.arange(16_000) / 16_000
    noise = np.random.default_rng(0).normal(0, 2, len(time))
    tone = torch.from_numpy((20_000 * np.sin(2 * np.pi * 440 * time) + noise).round()).to(torch.int16)[None]
    exact = log_mel(tone, Features(), 16_000)
    ours = (MatrixLogMel(Features(), 16_000, 16_000)(tone.float() / FULL_SCALE) - exact).abs()
    fft = (log_mel(tone, Features(), 16_000, exact=False) - exact).abs()
    assert ours.mean() < fft.mean()
