"""Clips at another rate: read again from the recordings, with the same rows, ids and windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import tiny

from kagglekit import open as open_project
from kagglekit.data.other_rate import at_rate

WINDOWS = ["audio.seconds=0.2", "audio.longer=windows", "audio.hop_seconds=0.1"]


@pytest.mark.parametrize(
    "settings", [(), ("audio.store=source",), tuple(WINDOWS)], ids=["decoded", "source", "windows"]
)
def test_rows_stay_and_what_was_lost_is_there(settings: tuple[str, ...], tmp_path: Path) -> None:
    """The recordings have 8 kHz, the competition hears them at 2 kHz, and a network at 8 kHz."""
    narrow = open_project(tiny.make(tmp_path), "audio.sample_rate=2000", "features.fmax=900", *settings)
    narrow.fetch()
    wide = open_project(tmp_path / "competition.yaml", f"workspace={tmp_path}/wide", *settings)
    wide.fetch()
    other = at_rate(narrow.prepared, 8000)
    for split in ("train", "test"):
        found, expected = other.store(split), wide.prepared.store(split)
        assert found.clip_ids == expected.clip_ids == narrow.prepared.store(split).clip_ids
        assert found.samples == expected.samples
        np.testing.assert_allclose(found[0 : len(found)], expected[0 : len(expected)], atol=1)
        assert other.keys[split] not in (narrow.prepared.keys[split], wide.prepared.keys[split])
    silence = other.store("silence")
    assert silence.clip_ids == narrow.prepared.store("silence").clip_ids and silence.samples == found.samples
    assert at_rate(narrow.prepared, 2000) is narrow.prepared
    again = at_rate(narrow.prepared, 8000)
    assert again.folders == other.folders and again.keys == other.keys
