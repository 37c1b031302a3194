"""The work of one trial: objectives besides the score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.searches import FakeTraining, open_place


def test_latency_is_in_milliseconds(yaml: Path, fake: Callable[..., FakeTraining]) -> None:
    place = open_place(yaml, "search.epochs=1", "search.objectives=[score, latency]")
    fake(0.9)
    (row,) = place.tune(1).front
    assert 0 < row["latency"] < 10_000
