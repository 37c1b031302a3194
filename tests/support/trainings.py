"""The tiny competition with short trainings, and kagglekit run on it in this process."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import kagglekit
from kagglekit.cli import main
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.data.prepare import Prepared, prepare
from kagglekit.files.workspace import Workspace
from kagglekit.runs.store import Run
from kagglekit.runs.train import train_run
from kagglekit.training.plan import resolve
from support import tiny


def fetched(folder: Path) -> Path:
    """Make the competition with three epochs a training, and fetch it; its YAML's path."""
    path = tiny.make(folder)
    path.write_text(path.read_text().replace("epochs: 12", "epochs: 3"))
    assert main(["--quiet", "-C", str(path), "fetch"]) == 0
    return path


def trained_there(folder: Path, model: str) -> Run:
    """A run that was trained where the archives are folders, as a host's notebook mounts them."""
    yaml = tiny.make(folder, speakers=4)
    for name in ("train", "test"):
        with zipfile.ZipFile(folder / "host" / f"{name}.zip") as archive:
            archive.extractall(folder / "mount" / name)
    shutil.copy(folder / "host/sample_submission.csv", folder / "mount")
    (run,) = kagglekit.open(yaml, "train.epochs=2", f"data.mounted={folder / 'mount'}").train(model)
    return run


def call(capsys: pytest.CaptureFixture[str], yaml: Path, *argv: str) -> dict[str, Any]:
    """The JSON of a command that goes well."""
    capsys.readouterr()
    assert main(["--quiet", "--json", "-C", str(yaml), *argv]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def opened(yaml: Path, *overrides: str) -> tuple[Config, Workspace, Prepared]:
    config = load_config(yaml, overrides)
    return config, Workspace(config), prepare(Workspace(config))


def trained(yaml: Path, model: str, *overrides: str) -> tuple[Config, Prepared, Run]:
    config, _workspace, prepared = opened(yaml, *overrides)
    return config, prepared, train_run(prepared, resolve(config, model))
