"""Endings in any case, and what operating systems add."""

from __future__ import annotations

from support.field_case import FieldCase


def test_upper_case_endings(case: FieldCase) -> None:
    case.good("fetch")
    assert "0 audio files match no pattern" in case.good("prepare").out
    assert len(case.clips()) == 32 and len(case.clips("test")) == 24
    fewer = ("--set", "data.test_clips=test/audio/clip_000?.wav")  # not CLIP_0003.WAV ...
    assert (
        "18 audio files match no pattern of competition.yaml, such as test.zip/"
        in case.kk("doctor", *fewer).out
    )


def test_packed_on_a_mac(case: FieldCase) -> None:
    case.good("fetch")
    assert "passing over 61 files that a system has added" in case.good("prepare").out
    for split, count in (("train", 32), ("test", 24)):
        assert case.counts("problem", split=split) == {"": count}
    case.up_to_a_score()
