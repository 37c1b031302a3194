"""The output of the host's notebook beside the rehearsal's."""

from __future__ import annotations

from pathlib import Path

import pytest

from kagglekit.notebooks.compare import compare


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ("id,a\nx,0.5000001\ny,0.25\n", True),
        ("id,a\nx,0.6\ny,0.25\n", False),
        ("id,a\nx,nan\ny,0.25\n", False),
        ("id,a\nx,NaN\ny,NaN\n", False),
        ("id,a\nx,\ny,0.25\n", False),
        ("id,a\nx,inf\ny,0.25\n", False),
        ("id,a\ny,0.5\nx,0.25\n", False),
        ("id,b\nx,0.5\ny,0.25\n", False),
    ],
)
def test_only_rounding_is_the_same(theirs: str, same: bool, tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text("id,a\nx,0.5\ny,0.25\n")
    (tmp_path / "theirs.csv").write_text(theirs)
    assert compare(tmp_path / "theirs.csv", tmp_path / "ours.csv").same is same
