"""Read the fields of a training set: from a column of its table, the folder or the file's name."""

import re
from pathlib import PurePosixPath

import polars as pl

from kagglekit.config import FieldOf, FromName, TrainSet
from kagglekit.config.data import FOLDER
from kagglekit.data.labels import each, require
from kagglekit.errors import ConfigError, plural
from kagglekit.files.ids import NUMBER, describe
from kagglekit.terminal import console

LARGEST = 1e9  # of a number in a table; sums of larger weights overflow in float32
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
        values = [field(spec, path) for path in paths]
        if isinstance(spec, FromName):
            _report_unnamed(spec, values, paths, key)
        return values
    return list(require(table, str(spec), train, key).to_list())


def _report_unnamed(spec: FromName, values: list[str | None], paths: list[str], key: str) -> None:
    """Count and name the files in whose names an expression finds nothing.

    Raises:
        ConfigError: it finds nothing in any, and is no group, without which each recording is one.
    """
    without = [path for path, value in zip(paths, values, strict=True) if not value]
    if not without:
        return
    if len(without) == len(paths) and key != "group":
        raise ConfigError(
            f"data.train: the {key} {spec.name!r} matches no file name; files look like {describe(without)}",
            hint="correct the regular expression; it is searched in the name without folders",
        )
    console.note(f"{plural(len(without), 'file name')} without a {key} ({spec.name}): {describe(without)}")


def fold_name(cell: str | None) -> str | None:
    """Return one name for a given fold, 0 for 0.0, as pandas writes it beside empty cells; None for NaN."""
    if cell is None or cell.lower() == "nan":
        return None
    return str(int(cell.partition(".")[0])) if NUMBER.fullmatch(cell) else cell


def numbers(
    table: pl.DataFrame, spec: float | str | None, train: TrainSet, rows: int, least: float | None = None
) -> list[float | None]:
    """Return the numbers of a column, or the same number for each row.

    Args:
        least: the smallest number allowed; with it, a cell may not be empty.

    Raises:
        ConfigError: a cell is no such number.
    """
    if not isinstance(spec, str):
        return [spec] * rows

    def number(cell: str | None) -> float | None:
        if cell is None and least is None:
            return None
        value = float(cell or "nan")
        if not abs(value) <= LARGEST or (least is not None and value < least):
            start = -LARGEST if least is None else least
            raise ValueError(f"{cell} is no number from {start:g} to {LARGEST:g}")
        return value

    values = each(require(table, spec, train, "number"), number, train)
    if least == 0 and values and not any(values):
        raise ConfigError(
            f"{train.table}: each cell of the column '{spec}' is 0, and nothing is trained on",
            hint="check weight in data.train",
        )
    return values


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
    if lacking := sum((first is None) != (last is None) for first, last in zip(start, end, strict=True)):
        raise ConfigError(
            f"{train.table}: {plural(lacking, 'row')} with only one of start and end",
            hint="fill both cells, or neither for a label of the whole recording",
        )
    return start, end
