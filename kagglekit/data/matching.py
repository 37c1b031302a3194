"""Match the rows of a table with the files that they mean."""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import polars as pl

from kagglekit.config import FromName, Recordings, TrainSet
from kagglekit.config.data import FOLDER, Join
from kagglekit.data.fields import field, in_split
from kagglekit.data.labels import require
from kagglekit.errors import ConfigError, plural
from kagglekit.files import ids, tables
from kagglekit.files.lookup import File
from kagglekit.files.resolve import read_file, read_tables
from kagglekit.files.workspace import Workspace
from kagglekit.terminal import console


class MatchedRows(NamedTuple):
    """The rows of a table and the files that they mean."""

    table: pl.DataFrame
    path: list[str]
    """(rows,), the file of each row."""


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
        named = _joined(workspace, recordings.by_way_of, named, root, key)
    names = list(paths)
    if recordings.file_pattern is not None:
        names = [recordings.file_pattern(path) or "" for path in paths]
        _check_distinct(names, paths, set(named), recordings, key)
    as_numbers = all(ids.number(name) for name in named.drop_nulls().unique())
    matched = ids.match(named, names, str(recordings.table), numbers=as_numbers)
    taken = set(matched.path_of.values())
    unread = [path for place, path in enumerate(paths) if place not in taken]
    _report(recordings, key, matched.unmatched_ids, unread, len(paths))
    if nameless := named.null_count():
        console.note(f"{recordings.table}: {plural(nameless, 'row')} without a file's name or id")
    place = [matched.path_of.get(name or "") for name in named]
    kept = table.filter(pl.Series([p is not None for p in place], dtype=pl.Boolean))
    files = [paths[p] for p in place if p is not None]
    if recordings.split is not None:
        chosen = in_split(_split_values(recordings, kept, files, key), key, recordings.split)
        kept = kept.filter(pl.Series(chosen, dtype=pl.Boolean))
        files = list(compress(files, chosen))
    return MatchedRows(kept, files)


def files_of(recordings: Recordings, paths: list[str], key: str) -> list[str]:
    """Return the files that the split of recordings without a table chooses.

    Raises:
        ConfigError: it chooses none, or says neither train nor test of one.
    """
    if recordings.split is None:
        return paths
    values = _split_values(recordings, pl.DataFrame(), paths, key)
    return list(compress(paths, in_split(values, key, recordings.split)))


def _split_values(
    recordings: Recordings, table: pl.DataFrame, paths: list[str], key: str
) -> list[str | None]:
    spec = recordings.split
    if isinstance(spec, FromName) or spec == FOLDER:
        return [field(spec, path) for path in paths]
    return _column(table, str(spec), recordings, key).to_list()


def _read(workspace: Workspace, recordings: Recordings, root: Path | None) -> pl.DataFrame:
    """Read the tables that `table` matches, joined in their order."""
    name = str(recordings.table)
    hint = "data.train and data.test name the tables"
    ragged = isinstance(recordings, TrainSet) and recordings.ragged
    parts: dict[str, tables.Table] = {}

    def add(file: File, data: bytes) -> None:
        parts[file.path] = tables.read_table(
            data, file.path, hint=hint, header=recordings.columns is None, columns=recordings.columns,
            ragged=ragged,
        )  # fmt: skip

    read_tables(workspace, name, add, root)
    first, *others = parts
    columns = parts[first].frame.columns
    for other in others:
        if (differing := parts[other].frame.columns) != columns:
            raise ConfigError(
                f"{other} has the columns {_shown(differing)}, and {first} has {_shown(columns)}",
                hint=f"tables that one pattern matches must have the same: narrow '{name}'",
            )
    notes = tuple(dict.fromkeys(note for part in parts.values() for note in part.notes))
    frame = pl.concat([part.frame for part in parts.values()])
    tables.say(name, tables.Table(frame, notes))
    return frame


def _shown(columns: Sequence[str]) -> str:
    return ", ".join(columns[:8]) + ", ..." * (len(columns) > 8)


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


def _joined(workspace: Workspace, join: Join, named: pl.Series, root: Path | None, key: str) -> pl.Series:
    """Return the file's name that a table gives for each id; null where it has none."""
    hint = f"by_way_of of {key} names it"
    data = read_file(workspace, join.table, root)
    other = tables.read_table(data, join.table, hint=hint, columns=[join.id, join.file]).frame
    twice = other.filter(pl.col(join.id).is_duplicated())[join.id].drop_nulls()
    if len(twice):
        raise ConfigError(f"{join.table}: the id {twice[0]!r} means several files", hint=hint)
    name_of = dict(zip(other[join.id], other[join.file], strict=True))
    return pl.Series(named.name, [name_of.get(name) for name in named], pl.String)


def _check_distinct(
    names: list[str], paths: Sequence[str], wanted: set[str], recordings: Recordings, key: str
) -> None:
    """Refuse a file_pattern that finds the same id in two files' names."""
    path_of: dict[str, str] = {}
    for name, path in zip(names, paths, strict=True):
        if name in wanted and name in path_of:
            raise ConfigError(
                f"{key}: the id {name!r} of {recordings.table!r} means two files: "
                f"{path_of[name]!r} and {path!r}",
                hint="correct file_pattern, or narrow files",
            )
        path_of[name] = path


def _report(recordings: Recordings, key: str, rows: list[str], unread: list[str], files: int) -> None:
    """Say once which rows mean no file, and which files no row means."""
    if len(unread) == files:
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
