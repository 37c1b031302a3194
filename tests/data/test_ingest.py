"""Recordings become a store and facts, once, whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.dataset import dataset, noise, pack, wav

from kagglekit.data import ingest as ingest_module
from kagglekit.data.cuts import Cut
from kagglekit.data.ingest import FileSet, Ingested, Job, ingest, ingest_all
from kagglekit.data.store import open_recordings, open_store
from kagglekit.errors import ArchiveError, AudioError, ConfigError, MissingError
from kagglekit.files.atomic import done_key
from kagglekit.files.resolve import list_files
from kagglekit.files.workspace import Workspace

TRAIN = {
    "train/audio/yes/ann_nohash_0.wav": wav(0),
    "train/audio/yes/bob_nohash_1.wav": wav(1, 60),
    "train/audio/no/ann_nohash_0.wav": wav(2),
    "train/audio/no/strange name.wav": wav(0),  # the first one's content
    "train/audio/no/cut.wav": wav(3)[:90],
    "train/audio/no/empty.wav": b"",
    "train/audio/_background_noise_/rain.wav": wav(4, 2500),
    "train/audio/_background_noise_/README.md": b"noise",
    "train/validation_list.txt": b"yes/ann_nohash_0.wav\n",
    "train/LICENSE": b"CC BY",
}
NOISE = "train.7z/train/audio/_background_noise_/*.wav"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    test = {"files": "test/*.wav", "unreadable": 0.5}
    return dataset(tmp_path, {}, {"files": "train.7z/train/audio/*/*.wav"}, data={"test": test})


def last_two(path: str, _: float) -> list[Cut]:
    return [Cut("/".join(path.split("/")[-2:]))]


def last(path: str, _: float) -> list[Cut]:
    return [Cut(path.rpartition("/")[2])]


def train_job(workspace: Workspace, kind: str = "7z") -> Job:
    """The training recordings of train.7z."""
    pack(workspace.config.data.mounted / "train.7z", TRAIN, kind)  # type: ignore[operator]
    pattern = workspace.config.data.train[0].files
    rain = list_files(workspace, NOISE)
    files = [file for file in list_files(workspace, pattern) if file not in rain]
    sources = [FileSet(pattern, None, files)]
    return Job("train", sources, last_two, workspace.audio / "train", "key1", FileSet(NOISE, None, rain))


def held_out(workspace: Workspace, files: dict[str, bytes], cutter: object = last) -> Job:
    """The test recordings of test.zip."""
    pack(workspace.config.data.mounted / "test.zip", files, "zip")  # type: ignore[operator]
    pattern = "test.zip/**/*.wav"
    sources = [FileSet(pattern, None, list_files(workspace, pattern))]
    return Job("test", sources, cutter, workspace.audio / "test", "k")  # type: ignore[arg-type]


def facts(job: Job) -> pl.DataFrame:
    return pl.read_parquet(job.target / "facts.parquet")


@pytest.mark.parametrize("kind", ["7z", "zip"])
def test_train(kind: str, workspace: Workspace) -> None:
    job = train_job(workspace, kind)
    assert ingest(workspace, job) == Ingested(6, 1, {"empty": 1, "duplicate": 1, "truncated": 1, "short": 2})
    table = facts(job)
    rows = {r["clip_id"]: r for r in table.to_dicts()}
    assert list(rows) == open_store(job.target / "store").clip_ids
    assert table["row"].to_list() == list(range(6))
    first = rows["yes/ann_nohash_0.wav"]
    assert (first["problem"], first["message"], first["samples"]) == ("", "", 100)
    assert first["path"] == "train.7z/train/audio/yes/ann_nohash_0.wav"
    assert {i: (r["problem"], r["flags"]) for i, r in rows.items() if r["flags"]} == {
        "yes/bob_nohash_1.wav": ("", "short"),
        "no/strange name.wav": ("duplicate", "duplicate"),
        "no/cut.wav": ("truncated", "truncated,short"),
        "no/empty.wav": ("empty", "empty"),
    }
    assert {i: r["rate"] for i, r in rows.items() if r["rate"] != 1000} == {"no/empty.wav": 0}
    assert rows["yes/bob_nohash_1.wav"]["samples"] == 60
    assert "windows" not in table.columns


def test_rows_are_the_audio(workspace: Workspace) -> None:
    job = train_job(workspace)
    ingest(workspace, job)
    row = facts(job).filter(clip_id="no/ann_nohash_0.wav")["row"].item()
    np.testing.assert_array_equal(open_store(job.target / "store")[row : row + 1][0], noise(2))
    (name, rain), = open_recordings(job.target / "noise").items()  # fmt: skip
    assert name == "rain.wav"
    np.testing.assert_array_equal(rain, noise(4, 2500))


def test_the_cuts_of_a_recording_are_its_parts(workspace: Workspace) -> None:
    cuts = [Cut("a", 0.1, 0.2), Cut("b", 0.2, 0.3), Cut("c", 0.1, 0.2), Cut("whole")]
    job = held_out(workspace, {"x.wav": wav(5, 350)}, lambda path, seconds: cuts if seconds == 0.35 else [])
    assert ingest(workspace, job).clips == 4
    store, whole = open_store(job.target / "store")[0:4], noise(5, 350)
    for row, first in enumerate((100, 200, 100, 0)):
        np.testing.assert_array_equal(store[row], whole[first : first + 100])
    table = facts(job)
    assert table["samples"].to_list() == [100, 100, 100, 350]
    assert [sha[40:] for sha in table["sha1"]] == ["#0.1-0.2", "#0.2-0.3", "#0.1-0.2", ""]


@pytest.mark.parametrize("rate", [1000, 2000])
def test_a_part_behind_the_end_is_empty(workspace: Workspace, rate: int) -> None:
    cuts = [Cut("a", 0.0, 0.1), Cut("b", 7.0, 7.1)]
    job = held_out(workspace, {"x.wav": wav(5, rate // 2, rate)}, lambda path, seconds: cuts)
    ingest(workspace, job)
    assert facts(job)["problem"].to_list() == ["", "empty"]


def test_a_recording_without_a_cut_has_no_clip(workspace: Workspace) -> None:
    job = held_out(
        workspace, {"a.wav": wav(1), "b.wav": wav(2)}, lambda path, _: last(path, 0) * ("b" in path[-5:])
    )
    assert ingest(workspace, job).clips == 1
    assert facts(job)["clip_id"].to_list() == ["b.wav"]


def test_test_recordings_keep_duplicates(workspace: Workspace) -> None:
    job = held_out(workspace, {f"test/audio/clip_{i}.wav": wav(7) for i in range(3)})
    assert ingest(workspace, job) == Ingested(3, 0, {})
    table = facts(job)
    assert table["clip_id"].to_list() == ["clip_0.wav", "clip_1.wav", "clip_2.wav"]
    assert table["flags"].to_list() == ["", "", ""]
    assert not (job.target / "noise").exists()


def test_second_time_does_nothing(workspace: Workspace) -> None:
    job = train_job(workspace)
    first = ingest(workspace, job)
    (workspace.config.data.mounted / "train.7z").unlink()  # type: ignore[operator]
    assert ingest(workspace, job) == first


def test_ingest_all(workspace: Workspace) -> None:
    jobs = [train_job(workspace), held_out(workspace, {"test/audio/a.wav": wav(1)})]
    assert [one.clips for one in ingest_all(workspace, jobs)] == [6, 1]


def test_one_bad_archive_does_not_lose_the_other(workspace: Workspace) -> None:
    train = train_job(workspace)
    bad = held_out(workspace, {"a.wav": wav(1), "b.wav": wav(2)})
    archive = workspace.config.data.mounted / "test.zip"  # type: ignore[operator]
    content = bytearray(archive.read_bytes())
    content[60] ^= 255  # a byte of a.wav
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"test\.zip"):
        ingest_all(workspace, [bad, train])
    assert done_key(train.target) == "key1"
    assert not bad.target.exists()


def test_files_that_have_gone(workspace: Workspace) -> None:
    job = held_out(workspace, {"a.wav": wav(1), "b.wav": wav(2)})
    pack(workspace.config.data.mounted / "test.zip", {"a.wav": wav(1)}, "zip")  # type: ignore[operator]
    with pytest.raises(MissingError, match=r"no file 'test\.zip/b\.wav'") as caught:
        ingest(workspace, job)
    assert caught.value.hint and not job.target.exists()


def test_ids_are_unique(workspace: Workspace) -> None:
    job = held_out(workspace, {"a/x.wav": wav(0), "b/x.wav": wav(1)})
    with pytest.raises(
        ConfigError, match=r"two clips of test have the id 'x\.wav', the second in test\.zip/b/x"
    ) as caught:
        ingest(workspace, job)
    assert "rows.id" in str(caught.value.hint)
    assert not job.target.exists()


def test_two_pieces_of_noise_of_one_name(workspace: Workspace) -> None:
    job = held_out(workspace, {"a/x.wav": wav(0), "b/x.wav": wav(1)})
    both = Job("train", [], last, job.target, "k", job.sources[0])
    with pytest.raises(ConfigError, match=r"two files are called 'x\.wav'"):
        ingest(workspace, both)


def test_other_rate_and_stray_encodings_are_counted(workspace: Workspace) -> None:
    files = {"test/audio/a.wav": wav(0, rate=2000), "test/audio/b.wav": b"nonsense"}
    job = held_out(workspace, files)
    assert ingest(workspace, job).problems == {"unreadable": 1, "resampled": 1, "short": 1}
    assert facts(job)["rate"].to_list() == [2000, 0]
    assert facts(job)["samples"].to_list() == [50, 0]


def test_unreadable_files_are_named_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("kagglekit.terminal.console.note", said.append)
    job = held_out(workspace, {"a.wav": wav(0), "b.wav": b"#!AMR\n" + b"x" * 64})
    ingest(workspace, job)
    first = list(said)
    ingest(workspace, job)
    assert len(first) == 1 and "1 of 2 files cannot be read" in first[0]
    assert said == first * 2


def test_a_test_that_is_mostly_damaged(workspace: Workspace) -> None:
    job = held_out(workspace, {"a.wav": wav(0), "b.wav": b"nonsense", "c.wav": b""})
    with pytest.raises(AudioError, match=r"2 of its 3 files cannot be read as audio: .* 1 is empty"):
        ingest(workspace, job)
    assert not job.target.exists()


def test_no_file_can_be_read(workspace: Workspace) -> None:
    job = held_out(workspace, {"a.wav": b"nonsense", "b.wav": b"more"})
    with pytest.raises(AudioError, match="none of its 2 files can be read") as caught:
        ingest(workspace, job)
    assert caught.value.hint and not job.target.exists()


def test_a_folder_of_your_own_and_the_hosts_files_stay_apart(workspace: Workspace, tmp_path: Path) -> None:
    here = held_out(workspace, {"a.wav": wav(1)})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.wav").write_bytes(wav(2))
    root = tmp_path / "own"
    own = FileSet("*.wav", root, list_files(workspace, "*.wav", root))
    job = Job("train", [*here.sources, own], lambda path, _: [Cut(path)], here.target, "k")
    assert ingest(workspace, job) == Ingested(2, 0, {})
    table = facts(job)
    assert table["clip_id"].to_list() == ["test.zip/a.wav", f"{root}/a.wav"]
    np.testing.assert_array_equal(open_store(job.target / "store")[0:2], [noise(1), noise(2)])


KILLED = """
import os, signal, sys
from pathlib import Path
from kagglekit.config.load import load_config
from kagglekit.data import clip_writers, ingest
from kagglekit.data.cuts import Cut
from kagglekit.files.resolve import list_files
from kagglekit.files.workspace import Workspace
assert "torch" not in sys.modules

class Third:
    calls = 0

def decode(data, audio, real=clip_writers.decode_recording):
    Third.calls += 1
    if Third.calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(data, audio)

clip_writers.decode_recording = decode
workspace = Workspace(load_config(Path(sys.argv[1])))
pattern = workspace.config.data.train[0].files
sources = [ingest.FileSet(pattern, None, list_files(workspace, pattern))]
job = ingest.Job("train", sources, lambda path, _: [Cut(path)], Path(sys.argv[2]), "key1")
ingest.ingest(workspace, job)
"""


def test_killed_half_way(workspace: Workspace, tmp_path: Path) -> None:
    job = train_job(workspace)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "competition.yaml"), str(job.target)]
    done = subprocess.run(command, check=False, capture_output=True, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert done_key(job.target) is None
    assert ingest(workspace, job).clips == 6
    assert sorted(p.name for p in job.target.parent.iterdir() if p.suffix != ".lock") == ["train"]


def test_stopped_by_another_thread(workspace: Workspace) -> None:
    stop = threading.Event()
    stop.set()
    job = train_job(workspace)
    with pytest.raises(ingest_module._Stopped):
        ingest(workspace, job, stop=stop)
    assert not job.target.exists()


def test_ctrl_c_stops_the_threads(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []

    def wait(workspace: Workspace, job: Job, *, stop: threading.Event) -> None:
        stopped.append(stop.wait(timeout=10))

    def interrupted(futures: list[Future[None]], timeout: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kagglekit.data.ingest.ingest", wait)
    monkeypatch.setattr("kagglekit.parallel.waiting.wait", interrupted)
    train = train_job(workspace)
    with pytest.raises(KeyboardInterrupt):
        ingest_all(workspace, [train, train])
    assert stopped == [True, True]
