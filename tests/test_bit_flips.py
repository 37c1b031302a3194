"""A flipped bit in a file of the workspace never changes a result silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bit_flips import FAULTS, KINDS, QUICK, Kind, finished, prepared, trials


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("flips") / "tiny")


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.pattern)
def test_a_flipped_bit(kind: Kind, small: Path) -> None:
    counts = trials(small, kind, 1)
    assert not any(counts[fault] for fault in FAULTS), counts


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_flipped_bits(tmp_path: Path) -> None:
    template = finished(tmp_path / "tiny")
    assert len(KINDS) >= 34
    for kind in KINDS:
        counts = trials(template, kind, 10, seed=1)
        assert not any(counts[fault] for fault in FAULTS), (kind.pattern, counts)
