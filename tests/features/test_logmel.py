"""log-mel, against a reference written from its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kagglekit.config import Audio, Features
from kagglekit.data.decode import decode
from kagglekit.errors import AudioError
from kagglekit.features.logmel import BLOCK, geometry, log_mel, mel_filters
from kagglekit.files import archive

RATE = 16_000
SPEC = Features()
Floats = NDArray[np.float64]


def reference(waveform: NDArray[np.generic], spec: Features, rate: int) -> Floats:
    """(batch, samples) on int16's scale -> (batch, n_mels, frames), in float64, frame by frame."""
    window = round(spec.window_ms * rate / 1000)
    hop = round(spec.hop_ms * rate / 1000)
    size = 1
    while size < window:
        size *= 2
    taper = np.zeros(size)
    left = (size - window) // 2
    taper[left : left + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    x = np.asarray(waveform, np.float64) / 32768
    x = np.pad(x, ((0, 0), (size // 2, size // 2)), mode="reflect")
    filters = triangles(spec, rate, size)
    frames = []
    for start in range(0, x.shape[1] - size + 1, hop):
        power = np.abs(np.fft.fft(x[:, start : start + size] * taper)[:, : size // 2 + 1]) ** 2
        frames.append(np.log(power @ filters + 1e-6))
    return np.stack(frames, axis=2)


def triangles(spec: Features, rate: int, size: int) -> Floats:
    def to_mel(hz: float) -> float:
        return 1127.01048 * float(np.log(1 + hz / 700))  # HTK's other way to write 2595 log10

    low, high = to_mel(spec.fmin), to_mel(spec.fmax)
    mels = [low + (high - low) * i / (spec.n_mels + 1) for i in range(spec.n_mels + 2)]
    edges = [700 * (float(np.exp(m / 1127.01048)) - 1) for m in mels]
    hz = np.arange(size // 2 + 1) * rate / size
    columns = [np.interp(hz, edges[i : i + 3], [0.0, 1.0, 0.0], left=0, right=0) for i in range(spec.n_mels)]
    return np.stack(columns, axis=1)


def noise(clips: int, samples: int, seed: int = 0) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    level = 10 ** rng.uniform(0, 4, (clips, 1))
    return np.clip(rng.normal(0, level, (clips, samples)), -32768, 32767).astype(np.int16)


def speech_like(clips: int, samples: int, rate: int) -> NDArray[np.int16]:
    """Harmonics of a gliding pitch under an envelope, in a little noise."""
    rng = np.random.default_rng(1)
    time = np.arange(samples) / rate
    out = []
    for _ in range(clips):
        phase = 2 * np.pi * np.cumsum(rng.uniform(90, 250) * (1 + 0.3 * np.sin(5 * time))) / rate
        voice = sum(np.sin(k * phase) / k for k in range(1, 15))
        envelope = np.exp(-(((time - time[-1] / 2) / 0.15) ** 2))
        out.append(rng.uniform(300, 9000) * envelope * voice + rng.normal(0, 5, samples))
    return np.clip(np.round(out), -32768, 32767).astype(np.int16)


SPECS = [
    (SPEC, RATE),
    (Features(n_mels=80, window_ms=25, hop_ms=12.5, fmin=0, fmax=8000), RATE),
    (Features(n_mels=20, window_ms=32, hop_ms=16, fmin=50, fmax=3900), 8000),
]


def kinds(spec: Features, rate: int) -> dict[str, NDArray[np.int16]]:
    samples = rate // 2 + 137  # no whole number of hops
    return {
        "noise": noise(6, samples),
        "speech": speech_like(6, samples, rate),
        "zeros": np.zeros((1, samples), np.int16),
        "full scale": np.full((1, samples), -32768, np.int16),
    }


def check_float32(waveform: NDArray[np.int16], spec: Features, rate: int) -> None:
    """Within 1e-4 everywhere, also in quiet bands beside loud ones, which a float32 FFT misses by 7e-4."""
    wanted = reference(waveform, spec, rate)
    found = log_mel(torch.from_numpy(waveform), spec, rate)
    assert found.dtype == torch.float32 and found.shape == wanted.shape
    assert np.abs(found.numpy() - wanted).max() < 1e-4


@pytest.mark.parametrize("kind", ["noise", "speech", "zeros", "full scale"])
@pytest.mark.parametrize(("spec", "rate"), SPECS)
def test_the_reference(spec: Features, rate: int, kind: str) -> None:
    waveform = kinds(spec, rate)[kind]
    check_float32(waveform, spec, rate)
    exact = log_mel(torch.from_numpy(waveform).double(), spec, rate).numpy()
    np.testing.assert_allclose(exact, reference(waveform, spec, rate), atol=1e-9)


def test_real_clips(speech_mini: Path) -> None:
    rows: list[NDArray[np.int16]] = []
    archive.stream(
        speech_mini / "test.7z",
        lambda _, data: rows.append(decode(data, Audio()).rows),
        lambda members: sorted(m.name for m in members if m.name.endswith(".wav"))[:50],
    )
    real = np.stack(rows)
    assert real.shape == (50, 16_000)
    check_float32(real, SPEC, RATE)


def test_filters_are_unit_triangles() -> None:
    filters = mel_filters(SPEC, RATE).numpy()
    np.testing.assert_allclose(filters, triangles(SPEC, RATE, 512), atol=1e-6)
    assert filters.shape == (257, 40) and filters.max() <= 1


def test_a_sine_stands_in_its_band() -> None:
    time = np.arange(RATE) / RATE
    sine = torch.from_numpy((32767 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16))[None]
    found = log_mel(sine, SPEC, RATE)[0, :, 50]
    centres = mel_filters(SPEC, RATE).argmax(0) * RATE / 512
    assert abs(float(centres[found.argmax()]) - 1000) < 50
    assert 8 < float(found.max()) < 10  # a full-scale sine is about 9
    assert float(found.min()) < -5


@pytest.mark.parametrize(
    ("samples", "hop_ms", "frames"), [(16_000, 10, 101), (15_999, 10, 100), (16_000, 20, 51), (300, 10, 2)]
)
def test_frames(samples: int, hop_ms: float, frames: int) -> None:
    spec = Features(hop_ms=hop_ms)
    assert log_mel(torch.zeros(1, samples, dtype=torch.int16), spec, RATE).shape == (1, 40, frames)


def test_geometry() -> None:
    assert geometry(SPEC, RATE) == (480, 160, 512)
    assert geometry(Features(window_ms=32), RATE) == (512, 160, 512)


def test_a_clip_does_not_depend_on_its_batch() -> None:
    waveform = torch.from_numpy(noise(BLOCK + 5, 4000))
    together = log_mel(waveform, SPEC, RATE)
    for row in (0, BLOCK - 1, BLOCK, BLOCK + 4):
        torch.testing.assert_close(
            together[row : row + 1], log_mel(waveform[row : row + 1], SPEC, RATE), rtol=0, atol=2e-5
        )
    torch.testing.assert_close(together, log_mel(waveform.float(), SPEC, RATE), rtol=0, atol=0)
    assert log_mel(waveform[:0], SPEC, RATE).shape == (0, 40, 26)


def test_gain_adds() -> None:
    waveform = torch.from_numpy(noise(3, 4000, seed=4)).double() + 1000
    louder = log_mel(2 * waveform, SPEC, RATE) - log_mel(waveform, SPEC, RATE)
    assert float((louder[:, 10:] - np.log(4)).abs().max()) < 0.05  # but for the floor


@pytest.mark.parametrize(
    ("shape", "spec", "rate", "message"),
    [
        ((16_000,), SPEC, RATE, r"waveform of shape \(16000,\)"),
        ((2, 256), SPEC, RATE, "more than 256 samples"),
        ((1, 8000), SPEC, 8000, "features.fmax is 7600 Hz, above 4000 Hz"),
        ((1, 16_000), Features(n_mels=200), RATE, "mel filters hold no frequency bin"),
    ],
)
def test_errors(shape: tuple[int, ...], spec: Features, rate: int, message: str) -> None:
    with pytest.raises(AudioError, match=message) as caught:
        log_mel(torch.zeros(shape, dtype=torch.int16), spec, rate)
    assert caught.value.hint
