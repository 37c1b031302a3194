"""The store: what `datasets` opens, read without copying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kagglekit.data import store
from kagglekit.data.store import DATA_FILE, Int16, StoreWriter, open_recordings, open_store
from kagglekit.data.store_base import FRAME_FILE
from kagglekit.errors import KagglekitError

SAMPLES = 50


@pytest.fixture
def rows() -> Int16:
    return np.random.default_rng(0).integers(-32_768, 32_768, (2500, SAMPLES)).astype(np.int16)


@pytest.fixture
def folder(tmp_path: Path, rows: Int16) -> Path:
    with StoreWriter(tmp_path / "store", SAMPLES) as writer:
        for i, row in enumerate(rows):
            writer.add(f"clip {i}", row)
    return tmp_path / "store"


def test_round_trip(folder: Path, rows: Int16) -> None:
    opened = open_store(folder)
    assert (len(opened), opened.samples) == (2500, SAMPLES)
    assert opened.clip_ids == [f"clip {i}" for i in range(2500)]
    np.testing.assert_array_equal(opened[:], rows)
    assert sorted(p.name for p in folder.iterdir()) == [
        DATA_FILE,
        "dataset_info.json",
        FRAME_FILE,
        "state.json",
    ]


@pytest.mark.parametrize(
    "where",
    [slice(0, 10), slice(1000, 1100), slice(5, 2400), slice(1024, 2048), slice(3, 3), slice(-5, None)],
)
def test_slices(where: slice, folder: Path, rows: Int16) -> None:
    np.testing.assert_array_equal(open_store(folder)[where], rows[where])


def test_slices_are_views_of_the_mapped_file(folder: Path) -> None:
    before = pa.total_allocated_bytes()
    opened = open_store(folder)
    assert pa.total_allocated_bytes() - before < opened.samples * 2 * 100  # of 2,500 rows
    one, other = opened[10:20], opened[15:900]
    assert np.shares_memory(one, other)
    assert not one.flags.owndata
    assert not one.flags.writeable
    path = str((folder / DATA_FILE).resolve())
    assert _mapped_file(one.__array_interface__["data"][0]) in (path, None)
    assert np.shares_memory(one, next(opened.batches())[1])


def _mapped_file(address: int) -> str | None:
    """The file mapped at an address, as the kernel says; None where it does not."""
    maps = Path("/proc/self/maps")
    for line in maps.read_text(encoding="utf-8").splitlines() if maps.exists() else ():
        span, *_, name = line.split(maxsplit=5)
        first, last = (int(x, 16) for x in span.split("-"))
        if first <= address < last:
            return name
    return None


def test_take_keeps_order(folder: Path, rows: Int16) -> None:
    indices = np.random.default_rng(1).integers(0, 2500, 700)
    np.testing.assert_array_equal(open_store(folder).take(indices), rows[indices])
    assert open_store(folder).take(np.array([], int)).shape == (0, SAMPLES)


@pytest.mark.parametrize("index", [-1, 2500])
def test_take_out_of_range(index: int, folder: Path) -> None:
    with pytest.raises(IndexError, match=str(index)):
        open_store(folder).take(np.array([0, index]))


def test_batches(folder: Path, rows: Int16) -> None:
    batches = list(open_store(folder).batches())
    assert [(at, len(batch)) for at, batch in batches] == [(0, 1024), (1024, 1024), (2048, 452)]
    np.testing.assert_array_equal(np.concatenate([batch for _, batch in batches]), rows)


def test_datasets_opens_it(
    folder: Path, rows: Int16, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    opened = datasets.load_from_disk(str(folder))
    assert opened["clip_id"][:] == open_store(folder).clip_ids
    assert opened.features["audio"] == datasets.List(datasets.Value("int16"), length=SAMPLES)
    np.testing.assert_array_equal(opened.with_format("numpy")["audio"][:], rows)


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 1), ("c", 2)):
        with StoreWriter(tmp_path / name, 4) as writer:
            writer.add("x", np.full(4, value, np.int16))
    a, b, c = ((tmp_path / name / "state.json").read_text() for name in "abc")
    assert a == b != c


def test_empty_store(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, SAMPLES):
        pass
    opened = open_store(tmp_path)
    assert len(opened) == 0
    assert opened[:].shape == (0, SAMPLES)


def test_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BATCH_SAMPLES", 100)
    recordings = {f"{n}.wav": np.arange(n, dtype=np.int16) for n in (30, 60, 20, 500, 7)}
    with StoreWriter(tmp_path, None) as writer:
        for name, waveform in recordings.items():
            writer.add(name, waveform)
    opened = open_recordings(tmp_path)
    assert list(opened) == list(recordings)
    for name, waveform in recordings.items():
        np.testing.assert_array_equal(opened[name], waveform)
        assert not opened[name].flags.owndata


def test_recordings_open_in_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    with StoreWriter(tmp_path, None) as writer:
        writer.add("a", np.arange(5, dtype=np.int16))
        writer.add("b", np.arange(2, dtype=np.int16))
    assert list(datasets.load_from_disk(str(tmp_path))["audio"]) == [[0, 1, 2, 3, 4], [0, 1]]


def test_failure_leaves_no_data_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), StoreWriter(tmp_path, 4) as writer:
        writer.add("x", np.zeros(4, np.int16))
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["home"]  # conftest makes it


def test_damaged_stores_are_explained(folder: Path, rows: Int16) -> None:
    path = folder / DATA_FILE
    whole = path.read_bytes()
    batch = whole.index(rows[1024].tobytes()) + rows[1024:2048].nbytes
    for bad in (b"", whole[:100], whole[: len(whole) // 2], whole[:-8], whole[:batch], b"x" * 500):
        path.write_bytes(bad)
        with pytest.raises(KagglekitError, match="cannot be read") as caught:
            open_store(folder)
        assert "made again" in str(caught.value.hint)


def test_absent_store(tmp_path: Path) -> None:
    with pytest.raises(KagglekitError, match="there is no"):
        open_store(tmp_path / "none")
