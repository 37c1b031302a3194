"""Runs that were trained elsewhere: taken over as if trained here, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support import tiny
from support.trainings import trained_there

import kagglekit
from kagglekit.errors import KagglekitError, MissingError
from kagglekit.project import Project
from kagglekit.runs.adopt import adopt, adopted
from kagglekit.runs.store import Run
from kagglekit.scoring.predictions import logits_of
from kagglekit.training.plan import resolve


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained_there(tmp_path_factory.mktemp("elsewhere"), "tcresnet")


@pytest.fixture
def here(tmp_path: Path) -> Project:
    project = kagglekit.open(tiny.make(tmp_path / "here", speakers=4), "train.epochs=2")
    project.fetch()
    return project


def test_as_if_trained_here(elsewhere: Run, here: Project) -> None:
    plan = resolve(here.config, "tcresnet")
    assert adopted(here.prepared, plan) is None
    run = adopt(here.prepared, plan, elsewhere.folder, "kaggle: me/training v3")
    assert run.metrics["clips_key"] == here.prepared.key != elsewhere.metrics["clips_key"]
    assert (run.score, run.metrics["origin"]) == (elsewhere.score, "kaggle: me/training v3")
    (again,) = here.train("tcresnet")  # nothing is trained
    assert again.folder == run.folder and again.metrics["train_seconds"] == elsewhere.metrics["train_seconds"]
    theirs = logits_of(pl.read_parquet(elsewhere.folder / "test.parquet"))
    assert np.array_equal(logits_of(pl.read_parquet(run.folder / "test.parquet")), theirs)
    assert len(here.ensemble("tcresnet").test) == 24  # it may be blended
    assert any(", 0 damaged" in check.what for check in here.doctor(deep=True))
    assert adopt(here.prepared, plan, elsewhere.folder, "again").metrics["origin"] == "kaggle: me/training v3"


def copy_of(run: Run, folder: Path) -> Path:
    """Its folder elsewhere, below the same names."""
    target = folder / "copy" / run.model / run.id
    shutil.copytree(run.folder, target)
    return target


@pytest.mark.parametrize(
    "name", ["fold_1/model.safetensors", "fold_0/oof.parquet", "fold_1/meta.json", "metrics.json"]
)
def test_a_damaged_file_is_refused_and_the_whole_one_taken(
    name: str, elsewhere: Run, here: Project, tmp_path: Path
) -> None:
    source, plan = copy_of(elsewhere, tmp_path), resolve(here.config, "tcresnet")
    data = bytearray((source / name).read_bytes())
    data[len(data) // 2] ^= 1
    (source / name).write_bytes(data)
    with pytest.raises(MissingError, match="cannot be read"):
        adopt(here.prepared, plan, source, "")
    assert adopted(here.prepared, plan) is None
    assert adopt(here.prepared, plan, elsewhere.folder, "").score == elsewhere.score


def test_other_settings_and_other_clips_are_refused(elsewhere: Run, here: Project, tmp_path: Path) -> None:
    plan = resolve(here.with_settings("train.lr=0.02").config, "tcresnet")
    with pytest.raises(KagglekitError, match=r"was trained with another train\.lr\b"):
        adopt(here.prepared, plan, elsewhere.folder, "")
    more = kagglekit.open(tiny.make(tmp_path / "more", speakers=5), "train.epochs=2")
    more.fetch()
    with pytest.raises(KagglekitError, match="fold 0 has other clips there than here"):
        adopt(more.prepared, resolve(more.config, "tcresnet"), elsewhere.folder, "")
    assert not list(more.workspace.runs.glob("*/*/*"))  # from which a training here would go on


def test_smaller_batches_and_another_precision_are_the_machine_s(elsewhere: Run, here: Project) -> None:
    """As for want of memory there; `train` here finds the run as if it had run out of memory itself."""
    project = here.with_settings("train.batch_size=16", f"train.bf16={not _bf16(elsewhere)}")
    run = adopt(project.prepared, resolve(project.config, "tcresnet"), elsewhere.folder, "")
    assert json.loads((run.folder / "fold_0/meta.json").read_text())["train"]["batch_size"] == 8
    (again,) = project.train("tcresnet")
    assert again.folder == run.folder and again.metrics["origin"] == ""


def _bf16(run: Run) -> bool:
    return bool(json.loads((run.folder / "fold_0/meta.json").read_text())["train"]["bf16"])
