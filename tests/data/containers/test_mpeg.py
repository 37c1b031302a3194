"""MP3: lengths are counted, and libsndfile believes the count."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from support.sounds import mp3, mp3_in_riff, tone

from kagglekit.config import Audio
from kagglekit.data.containers import true_container
from kagglekit.data.decode import decode, decode_recording
from kagglekit.data.source_file import look

AUDIO = Audio(sample_rate=44_100, seconds=1.0)
FRAME = 1152


def at_bit_rate(waveform: NDArray[np.float32], level: float) -> bytes:
    """Bare frames of one bit rate, the higher the lower the level is."""
    file = io.BytesIO()
    options = {"compression_level": level, "bitrate_mode": "CONSTANT"}
    with soundfile.SoundFile(file, "w", 44_100, 1, format="MP3", **options) as out:
        out.write(waveform)
    data = file.getvalue()
    return data[data.index(data[:2], 4) :] if b"Info" in data[:200] or b"Xing" in data[:200] else data


RICH, POOR = at_bit_rate(tone(44_100, 2), 0.0), at_bit_rate(tone(44_100, 2, 880), 0.99)
N = FRAME * round(len(POOR) * 8 / 32_000 * 44_100 / FRAME)  # of 32 kbit/s


@pytest.mark.parametrize("data", [RICH + POOR, POOR + RICH], ids=["rich first", "poor first"])
def test_without_a_count(data: bytes) -> None:
    """By size and first frame, libsndfile takes the first for a fifth as long, the second for longer."""
    clip = decode(data, AUDIO)
    assert clip.samples == 2 * N and clip.samples % FRAME == 0
    assert "truncated" not in clip.flags
    assert look(data, AUDIO).samples == 2 * N
    pcm = decode_recording(data, AUDIO)[0]
    assert np.abs(pcm[N + 10_000 : 2 * N - 10_000].astype(int)).max() > 12_000


def test_one_file_is_as_it_was() -> None:
    whole = mp3(2.0)
    assert true_container(whole).parts == (whole,)
    assert decode(whole, AUDIO).samples == 88_200  # the encoder's delay is dropped


def test_files_after_each_other() -> None:
    data = mp3(1.0) + mp3(2.0, rate=22_050)
    pcm, sound = decode_recording(data, AUDIO)
    assert sound.message == "2 recordings after each other"
    assert len(pcm) == 3 * 44_100
    assert look(data, AUDIO).samples == 3 * 44_100


def test_a_false_count() -> None:
    whole = mp3(2.0)
    at = whole.index(b"Info") + 8 if b"Info" in whole else whole.index(b"Xing") + 8
    fewer = whole[:at] + (20).to_bytes(4, "big") + whole[at + 4 :]
    assert decode(fewer, AUDIO).samples >= 88_200 and "truncated" not in decode(fewer, AUDIO).flags
    more = whole[:at] + (2000).to_bytes(4, "big") + whole[at + 4 :]
    assert decode(more, AUDIO).flags[0] == "truncated"


@pytest.mark.parametrize(
    "data",
    [
        b"ID3\x04\0\0\0\0\x01\0" + b"\xff\xfb\x90" * 42 + b"\0\0" + bytes(300) + mp3(2.0),
        mp3(2.0) + b"TAG" + bytes(125),
        mp3(2.0)
        + bytes(32)
        + b"APETAGEX"
        + (2000).to_bytes(4, "little")
        + (64).to_bytes(4, "little")
        + bytes(16),
        mp3(2.0)
        + bytes(40)
        + b"APETAGEX"
        + b"\xd0\x07\0\0"
        + (72).to_bytes(4, "little")
        + bytes(16)
        + b"TAG"
        + bytes(125),
        b"ID3\x04\0\0\0\x7f\x7f\x7f" + bytes(100) + mp3(2.0),
        mp3(2.0) + b"LYRICSBEGIN" + bytes(100) + b"000111LYRICS200" + b"TAG" + bytes(125),
    ],
    ids=["ID3v2", "ID3v1", "APEv2", "APEv2 and ID3v1", "too long", "Lyrics3"],
)
def test_tags_are_no_sound(data: bytes) -> None:
    clip = decode(data, AUDIO)
    assert (clip.samples, clip.flags) == (88_200, ("long",))


def test_something_else_first() -> None:
    clip = decode(b"ICY 200 OK\r\n\r\n" + POOR, AUDIO)
    assert clip.samples == N


def test_in_riff() -> None:
    assert decode(mp3_in_riff(), AUDIO).samples == 3 * 44_100


def test_a_cut_file() -> None:
    clip = decode(POOR[:-50], AUDIO)
    assert clip.flags[0] == "truncated" and clip.samples == N - FRAME
