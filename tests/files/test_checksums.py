"""Every damage to a file that carries a checksum is noticed, and no undamaged file is refused."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from kagglekit.errors import DamagedCacheError, MissingError
from kagglekit.files import parquet
from kagglekit.files.atomic import MARKER, building, done_key, read_json, write_json
from kagglekit.files.blocks import CheckedFile
from kagglekit.files.checksums import BLOCK, KEY, home_of
from kagglekit.terminal import console
from kagglekit.training import checkpoint

TABLE = pl.DataFrame({"clip_id": ["a", "b", "c"], "logits": [[0.5, 1.0], [2.0, 3.0], [4.0, -1.0]]})
DATA = {"name": "ü", "score": 0.1 + 0.2, "epochs": [{"loss": 1e-9, "cv": None}], "nan": float("nan")}
TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor(3),
    "c": torch.ones(2, dtype=torch.bfloat16),
}


def write_tensors(path: Path) -> None:
    checkpoint.save(path, TENSORS, {"history": [1, 2]})


def read_known(path: Path) -> str:
    """Read JSON without keys that a newer version may add: a flipped bit can make the checksum one."""
    data = read_json(path, bound=True)
    return repr({name: data[name] for name in DATA})


Write = Callable[[Path], None]
Read = Callable[[Path], object]
KINDS: dict[str, tuple[Write, Read]] = {
    "json": (lambda path: write_json(path, DATA, bound=True), read_known),
    "parquet": (
        lambda path: parquet.write(TABLE, path, bound=True),
        lambda path: parquet.read(path, "make it again", bound=True).rows(),
    ),
    "safetensors": (write_tensors, lambda path: repr(sorted(checkpoint.load(path)[0].items()))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_bit_is_noticed_or_changes_nothing(kind: str, tmp_path: Path) -> None:
    write, read = KINDS[kind]
    path = tmp_path / "file"
    write(path)
    whole, expected = path.read_bytes(), read(path)
    noticed = 0
    for at in random.Random(0).sample(range(8 * len(whole)), min(8 * len(whole), 400)):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            assert read(path) == expected, f"bit {at}"
        except (MissingError, ValueError):
            noticed += 1
    assert noticed > 100


@pytest.mark.parametrize("kind", KINDS)
def test_other_damage_is_noticed(kind: str, tmp_path: Path) -> None:
    write, read = KINDS[kind]
    path = tmp_path / "file"
    write(path)
    whole = path.read_bytes().rstrip(b"\n")
    for damaged in (
        b"",
        whole[:-1],
        whole[: len(whole) // 2],
        bytes(len(whole)),
        whole + b"x",
        whole + whole,
    ):
        path.write_bytes(damaged)
        with pytest.raises((MissingError, ValueError)):
            read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_belongs_to_its_run_and_fold(kind: str, tmp_path: Path) -> None:
    write, read = KINDS[kind]
    path = tmp_path / "runs/gru/abc/fold_0/file"
    path.parent.mkdir(parents=True)
    write(path)
    for place in ("abc/fold_1/file", "abd/fold_0/file", "abc/fold_0/other"):
        other = tmp_path / "runs/gru" / place
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(path.read_bytes())
        with pytest.raises((MissingError, ValueError), match="checksum"):
            read(other)
    moved = (tmp_path / "runs").rename(tmp_path / "moved")
    assert read(moved / "gru/abc/fold_0/file")


def test_homes() -> None:
    assert home_of(Path("w/runs/gru/abc/fold_0/oof.parquet")) == "abc/fold_0/oof.parquet"
    assert home_of(Path("w/runs/gru/abc/oof.parquet")) == "abc/oof.parquet"


def test_files_of_earlier_versions_are_read(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "table")
    assert parquet.read(tmp_path / "table", "", bound=True).equals(TABLE)
    (tmp_path / "json").write_text('{"a": 1}')
    assert read_json(tmp_path / "json", bound=True) == {"a": 1}
    (tmp_path / "deep").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested"):
        read_json(tmp_path / "deep")


def test_others_read_our_parquet(tmp_path: Path) -> None:
    parquet.write(TABLE, tmp_path / "table")
    assert pl.read_parquet(tmp_path / "table").equals(TABLE)
    assert pl.scan_parquet(tmp_path / "table").select("logits").collect().height == 3
    assert pq.read_table(io.BytesIO((tmp_path / "table").read_bytes())).num_rows == 3


# --- large files ---


@pytest.fixture
def large(tmp_path: Path) -> Path:
    with building(tmp_path / "made", "key") as folder:
        assert folder is not None
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_bytes(np.random.default_rng(0).bytes(3 * BLOCK + 5))
    return tmp_path / "made" / "sub" / "file"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_only_what_is_read_is_checked(large: Path) -> None:
    flip(large, 2 * BLOCK)
    file = CheckedFile(large)
    file.check(0, 2 * BLOCK)
    file.check_rows(np.array([3 * BLOCK, 5]), 5)
    with pytest.raises(DamagedCacheError, match="2,097,152"):
        file.check_rows(np.array([2 * BLOCK - 1]), 2)
    assert done_key(large.parent.parent) is None  # so that it is made again
    with pytest.raises(DamagedCacheError, match="2,097,152"):
        CheckedFile(large)  # whoever opens it before


def test_a_block_is_checked_once(large: Path) -> None:
    file = CheckedFile(large)
    assert not file.is_checked
    file.check()
    assert file.is_checked


def test_rows_that_span_blocks(large: Path) -> None:
    flip(large, BLOCK + 7)
    with pytest.raises(DamagedCacheError):
        CheckedFile(large).check_rows(np.array([0]), 3 * BLOCK)


@pytest.mark.parametrize("size", [0, 3 * BLOCK, 3 * BLOCK + 6])
def test_another_length(size: int, large: Path) -> None:
    large.write_bytes((large.read_bytes() + b"x")[:size])
    with pytest.raises(DamagedCacheError, match=f"it has {size:,} bytes, and was written with 3,145,733"):
        CheckedFile(large)


def test_folders_of_earlier_versions_are_taken_in_once(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = large.parent.parent / MARKER
    marker.write_text('{"key": "key"}')
    console.configure()
    CheckedFile(large).check()
    assert "checksums are taken now" in capsys.readouterr().err
    assert len(read_json(marker)["files"]["sub/file"][KEY]) == 16 * 4
    CheckedFile(large)
    assert not capsys.readouterr().err
    flip(large, 9)
    with pytest.raises(DamagedCacheError):
        CheckedFile(large).check()


def test_a_damaged_marker(large: Path) -> None:
    marker = large.parent.parent / MARKER
    flip(marker, marker.read_bytes().index(b"sub") + 1)
    with pytest.raises(DamagedCacheError, match=r"done\.json"):
        CheckedFile(large)


def test_a_file_without_a_folder_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert CheckedFile(tmp_path / "file").is_checked
