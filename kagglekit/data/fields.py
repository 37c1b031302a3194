"""Read the fields of a training set: from a column of its table, the folder or the file's name."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import polars as pl

from kagglekit.config import FieldOf, FromName, TrainSet
from kagglekit.config.data import FOLDER
from kagglekit.data.labels import each, require
from kagglekit.errors import ConfigError, plural
from kagglekit.files.ids import NUMBER, describe
from kagglekit.scoring.label_cells import is_empty
from kagglekit.terminal import console

TRAIN_WORDS = frozenset(("train", "training", "dev", "development", "val", "valid", "validation"))
TEST_WORDS = frozenset(("test", "testing", "eval", "evaluation"))
"""Values of data.train.split and data.test.split."""
LARGEST = 1e9  # of a number in a table; sums of larger weights overflow in float32
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def field(spec: FieldOf | None, path: str) -> str | None:
    """Return a field that the path itself has: the folder's name, or a part of the file's name."""
    if isinstance(spec, FromName):
        return spec(path)
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


def in_split(words: Sequence[str | None], key: str, spec: FieldOf) -> list[bool]:
    """Tell which rows belong to data.test, or else to data.train, by what a field says of them.

    Args:
        words: the field's value for each row; an empty one belongs to neither.
        key: data.train or data.test.
        spec: the field, for messages.

    Raises:
        ConfigError: a value says neither train nor test, or none says what is wanted.
    """
    lower = [(word or "").strip().lower() for word in words]
    shown = spec.expression if isinstance(spec, FromName) else spec
    if odd := sorted(set(lower) - TRAIN_WORDS - TEST_WORDS - {""}):
        known = ", ".join(sorted(TRAIN_WORDS | TEST_WORDS))
        is_column = isinstance(spec, str) and spec != FOLDER
        remedy = f"write where: {{{spec}: {odd[0]}}}" if is_column else "narrow files"
        raise ConfigError(
            f"{key}: split {shown!r} has the value {odd[0]!r}, which says neither train nor test",
            hint=f"known are {known}; for others {remedy}",
        )
    wanted = TEST_WORDS if key == "data.test" else TRAIN_WORDS
    chosen = [word in wanted for word in lower]
    if not any(chosen):
        raise ConfigError(
            f"{key}: split {shown!r} says {key.removeprefix('data.')} of nothing",
            hint=f"it says {', '.join(sorted(set(filter(None, lower)))) or 'nothing at all'}",
        )
    return chosen


def _report_unnamed(spec: FromName, values: list[str | None], paths: list[str], key: str) -> None:
    """Count and name the files in whose names an expression finds nothing.

    Raises:
        ConfigError: it finds nothing in any, and is no group, without which each recording is one.
    """
    without = [path for path, value in zip(paths, values, strict=True) if not value]
    if not without:
        return
    where = "path" if spec.path else "file name"
    if len(without) == len(paths) and key != "group":
        raise ConfigError(
            f"data.train: the {key} {spec.expression!r} matches no {where}; files look like "
            f"{describe(without)}",
            hint="correct the regular expression; it is searched in the "
            + ("path with its folders" if spec.path else "name without folders"),
        )
    console.note(f"{plural(len(without), where)} without a {key} ({spec.expression}): {describe(without)}")


def fold_name(cell: str | None) -> str | None:
    """Return one name for a given fold, 0 for 0.0, as pandas writes it beside empty cells; None for NaN."""
    if cell is None or is_empty(cell):
        return None
    return str(int(cell.partition(".")[0])) if NUMBER.fullmatch(cell) else cell


def numbers(table: pl.DataFrame, spec: float | str | None, train: TrainSet, rows: int) -> list[float | None]:
    """Return the numbers of a column, or the same number for each row.

    Raises:
        ConfigError: a cell is no number.
    """
    if not isinstance(spec, str):
        return [spec] * rows

    def number(cell: str | None) -> float | None:
        return None if cell is None or is_empty(cell) else _number(cell, -LARGEST)

    return each(require(table, spec, train, "number"), number, train)


def _number(cell: str | None, least: float) -> float:
    value = _float(cell or "nan")
    if not least <= value <= LARGEST:
        raise ValueError(f"{cell} is no number from {least:g} to {LARGEST:g}")
    return value


def weights(table: pl.DataFrame, train: TrainSet, paths: list[str]) -> list[float]:
    """Return the weight of each row: the same, or what a field says.

    Raises:
        ConfigError: a cell, or a part of a name, is no number from 0, or all are 0.
    """
    spec = train.weight
    if not isinstance(spec, str | FromName):
        return [spec] * len(paths)
    name = spec.expression if isinstance(spec, FromName) else spec
    cells = pl.Series(name, field_values(spec, table, paths, train, "weight"), pl.String)
    values = each(cells, lambda cell: _number(cell, 0.0), train)
    if values and not any(values):
        raise ConfigError(
            f"{train.table or train.files}: each weight by '{name}' is 0, and nothing is trained on",
            hint="check weight in data.train",
        )
    return values


def _float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        remedy = "; write a point instead of the comma" if "," in cell else ""
        raise ValueError(f"'{cell[:40]}' is no number{remedy}") from None


def seconds(cell: str | None) -> float | None:
    """Return a time in seconds: `12.5`, `1:02`, `90:00` or `0:01:02.5`.

    Raises:
        ValueError: it is neither.
    """
    if cell is None or is_empty(cell):
        return None
    if clock := _CLOCK.fullmatch(cell):
        hours, minutes, rest = clock.groups()
        if float(rest) >= 60 or (hours is not None and int(minutes) >= 60):
            raise ValueError(f"{cell} is not a time: behind a colon, minutes and seconds are less than 60")
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
    value = _float(cell)
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
