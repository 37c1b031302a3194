"""Read what folders, file names and tables say of recordings, or of parts of them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import polars as pl

from kagglekit.config import FromName, Recordings, TrainSet
from kagglekit.config.data import FOLDER
from kagglekit.data.fields import field, field_values, numbers, times
from kagglekit.data.labels import each, label_lists, require, split_cell
from kagglekit.errors import ConfigError, plural
from kagglekit.files import ids, tables
from kagglekit.files.lookup import File
from kagglekit.files.resolve import list_files, read_file
from kagglekit.files.workspace import Workspace
from kagglekit.terminal import console

_LISTS = pl.List(pl.String)
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "path": pl.String,
    "start": pl.Float64,
    "end": pl.Float64,
    "present": _LISTS,
    "absent": _LISTS,
    "masked": _LISTS,
    "soft": _LISTS,
    "soft_target": pl.Float64,
    "unknown": pl.Boolean,
    "group": pl.String,
    "fold": pl.String,
    "weight": pl.Float64,
    "judged": pl.Boolean,
    "domain": pl.String,
    "external": pl.Boolean,
    "low": pl.Float64,
    "high": pl.Float64,
}
"""Columns of `Annotations.table`: a row for each annotated recording, or part of one (start and end in
seconds, else null). unknown: nothing is known of classes that the row does not name."""


class MatchedRows(NamedTuple):
    """The rows of a table and the files that they mean."""

    table: pl.DataFrame
    path: list[str]
    """(rows,), the file of each row."""


def read_train(workspace: Workspace, noise: Sequence[File] = ()) -> tuple[list[list[File]], pl.DataFrame]:
    """Return the files of each training set, and the annotations of all of them, of SCHEMA.

    Args:
        noise: recordings of data.noise, which are no training recordings.

    Raises:
        ConfigError: a table lacks a column, or its ids mean no file, or more than one.
        KagglekitError: as `list_files` and `read_file`.
    """
    skipped = {file.path for file in noise}
    sets, frames = [], []
    for train in workspace.config.data.train:
        files = list_files(workspace, train.files, train.external)
        files = [file for file in files if file.path not in skipped]
        sets.append(files)
        frame = _annotations(workspace, train, [file.path for file in files])
        frames.append(frame.with_columns(path=pl.lit(prefix(train.external)) + pl.col("path")))
    return sets, frames[0] if len(frames) == 1 else _merge(pl.concat(frames))


def prefix(external: Path | None) -> str:
    """Return what is put before the paths of a folder of your own, so that they differ from the host's."""
    return "" if external is None else f"{external}/"


def rows_of(workspace: Workspace, recordings: Recordings, paths: Sequence[str], key: str) -> MatchedRows:
    """Read a table, select its rows, and match them with files.

    Args:
        paths: the files that the rows may mean.
        key: data.train or data.test, for messages.

    Raises:
        ConfigError: a column is missing, or no row means a file.
    """
    assert recordings.table is not None and recordings.file is not None
    root = recordings.external if isinstance(recordings, TrainSet) else None
    table = _read(workspace, recordings, root)
    for column, value in recordings.where.items():
        table = table.filter(pl.Series(_equals(_column(table, column, recordings, key), value)))
    named = _column(table, recordings.file, recordings, key)
    if recordings.by_way_of is not None:
        join = recordings.by_way_of
        other = tables.read_table(read_file(workspace, join.table, root), join.table, hint=key).frame
        name_of = dict(zip(other[join.id], other[join.file], strict=True))
        named = pl.Series(named.name, [name_of.get(name) for name in named], pl.String)
    names = list(paths)
    if recordings.file_pattern is not None:
        names = [recordings.file_pattern(PurePosixPath(path).name) or "" for path in paths]
    as_numbers = all(ids.number(name) for name in named.drop_nulls().unique())
    matched = ids.match(named, names, str(recordings.table), numbers=as_numbers)
    _report(recordings, key, matched, len(names))
    place = [matched.path_of.get(name or "") for name in named]
    kept = table.filter(pl.Series([p is not None for p in place], dtype=pl.Boolean))
    return MatchedRows(kept, [paths[p] for p in place if p is not None])


def _read(workspace: Workspace, recordings: Recordings, root: object) -> pl.DataFrame:
    name = str(recordings.table)
    data = read_file(workspace, name, root)  # type: ignore[arg-type]
    ragged = isinstance(recordings, TrainSet) and recordings.ragged
    table = tables.read_table(
        data, name, hint="data.train and data.test name the tables", header=recordings.columns is None,
        columns=recordings.columns, ragged=ragged,
    )  # fmt: skip
    tables.say(name, table)
    return table.frame


def _column(table: pl.DataFrame, column: str, recordings: Recordings, key: str) -> pl.Series:
    if isinstance(recordings, TrainSet):
        return require(table, column, recordings, key)
    if column not in table.columns:
        raise ConfigError(
            f"{key}: {recordings.table!r} has no column {column!r}", hint=", ".join(table.columns[:12])
        )
    return table[column]


def _equals(column: pl.Series, value: object) -> list[bool]:
    """Compare cells with a value of the YAML: as text in any case, or as numbers."""
    text = str(value).lower()
    try:
        number: float | None = float(text)
    except ValueError:
        number = None

    def equal(cell: str | None) -> bool:
        if cell is None or cell.lower() == text:
            return cell is not None
        try:
            return number is not None and float(cell) == number
        except ValueError:
            return False

    return [equal(cell) for cell in column]


def _report(recordings: Recordings, key: str, matched: ids.IdMatch, files: int) -> None:
    """Say once how rows and files were matched, and count those of neither."""
    rows, unread = matched.unmatched_ids, matched.unmatched_paths
    if not matched.path_of:
        some = f" ({ids.describe(rows)})" if rows else ""
        raise ConfigError(
            f"{key}: no row of {recordings.table!r} means one of {plural(files, 'file')}{some}",
            hint=f"files look like {ids.describe(unread)}; check file '{recordings.file}' and file_pattern",
        )
    if rows:
        console.note(f"{recordings.table}: {plural(len(rows), 'id')} without a file: {ids.describe(rows)}")
    if unread and not recordings.where:
        console.note(
            f"{recordings.files}: {plural(len(unread), 'file')} without a row: {ids.describe(unread)}"
        )


def _annotations(workspace: Workspace, train: TrainSet, paths: list[str]) -> pl.DataFrame:
    if train.table is None:
        present = [[label] if (label := field(train.label, path)) else [] for path in paths]
        return _frame(train, pl.DataFrame(), paths, present)
    table, path = rows_of(workspace, train, paths, "data.train")
    if isinstance(train.label, FromName) or train.label == FOLDER:
        present = [[label] if (label := field(train.label, one)) else [] for one in path]
    else:
        others = [
            train.file,
            train.start,
            train.end,
            train.low,
            train.high,
            train.group,
            train.fold,
            train.weight,
        ]
        present = label_lists(table, train, [name for name in others if isinstance(name, str)])
    if train.hidden is not None:
        keep = [train.hidden not in labels for labels in present]
        table = table.filter(pl.Series(keep, dtype=pl.Boolean))
        path = [one for one, kept in zip(path, keep, strict=True) if kept]
        present = [one for one, kept in zip(present, keep, strict=True) if kept]
    return _merge(_frame(train, table, path, present))


def _frame(train: TrainSet, table: pl.DataFrame, path: list[str], present: list[list[str]]) -> pl.DataFrame:
    """Put the fields of a training set into a table of SCHEMA."""
    nothing: list[list[str]] = [[] for _ in path]
    second = train.secondary
    weaker = nothing
    if second is not None:
        cells = require(table, second.column, train, "secondary")
        weaker = each(cells, lambda cell: split_cell(cell, train.delimiter or " "), train)
        weaker = [
            [one for one in some if one not in main] for some, main in zip(weaker, present, strict=True)
        ]
    kind = second.as_ if second is not None else None
    if kind == "positive":
        present = [main + some for main, some in zip(present, weaker, strict=True)]
    start, end = times(table, train, len(path))
    columns = {
        "path": path,
        "start": start,
        "end": end,
        "present": present if train.positive else nothing,
        "absent": nothing if train.positive else present,
        "masked": weaker if kind == "masked" else nothing,
        "soft": weaker if kind == "soft" else nothing,
        "soft_target": [second.target if second is not None else 0.5] * len(path),
        "unknown": [train.unnamed == "unknown"] * len(path),
        "group": field_values(train.group, table, path, train, "group"),
        "fold": field_values(train.fold, table, path, train, "fold"),
        "weight": numbers(table, train.weight, train, len(path)),
        "judged": [train.judged] * len(path),
        "domain": [train.domain] * len(path),
        "external": [train.external is not None] * len(path),
        "low": numbers(table, train.low, train, len(path)),
        "high": numbers(table, train.high, train, len(path)),
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def _merge(annotations: pl.DataFrame) -> pl.DataFrame:
    """Join rows of the same part of the same recording: labels are united, and what is unsure stays so."""
    part = ["path", "start", "end"]
    if not annotations.select(part).is_duplicated().any():
        return annotations
    united = [
        pl.col(name).explode().drop_nulls().unique(maintain_order=True)
        for name in ("present", "absent", "masked", "soft")
    ]
    others = ["soft_target", "group", "fold", "weight", "domain", "low", "high"]
    return (
        annotations.group_by(part, maintain_order=True)
        .agg(
            *united,
            pl.col("unknown").any(),
            pl.col("judged").any(),
            pl.col("external").all(),
            *(pl.col(n).drop_nulls().first() for n in others),
        )
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )
