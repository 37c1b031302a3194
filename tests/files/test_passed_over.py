"""Audio that no pattern matches is counted, and so is what systems have added."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from support.dataset import dataset

from kagglekit.files.passed_over import PassedOver, passed_over
from kagglekit.files.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return dataset(tmp_path, {}, {"files": "train.zip/train/*.wav"})


def put(workspace: Workspace, archive: list[str], loose: list[str] = []) -> None:  # noqa: B006
    root = workspace.config.data.mounted
    assert root is not None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in archive:
            file.writestr(name, b"x")
    (root / "train.zip").write_bytes(buffer.getvalue())
    for name in loose:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_all_match(workspace: Workspace) -> None:
    put(workspace, ["train/a.wav", "train/b.WAV", "train/notes.txt"])
    assert passed_over(workspace) == PassedOver()
    assert PassedOver().describe() == ["0 audio files match no pattern of competition.yaml"]


def test_others_are_counted(workspace: Workspace) -> None:
    put(workspace, ["train/a.wav", "train/b.Flac", "more/c.wav", "__MACOSX/train/._a.wav", "train/.DS_Store"])
    left = passed_over(workspace)
    assert left == PassedOver(2, "train.zip/train/b.Flac", 2, "train.zip/__MACOSX/train/._a.wav")
    assert left.describe() == [
        "2 audio files match no pattern of competition.yaml, such as train.zip/train/b.Flac",
        "passing over 2 files that a system has added, such as train.zip/__MACOSX/train/._a.wav",
    ]


def test_loose_files(tmp_path: Path) -> None:
    workspace = dataset(tmp_path, {}, {"files": "train/**/*.ogg"})
    put(workspace, [], ["train/x/a.ogg", "train/x/b.OGG", "train/c.mp3", "more/d.wav", "train/x/Thumbs.db"])
    left = passed_over(workspace)
    assert (left.unmatched, left.added, left.added_example) == (2, 1, "train/x/Thumbs.db")
    assert left.unmatched_example in ("train/c.mp3", "more/d.wav")


def test_recordings_without_labels_are_matched(tmp_path: Path) -> None:
    data = {"unlabelled": "scapes/*.ogg"}
    workspace = dataset(tmp_path, {}, {"files": "train/**/*.ogg"}, data=data)
    put(workspace, [], ["train/x/a.ogg", "scapes/b.ogg", "scapes/c.wav"])
    left = passed_over(workspace)
    assert (left.unmatched, left.unmatched_example) == (1, "scapes/c.wav")
