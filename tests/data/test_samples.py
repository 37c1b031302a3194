"""Channels that cancel each other, and floating-point samples that mean integers."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from support.sounds import encode, tone

from kagglekit.config import Audio
from kagglekit.data.decode import decode
from kagglekit.data.samples import Float32, as_meant, join
from kagglekit.data.source_file import look, read_part

AUDIO = Audio(sample_rate=16_000, seconds=1.0)
RNG = np.random.default_rng(0)
NOISE = RNG.uniform(-0.3, 0.3, (4, 16_000)).astype(np.float32)
LEFT = tone(16_000)


@pytest.mark.parametrize(
    "channels",
    [
        [LEFT, -LEFT],
        [0.9 * LEFT, -LEFT],
        [LEFT, -LEFT + NOISE[0] / 1000],
        [LEFT + 0.4, -LEFT + 0.4],  # an offset is no sound
        [0 * LEFT, 0 * LEFT, LEFT, -LEFT, 0 * LEFT, 0 * LEFT],
    ],
)
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_antiphase(channels: list[Float32], subtype: str) -> None:
    data = encode(np.stack(channels, 1), subtype=subtype)
    clip = decode(data, AUDIO)
    assert clip.flags == ("antiphase", "converted")
    sound = clip.rows - clip.rows.mean()
    assert np.sqrt(np.mean(sound**2)) / 32_768 == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize(
    "channels",
    [
        [LEFT, LEFT],
        [LEFT, 0 * LEFT],
        [0 * LEFT] * 15 + [LEFT],
        list(NOISE),
        [0 * LEFT] * 2,
        [0 * LEFT + 0.5] * 2,
        [LEFT, -0.5 * LEFT],
    ],
)
def test_the_mean_is_right(channels: list[Float32]) -> None:
    both = np.stack(channels, 1)
    clip = decode(encode(both), AUDIO)
    assert "antiphase" not in clip.flags
    np.testing.assert_allclose(clip.rows / 32_768, both.mean(1), atol=2e-4)
    np.testing.assert_allclose(join(both), both.mean(1), atol=1e-6)


def test_windows_of_a_source_are_heard() -> None:
    data = encode(np.stack([LEFT, -LEFT], 1), kind="OGG")
    file = look(data, AUDIO)
    row = np.empty(8000, np.int16)
    read_part(file.content, file.content_rate, AUDIO, 4000, row)
    assert np.abs(row.astype(int)).max() > 12_000


PCM = np.rint(9000 * LEFT + 100 * NOISE[0])


@pytest.mark.parametrize(
    ("samples", "scale"),
    [
        (PCM, 2**15),
        (np.rint(PCM / 3000), 2**15),  # hardly anything
        (PCM * 0.777, 2**15),
        (np.rint(PCM * 200.0), 2**23),
        (np.rint(PCM * 200_000.0), 2**31),
        (np.stack([PCM, np.roll(PCM, 1)], 1), 2**15),
    ],
)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_integers_as_floats(samples: Float32, scale: int, subtype: str) -> None:
    data = encode(samples.astype(np.float32), subtype=subtype)
    clip = decode(data, AUDIO)
    assert "rescaled" in clip.flags and clip.message.endswith(f"divided by {scale:,}")
    mean = samples if samples.ndim == 1 else samples.mean(1)
    np.testing.assert_allclose(clip.rows, mean * (32_768 / scale), atol=0.51)
    file = look(data, AUDIO)
    assert file.flags == clip.flags
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(file.content), dtype="int16")[0], clip.rows)


@pytest.mark.parametrize("level", [0.9, 4.0, 20.0])
def test_a_loud_mix_is_clipped(level: float) -> None:
    clip = decode(encode(2 * level * LEFT, subtype="FLOAT"), AUDIO)
    assert "rescaled" not in clip.flags and ("clipped" in clip.flags) == (level > 1)


def test_one_click_does_not_make_it_quiet() -> None:
    clicked = LEFT.copy()
    clicked[100] = 5000.5
    clip = decode(encode(clicked, subtype="FLOAT"), AUDIO)
    assert clip.flags == ("damaged", "converted")
    assert clip.message == "floating-point samples up to 5,000, where 1 is full scale"
    assert clip.rms == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_no_numbers() -> None:
    nothing = np.full(16_000, np.nan, np.float32)
    clip = decode(encode(nothing, subtype="FLOAT"), AUDIO)
    assert (clip.problem, clip.message) == ("unreadable", "16,000 of 16,000 samples are NaN or infinite")
    huge = decode(encode(LEFT * 1e30, subtype="FLOAT"), AUDIO)
    assert (huge.problem, huge.message) == ("unreadable", "floating-point samples up to 5e+29")


def test_as_meant_of_nothing() -> None:
    waveform, flags, message = as_meant(np.zeros(0, np.float32))
    assert (len(waveform), flags, message) == (0, (), "")
