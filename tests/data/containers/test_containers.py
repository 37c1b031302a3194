"""Formats of which the header's length alone is wrong."""

from __future__ import annotations

import struct

import pytest
from support.sounds import encode, tone

from kagglekit.config import Audio
from kagglekit.data import with_ffmpeg
from kagglekit.data.decode import decode
from kagglekit.data.source_file import look

AUDIO = Audio(sample_rate=16_000, seconds=1.0)
SOUND = {kind: encode(tone(16_000), kind=kind, subtype="PCM_16") for kind in ("AU", "CAF", "AIFF", "W64")}


def put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


CAF_AT, SSND_AT = SOUND["CAF"].index(b"data") + 4, SOUND["AIFF"].index(b"SSND") + 4


@pytest.mark.parametrize(
    "data",
    [
        put(SOUND["AU"], 8, bytes(4)),
        put(SOUND["AU"], 8, b"\xff" * 4),
        put(SOUND["CAF"], CAF_AT, b"\xff" * 8),
        put(SOUND["CAF"], CAF_AT, bytes(8)),
        put(SOUND["AIFF"], SSND_AT, bytes(4)),
        SOUND["W64"],
    ],
    ids=["au 0", "au -1", "caf -1", "caf 0", "aiff 0", "w64"],
)
def test_to_the_end(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_ffmpeg, "is_installed", lambda: False)
    clip = decode(data, AUDIO)
    assert (clip.samples, clip.flags) == (16_000, ())
    assert look(data, AUDIO).samples == 16_000


@pytest.mark.parametrize("kind", ["AU", "AIFF"])
def test_cut(kind: str) -> None:
    clip = decode(SOUND[kind][:-8000], AUDIO)
    assert (clip.samples, clip.problem) == (12_000, "truncated")
    assert look(SOUND[kind][:-8000], AUDIO).samples == 12_000


def test_more_than_it_says() -> None:
    clip = decode(put(SOUND["AU"], 8, struct.pack(">I", 16_000)), AUDIO)
    assert (clip.samples, clip.flags) == (8000, ("damaged", "short"))
    assert clip.message == "16,000 bytes behind the samples"
