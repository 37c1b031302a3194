"""Fixtures of the tests of verbs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import tiny
from support.verbs import Done, Run

from kagglekit.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*argv: str) -> Done:
        capsys.readouterr()
        code = main(argv)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with runs of two models; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("trained")
    yaml = str(tiny.make(folder))
    for argv in (["fetch"], ["train", "--model", "tcresnet,gru"]):
        assert main(["--quiet", "-C", yaml, *argv]) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained workspace, which is the current folder."""
    shutil.copytree(trained, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A competition of which nothing is fetched; the current folder."""
    tiny.make(tmp_path / "bare")
    monkeypatch.chdir(tmp_path / "bare")
    return tmp_path / "bare"
