"""Fixtures of the search tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import tiny
from support.searches import SHORT, FakeTraining, Place, open_place

from kagglekit.search import trial


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fetched and prepared competition; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("made")
    open_place(tiny.make(folder))
    return folder


@pytest.fixture
def yaml(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "tiny")
    return tmp_path / "tiny" / "competition.yaml"


@pytest.fixture
def place(yaml: Path) -> Place:
    return open_place(yaml, *SHORT)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTraining]:
    def install(*cvs: float | Exception) -> FakeTraining:
        training = FakeTraining(*cvs)
        monkeypatch.setattr(trial, "train_fold", training)
        return training

    return install
