"""Wav: what lies between the header's claims and the end of the file."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from support.sounds import chunk, riff, tone, wav_format

from kagglekit.config import Audio
from kagglekit.data.containers import parse_wav, true_container
from kagglekit.data.decode import decode
from kagglekit.data.source_file import look

AUDIO = Audio(sample_rate=16_000, seconds=1.0)

SAMPLES = bytes(range(1, 201)) * 10  # no chunk's name
LIST = chunk(b"LIST", b"INFOx")
HEAD = chunk(b"fmt ", wav_format())


def sized(size: int, samples: bytes = SAMPLES) -> bytes:
    return riff(HEAD, b"data" + struct.pack("<I", size), samples)


@pytest.mark.parametrize(
    "data",
    [
        riff(HEAD, chunk(b"data", SAMPLES)),
        riff(HEAD, chunk(b"data", SAMPLES), LIST),
        riff(LIST, HEAD, chunk(b"data", SAMPLES), bytes(512)),  # filled up to a sector
        riff(chunk(b"data", SAMPLES), HEAD),
        riff(HEAD, chunk(b"odd ", b"123", pad=False), chunk(b"data", SAMPLES)),
        riff(HEAD, chunk(b"odd ", b"123"), chunk(b"data", SAMPLES)),
        sized(0),
        sized(0xFFFF_FFFF),
        sized(0x7FFF_FFFF),
        riff(
            chunk(b"ds64", struct.pack("<QQQI", 0, 2000, 1000, 0)),
            sized(0xFFFF_FFFF)[12:],
            LIST,
            magic=b"RF64",
        ),
        riff(chunk(b"ds64", bytes(28)), sized(0xFFFF_FFFF)[12:], magic=b"BW64"),
        sized(0)[:4] + bytes(4) + sized(0)[8:],
    ],
)
def test_the_samples_are_all_that_are_there(data: bytes) -> None:
    wav = parse_wav(data)
    assert wav is not None and not wav.cut and not wav.message
    assert data[wav.start : wav.end] == SAMPLES
    assert true_container(data).parts == (riff(HEAD, chunk(b"data", SAMPLES)),)


def test_what_is_missing_or_too_much() -> None:
    cut = parse_wav(sized(3000))
    assert cut is not None and cut.cut and cut.end - cut.start == 2000
    more = parse_wav(sized(1000))
    assert more is not None and more.end - more.start == 1000
    assert more.message == "1,000 bytes behind the samples are no chunk"


@pytest.mark.parametrize("data", [riff(HEAD, chunk(b"data", b"")), riff(HEAD, chunk(b"data", b""), LIST)])
def test_no_samples(data: bytes) -> None:
    wav = parse_wav(data)
    assert wav is not None and wav.start == wav.end


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", riff(HEAD), riff(chunk(b"data", SAMPLES)), riff(chunk(b"fmt ", b"short"), sized(9)[36:])],
)
def test_no_wav(data: bytes) -> None:
    assert parse_wav(data) is None
    assert true_container(data).parts == (data,)


def test_rifx() -> None:
    data = riff(chunk(b"fmt ", wav_format(order=">"), order=">"), b"data" + bytes(4), SAMPLES, magic=b"RIFX")
    (part,) = true_container(data).parts
    assert part.startswith(b"RIFX") and part.endswith(b"data" + struct.pack(">I", 2000) + SAMPLES)


def test_several_chunks_of_samples() -> None:
    data = riff(HEAD, chunk(b"data", SAMPLES[:600]), LIST, chunk(b"data", SAMPLES[600:]))
    assert true_container(data).parts == (riff(HEAD, chunk(b"data", SAMPLES)),)
    assert decode(data, AUDIO).samples == 1000


def test_another_file_follows() -> None:
    whole = riff(HEAD, chunk(b"data", SAMPLES))
    clip = decode(whole + whole, AUDIO)
    assert (clip.samples, clip.flags[0]) == (1000, "damaged")
    assert clip.message == "another file of 2,044 bytes follows it"


LOUD = np.rint(tone(16_000) * 2**31).astype("<i4")


@pytest.mark.parametrize(
    "data",
    [
        riff(
            chunk(b"fmt ", wav_format(bits=32)[:14] + struct.pack("<H", 24)), chunk(b"data", LOUD.tobytes())
        ),
        riff(chunk(b"fmt ", wav_format(bits=32)[:14]), chunk(b"data", LOUD.tobytes())),
        riff(chunk(b"fmt ", wav_format(bits=32)), chunk(b"data", LOUD.tobytes())),
        riff(chunk(b"fmt ", wav_format(bits=32)), chunk(b"data", tone(16_000).tobytes())),
        riff(chunk(b"fmt ", wav_format(bits=16)[:14]), chunk(b"data", (LOUD >> 16).astype("<i2").tobytes())),
    ],
    ids=["24 in 32", "no bits 32", "32", "floats called integers", "no bits 16"],
)
def test_bits(data: bytes) -> None:
    clip = decode(data, AUDIO)
    assert clip.samples == 16_000
    np.testing.assert_allclose(clip.rows / 32_768, tone(16_000), atol=1e-4)
    assert clip.flags == look(data, AUDIO).flags


@pytest.mark.parametrize("shift", [0, 8, 16, 23, 31])
def test_integers_are_not_called_floats(shift: int) -> None:
    data = riff(chunk(b"fmt ", wav_format(bits=32)), chunk(b"data", (LOUD >> shift).astype("<i4").tobytes()))
    assert decode(data, AUDIO).message == ""
