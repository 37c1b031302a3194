"""An archive becomes a store and facts, once, whole or not at all."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
import wave
import zipfile
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import polars as pl
import py7zr
import pytest

from kagglekit.config import Audio, Data
from kagglekit.config.first_edition import upgrade
from kagglekit.data import ingest as ingest_module
from kagglekit.data.ingest import ArchiveJob, Ingested, ingest, ingest_all
from kagglekit.data.store import open_recordings, open_store
from kagglekit.errors import ArchiveError, ConfigError
from kagglekit.files.atomic import done_key

AUDIO = Audio(sample_rate=1000, seconds=0.1)


def data_of(**keys: object) -> Data:
    """Return the settings that these keys of the first edition mean."""
    return Data.model_validate(upgrade({"data": keys, "labels": {}})["data"])


def wav(seed: int, samples: int = 100) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(1000)
        out.writeframes(np.random.default_rng(seed).integers(-9000, 9000, samples).astype("<i2").tobytes())
    return file.getvalue()


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


def pack(path: Path, files: dict[str, bytes], kind: str = "7z") -> Path:
    if kind == "7z":
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(data, name)
    else:
        with zipfile.ZipFile(path, "w") as zipped:
            for name, data in files.items():
                zipped.writestr(name, data)
    return path


@pytest.fixture
def train(tmp_path: Path) -> ArchiveJob:
    return ArchiveJob(pack(tmp_path / "train.7z", TRAIN), tmp_path / "audio" / "train", "train", "key1")


def facts(job: ArchiveJob) -> pl.DataFrame:
    return pl.read_parquet(job.target / "facts.parquet")


@pytest.mark.parametrize("kind", ["7z", "zip"])
def test_train(kind: str, tmp_path: Path) -> None:
    job = ArchiveJob(pack(tmp_path / "train.7z", TRAIN, kind), tmp_path / "t", "train", "key1")
    made = ingest(job, data_of(), AUDIO)
    assert made == Ingested(6, 1, {"empty": 1, "duplicate": 1, "truncated": 1, "short": 2})
    table = facts(job)
    rows = {r["clip_id"]: r for r in table.to_dicts()}
    assert list(rows) == open_store(job.target / "store").clip_ids
    assert table["row"].to_list() == list(range(6))
    first = rows["yes/ann_nohash_0.wav"]
    assert (first["word"], first["speaker"], first["problem"]) == ("yes", "ann", "")
    assert first["path"] == "train/audio/yes/ann_nohash_0.wav"
    assert rows["no/strange name.wav"]["speaker"] is None
    assert {i: (r["problem"], r["flags"]) for i, r in rows.items() if r["flags"]} == {
        "yes/bob_nohash_1.wav": ("", "short"),
        "no/strange name.wav": ("duplicate", "duplicate"),
        "no/cut.wav": ("truncated", "truncated,short"),
        "no/empty.wav": ("empty", "empty"),
    }
    assert {i: r["rate"] for i, r in rows.items() if r["rate"] != 1000} == {"no/empty.wav": 0}
    assert rows["yes/bob_nohash_1.wav"]["samples"] == 60
    assert (job.target / "validation_list.txt").read_bytes() == TRAIN["train/validation_list.txt"]
    assert not (job.target / "testing_list.txt").exists()


def test_rows_are_the_audio(train: ArchiveJob) -> None:
    ingest(train, data_of(), AUDIO)
    row = facts(train).filter(clip_id="no/ann_nohash_0.wav")["row"].item()
    expected = np.frombuffer(TRAIN["train/audio/no/ann_nohash_0.wav"][44:], "<i2")
    np.testing.assert_array_equal(open_store(train.target / "store")[row : row + 1][0], expected)
    (name, noise), = open_recordings(train.target / "noise").items()  # fmt: skip
    assert (name, len(noise)) == ("rain.wav", 2500)


def test_test_split_has_no_labels_and_keeps_duplicates(tmp_path: Path) -> None:
    files = {f"test/audio/clip_{i}.wav": wav(7) for i in range(3)}
    job = ArchiveJob(pack(tmp_path / "test.7z", files), tmp_path / "t", "test", "k")
    assert ingest(job, data_of(), AUDIO) == Ingested(3, 0, {})
    table = facts(job)
    assert table["clip_id"].to_list() == ["clip_0.wav", "clip_1.wav", "clip_2.wav"]
    assert table["word"].null_count() == table["speaker"].null_count() == 3
    assert table.schema["word"] == pl.String
    assert not (job.target / "noise").exists()


def test_second_time_does_nothing(train: ArchiveJob) -> None:
    made = ingest(train, data_of(), AUDIO)
    train.archive.unlink()
    assert ingest(train, data_of(), AUDIO) == made


def test_ingest_all(train: ArchiveJob, tmp_path: Path) -> None:
    test = ArchiveJob(
        pack(tmp_path / "x.zip", {"test/audio/a.wav": wav(1)}, "zip"), tmp_path / "te", "test", "k"
    )
    assert [made.clips for made in ingest_all([train, test], data_of(), AUDIO)] == [6, 1]


def test_one_bad_archive_does_not_lose_the_other(train: ArchiveJob, tmp_path: Path) -> None:
    (tmp_path / "bad.7z").write_bytes(train.archive.read_bytes()[:-10])
    bad = ArchiveJob(tmp_path / "bad.7z", tmp_path / "te", "test", "k")
    with pytest.raises(ArchiveError, match=r"bad\.7z: truncated"):
        ingest_all([bad, train], data_of(), AUDIO)
    assert done_key(train.target) == "key1"
    assert not bad.target.exists()


def test_label_table(tmp_path: Path) -> None:
    files = {
        "audio/a.wav": wav(0),
        "audio/b.wav": wav(1),
        "audio/c.wav": wav(2),
        "t.csv": b"file,label,who\nb.wav,dog,1\na.wav,cat,2\n",
    }
    job = ArchiveJob(pack(tmp_path / "a.zip", files, "zip"), tmp_path / "t", "train", "k")
    table = {"file": "t.csv", "id": "file", "label": "label", "speaker": "who"}
    ingest(job, data_of(train_clips="audio/*.wav", label_table=table), AUDIO)
    rows = facts(job)
    assert rows["word"].to_list() == ["cat", "dog", None]
    assert rows["speaker"].to_list() == ["2", "1", None]
    assert rows["row"].to_list() == [0, 1, 2]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"file": "no.csv", "id": "file", "label": "label"}, "no.csv' is not in the train archive"),
        ({"file": "t.csv", "id": "file", "label": "lable"}, "no column 'lable'"),
    ],
)
def test_wrong_label_table(table: dict[str, str], message: str, tmp_path: Path) -> None:
    files = {"audio/a.wav": wav(0), "t.csv": b"file,label\na.wav,cat\n"}
    job = ArchiveJob(pack(tmp_path / "a.zip", files, "zip"), tmp_path / "t", "train", "k")
    with pytest.raises(ConfigError, match=message) as caught:
        ingest(job, data_of(train_clips="audio/*.wav", label_table=table), AUDIO)
    assert caught.value.hint
    assert not job.target.exists()


def test_no_clip_matches(train: ArchiveJob) -> None:
    with pytest.raises(
        ArchiveError, match=r"no member matches 'x/\*\.wav'; it contains 'train/audio"
    ) as caught:
        ingest(train, data_of(train_clips="x/*.wav"), AUDIO)
    assert "files of data.train" in str(caught.value.hint)
    assert not train.target.exists()


def test_empty_archive(tmp_path: Path) -> None:
    job = ArchiveJob(pack(tmp_path / "a.zip", {}, "zip"), tmp_path / "t", "test", "k")
    with pytest.raises(ArchiveError, match="it contains nothing"):
        ingest(job, data_of(), AUDIO)


def test_clip_ids_are_unique(tmp_path: Path) -> None:
    files = {"a/test/audio/x.wav": wav(0), "b/test/audio/x.wav": wav(1)}
    job = ArchiveJob(pack(tmp_path / "a.zip", files, "zip"), tmp_path / "t", "test", "k")
    with pytest.raises(ArchiveError, match=r"two files are called 'x\.wav'"):
        ingest(job, data_of(), AUDIO)


def test_other_rate_and_stray_encodings_are_counted(tmp_path: Path) -> None:
    other = wav(0).replace((1000).to_bytes(4, "little"), (2000).to_bytes(4, "little"), 1)
    files = {"test/audio/a.wav": other, "test/audio/b.wav": b"nonsense"}
    job = ArchiveJob(pack(tmp_path / "a.zip", files, "zip"), tmp_path / "t", "test", "k")
    assert ingest(job, data_of(), AUDIO).problems == {"unreadable": 1, "resampled": 1, "short": 1}


KILLED = """
import os, signal, sys
from pathlib import Path
from kagglekit.config import Audio, Data
from kagglekit.config.first_edition import upgrade
from kagglekit.data import ingest
assert "torch" not in sys.modules

class Third:
    calls = 0

def decode(data, audio, real=ingest.decode):
    Third.calls += 1
    if Third.calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(data, audio)

ingest.decode = decode
job = ingest.ArchiveJob(Path(sys.argv[1]), Path(sys.argv[2]), "train", "key1")
ingest.ingest(job, Data.model_validate(upgrade({'data': {}, 'labels': {}})['data']), Audio(sample_rate=1000, seconds=0.1))
"""


def test_killed_half_way(train: ArchiveJob) -> None:
    command = [sys.executable, "-c", KILLED, str(train.archive), str(train.target)]
    done = subprocess.run(command, check=False, capture_output=True, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert done_key(train.target) is None
    assert ingest(train, data_of(), AUDIO).clips == 6
    assert sorted(p.name for p in train.target.parent.iterdir() if p.suffix != ".lock") == ["train"]


def test_stopped_by_another_thread(train: ArchiveJob) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(ingest_module._Stopped):
        ingest(train, data_of(), AUDIO, stop=stop)
    assert not train.target.exists()


def test_ctrl_c_stops_the_threads(train: ArchiveJob, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []

    def wait(job: ArchiveJob, data: Data, audio: Audio, *, stop: threading.Event) -> None:
        stopped.append(stop.wait(timeout=10))

    def interrupted(self: Future[None], timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kagglekit.data.ingest.ingest", wait)
    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest_all([train, train], data_of(), AUDIO)
    assert stopped == [True, True]
