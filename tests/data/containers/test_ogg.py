"""Ogg: streams after each other are one recording, streams of anything else are none."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from support.sounds import encode, tone

from kagglekit.config import Audio
from kagglekit.data.containers import true_container
from kagglekit.data.decode import decode, decode_recording
from kagglekit.data.source_file import look

AUDIO = Audio(sample_rate=16_000, seconds=1.0)
FIRST, SECOND = (encode(tone(16_000, seconds, hz), 16_000, "OGG") for seconds, hz in ((1.0, 440), (1.5, 880)))


def pages(data: bytes) -> list[bytes]:
    starts = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def page(content: bytes, flags: int, serial: bytes = b"abcd") -> bytes:
    head = b"OggS\0" + bytes([flags]) + bytes(8) + serial + bytes(8) + bytes([1, len(content)])
    return head + content


def with_serial(data: bytes, serial: bytes) -> bytes:
    """The stream under another serial number; checksums made anew."""
    out = b""
    for each in pages(data):
        each = each[:14] + serial + each[18:22] + bytes(4) + each[26:]
        out += each[:22] + struct.pack("<I", checksum(each)) + each[26:]
    return out


def checksum(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C1_1DB7 if value >> 31 else 0)) & 0xFFFF_FFFF
    return value


@pytest.mark.parametrize("second", [SECOND, with_serial(SECOND, FIRST[14:18])], ids=["other", "same serial"])
def test_a_chain(second: bytes) -> None:
    pcm, sound = decode_recording(FIRST + second, AUDIO)
    assert (len(pcm), sound.message) == (40_000, "2 recordings after each other")
    np.testing.assert_array_equal(pcm[:16_000], decode_recording(FIRST, AUDIO)[0])
    np.testing.assert_array_equal(pcm[16_000:], decode_recording(SECOND, AUDIO)[0])
    assert look(FIRST + second, AUDIO).samples == 40_000


def test_a_chain_of_several_rates() -> None:
    other = encode(tone(8000, 2.0), 8000, "OGG")
    assert len(decode_recording(FIRST + other, AUDIO)[0]) == 48_000
    assert len(decode_recording(other + FIRST, AUDIO)[0]) == 48_000


def test_other_streams_are_passed_over() -> None:
    first, *rest = pages(FIRST)
    mixed = page(b"fishead\0", 2) + first + page(b"subtitle", 0) + b"".join(rest) + page(b"", 4)
    assert true_container(mixed).parts == (FIRST,)
    assert decode(mixed, AUDIO).samples == 16_000
    assert look(mixed, AUDIO).samples == 16_000


def test_a_damaged_link_is_named() -> None:
    bad = SECOND[:200] + bytes(len(SECOND) - 200)
    pcm, sound = decode_recording(FIRST + bad, AUDIO)
    assert len(pcm) == 16_000
    assert "damaged" in sound.flags and sound.message == "1 of its 2 recordings cannot be read"


@pytest.mark.parametrize(
    "data",
    [b"OggS", FIRST[:40], page(b"fishead\0", 2) * 2, b"OggS\0\2" * 20],
    ids=["a mark", "a head", "no sound", "half a page"],
)
def test_no_sound(data: bytes) -> None:
    assert decode(data, AUDIO).samples == 0


def test_a_stream_that_is_cut_off_is_truncated() -> None:
    long = encode(tone(16_000, 20.0), 16_000, "OGG")
    assert not true_container(long).cut and not true_container(FIRST + SECOND).cut
    for stop in (len(long) // 2, len(long) - 3, len(long) - 100):
        assert true_container(long[:stop]).cut
    assert true_container(FIRST + SECOND[:-40]).cut
