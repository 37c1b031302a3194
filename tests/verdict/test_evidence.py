"""Evidence of a small competition: counted, compared, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support import tiny

from kagglekit.config.load import load_config
from kagglekit.errors import AudioError
from kagglekit.project import Project
from kagglekit.scoring.task import Task
from kagglekit.verdict import make, sampling
from kagglekit.verdict.evidence import FILE, evidence_of, saved_evidence
from kagglekit.verdict.groups import count_groups


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verdict")
    project = Project(tiny.make(folder))
    project.fetch()
    project.prepare()
    return folder


@pytest.fixture
def project(folder: Path) -> Project:
    project = Project(folder / "competition.yaml")
    (project.workspace.root / FILE).unlink(missing_ok=True)
    return project


def refuse(*_: Any) -> None:
    raise AssertionError("compared again")


def test_compared_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evidence_of(project.prepared)
    assert first.compared is not None
    assert (first.compared.split, first.compared.test_clips, first.groups.groups) == ("test", 24, 8)
    monkeypatch.setattr(sampling, "compare_splits", refuse)
    assert evidence_of(project.prepared) == first
    assert make.saved_verdict(project.workspace, project.metric) == project.verdict()
    with pytest.raises(AssertionError):  # the prior weights the clips
        evidence_of(project.with_settings("validation.never_heard=0.1").prepared)


def test_a_damaged_file_is_made_again(project: Project) -> None:
    first, path = evidence_of(project.prepared), project.workspace.root / FILE
    for text in (path.read_text().replace('"clips": 40', '"clips": 41'), "", "[]", "{}", "nul"):
        path.write_text(text)
        assert saved_evidence(project.workspace) is None
    assert evidence_of(project.prepared) == first
    assert saved_evidence(project.workspace) == first
    data = json.loads(path.read_text())
    del data["xxh3"], data["evidence"]["groups"]
    path.write_text(json.dumps(data))
    assert saved_evidence(project.workspace) is None


def test_a_folder_that_cannot_be_written_to(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from kagglekit.files.faults import MachineError
    from kagglekit.verdict import evidence

    def refused(path: Path, data: Any) -> None:
        raise MachineError(f"{path} cannot be written to", hint="", refused=path)

    monkeypatch.setattr(evidence, "write_json", refused)
    assert evidence_of(project.prepared).compared is not None
    assert not (project.workspace.root / FILE).exists()


def test_clips_that_cannot_be_compared(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AudioError("waveform of shape (1, 3)")

    monkeypatch.setattr(sampling, "compare_splits", fail)
    verdict = project.verdict()
    assert verdict.sentence == "cannot be known: the clips could not be compared: waveform of shape (1, 3)"
    assert verdict.evidence.groups.groups == 8


def test_a_notebook_competition_may_score_another_test(project: Project) -> None:
    project.verdict()  # is not taken for the other's
    verdict = project.with_settings("competition.delivery=notebook").verdict()
    assert verdict.evidence.compared is not None
    assert verdict.evidence.compared.split == "visible test"


def test_a_hidden_test_has_nothing_to_compare(project: Project) -> None:
    prepared = project.prepared
    hidden = prepared.__class__(
        **{**vars(prepared), "clips": prepared.clips.filter(pl.col("split") != "test")}
    )
    assert sampling.compare_splits(hidden) is None


def test_groups_by_hand(tmp_path: Path) -> None:
    task = Task.of(load_config(tiny.make(tmp_path)))
    rows = [  # label, speaker, fold
        ("low", "a", 0), ("low", "a", 0), ("low", "b", 1), ("mid", "a", 0), ("mid", "a", 0),
        ("unknown", "c", 1), ("mid", "d", -1), ("silence", None, 0), ("low", None, 1),
    ]  # fmt: skip
    clips = pl.DataFrame(rows, schema=["label", "speaker", "fold"], orient="row").with_columns(
        split=pl.when(pl.col("label") == "silence").then(pl.lit("silence")).otherwise(pl.lit("train")),
        clip_id=pl.int_range(pl.len()).cast(pl.String),
    )
    counted = count_groups(clips, task)
    assert (counted.clips, counted.groups, counted.named) == (7, 4, True)
    assert counted.effective == pytest.approx(1 / ((4 / 7) ** 2 + 3 * (1 / 7) ** 2))
    assert counted.alone == {"mid": 2}  # the filler is no class of its own; d's clip is left out
    assert counted.alone_share == pytest.approx(2 / 7)
    assert not count_groups(clips.with_columns(speaker=pl.lit(None, pl.String)), task).named
