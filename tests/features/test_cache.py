"""Features are computed once for a key, and equal to those computed directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kagglekit.config import Audio, Features
from kagglekit.data.store import Store, StoreWriter, open_store
from kagglekit.errors import DamagedCacheError
from kagglekit.features import cache
from kagglekit.features.cache import FILE, feature_key, log_mel_cache
from kagglekit.features.logmel import log_mel

AUDIO = Audio(sample_rate=8000, seconds=0.25)
SPEC = Features(n_mels=20, window_ms=32, hop_ms=16, fmin=50, fmax=3900)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rows = np.random.default_rng(0).integers(-9000, 9000, (70, AUDIO.samples)).astype(np.int16)
    with StoreWriter(tmp_path / "store", AUDIO.samples) as writer:
        for i, row in enumerate(rows):
            writer.add(f"{i}", row)
    return open_store(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "features"


def direct(store: Store) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return log_mel(torch.tensor(store[:]), SPEC, AUDIO.sample_rate).numpy()


def files(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"}


def test_equal_to_direct(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK", 32)  # three chunks, the last one smaller
    found = log_mel_cache(folder, store, "k", SPEC, AUDIO, "train")
    assert not found[:3].flags.owndata and not found[:3].flags.writeable  # memory-mapped
    assert found.dtype == np.float32 and found.shape == (70, 20, 16)
    np.testing.assert_allclose(found, direct(store), atol=1e-5)


def test_a_hit_computes_nothing(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = log_mel_cache(folder, store, "k", SPEC, AUDIO, "train")
    before = files(folder)
    monkeypatch.setattr(cache.logmel, "log_mel", lambda *args: pytest.fail("computed again"))
    again = log_mel_cache(folder, store, "k", SPEC, AUDIO, "test")
    assert files(folder) == before and len(before) == 2
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("key", "change", "audio"),
    [
        ("other", {}, {}),
        ("k", {"n_mels": 16}, {}),
        ("k", {"hop_ms": 8}, {}),
        ("k", {"fmax": 3000}, {}),
        ("k", {"dtype": "float16"}, {}),
        ("k", {}, {"seconds": 0.2}),
    ],
)
def test_anything_else_has_its_own_folder(
    key: str, change: dict[str, object], audio: dict[str, float]
) -> None:
    plain = feature_key("k", SPEC, AUDIO)
    spec, other = Features(**SPEC.model_dump() | change), Audio(**AUDIO.model_dump() | audio)
    assert feature_key(key, spec, other) != plain
    assert feature_key("k", Features(**SPEC.model_dump()), Audio(**AUDIO.model_dump())) == plain


def test_other_parameters_leave_the_first_in_place(store: Store, folder: Path) -> None:
    log_mel_cache(folder, store, "k", SPEC, AUDIO, "train")
    before = files(folder / feature_key("k", SPEC, AUDIO))
    other = SPEC.model_copy(update={"n_mels": 10})
    assert log_mel_cache(folder, store, "k", other, AUDIO, "train").shape == (70, 10, 16)
    assert files(folder / feature_key("k", SPEC, AUDIO)) == before
    assert len([p for p in folder.iterdir() if p.is_dir()]) == 2


def test_float16(store: Store, folder: Path) -> None:
    half = SPEC.model_copy(update={"dtype": "float16"})
    found = log_mel_cache(folder, store, "k", half, AUDIO, "train")
    assert found.dtype == np.float16
    assert np.abs(found[:].astype(np.float32) - direct(store)).max() < 0.004
    assert (folder / feature_key("k", half, AUDIO) / FILE).stat().st_size == 128 + 70 * 20 * 16 * 2


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01", b"not an array" * 20, None])
def test_a_damaged_file_is_made_again(damage: bytes | None, store: Store, folder: Path) -> None:
    log_mel_cache(folder, store, "k", SPEC, AUDIO, "train")
    path = folder / feature_key("k", SPEC, AUDIO) / FILE
    path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(DamagedCacheError) as caught:
        log_mel_cache(folder, store, "k", SPEC, AUDIO, "train")
    assert str(path) in str(caught.value) and "again" in str(caught.value.hint)
    np.testing.assert_allclose(log_mel_cache(folder, store, "k", SPEC, AUDIO, "t"), direct(store), atol=1e-5)


def test_a_failure_in_the_middle_leaves_nothing(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "CHUNK", 32)
    results = [log_mel(torch.tensor(store[:32]), SPEC, AUDIO.sample_rate)]
    with monkeypatch.context() as broken:
        broken.setattr(cache.logmel, "log_mel", lambda *args: results.pop())
        with pytest.raises(IndexError):
            log_mel_cache(folder, store, "k", SPEC, AUDIO, "train")
    assert files(folder) == {}
    np.testing.assert_allclose(log_mel_cache(folder, store, "k", SPEC, AUDIO, "t"), direct(store), atol=1e-5)
