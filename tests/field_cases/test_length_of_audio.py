"""Recordings whose header does not say how long they are, or says it wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.field_case import FieldCase


def test_sizes_of_zero(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    assert case.counts("samples", "problem") == {(4000, ""): 32}
    assert case.counts("samples", "problem", split="test") == {(4000, ""): 24}


def test_flac_of_unknown_length(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare", "--set", "data.leave_out=[empty, unreadable, duplicate, truncated]")
    assert case.counts("samples", "problem") == {(4000, ""): 32}
    assert case.clips().filter(fold=-2).is_empty()
    assert case.counts("samples", split="test") == {4000: 24}


def test_mp3_called_wav(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare", "--set", "data.leave_out=[empty, unreadable, duplicate, truncated]")
    clips = case.clips()
    assert case.counts("samples", "problem") == {(4000, ""): 8, (4180, ""): 24}
    assert clips["flags"].str.contains("resampled").sum() == 24
    assert clips.filter(fold=-2).is_empty()


def test_zoo_of_encodings(case: FieldCase) -> None:
    case.good("fetch")
    case.good("prepare")
    reference = json.loads((case.folder / "reference.json").read_text())
    for clip_id, samples, rms, problem in (
        case.clips().select("clip_id", "samples", "rms", "problem").iter_rows()
    ):
        kind, wanted = reference[clip_id]
        assert (clip_id, problem) == (clip_id, "")
        assert rms == pytest.approx(wanted, rel=0.02), kind
        assert samples == {"ulaw": 3999, "ima": 4040}.get(kind, 4000), kind
    assert np.isfinite(case.clips("test")["rms"].to_numpy()).all()
