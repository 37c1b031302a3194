"""Fields of a training set, and times in its cells."""

from __future__ import annotations

import polars as pl
import pytest

from kagglekit.config import FromName, TrainSet
from kagglekit.data.fields import (
    field,
    field_values,
    fold_name,
    in_split,
    numbers,
    seconds,
    times,
    weights,
)
from kagglekit.errors import ConfigError

TRAIN = TrainSet(files="*.wav", table="t.csv", file="id")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *((None, None), ("0", 0.0), ("12.5", 12.5), ("1e2", 100.0), ("1:02", 62.0), ("0:01:02.5", 62.5)),
        *(("10:00:00", 36_000.0), ("100:05", 6005.0), ("1:59:59.9", 7199.9), ("00:00:05.123", 5.123)),
    ],
)
def test_seconds(cell: str | None, expected: float | None) -> None:
    assert seconds(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "a",
        "1:2:3:4",
        "-1",
        "inf",
        "1e6",
        "1:",
        ":5",
        "1:-5",
        "1:99:99",
        "0:60",
        "1:60:00",
        "2020-01-01",
    ],
)
def test_no_time(cell: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        seconds(cell)


@pytest.mark.parametrize(
    ("spec", "path", "value"),
    [
        ("folder", "train.7z/audio/dog/a.wav", "dog"),
        ("folder", "a.wav", ""),
        (FromName(name=r"^(.+?)_nohash_"), "folder_nohash_/ann_nohash_0.wav", "ann"),
        (FromName(name=r"^(.+?)_nohash_"), "dog/a.wav", None),
        (FromName(name=r"_(\d+)\.wav$"), "b/x_07.wav", "07"),
        (FromName(name=r"(a)(b)?"), "ab.wav", "a"),
        (FromName(path=r"^train/([^/]+)/"), "train/dog/day_2/a.wav", "dog"),
        (FromName(path=r"^train/([^/]+)/"), "test/dog/a.wav", None),
        ("column", "dog/a.wav", None),
        (None, "dog/a.wav", None),
    ],
)
def test_a_field_of_the_path(spec: str | FromName | None, path: str, value: str | None) -> None:
    assert field(spec, path) == value


def test_field_values() -> None:
    table = pl.DataFrame({"id": ["a", "b"], "who": ["ann", None]})
    paths = ["x/a.wav", "y/b.wav"]
    assert field_values("who", table, paths, TRAIN, "group") == ["ann", None]
    assert field_values("folder", table, paths, TRAIN, "group") == ["x", "y"]
    assert field_values(FromName(name="(.)"), table, paths, TRAIN, "group") == ["a", "b"]
    assert field_values(None, table, paths, TRAIN, "group") == [None, None]
    with pytest.raises(ConfigError, match=r"no column 'whom' \(group\)") as caught:
        field_values("whom", table, paths, TRAIN, "group")
    assert "who" in str(caught.value.hint)


def test_numbers() -> None:
    table = pl.DataFrame({"n": ["1", "2.5", None]})
    assert numbers(table, "n", TRAIN, 3) == [1.0, 2.5, None]
    assert numbers(table, 0.3, TRAIN, 3) == [0.3, 0.3, 0.3]
    assert numbers(table, None, TRAIN, 3) == [None, None, None]
    with pytest.raises(ConfigError, match="column 'x' has the cell '1e10': 1e10 is no number from -1e"):
        numbers(pl.DataFrame({"x": ["1e10"]}), "x", TRAIN, 1)


def test_weights() -> None:
    paths = ["0.5/a_2.wav", "1/b_4.wav"]
    expected = {0.3: [0.3, 0.3], "w": [1.0, 0.0], "folder": [0.5, 1.0]}
    table = pl.DataFrame({"w": ["1", "0"]})
    for spec, values in expected.items():
        assert weights(table, TRAIN.model_copy(update={"weight": spec}), paths) == values
    by_name = FromName(name=r"_(\d)")
    assert weights(table, TRAIN.model_copy(update={"weight": by_name}), paths) == [2.0, 4.0]


def test_a_split() -> None:
    words = ["train", "Test", "val", None, "EVAL"]
    assert in_split(words, "data.train", "part") == [True, False, True, False, False]
    assert in_split(words, "data.test", "part") == [False, True, False, False, True]
    with pytest.raises(ConfigError, match="'part' has the value '1', which says neither") as caught:
        in_split(["train", "1"], "data.test", "part")
    assert "where: {part: 1}" in str(caught.value.hint)
    for spec, shown in ((FromName(name=r"_(\w+)"), r"'_\(\\\\w\+\)'"), ("folder", "'folder'")):
        with pytest.raises(ConfigError, match=f"split {shown} has the value '1'") as caught:
            in_split(["train", "1"], "data.test", spec)
        assert str(caught.value.hint).endswith("for others narrow files")
    with pytest.raises(ConfigError, match="'part' says test of nothing"):
        in_split(["train", None], "data.test", "part")


def test_times_of_whole_recordings() -> None:
    assert times(pl.DataFrame(), TRAIN, 2) == ([None, None], [None, None])
    both = TRAIN.model_copy(update={"start": "s", "end": "e"})
    table = pl.DataFrame({"s": ["1", None], "e": ["0:02", None]})
    assert times(table, both, 2) == ([1.0, None], [2.0, None])  # a label of the whole recording
    half = TRAIN.model_copy(update={"end": "e", "length": 5.0})
    assert times(table, half, 2) == ([0.0, None], [2.0, None])


def test_a_fold_has_one_name() -> None:
    cells = ["1", "1.0", "01", "a", "-1", "1.5", "NaN", None]
    assert list(map(fold_name, cells)) == ["1", "1", "1", "a", "-1", "1.5", None, None]


@pytest.mark.parametrize("cell", [None, "", "NA", "n/a", "NaN", "null", "None", "<NA>", "-"])
def test_an_empty_cell_in_every_spelling(cell: str | None) -> None:
    assert seconds(cell) is None and fold_name(cell) is None
