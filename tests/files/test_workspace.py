from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny import make

from kagglekit.config.load import load_config
from kagglekit.files.workspace import Workspace, folder_name, model_of


def test_paths(tmp_path: Path) -> None:
    workspace = Workspace(load_config(make(tmp_path)))
    root = tmp_path / ".kagglekit"
    assert workspace.clips_path == root / "clips.parquet"
    assert (workspace.raw, workspace.runs) == (root / "raw", root / "runs")
    assert workspace.ledger_path == tmp_path / "submissions" / "leaderboard.jsonl"
    assert not root.exists()  # nothing is made by looking


@pytest.mark.parametrize("model", ["tcresnet", "cascade-gru", "timm:resnet18", "cascade-timm:convnext_atto"])
def test_folders_of_runs_tell_the_model(model: str, tmp_path: Path) -> None:
    assert ":" not in folder_name(model)
    assert model_of(tmp_path / folder_name(model)) == model


def test_another_competition_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("kagglekit.terminal.console.note", said.append)
    yaml = make(tmp_path)
    for slug in ("tiny", "tiny", "other", "other", "tiny"):
        Workspace(load_config(yaml, [f"competition.slug={slug}"])).mark()
    assert [note.partition(":")[0].rpartition(" ")[2] for note in said] == ["tiny", "other"]
    assert "its files with the names of other's are taken for these" in said[0]
