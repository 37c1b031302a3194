"""What the last step needs is checked by the first ones: a local host's solution."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.verbs import Run


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("fname,label,Usage", "id,label,Usage", "has no column fname"),
        ("clip_0001.wav", "clip_9999.wav", "1 id that the sample submission lacks"),
        ("clip_0001.wav", "clip_0000.wav", "an id twice"),
        ("Private", "Privat", "unknown Usage 'Privat'"),
    ],
)
def test_a_solution_that_is_wrong_is_found_by_prepare_and_doctor(
    old: str, new: str, what: str, bare: Path, run: Run
) -> None:
    path = bare / "host" / "solution.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert run("fetch").code == 0
    prepared = run("prepare")
    assert (
        prepared.code == 0 and "submit --upload will not be graded" in prepared.err and what in prepared.err
    )
    assert what in run("doctor").out
    failed = run("run", "--model", "tcresnet", "--upload", "--yes")
    assert failed.code == 1 and what in failed.err
    assert not (bare / ".kagglekit" / "runs").exists()
    path.write_text(text)
    assert run("prepare").code == 0
    assert "fits the sample submission" in run("doctor").out


def test_without_a_solution_nothing_is_trained_for_an_upload(bare: Path, run: Run) -> None:
    (bare / "host" / "solution.csv").unlink()
    assert run("fetch").code == 0
    prepared = run("prepare")
    assert prepared.code == 0 and "solution.csv does not exist" in prepared.err
    assert "solution.csv does not exist" in run("doctor").out
    failed = run("run", "--model", "tcresnet", "--upload", "--yes")
    assert failed.code == 1 and "solution.csv does not exist" in failed.err
    assert not (bare / ".kagglekit" / "runs").exists()
