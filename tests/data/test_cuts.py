"""Clips of recordings: annotated parts, whole files, windows, and the rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support.dataset import dataset, wav

from kagglekit.config import Audio
from kagglekit.data.cuts import Cut, clip_ids, part_of, segment, train_cutter, with_clip_ids
from kagglekit.data.cuts import test_cutter as make_test_cutter
from kagglekit.errors import ConfigError, KagglekitError

AUDIO = Audio(sample_rate=1000, seconds=0.1)
PCM = np.arange(1, 1001, dtype=np.int16)
TRAIN = {"files": "train/*/*.wav"}
TEST = {"test/t0.wav": wav(0), "test/t1.wav": wav(1)}


@pytest.mark.parametrize(
    ("paths", "depth", "ids"),
    [
        (["a/x/1.wav", "a/y/2.wav"], 1, ["1.wav", "2.wav"]),
        (["a/x/1.wav", "a/y/2.wav"], 2, ["x/1.wav", "y/2.wav"]),
        (["a/x/1.wav", "a/y/1.wav"], 1, ["x/1.wav", "y/1.wav"]),
        (["a/x/1.wav", "b/x/1.wav", "b/x/1.wav"], 1, ["a/x/1.wav", "b/x/1.wav", "b/x/1.wav"]),
        (["1.wav", "x/1.wav"], 1, ["1.wav", "x/1.wav"]),
        ([], 1, []),
    ],
)
def test_clip_ids(paths: list[str], depth: int, ids: list[str]) -> None:
    assert clip_ids(paths, depth) == ids


def test_part_of() -> None:
    assert [part_of(*times) for times in ((None, None), (1.5, 3.0), (1234.567, 1239.567))] == [
        *("", "#1.5-3", "#1234.567-1239.567")
    ]


def test_annotations_get_ids_and_groups() -> None:
    rows = [("a/x.wav", 0.0, 5.0, None), ("a/x.wav", 5.0, 10.0, "site"), ("b/y.wav", None, None, None)]
    table = pl.DataFrame(rows, ["path", "start", "end", "group"], orient="row")
    table = with_clip_ids(table)
    assert table.select("clip_id", "group").rows() == [
        ("a/x.wav#0-5", "a/x.wav"),
        ("a/x.wav#5-10", "site"),
        ("b/y.wav", None),
    ]
    cutter = train_cutter(table)
    assert cutter("a/x.wav", 10.0) == [Cut("a/x.wav#0-5", 0.0, 5.0), Cut("a/x.wav#5-10", 5.0, 10.0)]
    assert (cutter("b/y.wav", 1.0), cutter("gone.wav", 1.0)) == ([Cut("b/y.wav")], [])


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (None, None, 1, 1000),
        (0.2, 0.3, 201, 300),
        (0.2, 0.5, 201, 500),  # longer than a clip: kept whole
        (0.20, 0.22, 161, 260),  # shorter: with 40 ms of its surroundings on each side
        (0.95, 1.2, 951, 1000),
    ],
)
def test_segment(start: float | None, end: float | None, first: int, last: int) -> None:
    part = segment(PCM, Cut("x", start, end), AUDIO)
    np.testing.assert_array_equal(part, np.arange(first, last + 1))


def test_segments_at_and_after_the_edges() -> None:
    begin = segment(PCM, Cut("x", 0.0, 0.02), AUDIO)
    np.testing.assert_array_equal(begin, [*[0] * 40, *range(1, 61)])
    for start in (1.0, 5.0):
        assert len(segment(PCM, Cut("x", start, start + 0.1), AUDIO)) == 0


def cuts(
    tmp_path: Path, files: dict[str, Any], seconds: float = 1.0, **sections: Any
) -> dict[str, list[Cut]]:
    """Path to the clips of a test recording."""
    workspace = dataset(tmp_path, {**TEST, **files}, TRAIN, **sections)
    listed, cutter = make_test_cutter(workspace)
    return {file.path: list(cutter(file.path, seconds)) for file in listed}


def test_rows_are_whole_recordings(tmp_path: Path) -> None:
    assert cuts(tmp_path, {}) == {"test/t0.wav": [Cut("t0.wav")], "test/t1.wav": [Cut("t1.wav")]}
    named = cuts(tmp_path, {}, rows={"id": "{folder}-{stem}"})
    assert named["test/t0.wav"] == [Cut("test-t0")]


@pytest.mark.parametrize(
    ("seconds", "count"), [(10.0, 2), (10.4, 2), (10.6, 3), (0.2, 1), (0.0, 1), (5.0, 1)]
)
def test_rows_are_windows(seconds: float, count: int, tmp_path: Path) -> None:
    rows = {"every": 5, "id": "{stem}_{end}"}
    expected = [Cut(f"t0_{5 * i + 5}", 5.0 * i, 5.0 * i + 5) for i in range(count)]
    assert cuts(tmp_path, {}, seconds, rows=rows)["test/t0.wav"] == expected


def test_parts_of_an_id(tmp_path: Path) -> None:
    rows = {"every": 2.5, "id": "{name}:{folder}:{number}:{start}-{end}"}
    ids = [cut.clip_id for cut in cuts(tmp_path, {}, 5.0, rows=rows)["test/t1.wav"]]
    assert ids == ["t1.wav:test:0:0-2.5", "t1.wav:test:1:2.5-5"]


ROWS = {
    "table": "rows.csv",
    "id_column": "row_id",
    "file": "audio_id",
    "end": "seconds",
    "every": 5,
    "id": "{stem}_{end}",
}


def test_rows_of_a_table(tmp_path: Path) -> None:
    table = "row_id,audio_id,seconds\nr2,t0,10\nr1,t0,5\nr3,t1,\n"
    assert cuts(tmp_path, {"rows.csv": table}, rows=ROWS) == {
        "test/t0.wav": [Cut("r1", 0.0, 5.0), Cut("r2", 5.0, 10.0)],
        "test/t1.wav": [Cut("r3")],
    }


def test_a_table_says_which_recordings_are_the_test(tmp_path: Path) -> None:
    data = {"test": {"files": "test/*.wav", "table": "folds.txt", "file": "rec_id", "where": {"fold": 1}}}
    files = {"folds.txt": "rec_id,fold\nt0,0\nt1,1\n"}
    assert cuts(tmp_path, files, data=data) == {"test/t1.wav": [Cut("t1.wav")]}
    data = {"test": {"files": "test/*.wav", "table": "parts.csv", "file": "id", "split": "part"}}
    files = {"parts.csv": "id,part\nt0,train\nt1,Test\n", "rows.csv": "row_id,audio_id,seconds\nr1,t1,5\n"}
    assert cuts(tmp_path, files, data=data) == {"test/t1.wav": [Cut("t1.wav")]}
    assert cuts(tmp_path, files, data=data, rows=ROWS) == {"test/t1.wav": [Cut("r1", 0.0, 5.0)]}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("row_id,audio_id,seconds\nr1,gone,5\n", "rows: no row of 'rows.csv' means one of 2 files"),
        ("row_id,audio_id,end\nr1,t0,5\n", "no column 'seconds'"),
        ("id,audio_id,seconds\nr1,t0,5\n", "no column 'row_id'"),
        ("row_id,audio,seconds\nr1,t0,5\n", "no column 'audio_id'"),
        (
            "row_id,audio_id,seconds\nr1,t0,late\n",
            "column 'seconds': 'late' is no number",
        ),
        ("row_id,audio_id,seconds\n,t0,5\n", "a row without an id"),
        (
            "row_id,audio_id,seconds\nr1,t0,5\nr2,t0,\n",
            "no seconds for the row 'r2', and other rows of test/t0.wav",
        ),
        ("row_id,audio_id,seconds\nr1,t0,0\nr2,t0,5\n", "a row ends at 0 s; are these the rows' starts?"),
    ],
)
def test_wrong_tables_of_rows(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        cuts(tmp_path, {"rows.csv": table}, rows=ROWS)
    assert caught.value.hint


def test_no_test_recording(tmp_path: Path) -> None:
    with pytest.raises(KagglekitError, match="no file matches 'test/"):
        cuts(tmp_path, {}, data={"test": {"files": "test/*.flac"}})
