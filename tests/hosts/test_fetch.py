"""The host's files in raw/: each whole or not at all, none twice."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import py7zr
import pytest
from support.tiny import make

import kagglekit.files.raw
import kagglekit.hosts.fetch
from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.errors import ArchiveError, ConfigError, HostError
from kagglekit.files.raw import fingerprint
from kagglekit.files.resolve import read_file, stream
from kagglekit.files.workspace import Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.base import SPARE_BYTES, Arrived, Host
from kagglekit.hosts.fetch import Fetched, _at_once, fetch
from kagglekit.terminal import console

NAMES = ["train.zip", "test.zip", "sample_submission.csv"]


class Counting:
    """A host, and what was downloaded from it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.downloaded: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.host, name)

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> Arrived:
        self.downloaded.append(name)
        return self.host.download(name, folder, advance)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(make(tmp_path, speakers=2, test_clips=6))


@pytest.fixture
def workspace(config: Config) -> Workspace:
    return Workspace(config)


@pytest.fixture
def host(config: Config, workspace: Workspace) -> Counting:
    return Counting(open_host(config, workspace.root))


def test_fetch(config: Config, workspace: Workspace, host: Counting, tmp_path: Path) -> None:
    found = fetch(workspace, host)  # type: ignore[arg-type]
    sizes = [(tmp_path / "host" / name).stat().st_size for name in NAMES]
    assert found == [Fetched(n, s, new=True) for n, s in zip(NAMES, sizes, strict=True)]
    for name in NAMES:
        assert (workspace.raw / name).read_bytes() == (tmp_path / "host" / name).read_bytes()
    assert not (workspace.raw / "solution.csv").exists()


def test_what_is_there_is_skipped(config: Config, workspace: Workspace, host: Counting) -> None:
    fetch(workspace, host)  # type: ignore[arg-type]
    host.downloaded.clear()
    assert [f.new for f in fetch(workspace, host)] == [False] * 3  # type: ignore[arg-type]
    assert host.downloaded == []
    assert [f.new for f in fetch(workspace, host, ["test.zip"], force=True)] == [True]  # type: ignore[arg-type]
    assert host.downloaded == ["test.zip"]


def test_a_changed_size_is_fetched_again(config: Config, workspace: Workspace, host: Counting) -> None:
    fetch(workspace, host)  # type: ignore[arg-type]
    before = (workspace.raw / "test.zip").read_bytes()
    (workspace.raw / "test.zip").write_bytes(before[:-1])
    host.downloaded.clear()
    assert [f.new for f in fetch(workspace, host)] == [False, True, False]  # type: ignore[arg-type]
    assert host.downloaded == ["test.zip"]
    assert (workspace.raw / "test.zip").read_bytes() == before


def test_another_file_of_the_same_size_is_fetched(
    config: Config, workspace: Workspace, host: Counting
) -> None:
    assert config.competition.local is not None
    fetch(workspace, host)  # type: ignore[arg-type]
    archive = config.competition.local.files / "test.zip"
    host.downloaded.clear()
    os.utime(archive, (1.7e9, 1.7e9))
    assert [f.new for f in fetch(workspace, host)].count(True) == 1  # type: ignore[arg-type]
    assert host.downloaded == ["test.zip"]
    assert [f.new for f in fetch(workspace, host)] == [False] * 3  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"<html>Please sign in</html>", b"", b"PK\x03\x04 cut"])
def test_what_is_no_archive_is_removed(
    content: bytes, config: Config, workspace: Workspace, host: Counting, tmp_path: Path
) -> None:
    good = (tmp_path / "host" / "test.zip").read_bytes()
    (tmp_path / "host" / "test.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"test\.zip"):
        fetch(workspace, host)  # type: ignore[arg-type]
    assert not (workspace.raw / "test.zip").exists()
    assert (workspace.raw / "train.zip").is_file()  # the others are kept
    (tmp_path / "host" / "test.zip").write_bytes(good)
    assert [f.new for f in fetch(workspace, host)] == [False, True, False]  # type: ignore[arg-type]


def flip(path: Path, at: int) -> None:
    """Damage a byte, and leave no trace in size or time."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_of_the_right_size(
    name: str, config: Config, workspace: Workspace, host: Counting
) -> None:
    fetch(workspace, host)  # type: ignore[arg-type]
    before = (workspace.raw / name).read_bytes()
    flip(workspace.raw / name, 9)
    fingerprint(workspace.raw / name, workspace.fingerprints)  # as `prepare` asks for; it proves nothing
    host.downloaded.clear()
    assert [f.name for f in fetch(workspace, host) if f.new] == [name]  # type: ignore[arg-type]
    assert host.downloaded == [name]
    assert (workspace.raw / name).read_bytes() == before


def test_not_reread_a_file_of_its_size_and_time_is_taken_for_good(
    config: Config, workspace: Workspace, host: Counting
) -> None:
    fetch(workspace, host)  # type: ignore[arg-type]
    host.downloaded.clear()
    path = workspace.raw / "train.zip"
    flip(path, 9)
    assert not any(f.new for f in fetch(workspace, host, reread=False))  # type: ignore[arg-type]
    os.utime(path)
    assert [f.name for f in fetch(workspace, host, reread=False) if f.new] == ["train.zip"]  # type: ignore[arg-type]
    fetch(workspace, host, reread=False)  # type: ignore[arg-type]
    assert host.downloaded == ["train.zip"]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_put_there_by_hand(
    damaged: bool, config: Config, workspace: Workspace, host: Counting, tmp_path: Path
) -> None:
    workspace.raw.mkdir(parents=True)
    shutil.copy(tmp_path / "host" / "train.zip", workspace.raw)
    if damaged:
        flip(workspace.raw / "train.zip", 200)
    assert [f.new for f in fetch(workspace, host, ["train.zip"])] == [damaged]  # type: ignore[arg-type]
    assert host.downloaded == ["train.zip"] * damaged


class Spoiling(Counting):
    """Its first downloads of each file arrive damaged."""

    times = 1

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> Arrived:
        path = super().download(name, folder, advance).path
        if self.downloaded.count(name) <= self.times:
            flip(path, 200)
        return Arrived(path, proven=False)


def test_a_file_that_arrives_damaged_is_fetched_once_more(
    config: Config, workspace: Workspace, host: Counting, tmp_path: Path
) -> None:
    spoiling = Spoiling(host.host)
    assert fetch(workspace, spoiling, ["train.zip"])[0].new  # type: ignore[arg-type]
    assert spoiling.downloaded == ["train.zip"] * 2
    assert (workspace.raw / "train.zip").read_bytes() == (tmp_path / "host" / "train.zip").read_bytes()
    spoiling.times = 9
    with pytest.raises(ArchiveError, match=r"train\.zip"):
        fetch(workspace, spoiling, ["train.zip"], force=True)  # type: ignore[arg-type]
    assert (workspace.raw / "train.zip").read_bytes() == (tmp_path / "host" / "train.zip").read_bytes()
    assert list((workspace.incoming / "raw").iterdir()) == []


def test_killed_while_a_download_was_tested(
    config: Config, workspace: Workspace, host: Counting, tmp_path: Path
) -> None:
    incoming = workspace.incoming / "raw"
    incoming.mkdir(parents=True)
    shutil.copy(tmp_path / "host" / "train.zip", incoming)
    shutil.copy(tmp_path / "host" / "test.zip", incoming)
    flip(incoming / "test.zip", 200)
    assert [f.new for f in fetch(workspace, host, NAMES[:2])] == [True, True]  # type: ignore[arg-type]
    assert host.downloaded == ["test.zip"]


def test_killed_before_the_host_put_another_file_there(
    config: Config, workspace: Workspace, host: Counting
) -> None:
    (workspace.incoming / "raw").mkdir(parents=True)
    (workspace.incoming / "raw" / "sample_submission.csv").write_bytes(
        b"id,label\n"
    )  # whole, and of last week
    fetch(workspace, host, ["sample_submission.csv"])  # type: ignore[arg-type]
    assert host.downloaded == ["sample_submission.csv"]


class Meeting(Counting):
    """Gives no file before three are asked for."""

    barrier = threading.Barrier(3, timeout=5)

    def download(self, name: str, folder: Path, advance: Callable[[int], None]) -> Arrived:
        self.barrier.wait()
        if name == "test.zip":
            raise HostError("not this one")
        return super().download(name, folder, advance)


def test_files_come_at_once_and_one_failure_spares_the_others(
    config: Config, workspace: Workspace, host: Counting, capsys: pytest.CaptureFixture[str]
) -> None:
    console.configure(quiet=False)
    with pytest.raises(HostError, match="not this one"):
        fetch(workspace, Meeting(host.host))  # type: ignore[arg-type]
    assert (workspace.raw / "train.zip").is_file() and (workspace.raw / "sample_submission.csv").is_file()
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("fetch ") for line in lines) == 3  # a bar each, in a log a line each


def test_an_error_waits_for_the_other_files() -> None:
    """A thread that went on would be in the way of the next fetch."""
    ended: list[str] = []

    def fails() -> None:
        raise HostError("no")

    def is_slow() -> None:
        time.sleep(0.5)
        ended.append("slow")

    with pytest.raises(HostError, match="no"):
        _at_once([fails, is_slow])
    assert ended == ["slow"]


def test_more_files_than_threads(
    config: Config, workspace: Workspace, host: Counting, tmp_path: Path
) -> None:
    names = [f"sub folder/{i}.json" for i in range(20)]
    (tmp_path / "host" / "sub folder").mkdir()
    for name in names:
        (tmp_path / "host" / name).write_text(f'{{"name": "{name}"}}')
    found = fetch(workspace, host, [*names, *names])  # type: ignore[arg-type]
    assert [f.name for f in found] == names
    assert [(workspace.raw / name).read_text() for name in names] == [f'{{"name": "{n}"}}' for n in names]


def test_a_name_that_the_host_lacks(config: Config, workspace: Workspace, host: Counting) -> None:
    with pytest.raises(HostError, match=r"no file 'trian\.zip'") as caught:
        fetch(workspace, host, ["trian.zip"])  # type: ignore[arg-type]
    assert caught.value.hint == "did you mean 'train.zip'?"
    assert host.downloaded == []


def test_one_name_is_fetched_once(tmp_path: Path) -> None:
    config = load_config(make(tmp_path, speakers=1, test_clips=1), ["data.test_archive=train.zip"])
    fetched = fetch(Workspace(config), open_host(config, config.workspace))
    assert [file.name for file in fetched] == ["train.zip", "sample_submission.csv"]


def seven_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return buffer.getvalue()


def test_the_bundle(config: Config, workspace: Workspace, host: Counting, tmp_path: Path) -> None:
    """Kaggle's "download all": <slug>.zip of 7z archives, unpacked when first wanted; the rest is not."""
    folder = tmp_path / "host"
    for name in NAMES:
        (folder / name).unlink()
    inner = {name: seven_zip({"a/b.wav": name.encode() * 9}) for name in ("train.7z", "test.7z")}
    with zipfile.ZipFile(folder / "tiny.zip", "w") as bundle:
        for name, data in inner.items():
            bundle.writestr(name, data)
        bundle.writestr("sample_submission.csv", b"fname,label\n")
        bundle.writestr("notes.txt", b"not wanted")
    assert [f.name for f in fetch(workspace, host)] == ["tiny.zip"]  # type: ignore[arg-type]
    assert not (workspace.raw / "train.7z").exists()
    for name in inner:
        content: list[tuple[str, bytes]] = []
        stream(workspace, f"{name}/*/*.wav", lambda file, data: content.append((file.path, data)))  # noqa: B023
        assert content == [(f"{name}/a/b.wav", name.encode() * 9)]
    assert read_file(workspace, "sample_submission.csv") == b"fname,label\n"
    assert not (workspace.raw / "notes.txt").exists()
    with pytest.raises(ConfigError, match=r"no file matches 'absent\.csv'") as caught:
        read_file(workspace, "absent.csv")
    assert caught.value.hint


def test_fingerprint_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"one")
    digest = hashlib.sha256(b"one").hexdigest()
    assert fingerprint(path, tmp_path / "fingerprints.json") == digest
    notes = tmp_path / "fingerprints.json"
    known = json.loads(notes.read_text())
    notes.write_text(json.dumps({"a.zip": [*known["a.zip"][:2], "remembered"]}))
    assert fingerprint(path, tmp_path / "fingerprints.json") == "remembered"  # not read again
    path.write_bytes(b"other")
    assert fingerprint(path, tmp_path / "fingerprints.json") == hashlib.sha256(b"other").hexdigest()
    notes.write_text("{ damaged")
    assert fingerprint(path, tmp_path / "fingerprints.json") == hashlib.sha256(b"other").hexdigest()


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"bytes")
    real = kagglekit.files.raw.sha256

    def changing(path: Path) -> str:
        digest = real(path)
        before = path.stat().st_mtime_ns
        path.write_bytes(b"other")
        os.utime(path, ns=(before + 1, before + 1))
        return digest

    monkeypatch.setattr(kagglekit.files.raw, "sha256", changing)
    fingerprint(path, tmp_path / "fingerprints.json")
    monkeypatch.undo()
    assert fingerprint(path, tmp_path / "fingerprints.json") == hashlib.sha256(b"other").hexdigest()


def test_fingerprint_shows_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    @contextmanager
    def bar(*about: object) -> Iterator[Callable[[int], None]]:
        seen.append(about)
        yield seen.append

    monkeypatch.setattr("kagglekit.files.raw.CHUNK_BYTES", 4)
    monkeypatch.setattr("kagglekit.terminal.progress.bar", bar)
    (tmp_path / "a.zip").write_bytes(b"abcdef")
    fingerprint(tmp_path / "a.zip", tmp_path / "fingerprints.json")
    assert seen == [("check a.zip", 6, "B"), 4, 2]


def test_room_for_all_files_together(
    config: Config, workspace: Workspace, host: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = sorted(file.size or 0 for file in host.files())  # type: ignore[operator]
    room = SPARE_BYTES + sizes[-1] + sizes[0]  # for each alone, but not for all
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
    with pytest.raises(HostError, match="not enough disk space for 3 files"):
        fetch(workspace, host)  # type: ignore[arg-type]
    assert host.downloaded == []


def test_what_cannot_be_read_is_kept_and_not_downloaded_twice(
    config: Config, workspace: Workspace, host: Counting, tmp_path: Path
) -> None:
    (tmp_path / "host" / "train.zip").write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(600))
    for _ in range(2):
        with pytest.raises(ArchiveError, match=r"train\.zip is a RAR archive") as caught:
            fetch(workspace, host)
        assert "7-Zip" in str(caught.value.hint)
    assert host.downloaded.count("train.zip") == 1 and (workspace.raw / "train.zip").is_file()


def test_parts_of_an_archive_come_together(
    config: Config, workspace: Workspace, host: Counting, tmp_path: Path
) -> None:
    data = (tmp_path / "host" / "train.zip").read_bytes()
    (tmp_path / "host" / "train.zip").unlink()
    for number in range(3):
        piece = data[number * 9000 : (number + 1) * 9000 if number < 2 else None]
        (tmp_path / "host" / f"train.zip.00{number + 1}").write_bytes(piece)
    names = [f"train.zip.00{number}" for number in (1, 2, 3)]
    assert [one.name for one in fetch(workspace, host, ["train.zip.001"])] == names
    assert [one.new for one in fetch(workspace, host, ["train.zip.001"])] == [False] * 3
    (tmp_path / "host" / "train.zip.002").write_bytes(bytes(9000))
    with pytest.raises(ArchiveError, match="damaged"):
        fetch(workspace, host, ["train.zip.001"], force=True)
    with pytest.raises(ArchiveError, match="damaged"):  # not taken for whole, as each part was fetched
        fetch(workspace, host, ["train.zip.001"])
    (tmp_path / "host" / "train.zip.002").write_bytes(data[9000:18000])
    assert [one.new for one in fetch(workspace, host, ["train.zip.001"])] == [True] * 3
