"""Formats of which the header's length alone is wrong."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import soundfile
from support.sounds import encode, flac_claiming, tone

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


@pytest.mark.parametrize("kind", ["AU", "AIFF", "W64", "CAF"])
def test_cut(kind: str) -> None:
    clip = decode(SOUND[kind][:-8000], AUDIO)
    assert (clip.samples, clip.problem) == (12_000, "truncated")
    assert look(SOUND[kind][:-8000], AUDIO).samples == 12_000


def test_more_than_it_says() -> None:
    clip = decode(put(SOUND["AU"], 8, struct.pack(">I", 16_000)), AUDIO)
    assert (clip.samples, clip.flags) == (8000, ("damaged", "short"))
    assert clip.message == "16,000 bytes behind the samples"


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_something_else_first(kind: str) -> None:
    data = bytes(128) + encode(tone(16_000), kind=kind)
    clip = decode(data, AUDIO)
    assert (clip.samples, clip.flags) == (16_000, ("damaged",))
    assert clip.message == "128 bytes of something else come first"
    assert look(data, AUDIO).samples == 16_000


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (bytes(5000), "nothing but zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS, not the file"),
        (b"\n <!DOCTYPE html>", "HTML or XML"),
        (b'{"error": "forbidden"}', "text"),
        (gzip.compress(SOUND["AU"], mtime=0), "gzip"),
    ],
)
def test_what_is_no_sound_is_named(data: bytes, kind: str) -> None:
    clip = decode(data, AUDIO)
    assert (clip.problem, clip.message) == ("unreadable", kind)


def test_hours_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = np.zeros(3_700_000, np.float32)
    audio = Audio(sample_rate=1000, seconds=1.0, longer="windows", store="source")
    for data in (encode(silence, 1000, "FLAC"), flac_claiming(encode(silence, 1000, "FLAC"), 0)):
        with monkeypatch.context() as patch:
            patch.delattr(soundfile.SoundFile, "read")
            clip = decode(data, audio)
        assert (clip.problem, clip.message) == ("unreadable", "more than 62 minutes at 1,000 Hz")
        assert look(data, audio).samples == 3_700_000  # of which windows are decoded
