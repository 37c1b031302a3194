"""Clips of any length as windows of one, and what the windows of a clip say together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from support import tiny

from kagglekit.config import Audio
from kagglekit.config.names import LabelKind
from kagglekit.data.decode import decode
from kagglekit.data.windows import join_windows, split_windows
from kagglekit.scoring.numerics import sigmoid
from kagglekit.training.dataset import places, pool
from kagglekit.training.head import Head


@pytest.mark.parametrize(
    ("samples", "starts"),
    [(101, [0, 1]), (150, [0, 50]), (151, [0, 50, 51]), (320, [0, 50, 100, 150, 200, 220])],
)
def test_windows_cover_a_clip_and_end_with_it(samples: int, starts: list[int]) -> None:
    audio = Audio(sample_rate=1000, seconds=0.1, longer="windows")
    pcm = np.arange(samples, dtype=np.int16)
    np.testing.assert_array_equal(split_windows(pcm, audio)[:, 0], starts)
    assert split_windows(pcm, audio)[-1, -1] == samples - 1


def test_a_clip_of_too_many_windows_is_cut_and_listed() -> None:
    audio = Audio(sample_rate=1000, seconds=0.1, longer="windows", max_windows=3)
    pcm = np.arange(1, 401, dtype=np.int16)
    assert split_windows(pcm, audio)[:, 0].tolist() == [1, 51, 101]
    for samples, flags in ((40, ("short",)), (200, ()), (210, ()), (211, ("long",)), (400, ("long",))):
        clip = decode(tiny.wav_bytes(pcm[:samples], 1000), audio)
        assert (clip.flags, clip.samples) == (flags, samples)
        assert len(clip.rows) == (1 if samples <= 100 else 3)


@pytest.mark.parametrize(("samples", "kept"), [(80, 100), (100, 100), (101, 101), (333, 333), (999, 500)])
def test_windows_can_be_joined_again(samples: int, kept: int) -> None:
    audio = Audio(sample_rate=1000, seconds=0.1, hop_seconds=0.04, longer="windows", max_windows=11)
    pcm = np.arange(samples, dtype=np.int16)
    rows = decode(tiny.wav_bytes(pcm, 1000), audio).rows
    padded = np.pad(pcm, (0, max(kept - samples, 0)))[:kept]
    np.testing.assert_array_equal(join_windows(rows, samples, audio), padded)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hop_seconds": 0.5}, "hop_seconds and max_windows require longer: windows"),
        ({"max_windows": 5}, "hop_seconds and max_windows require longer: windows"),
        (
            {"longer": "windows", "hop_seconds": 2.0},
            "hop_seconds 2 is larger than seconds 1: no window would",
        ),
    ],
)
def test_windows_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Audio(**settings)


def test_audio_that_is_cut_keeps_the_keys_that_caches_have() -> None:
    assert set(Audio().model_dump()) == {"sample_rate", "seconds"}
    used = Audio(longer="windows", hop_seconds=0.2, max_windows=9).model_dump()
    assert set(used) == {"sample_rate", "seconds", "longer", "hop_seconds", "max_windows"}


def test_windows_of_a_clip_speak_together() -> None:
    counts = np.array([1, 3])
    assert places(counts).tolist() == [0, 0, 1, 2]
    logits = np.random.default_rng(0).normal(0, 2, (4, 2)).astype(np.float32)
    several = Head(("a", "b"), (0, 1), ("a", "b"), False, None, kind=LabelKind.MULTI)
    pooled = pool(logits, counts, several)
    np.testing.assert_allclose(sigmoid(pooled)[1], sigmoid(logits[1:]).mean(0), rtol=1e-5)
    one = Head(("a", "b"), (0, 1), ("a", "b"), False, None)
    together = torch.from_numpy(pool(logits, counts, one)).softmax(1)
    np.testing.assert_allclose(together[1], torch.from_numpy(logits[1:]).softmax(1).mean(0), rtol=1e-5)


def test_what_is_certain_stays_finite() -> None:
    sure = Head(("a",), (0,), ("a",), False, None, kind=LabelKind.MULTI).mean(
        torch.tensor([[[80.0]], [[90.0]]])
    )
    assert torch.isfinite(sure).all() and sure > 10
