"""From trained runs to a folder whose script writes what `submit` writes."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from support import tiny
from support.notebooks import run_script

import kagglekit
from kagglekit.cli import main
from kagglekit.config.load import load_config
from kagglekit.errors import ConfigError
from kagglekit.notebooks.build import notebook_config
from kagglekit.notebooks.folder import OWNER, SCRIPT, Built, read_built
from kagglekit.project import Project
from kagglekit.scoring.shapes import Shape
from kagglekit.scoring.task import Task

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    yaml = tiny.make(tmp_path_factory.mktemp("tiny"))
    for verb in (["fetch"], ["train", "--model", "tcresnet"]):
        assert main(["--quiet", "-C", str(yaml), *verb]) == 0
    return kagglekit.open(yaml)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    with zipfile.ZipFile(folder / "nothing-1-py3-none-any.whl", "w"):
        pass
    return folder


@pytest.fixture(scope="module")
def built(project: Project, wheels: Path) -> Built:
    return project.notebook_build(wheels=wheels)


def test_the_folder_is_as_kaggle_takes_it(project: Project, built: Built) -> None:
    assert read_built(built.path) == built
    kernel = json.loads((built.kernel / "kernel-metadata.json").read_text())
    assert kernel["enable_internet"] is False and kernel["is_private"] is True
    assert kernel["dataset_sources"] == [f"{OWNER}/kagglekit-weights-tiny"]
    assert kernel["competition_sources"] == ["tiny"] and kernel["code_file"] == SCRIPT
    for one in (kernel, json.loads((built.dataset / "dataset-metadata.json").read_text())):
        assert one["title"].replace(" ", "-") == one["id"].partition("/")[2] and len(one["title"]) <= 50
    assert all(path.is_file() for path in built.dataset.iterdir())  # sub-folders are lost
    assert str(project.workspace.root) not in (built.dataset / "manifest.json").read_text()


def test_the_same_blend_is_not_built_twice(project: Project, built: Built, wheels: Path) -> None:
    before = (built.path / "build.json").stat().st_mtime_ns
    assert project.notebook_build(wheels=wheels).path == built.path
    assert (built.path / "build.json").stat().st_mtime_ns == before
    assert project.notebook_build(wheels=wheels, decision="bias").path != built.path


def test_the_script_writes_what_submit_writes(project: Project, built: Built, tmp_path: Path) -> None:
    mounts = tmp_path / "input"
    with zipfile.ZipFile(project.workspace.raw / "test.zip") as archive:
        archive.extractall(mounts / "competitions" / "tiny" / "test")
    shutil.copytree(built.dataset, mounts / "datasets" / "me" / "kagglekit-weights-tiny")
    done = run_script(built.kernel / SCRIPT, tmp_path, tmp_path / "work")
    assert done.returncode == 0, done.stdout + done.stderr
    submission = project.submit()
    assert submission.path is not None
    assert (tmp_path / "work" / "submission.csv").read_bytes() == submission.path.read_bytes()


def test_another_build_is_refused_in_plain_words(built: Built, tmp_path: Path) -> None:
    place = tmp_path / "input" / "kagglekit-weights-tiny"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text('{"key": "other"}')
    done = run_script(built.kernel / SCRIPT, tmp_path, tmp_path / "work")
    assert done.returncode == 1
    assert f"has the build {built.record.key}: found other builds in {place}" in done.stderr
    assert "hint:  add the data set kagglekit-weights-tiny" in done.stderr


def test_settings_survive_the_way_to_the_notebook(tmp_path: Path) -> None:
    config = load_config(tiny.make(tmp_path))
    again = type(config).model_validate(notebook_config(config))
    assert Task.of(again) == Task.of(config) and again.submission == config.submission
    assert Shape.of(again).classes == Shape.of(config).classes
    assert (again.rows, again.audio, again.data.test) == (config.rows, config.audio, config.data.test)


def test_a_folder_without_wheels_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no wheel"):
        project.notebook_build(wheels=tmp_path)
