"""The folder that stands in for Kaggle."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kagglekit.config import Competition, Config, Data, Labels, LocalSettings
from kagglekit.errors import HostError
from kagglekit.files.json_lines import line_of, parsed
from kagglekit.hosts import base, open_host

IDS = [f"clip_{i}.wav" for i in range(8)]
LABELS = ["yes", "no"] * 4

MakeHost = Callable[..., base.Host]


@pytest.fixture
def make_host(tmp_path: Path) -> MakeHost:
    """A host over files/ with train.7z and the sample in a zip; keywords change the local section."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "train.7z").write_bytes(os.urandom(3_000_000))
    with zipfile.ZipFile(files / "sample.zip", "w") as sample:
        sample.writestr("sample_submission.csv", _csv(IDS, ["silence"] * 8))
    (files / "solution.csv").write_text(_csv(IDS, LABELS))

    def make(**local: Any) -> base.Host:
        section = LocalSettings(
            files=files, solution=files / "solution.csv", **{"grading_seconds": 0, **local}
        )
        config = Config(
            competition=Competition(slug="tiny-speech", host="local", local=section),
            labels=Labels(classes=("yes", "no")),
            data=Data(sample="sample.zip", train={"files": "a/*"}, test={"files": "b/*"}),
        )
        return open_host(config, tmp_path / "workspace")

    return make


def _csv(ids: list[str], labels: list[str]) -> str:
    return "fname,label\n" + "".join(f"{i},{label}\n" for i, label in zip(ids, labels, strict=True))


def _submit(host: base.Host, tmp_path: Path, text: str) -> base.SubmissionState:
    path = tmp_path / "submission.csv"
    path.write_text(text)
    return host.submission(host.submit(path, "a try"))


def test_files_leave_out_the_solution(make_host: MakeHost) -> None:
    files = make_host().files()
    assert [f.name for f in files] == ["sample.zip", "train.7z"]
    assert files[1].size == 3_000_000


def test_details(make_host: MakeHost) -> None:
    details = make_host(deadline="2030-01-01T00:00:00", daily_limit=3).details()
    assert details.slug == "tiny-speech"
    assert details.deadline == datetime(2030, 1, 1, tzinfo=UTC)
    assert details.daily_limit == 3


def test_download_reports_every_byte(make_host: MakeHost, tmp_path: Path) -> None:
    seen: list[int] = []
    got = make_host().download("train.7z", tmp_path / "raw", seen.append).path
    assert got == tmp_path / "raw" / "train.7z"
    assert got.read_bytes() == (tmp_path / "files" / "train.7z").read_bytes()
    assert sum(seen) == 3_000_000
    assert [p.name for p in got.parent.iterdir()] == ["train.7z"]


def test_download_goes_on_where_it_was_cut(make_host: MakeHost, tmp_path: Path) -> None:
    whole = (tmp_path / "files" / "train.7z").read_bytes()
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train.7z.part").write_bytes(whole[:2_500_000])
    seen: list[int] = []
    got = make_host().download("train.7z", raw, seen.append).path
    assert got.read_bytes() == whole
    assert seen == [2_500_000, 500_000]


def test_download_starts_over_when_the_source_is_newer(make_host: MakeHost, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    part = raw / "train.7z.part"
    part.write_bytes(b"of an older file")
    os.utime(part, (1, 1))
    got = make_host().download("train.7z", raw, lambda _: None).path
    assert got.read_bytes() == (tmp_path / "files" / "train.7z").read_bytes()


@pytest.mark.parametrize("name", ["train.zip", "../files/train.7z", "/etc/hostname", "solution.csv", ""])
def test_download_knows_only_listed_names(make_host: MakeHost, tmp_path: Path, name: str) -> None:
    with pytest.raises(HostError, match="has no file") as caught:
        make_host().download(name, tmp_path / "raw", lambda _: None)
    assert "train.7z" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "a\\b", "c:a", "", "."])
def test_target_path_stays_in_the_folder(name: str) -> None:
    with pytest.raises(HostError, match="unsafe name"):
        base.target_path(Path("raw"), name)


def test_check_space_says_how_much_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        HostError, match=r"not enough disk space for big\.7z: 1,000,000,000,000 MB to download"
    ) as caught:
        base.check_space(tmp_path, 10**18, "big.7z")
    assert "another disk" in str(caught.value.hint)


def test_a_submission_is_graded(make_host: MakeHost, tmp_path: Path) -> None:
    state = _submit(make_host(), tmp_path, _csv(IDS, ["yes"] * 8))
    assert (state.ref, state.status, state.public, state.private) == ("1", "COMPLETE", 0.5, None)
    assert (state.file_name, state.message) == ("submission.csv", "a try")


def test_row_order_and_unknown_labels_are_no_errors(make_host: MakeHost, tmp_path: Path) -> None:
    state = _submit(make_host(), tmp_path, _csv(IDS[::-1], [*LABELS[::-1][:-1], "banana"]))
    assert (state.status, state.public) == ("COMPLETE", 0.875)


def test_a_partial_solution_scores_what_it_covers(make_host: MakeHost, tmp_path: Path) -> None:
    (tmp_path / "files" / "solution.csv").write_text(_csv(IDS[:3], LABELS[:3]))
    assert _submit(make_host(), tmp_path, _csv(IDS, ["yes"] * 8)).public == 0.66667


def test_usage_splits_public_and_private(make_host: MakeHost, tmp_path: Path) -> None:
    usages = ["Public"] * 2 + ["Private"] * 4 + ["Ignored"] * 2
    rows = zip(IDS, LABELS, usages, strict=True)
    text = "fname,label,Usage\n" + "".join(",".join(row) + "\n" for row in rows)
    (tmp_path / "files" / "solution.csv").write_text(text)
    answer = _csv(IDS, [*LABELS[:2], "yes", "yes", "yes", "banana", "no", "no"])
    state = _submit(make_host(), tmp_path, answer)
    assert (state.public, state.private) == (1.0, 0.5)
    later = datetime.now(UTC) + timedelta(days=1)
    hidden = _submit(make_host(deadline=later), tmp_path, answer)
    assert (hidden.public, hidden.private) == (1.0, None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (_csv(IDS[1:], LABELS[1:]), "Submission must have 8 rows, found 7"),
        (_csv([*IDS[1:], "x.wav"], LABELS), "Submission contains 1 unknown id, first 'x.wav'"),
        (_csv([*IDS[1:], IDS[1]], LABELS), "Submission contains duplicate ids, first 'clip_1.wav'"),
        (_csv(IDS, ["", *LABELS[1:]]), "Submission contains 1 null value in column 'label'"),
        ("fname,lable\na,b\n", "Submission must have a column 'label', found fname, lable"),
        ("", "Submission could not be read as CSV: it is empty"),
        ("fname,label\na,b,c\n", "Submission could not be read as CSV: it: line 2 has 3 cells, the header 2"),
        ("fname;label\na;b\n", "Submission is not a plain CSV: separator ';'"),
    ],
)
def test_wrong_files_become_errors(make_host: MakeHost, tmp_path: Path, text: str, error: str) -> None:
    host = make_host()
    state = _submit(host, tmp_path, text)
    assert state.status == "ERROR"
    assert state.error.startswith(error)
    assert state.public is None
    assert host.limits().today == 0


def test_bytes_that_are_no_text(make_host: MakeHost, tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(b"fname,label\n\xff\xfe\x00,yes\n")
    host = make_host()
    assert host.submission(host.submit(path, "")).status == "ERROR"


def test_pending_until_graded(make_host: MakeHost, tmp_path: Path) -> None:
    slow, quick = make_host(grading_seconds=3600), make_host(grading_seconds=0)
    state = _submit(slow, tmp_path, _csv(IDS, LABELS))
    assert (state.status, state.public, slow.leaderboard()) == ("PENDING", None, [])
    assert quick.submission(state.ref).status == "COMPLETE"


def test_the_daily_limit(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(daily_limit=2)
    for _ in range(2):
        _submit(host, tmp_path, _csv(IDS, LABELS))
    assert host.limits() == base.Limits(today=2, allowed_now=0, daily=2)
    with pytest.raises(HostError, match="the daily limit of 2 submissions is reached") as caught:
        _submit(host, tmp_path, _csv(IDS, LABELS))
    assert "resets at 00:00 UTC, in " in str(caught.value.hint)


def test_yesterday_does_not_count(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(daily_limit=1)
    _submit(host, tmp_path, _csv(IDS, LABELS))
    log = tmp_path / "workspace" / "host" / "tiny-speech" / "submissions.jsonl"
    record = parsed(log.read_bytes())
    assert record is not None
    record["date"] = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    log.write_bytes(line_of(record))
    assert host.limits().allowed_now == 1
    assert _submit(host, tmp_path, _csv(IDS, LABELS)).ref == "2"


def test_the_deadline(make_host: MakeHost, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="closed at 2020-01-01 00:00 UTC"):
        _submit(make_host(deadline="2020-01-01T00:00:00"), tmp_path, _csv(IDS, LABELS))


def test_a_clock_that_is_set_back_holds_no_score_back(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(grading_seconds=3600)
    _submit(host, tmp_path, _csv(IDS, LABELS))
    assert host.submissions()[0].status == "PENDING"
    log = tmp_path / "workspace" / "host" / "tiny-speech" / "submissions.jsonl"
    later = {"date": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    log.write_bytes(line_of({**(parsed(log.read_bytes()) or {}), **later}))
    assert host.submissions()[0].status == "COMPLETE"


@pytest.mark.parametrize("zeros", [0, 70_000])
def test_a_line_that_a_kill_cut_off_is_forgotten(make_host: MakeHost, tmp_path: Path, zeros: int) -> None:
    host = make_host()
    _submit(host, tmp_path, _csv(IDS, LABELS))
    log = tmp_path / "workspace" / "host" / "tiny-speech" / "submissions.jsonl"
    with log.open("a") as file:
        file.write('{"ref": "2", "da' + "\0" * zeros)
    assert [s.ref for s in host.submissions()] == ["1"]
    _submit(host, tmp_path, _csv(IDS, ["yes"] * 8))
    assert [s.ref for s in make_host().submissions()] == ["2", "1"]
    assert (log.parent / "2.csv").read_text() == _csv(IDS, ["yes"] * 8)


def test_submissions_at_once_get_their_own_references(make_host: MakeHost, tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(_csv(IDS, LABELS))
    hosts = [make_host() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        refs = list(pool.map(lambda host: host.submit(path, ""), hosts))
    assert sorted(refs) == ["1", "2", "3", "4"]
    assert len(hosts[0].submissions()) == 4


def test_the_leaderboard_holds_the_best(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    for labels in (["yes"] * 8, LABELS, ["no"] * 8):
        _submit(host, tmp_path, _csv(IDS, labels))
    assert host.leaderboard() == [base.LeaderboardRow(1, "you", 1.0)]


def test_an_unknown_submission(make_host: MakeHost) -> None:
    with pytest.raises(HostError, match="there is no submission 7"):
        make_host().submission("7")


@pytest.mark.parametrize(
    ("solution", "message"),
    [
        (_csv(["other.wav"], ["yes"]), "1 id that the sample submission lacks, first 'other.wav'"),
        (_csv([IDS[0]] * 2, ["yes", "no"]), "has an id twice"),
        ("fname,label,Usage\nclip_0.wav,yes,Publik\n", "unknown Usage 'Publik'"),
        ("fname,label,usage\nclip_0.wav,yes,Publik\n", "unknown Usage 'Publik'"),
        ("fname,label\n,yes\nclip_0.wav,yes\n", "has 1 row without an id"),
        ("clip,label\nclip_0.wav,yes\n", "has no column fname"),
        ("", "solution.csv is empty"),
    ],
)
def test_a_wrong_solution_is_explained(
    make_host: MakeHost, tmp_path: Path, solution: str, message: str
) -> None:
    (tmp_path / "files" / "solution.csv").write_text(solution)
    with pytest.raises(HostError, match=message):
        _submit(make_host(), tmp_path, _csv(IDS, LABELS))


def test_missing_pieces_are_named(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    with pytest.raises(HostError, match=r"nothing\.csv does not exist"):
        host.submit(tmp_path / "nothing.csv", "")
    (tmp_path / "files" / "solution.csv").unlink()
    with pytest.raises(HostError, match=r"the solution .* does not exist"):
        _submit(host, tmp_path, _csv(IDS, LABELS))
    (tmp_path / "files").rename(tmp_path / "elsewhere")
    with pytest.raises(HostError, match=r"folder .* does not exist"):
        host.files()


def test_a_sample_that_is_none(make_host: MakeHost, tmp_path: Path) -> None:
    (tmp_path / "files" / "sample.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(HostError, match=r"sample\.zip"):
        _submit(make_host(), tmp_path, _csv(IDS, LABELS))
