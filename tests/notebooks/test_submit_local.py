"""A built notebook submitted to a local host: pushed, run, submitted once, scored on the hidden test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import built as built_by_hand
from support.suicide import killed

from kagglekit.cli import main
from kagglekit.submission.ledger import Entry, Ledger

LABELS = {f"clip_{i:02d}.wav": ("low", "mid")[i % 2] for i in range(10)}
VISIBLE = dict(list(LABELS.items())[:2])
GUESSES = LABELS | {"clip_09.wav": "low"}
YAML = """\
competition:
  slug: tiny
  host: local
  delivery: notebook
  limits: {minutes: 10}
  local: {files: host, hidden: hidden, solution: hidden/solution.csv, grading_seconds: 0}
data: {train: {files: train/*.wav}, test: {files: test/*.wav}, sample: sample_submission.csv}
labels: {classes: [low, mid]}
submission: {shape: label, id: fname}
network: {tries: 2, pause_s: 0}
"""


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    for name, labels in (("host", VISIBLE), ("hidden", LABELS)):
        (tmp_path / name / "test").mkdir(parents=True)
        for clip in labels:
            (tmp_path / name / "test" / clip).write_bytes(b"")
        (tmp_path / name / "sample_submission.csv").write_text(built_by_hand.csv_of(VISIBLE))
    (tmp_path / "hidden" / "solution.csv").write_text(built_by_hand.csv_of(LABELS))
    path = tmp_path / "competition.yaml"
    path.write_text(YAML)
    return path


def make(yaml: Path, **more: object) -> Path:
    root = yaml.parent / ".kagglekit"
    return built_by_hand.make(root, "tiny", GUESSES, rehearsed=VISIBLE, **more).path  # type: ignore[arg-type]


def submit(yaml: Path, folder: Path, *more: str) -> int:
    return main(["--quiet", "-C", str(yaml), "submit", "--notebook", str(folder), "--upload", "--yes", *more])


def entries(yaml: Path) -> list[Entry]:
    return Ledger(yaml.parent / "submissions" / "leaderboard.jsonl").entries()


def test_submitted_once_and_scored(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(yaml)
    assert submit(yaml, folder) == 0, capsys.readouterr().err
    assert "sent as 1: public 0.90000" in capsys.readouterr().out
    (entry,) = entries(yaml)
    assert (entry.status, entry.public, entry.models, entry.cv_score) == ("COMPLETE", 0.9, ["gru"], 0.9)
    assert (entry.notebook, entry.notebook_version, entry.dataset_version) == (
        "you/tiny-kagglekit-submit",
        1,
        1,
    )
    assert entry.mark in entry.message
    assert submit(yaml, folder) == 1
    assert (
        "was submitted before: tiny-kagglekit-submit v1 (COMPLETE, public 0.90000)" in capsys.readouterr().err
    )
    assert submit(yaml, folder, "--force") == 0
    assert [entry.notebook_version for entry in entries(yaml)] == [1, 2]


def test_what_throws_on_the_visible_files_is_not_submitted(
    yaml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(yaml, extra="raise ValueError('no such model')")
    for _ in range(2):  # the second time without running it again
        assert submit(yaml, folder) == 1
        error = capsys.readouterr().err
        assert "version 1 failed: it threw an exception: ValueError: no such model" in error
    assert entries(yaml) == []


def test_what_throws_on_the_hidden_test_alone_is_named(
    yaml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = "assert len(list((competition / 'test').iterdir())) < 5"
    folder = make(yaml, extra=extra)
    assert submit(yaml, folder) == 1
    assert "v1 failed: it threw an exception (Notebook Threw Exception)" in capsys.readouterr().err
    assert [entry.status for entry in entries(yaml)] == ["ERROR"]
    assert submit(yaml, folder) == 1  # and is not sent again
    assert len((yaml.parent / ".kagglekit/host/tiny/submissions.jsonl").read_text().splitlines()) == 1


def test_another_name_of_the_output(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(yaml, make(yaml, output="answers.csv")) == 1
    assert "it ended without submission.csv, but answers.csv" in capsys.readouterr().err


def test_another_output_than_the_rehearsal_s(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(yaml)
    (folder / "rehearsal" / "visible.csv").write_text("fname,label\nclip_00.wav,low\nclip_01.wav,low\n")
    assert submit(yaml, folder) == 1
    assert "differs from the rehearsal's in 1 cell" in capsys.readouterr().err
    assert entries(yaml) == []
    assert submit(yaml, folder, "--force") == 0


def test_a_rehearsal_that_took_too_long(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(yaml, minutes=8.5)
    assert submit(yaml, folder) == 1
    assert "expected on the host: 8 of 10 minutes, which is more than 80%" in capsys.readouterr().err
    assert not (yaml.parent / ".kagglekit/host/tiny").exists()
    assert submit(yaml, folder, "--force") == 0


def test_a_changed_file(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(yaml)
    (folder / "dataset" / "answers.json").write_text(json.dumps(dict.fromkeys(LABELS, "low")))
    assert submit(yaml, folder) == 1
    assert "answers.json has changed since the notebook was built" in capsys.readouterr().err


def test_what_was_built_for_another_competition(yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(yaml)
    assert (
        main(["-C", str(yaml), "--set", "competition.slug=birds", "submit", "--notebook", str(folder)]) == 1
    )
    assert "was built for tiny, not for birds" in capsys.readouterr().err
    assert submit(yaml, folder, "--set", "competition.slug=birds") == 1
    assert "was built for tiny, not for birds" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--method=mean", "--dry-run", "--out=a.csv"])
def test_options_of_blends_do_not_apply(option: str, yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(yaml, make(yaml), option) == 1
    assert "cannot be given with --notebook" in capsys.readouterr().err


STATE = "os.rename:*/gru-0123.push/state.json"


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(
            f"{STATE},{STATE},{STATE}", marks=pytest.mark.slow
        ),  # uploaded; the data set is not known
        f"{STATE},{STATE},{STATE},{STATE},{STATE},{STATE}",  # pushed; the version is not known
        pytest.param("os.mkdir:*/1/working", marks=pytest.mark.slow),  # before it runs
        pytest.param("os.rename:*/session.json", marks=pytest.mark.slow),  # it has run; nobody knows
        pytest.param("open:*/log.txt", marks=pytest.mark.slow),
        pytest.param("open:*/output/submission.csv", marks=pytest.mark.slow),
        pytest.param(
            "os.rename:*/tiny/1.csv", marks=pytest.mark.slow
        ),  # the log says sending, the host nothing
        "open:*/1.csv,open:*leaderboard.jsonl",  # the host has it, the log does not know
    ],
)
def test_killed_anywhere_the_same_command_goes_on(points: str, yaml: Path) -> None:
    folder = make(yaml)
    killed(yaml, points, "submit", "--notebook", str(folder), "--upload", "--yes")
    assert submit(yaml, folder) == 0
    (entry,) = entries(yaml)
    assert (entry.status, entry.public, entry.ref, entry.notebook_version) == ("COMPLETE", 0.9, "1", 1)
    host = yaml.parent / ".kagglekit" / "host" / "tiny"
    assert [path.name for path in host.glob("*.csv")] == ["1.csv"]
    versions = [path for path in (host / "notebooks" / "tiny-kagglekit-submit").iterdir() if path.is_dir()]
    assert [path.name for path in versions] == ["1"]
