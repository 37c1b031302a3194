"""kagglekit against everything that can go wrong at Kaggle: the matrix, and random storms of faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.kaggle_matrix import NOTEBOOK, VERBS, Cell, cells, run
from support.kaggle_server import KEY, Drop, Fault, Flip
from support.kaggle_site import NOTES, Site, server
from support.kaggle_storm import run as storm

SEEDS = 200
SOME_SEEDS = 12
QUICK = {
    "fetch": ("DownloadDataFile", "storage"),
    "submit": ("StartSubmissionUpload", "upload", "CreateSubmission"),
    "leaderboard": ("ListSubmissions",),
    "sign in by token": ("IntrospectToken",),
    "sign in by login": (),
    "doctor": (),
    NOTEBOOK: (),
}
"""Requests with a way of their own through kagglekit; of the others the default run has each fault once."""


def _marks(cell: Cell) -> list[pytest.MarkDecorator]:
    if cell.verb == NOTEBOOK:  # tests/notebooks/test_faults.py has those that are quick
        return [pytest.mark.slow]
    quick = cell.request in QUICK[cell.verb]
    waits = cell.verb in ("doctor", "sign in by login") or cell.request == "GetSubmission"
    return [] if quick or (cell.always and not waits) else [pytest.mark.slow]


def _parameters() -> list[object]:
    return [
        pytest.param(
            cell, id=str(cell).replace(", ", "-").replace(": ", "-").replace(" ", "_"), marks=_marks(cell)
        )
        for verb in VERBS
        for cell in cells(verb)
    ]


@pytest.mark.parametrize("cell", _parameters())
def test_all_or_one_clear_error(cell: Cell, tmp_path: Path) -> None:
    run(cell, tmp_path / "site")


@pytest.mark.parametrize("fault", ["503", "no reply comes", "a byte is wrong"])
def test_one_failed_look_at_the_score_is_no_failure(fault: str, tmp_path: Path) -> None:
    outcome = run(Cell("submit", "GetSubmission", fault, always=False), tmp_path / "site")
    assert "public 0.97500" in outcome.done.out


@pytest.mark.slow  # the pauses between looks add up to 4 s
def test_a_score_that_cannot_be_read_is_no_failed_upload(tmp_path: Path) -> None:
    outcome = run(Cell("submit", "GetSubmission", "404", always=True), tmp_path / "site")
    assert outcome.done.message.startswith("sent as 1, but its score cannot be read")


@pytest.mark.parametrize("name", ["train.7z", "test.zip"])
def test_an_archive_is_tested_where_storage_tells_no_md5(name: str, tmp_path: Path) -> None:
    with server() as kaggle:
        site = Site(tmp_path / "site", kaggle)
        kaggle.tells_md5 = False
        kaggle.faults["storage"] = [Flip(40_000)] * 10
        done = site.run(f"fetch {name}")
        assert done.code == 1 and name in done.message
        site.check_files()
        assert not (site.raw / name).exists()
        kaggle.faults.clear()
        assert site.run(f"fetch {name}").code == 0
        site.check_files()


@pytest.mark.parametrize("name", ["train.7z", "test.zip"])
def test_a_wrong_listed_size_of_an_archive_whose_crcs_hold(name: str, tmp_path: Path) -> None:
    with server() as kaggle:
        site = Site(tmp_path / "site", kaggle)
        kaggle.lists = {name: 12_345}
        assert site.run(f"fetch {name}").code == 0
        site.check_files()
        kaggle.calls.clear()
        assert site.run(f"fetch {name}").code == 0 and "storage" not in kaggle.calls
        kaggle.lists = {name: 23_456}  # another file, by the list
        assert site.run(f"fetch {name}").code == 0 and "storage" in kaggle.calls


def test_files_called_as_our_own_notes(tmp_path: Path) -> None:
    names = [
        "fingerprints.json",
        "train.7z.partial",
        "train.7z.partial.json",
        ".incoming/train.csv",
        "done.json",
    ]
    with server() as kaggle:
        site = Site(tmp_path / "site", kaggle)
        kaggle.files |= {name: f"{i} of the host".encode() for i, name in enumerate(names)}
        kaggle.faults["storage"] = [Drop(5)] * 3
        for _ in range(2):
            assert site.run(f"fetch train.7z {' '.join(names)}").code == 0
            assert {name: (site.raw / name).read_bytes() for name in names} == {
                name: f"{i} of the host".encode() for i, name in enumerate(names)
            }


@pytest.mark.parametrize("link", ["raw/meta data", "raw/train.7z", "incoming/raw.partial/train.7z"])
def test_no_link_is_written_through(link: str, tmp_path: Path) -> None:
    with server() as kaggle:
        site = Site(tmp_path / "site", kaggle)
        outside = tmp_path / "outside"
        if link == "raw/meta data":
            outside.mkdir()
        else:
            outside.write_bytes(b"of somebody else")
        path = site.raw.parent / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(outside)
        done = site.run(f"fetch train.7z '{NOTES}'")
        if outside.is_dir():
            assert done.code == 1 and "is a symbolic link" in done.message
            assert list(outside.rglob("*")) == []
        else:
            assert done.code == 0 and outside.read_bytes() == b"of somebody else"


def test_signed_addresses_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERBOSE", "1")
    with server() as kaggle:
        site = Site(tmp_path / "site", kaggle)
        kaggle.faults["DownloadDataFile"] = Fault(
            302, b"", "text/html", (("Location", " http://127.0.0.1:9/a?signed=signature-9"),)
        )
        out, err = site.raw_output("fetch train.7z --traceback")
    assert "Traceback" in err and "signed=***" in err
    assert "signature-" not in out + err and KEY not in out + err


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= SOME_SEEDS)) for seed in range(SEEDS)]
)
def test_in_a_storm_nothing_is_corrupt_and_nothing_sent_twice(seed: int, tmp_path: Path) -> None:
    storm(seed, tmp_path / "site")
