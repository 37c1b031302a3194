from __future__ import annotations

from pathlib import Path

from support.tiny import make

from kagglekit.config.load import load_config
from kagglekit.files.workspace import Workspace


def test_paths(tmp_path: Path) -> None:
    workspace = Workspace(load_config(make(tmp_path)))
    root = tmp_path / ".kagglekit"
    assert workspace.clips_path == root / "clips.parquet"
    assert (workspace.raw, workspace.runs) == (root / "raw", root / "runs")
    assert workspace.ledger_path == tmp_path / "submissions" / "leaderboard.jsonl"
    assert not root.exists()  # nothing is made by looking
