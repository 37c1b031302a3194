"""FLAC: the header's number of samples is the frames'."""

from __future__ import annotations

import numpy as np
import pytest
from support.sounds import encode, flac_claiming, tone

from kagglekit.config import Audio
from kagglekit.data.containers import true_container
from kagglekit.data.decode import decode
from kagglekit.data.source_file import look

AUDIO = Audio(sample_rate=16_000, seconds=1.0)
WHOLE = encode(tone(16_000), kind="FLAC")


@pytest.mark.parametrize("claimed", [0, 1, 15_999, 16_000])
def test_the_length_is_counted(claimed: int) -> None:
    data = flac_claiming(WHOLE, claimed)
    assert true_container(data).parts == (WHOLE,)
    clip = decode(data, AUDIO)
    assert (clip.samples, clip.flags) == (16_000, ())
    np.testing.assert_array_equal(clip.rows, decode(WHOLE, AUDIO).rows)
    file = look(data, AUDIO)
    assert (file.samples, file.flags, file.content) == (16_000, (), WHOLE)


@pytest.mark.parametrize("claimed", [0, 16_000, 2**36 - 1])
def test_whole_frames_of_a_cut_file(claimed: int) -> None:
    clip = decode(flac_claiming(WHOLE, claimed)[:-200], AUDIO)
    assert clip.flags[0] == "truncated"
    assert clip.samples == 12_288  # three frames of four
    assert look(flac_claiming(WHOLE, claimed)[:-200], AUDIO).samples == 12_288


def test_a_longer_claim_is_truncated() -> None:
    clip = decode(flac_claiming(WHOLE, 99_999), AUDIO)
    assert (clip.samples, clip.flags) == (16_000, ("truncated",))


@pytest.mark.parametrize("data", [b"fLaC", b"fLaC" + bytes(60), WHOLE[:100], WHOLE[:42] + bytes(100)])
def test_no_frames(data: bytes) -> None:
    assert decode(data, AUDIO).samples == 0


def test_something_behind_it() -> None:
    for claimed in (0, 16_000):
        clip = decode(flac_claiming(WHOLE, claimed) + b"junk" * 500, AUDIO)
        assert (clip.samples, clip.flags) == (16_000, ())


def test_files_after_each_other() -> None:
    clip = decode(WHOLE + flac_claiming(WHOLE, 0), AUDIO)
    assert (clip.samples, clip.message) == (32_000, "2 recordings after each other")
