"""Read the fields of a training set: from a column of its table, the folder or the file's name."""

import re
from pathlib import PurePosixPath

import polars as pl

from kagglekit.config import FieldOf, FromName, TrainSet
from kagglekit.config.data import FOLDER
from kagglekit.data.labels import each, require
from kagglekit.errors import ConfigError

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def field(spec: FieldOf | None, path: str) -> str | None:
    """Return a field that the path itself has: the folder's name, or a part of the file's name."""
    if isinstance(spec, FromName):
        return spec(PurePosixPath(path).name)
    return PurePosixPath(path).parent.name if spec == FOLDER else None


def field_values(
    spec: FieldOf | None, table: pl.DataFrame, paths: list[str], train: TrainSet, key: str
) -> list[str | None]:
    if isinstance(spec, FromName) or spec in (None, FOLDER):
        return [field(spec, path) for path in paths]
    return list(require(table, str(spec), train, key).to_list())


def numbers(table: pl.DataFrame, spec: float | str | None, train: TrainSet, rows: int) -> list[float | None]:
    if not isinstance(spec, str):
        return [spec] * rows
    return each(require(table, spec, train, "number"), lambda cell: float(cell) if cell else None, train)


def seconds(cell: str | None) -> float | None:
    """Return a time in seconds: `12.5`, `1:02` or `0:01:02.5`.

    Raises:
        ValueError: it is neither.
    """
    if cell is None:
        return None
    if clock := _CLOCK.fullmatch(cell):
        hours, minutes, rest = clock.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
    value = float(cell)
    if not 0 <= value < 1e6:
        raise ValueError(f"{cell} is not a time in seconds")
    return value


def times(table: pl.DataFrame, train: TrainSet, rows: int) -> tuple[list[float | None], list[float | None]]:
    """Return start and end of each row in seconds; None for whole recordings."""
    if train.start is None and train.end is None:
        return [None] * rows, [None] * rows
    read = {
        key: each(require(table, column, train, key), seconds, train)
        for key, column in (("start", train.start), ("end", train.end))
        if column is not None
    }
    length = train.length or 0.0
    start = read.get("start") or [None if end is None else max(end - length, 0.0) for end in read["end"]]
    end = read.get("end") or [None if begin is None else begin + length for begin in read["start"]]
    for row, (first, last) in enumerate(zip(start, end, strict=True), 1):
        if first is not None and last is not None and first >= last:
            raise ConfigError(
                f"{train.table}: row {row:,} starts at {first:g} s and ends at {last:g} s",
                hint="correct the table, or data.train's start and end",
            )
    return start, end
