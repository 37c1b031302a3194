"""A store of files gives the rows that a store of decoded clips gives, and takes no more than the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.sounds import by_ffmpeg, damaged_mp3, encode, mp3_in_riff

from kagglekit.config import Audio
from kagglekit.data import source_store
from kagglekit.data.decode import decode, decode_recording
from kagglekit.data.source_file import look, read_part
from kagglekit.data.source_store import Excerpt, SourceStore, SourceWriter
from kagglekit.data.store import DATA_FILE, Store, StoreWriter, open_store
from kagglekit.errors import KagglekitError
from kagglekit.terminal import console

WINDOWS = Audio(sample_rate=16_000, seconds=1.0, longer="windows", hop_seconds=0.4)


def music(rate: int, seconds: float, seed: int = 0) -> np.typing.NDArray[np.float32]:
    t = np.arange(round(rate * seconds)) / rate
    rng = np.random.default_rng(seed)
    swept = 0.4 * np.sin(2 * np.pi * (300 + 200 * np.sin(t)) * t)
    return (swept + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def stores(folder: Path, files: dict[str, bytes], audio: Audio) -> tuple[Store, Store]:
    """The same files as a store of files and as one of decoded clips."""
    with (
        SourceWriter(folder / "source", audio) as source,
        StoreWriter(folder / "decoded", audio.samples) as decoded,
    ):
        for clip_id, data in files.items():
            windows = decode(data, audio).rows.reshape(-1, audio.samples)
            assert source.add(clip_id, look(data, audio), [Excerpt(clip_id)]) == [len(windows)]
            for window in windows:
                decoded.add(clip_id, window)
    return open_store(folder / "source"), open_store(folder / "decoded")


@pytest.mark.parametrize("audio", [WINDOWS, Audio(sample_rate=16_000, seconds=1.0)], ids=["windows", "cut"])
@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "most"),
    [
        ("WAV", "PCM_16", 16_000, 0),
        ("WAV", "PCM_U8", 11_127, 1),
        ("FLAC", "PCM_16", 16_000, 0),
        ("FLAC", "PCM_24", 48_000, 1),
        ("OGG", "VORBIS", 16_000, 0),
        ("OGG", "VORBIS", 44_100, 1),
        ("OGG", "VORBIS", 22_257, 1),
        ("MP3", None, 16_000, 1),
        ("MP3", None, 44_100, 1),
    ],
)
def test_the_same_rows(
    kind: str, subtype: str | None, rate: int, most: int, audio: Audio, tmp_path: Path
) -> None:
    lengths = (5.3, 0.4, 1.0, 2.0001)
    files = {f"{n}": encode(music(rate, s, n), rate, kind, subtype) for n, s in enumerate(lengths)}
    files["stereo"] = encode(np.stack([music(rate, 3), music(rate, 3, 1)], 1), rate, kind, subtype)
    source, decoded = stores(tmp_path, files, audio)
    assert isinstance(source, SourceStore)
    assert source.clip_ids == decoded.clip_ids and source.samples == decoded.samples
    expected = decoded[:].astype(int)
    assert np.abs(source[:] - expected).max() <= most
    order = np.random.default_rng(0).permutation(len(source))
    assert np.abs(source.take(order) - expected[order]).max() <= most
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in source.batches()]), source[:])
    read = list(source.waveforms(np.split(order, [3, 3, 4])))
    assert np.abs(np.concatenate(read) * 32_768 - expected[order]).max() <= most
    assert [len(batch) for batch in read] == [3, 0, 1, len(order) - 4]
    assert [source[i : i + 1].shape for i in (0, len(source))] == [(1, 16_000), (0, 16_000)]


def test_one_batch_is_decoded_ahead(tmp_path: Path) -> None:
    source, _ = stores(tmp_path, {"a": encode(music(16_000, 3), 16_000, "FLAC")}, WINDOWS)
    asked = []

    def batches() -> Iterator[np.typing.NDArray[np.int64]]:
        for row in range(4):
            asked.append(row)
            yield np.array([row])

    reader = source.waveforms(batches())
    assert not asked
    for row in range(4):
        expected = source.take(np.array([row])) / np.float32(32_768)
        np.testing.assert_array_equal(next(reader), expected)
        assert asked == list(range(min(row + 2, 4)))


def test_what_cannot_be_sought_in_is_kept_decoded(tmp_path: Path) -> None:
    ogg = encode(music(16_000, 3), 16_000, "OGG", "VORBIS")
    files = {
        "cut": ogg[: len(ogg) // 2],
        "riff": mp3_in_riff(),
        "noise": damaged_mp3(),
        "text": b"no audio",
        "empty": b"",
        "cut.wav": encode(music(16_000, 3))[:50_000],
    }
    source, decoded = stores(tmp_path, files, WINDOWS)
    np.testing.assert_array_equal(source[:], decoded[:])
    for data in files.values():
        looked, clip = look(data, WINDOWS), decode(data, WINDOWS)
        assert looked[1:6] == (clip.samples, clip.sha1, clip.flags, clip.rate, clip.message)


def test_aac(tmp_path: Path) -> None:
    source, decoded = stores(tmp_path, {"a": by_ffmpeg("AAC in .m4a")}, WINDOWS)
    np.testing.assert_array_equal(source[:], decoded[:])


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_the_header_says_what_decoding_says(kind: str) -> None:
    for rate, seconds in ((16_000, 0.5), (16_000, 1.0), (44_100, 60.5), (22_257, 2.0)):
        if kind == "MP3" and rate == 22_257:
            continue
        data = encode(music(rate, seconds), rate, kind)
        looked, clip = look(data, WINDOWS), decode(data, WINDOWS)
        assert looked.content == data
        assert looked[1:6] == (clip.samples, clip.sha1, clip.flags, clip.rate, clip.message)


def test_parts_of_a_recording(tmp_path: Path) -> None:
    data = encode(music(16_000, 5), 16_000, "FLAC")
    pcm = decode(data, Audio(sample_rate=16_000, seconds=5)).rows
    parts = [
        Excerpt("first", -4000, 16_000),
        Excerpt("inside", 20_000, 30_000),
        Excerpt("end", 70_000, 16_000),
    ]
    with SourceWriter(tmp_path, WINDOWS) as writer:
        assert writer.add("a.flac", look(data, WINDOWS), parts) == [1, 4, 1]
    store = open_store(tmp_path)
    assert store.clip_ids == ["first", *["inside"] * 4, "end"]
    np.testing.assert_array_equal(store[:1][0], np.pad(pcm[:12_000], (4000, 0)))
    for row, start in enumerate((20_000, 26_400, 32_800, 34_000), 1):
        np.testing.assert_array_equal(store[row : row + 1][0], pcm[start : start + 16_000])
    np.testing.assert_array_equal(store[5:][0], np.pad(pcm[70_000:], (0, 6000)))


def test_damage_inside_of_a_file_costs_the_windows_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "note", said.append)
    source_store._note_damage.cache_clear()
    clean = encode(music(16_000, 4), 16_000, "FLAC")
    middle = len(clean) // 2
    files = {"clean": clean, "damaged": clean[:middle] + bytes(300) + clean[middle + 300 :]}
    with SourceWriter(tmp_path, WINDOWS) as writer:
        assert [writer.add(name, look(data, WINDOWS), [Excerpt(name)]) for name, data in files.items()] == [
            [9],
            [9],
        ]
    store = open_store(tmp_path)
    np.testing.assert_array_equal(store[9:11], store[:2])
    np.testing.assert_array_equal(store[17:], store[8:9])
    assert not store[12:13][0][-1000:].any() and store[3:4][0][-1000:].any()
    assert len(said) == 1 and said[0].startswith("damaged is damaged, or shorter than its header says")


def test_random_bytes_never_raise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = {}
    for kind in ("OGG", "FLAC", "MP3", "WAV"):
        whole = encode(music(16_000, 2), 16_000, kind)
        for number in range(25):
            data = bytearray(whole)
            for at in rng.integers(len(data) if number % 2 else 200, size=6):
                data[at] = rng.integers(256)
            files[f"{kind}{number}"] = bytes(data)
    with SourceWriter(tmp_path, WINDOWS) as writer:
        for clip_id, content in files.items():
            writer.add(clip_id, look(content, WINDOWS), [Excerpt(clip_id)])
    store = open_store(tmp_path)
    assert store[:].shape == (len(store), 16_000)


def test_the_store_takes_what_the_files_take(tmp_path: Path) -> None:
    data = encode(music(32_000, 20), 32_000, "OGG", "VORBIS")
    with SourceWriter(tmp_path, WINDOWS) as writer:
        for number in range(20):
            writer.add(f"{number}.ogg", look(data, WINDOWS), [Excerpt(f"{number}.ogg")])
    assert (tmp_path / DATA_FILE).stat().st_size < 1.02 * 20 * len(data)


def test_it_opens_in_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data = encode(music(16_000, 2), 16_000, "OGG", "VORBIS")
    with SourceWriter(tmp_path, WINDOWS) as writer:
        writer.add("a", look(data, WINDOWS), [Excerpt("a")])
    row = datasets.load_from_disk(str(tmp_path))[0]
    assert (row["path"], row["bytes"], row["rate"]) == ("a", data, 16_000)
    assert (row["clip_ids"], row["starts"]) == (["a"] * 4, [0, 6400, 12_800, 16_000])


def test_a_failure_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), SourceWriter(tmp_path, WINDOWS) as writer:
        writer.add("a", look(b"", WINDOWS), [Excerpt("a")])
        raise RuntimeError
    with pytest.raises(KagglekitError, match="there is no"):
        open_store(tmp_path)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_end_of_an_ogg_file_is_where_it_is(rate: int) -> None:
    """libsndfile seeks a part of a block too far in the last page."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(5.37 * rate)).astype(np.float32)
    data = encode(noise, rate, "OGG")
    file, whole = look(data, WINDOWS), decode_recording(data, WINDOWS)[0]
    for before in (8000, 2000, 300, 5):
        row = np.empty(16_000, np.int16)
        assert read_part(memoryview(file.content), rate, WINDOWS, file.samples - before, row)
        assert np.abs(row[:before].astype(int) - whole[-before:]).max() <= 1
