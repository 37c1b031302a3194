"""Lists of clips: the data set's own, and clips to leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.dataset import dataset, wav

from kagglekit.data.clips import LEFT_OUT
from kagglekit.data.lists import leave_out, official_lists, read_clip_list
from kagglekit.errors import ConfigError, TableError

TRAIN = {"files": "a/*/*.wav"}
BOTH = {"validation_list": "v.txt", "testing_list": "t.txt"}


def lists(tmp_path: Path, files: dict[str, Any], keys: dict[str, Any] | None = None) -> dict[str, str] | None:
    return official_lists(dataset(tmp_path, {"a/x/1.wav": wav(0), **files}, TRAIN, data=keys or BOTH))


def test_official_lists(tmp_path: Path) -> None:
    files = {"v.txt": "yes/a.wav\nno/b.wav\n", "t.txt": "yes/c.wav\r\n"}
    assert lists(tmp_path, files) == {
        "yes/a.wav": "validation",
        "no/b.wav": "validation",
        "yes/c.wav": "testing",
    }


@pytest.mark.parametrize("files", [{}, {"v.txt": "", "t.txt": "\n\n"}])
def test_empty_and_absent_lists(files: dict[str, str], tmp_path: Path) -> None:
    assert lists(tmp_path, files) is None
    assert lists(tmp_path, {**files, "t.txt": "x/1.wav"}) == {"x/1.wav": "testing"}
    assert lists(tmp_path, {"v.txt": "x/1.wav"}, {"sample": "sample.csv"}) is None


def test_clip_lists(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("clip_id,why\nx/1.wav,noise\nx/1.wav,twice\n,none\n")
    assert read_clip_list(tmp_path / "c.csv") == {"x/1.wav"}
    with pytest.raises(ConfigError, match="does not exist") as caught:
        read_clip_list(tmp_path / "gone.csv")
    assert caught.value.hint
    (tmp_path / "d.csv").write_text("clip\nx\n")
    with pytest.raises(TableError, match="no column 'clip_id'"):
        read_clip_list(tmp_path / "d.csv")


CLIPS = pl.DataFrame(
    {"clip_id": ["a", "b", "a"], "split": ["train", "train", "test"], "fold": [0, 1, -1]},
    schema_overrides={"fold": pl.Int32},
)


def test_leave_out(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("clip_id\na\n")
    assert leave_out(CLIPS, path)["fold"].to_list() == [LEFT_OUT, 1, -1]
    path.write_text("clip_id\na\nz\n")
    with pytest.raises(
        ConfigError, match=r"'z' is not a training clip \(unknown ids in the list: 1 of 2\)"
    ) as caught:
        leave_out(CLIPS, path)
    assert caught.value.hint == "ids look like 'a', 'b'"
