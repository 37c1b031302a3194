"""Recordings in the cells of Parquet tables: streamed as an archive's, and refused where they are not safe."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.archives import content, refused
from support.dataset import dataset, pack, wav

from kagglekit.data.annotations import read_train
from kagglekit.errors import ArchiveError, ConfigError, TableError
from kagglekit.files import archive, table_bytes
from kagglekit.files.archive import checks
from kagglekit.files.archive import parquet as parquet_files
from kagglekit.files.patterns import parse
from kagglekit.files.resolve import stream
from kagglekit.files.tables import read_table

FILES = {f"x{i}.flac": random.Random(i).randbytes(1000 * i) for i in range(9)}
CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def cells(files: list[tuple[str | None, bytes | None]]) -> pa.Array:
    return pa.array([{"bytes": data, "path": name} for name, data in files], CELL)


def make_parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def hugging_face(path: Path, files: dict[str, bytes] = FILES, **options: Any) -> Path:
    ids = [name.partition(".")[0] for name in files]
    return make_parquet(path, {"id": ids, "audio": cells(list(files.items()))}, **options)


@pytest.mark.parametrize(
    "options", [{}, {"row_group_size": 2}, {"compression": "zstd"}, {"use_dictionary": False}]
)
def test_members_and_stream(options: dict[str, Any], tmp_path: Path) -> None:
    path = hugging_face(tmp_path / "a.bin", **options)  # told by the first bytes, not by the name
    assert archive.members(path) == [(name, len(data)) for name, data in FILES.items()]
    assert list(content(path).items()) == list(FILES.items())
    archive.verify(path)
    taken: dict[str, bytes] = {}
    archive.stream(
        path, lambda member, data: taken.update({member.name: data}), lambda _: ["x7.flac", "x2.flac"]
    )
    assert taken == {name: FILES[name] for name in ("x2.flac", "x7.flac")}
    archive.copy_member(path, "x5.flac", tmp_path / "x5")
    assert (tmp_path / "x5").read_bytes() == FILES["x5.flac"]


def test_rows_without_a_name_of_their_own_are_numbered(tmp_path: Path) -> None:
    files = [
        (None, b"0"),
        ("a.wav", b"1"),
        ("same.wav", b"2"),
        ("same.wav", b"3"),
        ("b.wav", None),
        ("", b"5"),
    ]
    path = make_parquet(tmp_path / "a.parquet", {"audio": cells([*files, ("c/d.wav", b"6")])})
    assert content(path) == {
        **{"0.wav": b"0", "a.wav": b"1", "2.wav": b"2", "3.wav": b"3", "5.wav": b"5", "c/d.wav": b"6"}
    }
    for kind in (pa.binary(), pa.large_binary()):
        plain = make_parquet(
            tmp_path / "b.parquet", {"sound": pa.array([b"x", None, b"yy"], kind), "n": [1, 2, 3]}
        )
        assert content(plain) == {"0.wav": b"x", "2.wav": b"yy"}
    null = pa.array([None, {"bytes": b"x", "path": "a.wav"}], CELL)
    assert content(make_parquet(tmp_path / "c.parquet", {"audio": null})) == {"a.wav": b"x"}


@pytest.mark.parametrize(
    "name", ["../a.wav", "/etc/a.wav", "a/../../b", "C:\\a.wav", "a\x00.wav", "a//b.wav"]
)
def test_unsafe_names(name: str, tmp_path: Path) -> None:
    path = make_parquet(tmp_path / "a.parquet", {"audio": cells([(name, b"x")])})
    refused(path, "contains an unsafe path")


def test_a_number_that_is_another_rows_name(tmp_path: Path) -> None:
    path = make_parquet(tmp_path / "a.parquet", {"audio": cells([(None, b"x"), ("0.wav", b"y")])})
    refused(path, r"contains '0\.wav' twice")


def test_columns_that_are_not_one_of_recordings(tmp_path: Path) -> None:
    both = {"audio": cells([("a", b"x")]), "image": cells([("b", b"y")]), "raw": [b"z"], "id": ["1"]}
    refused(make_parquet(tmp_path / "a.parquet", both), r"3 columns of binary data: 'audio', 'image', 'raw'")
    refused(make_parquet(tmp_path / "b.parquet", {"id": ["1"], "n": [2]}), r"no column .* but 'id', 'n'")
    empty = {"audio": cells([("a.wav", None)])}
    refused(make_parquet(tmp_path / "c.parquet", empty), "no cell of the column 'audio' holds bytes")


def test_damaged(tmp_path: Path) -> None:
    path = hugging_face(tmp_path / "a.parquet", write_page_checksum=True, compression="none")
    whole = path.read_bytes()
    for number, cut in enumerate((4, 100, len(whole) // 2, len(whole) - 1)):
        part = tmp_path / f"{number}.parquet"
        part.write_bytes(whole[:cut])
        assert isinstance(refused(part, "truncated or damaged"), archive.DamagedError)
    flipped = tmp_path / "flipped.parquet"
    place = whole.index(FILES["x8.flac"]) + 100
    flipped.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert isinstance(refused(flipped, "truncated or damaged"), archive.DamagedError)


def test_damage_anywhere_is_an_error_or_harmless(tmp_path: Path) -> None:
    whole = hugging_face(tmp_path / "a.parquet", {"a.wav": b"abc" * 50, "b.wav": b"d"}).read_bytes()
    rng = random.Random(1)
    errors = 0
    for number in range(150):
        data = bytearray(whole)
        data[rng.randrange(4, len(data))] = rng.randrange(256)
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(data)
        try:
            content(path)
        except ArchiveError:
            errors += 1
    assert errors > 20


def test_a_column_that_repeats_one_cell_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MIN_BOMB_BYTES", 2**20)
    path = make_parquet(tmp_path / "a.parquet", {"audio": pa.array([bytes(100_000)] * 1000)})
    assert path.stat().st_size < 300_000
    refused(path, "decompression bomb")
    monkeypatch.setattr(parquet_files, "MAX_ROWS", 999)
    refused(make_parquet(tmp_path / "b.parquet", {"audio": [b"x"] * 1000}), "1,000 rows, more than 999")


def test_memory_is_bounded(tmp_path: Path) -> None:
    files = {f"{i}.wav": random.Random(i).randbytes(500_000) for i in range(200)}  # 100 MB in a row group
    path = hugging_face(tmp_path / "a.parquet", files, row_group_size=200, write_batch_size=2)
    del files
    pool = pa.default_memory_pool()
    before, most, count = pool.bytes_allocated(), 0, 0

    def take(_: archive.Member, data: bytes) -> None:
        nonlocal most, count
        most, count = max(most, pool.bytes_allocated() - before), count + len(data)

    tracemalloc.start()
    archive.stream(path, take)
    python = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000_000
    assert most < 30_000_000 and python < 10_000_000


def test_a_path_that_ends_at_a_table_is_one() -> None:
    assert parse("data/train-*.parquet/*").levels == ("data/train-*.parquet", "*")
    assert parse("data/train-*.parquet").levels == ("data/train-*.parquet",)
    assert parse("a.zip/b.PARQUET/**/*.wav").levels == ("a.zip", "b.PARQUET", "**/*.wav")


TRAIN = {"files": "data/t-*.parquet/*", "table": "data/t-*.parquet", "file": "id", "label": "label"}


def shard(folder: Path, number: int, labels: dict[str, str], name: str = "label") -> bytes:
    audio = cells([(f"{one}.wav", wav(i)) for i, one in enumerate(labels)])
    columns = {"id": list(labels), "audio": audio, name: list(labels.values())}
    return make_parquet(folder / f"{number}", columns).read_bytes()


def test_several_tables_are_joined_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr("kagglekit.terminal.console.note", notes.append)
    files = {
        "data/t-0.parquet": shard(tmp_path / "made", 0, {"A_1": "dog", "A_2": "cat"}),
        "data/t-1.parquet": shard(tmp_path / "made", 1, {"B_1": "cat"}),
    }
    table = read_train(dataset(tmp_path, files, TRAIN, labels={"classes": "from_labels"}))[1]
    assert table.select("path", pl.col("present").list.first()).rows() == [
        ("data/t-0.parquet/A_1.wav", "dog"),
        ("data/t-0.parquet/A_2.wav", "cat"),
        ("data/t-1.parquet/B_1.wav", "cat"),
    ]
    assert notes == ["data/t-*.parquet: left out 1 column: 'audio'"]


def test_tables_of_other_columns_are_refused(tmp_path: Path) -> None:
    files = {
        "data/t-0.parquet": shard(tmp_path / "made", 0, {"A_1": "dog"}),
        "data/t-1.parquet": shard(tmp_path / "made", 1, {"B_1": "cat"}, "class"),
    }
    with pytest.raises(
        ConfigError, match=r"t-1\.parquet has the columns id, class, and .*t-0\.parquet has id"
    ):
        read_train(dataset(tmp_path, files, TRAIN, labels={"classes": "from_labels"}))


def test_a_table_with_recordings_may_be_longer_than_one_of_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_bytes, "MAX_BYTES", 10_000)
    data = hugging_face(tmp_path / "a.parquet").read_bytes()
    assert len(data) > 30_000
    assert read_table(data, "a.parquet", hint="x").frame["id"].to_list() == [f"x{i}" for i in range(9)]
    monkeypatch.setattr(table_bytes, "MAX_PARQUET_BYTES", 20_000)
    with pytest.raises(TableError, match=r"a table may have 20,000"):
        read_table(data, "a.parquet", hint="x")


def test_in_a_bundle(tmp_path: Path) -> None:
    bundle = pack(tmp_path / "b.zip", {"data/t-0.parquet": hugging_face(tmp_path / "0").read_bytes()}, "zip")
    workspace = dataset(tmp_path, {"b.zip": bundle.read_bytes()}, {"files": "b.zip/data/t-*.parquet/*"})
    taken: dict[str, bytes] = {}
    stream(workspace, "b.zip/data/t-*.parquet/*", lambda file, data: taken.update({file.path: data}))
    assert taken == {f"b.zip/data/t-0.parquet/{name}": data for name, data in FILES.items()}
