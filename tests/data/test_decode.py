"""One clip: every encoding comes out as int16 at one rate, with a flag for everything odd about it."""

from __future__ import annotations

import hashlib
import io
import struct

import numpy as np
import pytest
import soundfile

from kagglekit.config import Audio
from kagglekit.data import bounds, samples, sound_file
from kagglekit.data.decode import decode, decode_recording
from kagglekit.data.samples import Float32, Int16
from kagglekit.data.source_file import look

AUDIO = Audio(sample_rate=16_000, seconds=1.0)


def sine(rate: int = 16_000, samples: int | None = None, hz: float = 440, level: float = 0.5) -> Float32:
    t = np.arange(rate if samples is None else samples) / rate
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def encode(waveform: Float32, rate: int = 16_000, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format=kind, subtype=subtype)
    return file.getvalue()


def riff(pcm: bytes, fmt: bytes | None = None, before: bytes = b"", size: int | None = None) -> bytes:
    fmt = fmt or struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + before
    body += b"data" + struct.pack("<I", len(pcm) if size is None else size) + pcm
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm16(samples: int = 16_000) -> Int16:
    return np.rint(sine(samples=samples) * 32_768).astype(np.int16)


def test_plain_clip() -> None:
    pcm = pcm16()
    data = riff(pcm.tobytes())
    clip = decode(data, AUDIO)
    assert clip.flags == ()
    assert clip.samples == 16_000
    assert clip.rows.dtype == np.int16
    np.testing.assert_array_equal(clip.rows, pcm)
    assert clip.rms == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)
    assert clip.peak == pytest.approx(0.5, rel=1e-3)
    assert clip.sha1 == hashlib.sha1(data).hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        riff(pcm16().tobytes(), before=b"LIST" + struct.pack("<I", 5) + b"INFOx\0"),  # odd, padded
        riff(pcm16().tobytes(), before=b"fact" + struct.pack("<II", 4, 16_000)),
        riff(pcm16().tobytes() + b"\x01"),  # half a sample
        riff(pcm16().tobytes(), size=0xFFFF_FFFF),  # written to a pipe
        riff(
            pcm16().tobytes(),
            fmt=struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4, 1)
            + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71",
        ),
    ],
    ids=["list", "fact", "odd", "pipe", "extensible"],
)
def test_chunks_of_the_fast_path(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sound_file, "_libsndfile")
    clip = decode(data, AUDIO)
    assert clip.flags == ()
    np.testing.assert_array_equal(clip.rows, pcm16())


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 256),
        ("WAV", "PCM_24", 1),
        ("WAV", "PCM_32", 1),
        ("WAV", "FLOAT", 1),
        ("WAV", "DOUBLE", 1),
        ("WAV", "ULAW", 700),
        ("FLAC", "PCM_16", 1),
        ("FLAC", "PCM_24", 1),
        ("AIFF", "PCM_16", 1),
        ("OGG", "VORBIS", 3000),
    ],
)
def test_other_encodings(kind: str, subtype: str, tolerance: int) -> None:
    data = encode(sine(), kind=kind, subtype=subtype)
    clip = decode(data, AUDIO)
    assert clip.flags == look(data, AUDIO).flags == ((), ("converted",))[subtype not in ("PCM_16", "VORBIS")]
    assert np.abs(clip.rows.astype(int) - pcm16()).max() <= tolerance


def test_stereo_is_averaged() -> None:
    both = np.stack([sine(), np.zeros(16_000, np.float32)], axis=1)
    clip = decode(encode(both), AUDIO)
    assert clip.flags == ("converted",)
    assert np.abs(clip.rows - pcm16() / 2).max() <= 1


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled(rate: int) -> None:
    clip = decode(encode(sine(rate), rate), AUDIO)
    assert clip.flags == ("resampled",)
    assert abs(clip.samples - 16_000) <= 1
    middle = slice(1000, 15_000)  # a sine that starts at once is not band-limited
    assert np.abs(clip.rows[middle] - pcm16()[middle].astype(int)).max() <= 3


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 16_001])
def test_resampling_keeps_frequencies_and_levels(rate: int) -> None:
    """Tones under a Hann window, computed at either rate from the same formula."""
    rng = np.random.default_rng(rate)
    hz, phase = rng.uniform(100, 0.45 * min(rate, 16_000), 20), rng.uniform(0, 2 * np.pi, 20)

    def tones(at: int) -> Float32:
        t = np.arange(2 * at)[:, None] / at
        return (np.sin(2 * np.pi * hz * t + phase).mean(1) * np.sin(np.pi * t[:, 0] / 2) ** 2).astype("f4")

    expected = tones(16_000) * 32_768
    error = decode_recording(encode(tones(rate), rate, subtype="FLOAT"), AUDIO)[0] - expected
    assert np.linalg.norm(error) < 0.00115 * np.linalg.norm(expected)  # 0.01 dB


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
@pytest.mark.parametrize("hz", [8500, 9000, 10_500])
def test_resampling_removes_aliases(rate: int, hz: float) -> None:
    fading = sine(rate, hz=hz, level=0.99) * np.hanning(rate).astype("f4")
    below_80_db = 1e-4 * 0.99 * 32_768
    assert np.abs(decode_recording(encode(fading, rate, subtype="FLOAT"), AUDIO)[0]).max() <= below_80_db


def test_clips_at_the_rate_are_not_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(samples.soxr, "resample")
    np.testing.assert_array_equal(decode(encode(sine(), subtype="PCM_24"), AUDIO).rows, pcm16())


def test_too_few_samples_to_resample_are_empty() -> None:
    assert decode(encode(sine(192_000, 5), 192_000), AUDIO).problem == "empty"


@pytest.mark.parametrize(
    ("samples", "problem"),
    [(9000, "short"), (15_839, "short"), (15_840, ""), (16_160, ""), (16_161, "long"), (20_000, "long")],
)
def test_other_lengths(samples: int, problem: str) -> None:
    pcm = pcm16(samples)
    clip = decode(riff(pcm.tobytes()), AUDIO)
    assert (clip.flags, clip.problem, clip.samples) == (tuple(problem.split()), "", samples)
    assert look(encode(sine(samples=samples)), AUDIO).flags == clip.flags
    n = min(samples, 16_000)
    np.testing.assert_array_equal(clip.rows[:n], pcm[:n])
    assert not clip.rows[n:].any()
    assert clip.rms == pytest.approx(np.sqrt(np.mean((pcm / 32_768) ** 2)), rel=1e-5)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_truncated_keeps_what_is_there(subtype: str) -> None:
    data = encode(sine(), subtype=subtype)
    clip = decode(data[: 44 + (len(data) - 44) // 2], AUDIO)
    assert clip.problem == "truncated"
    assert abs(clip.samples - 8000) < 30
    assert np.abs(clip.rows[:7900] - pcm16()[:7900].astype(int)).max() <= 1


def test_truncated_flac() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    data = encode(noise, kind="FLAC")
    clip = decode(data[: len(data) // 2], AUDIO)
    assert clip.problem == "truncated"
    assert 0 < clip.samples < 16_000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (riff(b""), "empty"),
        (riff(b"", size=32_000), "empty"),
        (riff(pcm16().tobytes())[:20], "unreadable"),
        (b"not audio at all" * 50, "unreadable"),
        (b"RIFF", "unreadable"),
        (riff(bytes(32_000), fmt=struct.pack("<HHIIHH", 1, 1, 7, 14, 2, 16)), "unreadable"),
        (riff(bytes(32_000), fmt=struct.pack("<HHIIHH", 1, 99, 16_000, 14, 2, 16)), "unreadable"),
        (b"fLaC" + bytes(100), "unreadable"),
    ],
)
def test_damage_gives_zeros(data: bytes, problem: str) -> None:
    clip = decode(data, AUDIO)
    assert (clip.problem, clip.samples, clip.rms, clip.peak) == (problem, 0, 0.0, 0.0)
    assert clip.rows.shape == (16_000,)
    assert not clip.rows.any()
    assert len(decode_recording(data, AUDIO)[0]) == 0


@pytest.mark.parametrize("level", [0, 7, -32_768])
def test_silent(level: int) -> None:
    clip = decode(riff(np.full(16_000, level, np.int16).tobytes()), AUDIO)
    assert clip.problem == "silent"
    assert clip.peak == -min(level, -level) / 32_768


def test_clipped() -> None:
    loud = np.clip(np.rint(sine(level=2) * 32_768), -32_768, 32_767).astype(np.int16)
    assert decode(riff(loud.tobytes()), AUDIO).flags == ("clipped",)
    once = pcm16().copy()
    once[5] = 32_767
    assert decode(riff(once.tobytes()), AUDIO).flags == ()


def test_an_absurd_rate_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(sine(), 1_500_000, subtype="PCM_24")
    monkeypatch.delattr(soundfile.SoundFile, "read")
    assert decode(data, AUDIO).problem == "unreadable"


@pytest.mark.parametrize(("frames", "problem"), [(8192, "unreadable"), (32_768, "")])
def test_too_many_frames_are_not_kept(frames: int, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_FRAMES", frames)
    assert decode(encode(sine(), kind="FLAC"), AUDIO).problem == problem


def test_float_with_nan_and_inf() -> None:
    waveform = sine()
    waveform[:3] = np.nan, np.inf, -np.inf
    clip = decode(encode(waveform, subtype="FLOAT"), AUDIO)
    assert clip.flags == ("damaged", "converted")
    assert clip.message == "3 of 16,000 samples are NaN or infinite"
    assert clip.rows[:3].tolist() == [0, 32_767, -32_768]
    assert np.isfinite(clip.rms)


def test_random_bytes_never_raise() -> None:
    rng = np.random.default_rng(0)
    seeds = [encode(sine(samples=500), kind=k, subtype=s) for k, s in [("WAV", "PCM_24"), ("FLAC", "PCM_16")]]
    for i in range(200):
        data = bytearray(seeds[i % 2])
        for at in rng.integers(len(data), size=8):
            data[at] = rng.integers(256)
        assert decode(bytes(data), AUDIO).rows.shape == (16_000,)


def test_decode_recording() -> None:
    pcm = pcm16(50_000)
    np.testing.assert_array_equal(decode_recording(riff(pcm.tobytes()), AUDIO)[0], pcm)
    assert abs(len(decode_recording(encode(sine(8000, 80_000), 8000), AUDIO)[0]) - 160_000) <= 1
