"""Statistics of clips: what they follow, and what they must not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kagglekit.config import Audio
from kagglekit.features.clip_statistics import BANDS, DECIBELS, ClipStatistics, clip_statistics

AUDIO = Audio(sample_rate=8000, seconds=1.0)


def noise(level: float, clips: int = 4, seed: int = 0) -> NDArray[np.int16]:
    values = np.random.default_rng(seed).normal(size=(clips, AUDIO.samples))
    return np.round(values * 32768 * 10 ** (level / 20)).astype(np.int16)


def of(rows: NDArray[np.int16]) -> ClipStatistics:
    return clip_statistics([rows], AUDIO)


def test_padding_says_nothing() -> None:
    long = noise(-30)
    short = long.copy()
    short[:, AUDIO.samples // 2 :] = 0
    whole, padded = of(long), of(short)
    assert padded.background == pytest.approx(whole.background, abs=1.0)  # of -6.9 against 0 with padding
    assert padded.level == pytest.approx(whole.level, abs=0.3)


def test_ten_decibels_are_ten_decibels() -> None:
    quiet, loud = of(noise(-50)), of(noise(-40))
    assert DECIBELS * (loud.level - quiet.level) == pytest.approx(10, abs=0.1)
    assert DECIBELS * (loud.background - quiet.background).mean() == pytest.approx(10, abs=0.2)
    assert loud.sounds == pytest.approx(quiet.sounds, abs=0.2)


def test_bandwidth_is_where_a_file_ends() -> None:
    time = np.arange(AUDIO.samples) / AUDIO.sample_rate
    tone = np.round(3000 * np.sin(2 * np.pi * 500 * time)).astype(np.int16)
    spectrum = np.fft.rfft(noise(-30, 1)[0].astype(float))
    spectrum[np.fft.rfftfreq(AUDIO.samples, 1 / 8000) > 1800] = 0
    low = np.round(np.fft.irfft(spectrum)).astype(np.int16)
    wide, narrow, alone = of(np.stack([noise(-30, 1)[0], low, tone])).bandwidth
    assert wide == pytest.approx(3800, abs=1)
    assert 1800 <= narrow <= 2300
    assert 500 <= alone <= 1000


def test_silence_and_batches() -> None:
    rows = np.concatenate([np.zeros((1, AUDIO.samples), np.int16), noise(-20, 3)])
    together, apart = of(rows), clip_statistics([rows[:1], rows[1:]], AUDIO)
    assert together.heard.shape == (4, 4 * BANDS)
    assert np.isfinite(together.heard).all()
    assert together.bandwidth[0] == 0
    assert all(np.array_equal(a, b) for a, b in zip(together, apart, strict=True))


@pytest.mark.parametrize("rate", [1000, 4000, 16_000, 44_100, 192_000])
def test_every_sample_rate_has_its_bands(rate: int) -> None:
    audio = Audio(sample_rate=rate, seconds=0.5)
    rows = np.random.default_rng(0).normal(0, 1000, (2, audio.samples)).astype(np.int16)
    assert np.isfinite(clip_statistics([rows], audio).heard).all()
