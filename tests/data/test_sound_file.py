"""Files as collections have them: MP3 under any name, and what only FFmpeg reads."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.sounds import FFMPEG, by_ffmpeg, damaged_mp3, encode, mp3, mp3_in_riff, tone

from kagglekit.config import Audio
from kagglekit.data import bounds, with_ffmpeg
from kagglekit.data.decode import decode, decode_recording
from kagglekit.data.kinds import kind_of
from kagglekit.data.sound_file import read_sound

AUDIO = Audio(sample_rate=16_000, seconds=1.0)


def pitch(pcm: np.typing.NDArray[np.int16], rate: int) -> float:
    """The loudest frequency in Hz."""
    return float(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))).argmax() * rate / len(pcm))


@pytest.mark.parametrize("data", [mp3(), mp3_in_riff(), b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + mp3()])
def test_mp3_under_any_name(data: bytes) -> None:
    clip = decode(data, AUDIO)
    assert clip.flags == ("resampled", "long")
    assert (clip.rate, clip.samples) == (44_100, 48_000)
    assert pitch(clip.rows, 16_000) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8000, 11_127, 22_257, 48_000])
@pytest.mark.parametrize("seconds", [0.2, 2.3])
def test_odd_rates_and_lengths(rate: int, seconds: float) -> None:
    both = np.stack([tone(rate, seconds)] * 2, 1)
    clip = decode(encode(both, rate, subtype="PCM_U8"), AUDIO)
    assert clip.flags == ("resampled", "converted", "short" if seconds < 1 else "long")
    assert clip.rate == rate and clip.samples == pytest.approx(16_000 * seconds, abs=1)
    assert pitch(decode_recording(encode(both, rate), AUDIO)[0], 16_000) == pytest.approx(440, abs=3)


def test_what_the_decoder_prints_is_kept_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    clip = decode(damaged_mp3(), AUDIO)
    assert clip.flags[:2] == ("truncated", "damaged")  # samples are missing
    assert clip.message.startswith("Illegal Audio-MPEG-Header 0x")
    assert capfd.readouterr().err == ""


def test_messages_of_several_threads_are_told_apart(capfd: pytest.CaptureFixture[str]) -> None:
    files = [damaged_mp3(2) if number % 4 == 0 else mp3(2) for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        sounds = list(pool.map(read_sound, files))
    assert [bool(sound.message) for sound in sounds] == [number % 4 == 0 for number in range(24)]
    assert capfd.readouterr().err == ""


def test_what_others_print_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            os.write(2, b"progress\n")

    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(talk)
        for _ in range(5):
            assert read_sound(damaged_mp3(1)).message
        stop.set()
        talking.result()
    shown = capfd.readouterr().err
    assert shown and set(shown.splitlines()) == {"progress"}


@pytest.mark.parametrize("kind", FFMPEG)
def test_what_libsndfile_does_not_read(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, rate = by_ffmpeg(kind), FFMPEG[kind][2]
    found = kind_of(data)
    assert found is not None and found.name == kind
    clip = decode(data, AUDIO)
    assert clip.problem == "" and "converted" in clip.flags
    assert clip.rate == rate and clip.samples == pytest.approx(32_000, abs=900)  # padding of the encoder
    assert pitch(decode_recording(data, AUDIO)[0][4000:28_000], 16_000) == pytest.approx(440, abs=5)
    monkeypatch.setattr(with_ffmpeg, "is_installed", lambda: False)
    clip = decode(data, AUDIO)
    assert (clip.problem, clip.message) == ("unreadable", kind)


def test_bounds_hold_for_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    data = by_ffmpeg("AAC in .m4a")
    monkeypatch.setattr(bounds, "MAX_FRAMES", 50_000)
    assert decode(data, AUDIO).message == "AAC in .m4a, more than 0 minutes at 44,100 Hz"
    monkeypatch.setattr(bounds, "MAX_RATE", 40_000)
    assert decode(data, AUDIO).message == "AAC in .m4a, sample rate 44,100 Hz"


def test_ffmpeg_opens_nothing_else() -> None:
    """A playlist names other files; FFmpeg is never asked to guess the format."""
    pytest.importorskip("av", reason="requires PyAV")
    for text in (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"):
        assert decode(text, AUDIO).problem == "unreadable"


def test_damage_never_raises(capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for kind in FFMPEG:
        whole = by_ffmpeg(kind, seconds=0.5)
        for _ in range(15):
            data = bytearray(whole)
            for at in rng.integers(len(data), size=8):
                data[at] = rng.integers(256)
            assert decode(bytes(data[: rng.integers(30, len(data))]), AUDIO).rows.shape == (16_000,)
    assert capfd.readouterr().err == ""
