"""Read what folders, file names and tables say of recordings, or of parts of them."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from kagglekit.config import FromName, TrainSet
from kagglekit.config.data import FOLDER
from kagglekit.data.fields import field_values, fold_name, numbers, times, weights
from kagglekit.data.fold_table import with_fold_table
from kagglekit.data.labels import each, label_lists, require, split_cell
from kagglekit.data.matching import files_of, rows_of
from kagglekit.errors import ConfigError, plural
from kagglekit.files.lookup import File
from kagglekit.files.resolve import list_files
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
"""Columns of the annotations: a row for each annotated recording, or part of one (start and end in
seconds, else null). unknown: nothing is known of classes that the row does not name."""


def read_train(workspace: Workspace, noise: Sequence[File] = ()) -> tuple[list[list[File]], pl.DataFrame]:
    """Return the files of each training set, and the annotations of all of them, of SCHEMA.

    Args:
        noise: recordings of data.noise, which are no training recordings.

    Raises:
        ConfigError: a table lacks a column, or its ids mean no file, or more than one.
        TableError: as `with_fold_table`.
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
    annotations = frames[0] if len(frames) == 1 else _merge(pl.concat(frames))
    given = workspace.config.validation.given
    return sets, annotations if given is None else with_fold_table(annotations, given)


def prefix(external: Path | None) -> str:
    """Return what is put before the paths of a folder of your own, so that they differ from the host's."""
    return "" if external is None else f"{external}/"


def _annotations(workspace: Workspace, train: TrainSet, paths: list[str]) -> pl.DataFrame:
    if train.table is None:
        paths = files_of(train, paths, "data.train")
        return _frame(train, pl.DataFrame(), paths, _labels_of_paths(train, paths))
    table, path = rows_of(workspace, train, paths, "data.train")
    if not train.ragged and (isinstance(train.label, FromName) or train.label == FOLDER):
        present = _labels_of_paths(train, path)
    else:
        others = [
            *(train.file, train.start, train.end, train.low, train.high, train.group, train.fold),
            train.split,
            *(train.weight, train.secondary and train.secondary.column, *train.where),
        ]
        columns = [name for name in others if isinstance(name, str)]
        present = label_lists(table, train, columns, workspace.config.labels)
    if train.hidden is not None:
        keep = [train.hidden not in labels for labels in present]
        table = table.filter(pl.Series(keep, dtype=pl.Boolean))
        path = [one for one, kept in zip(path, keep, strict=True) if kept]
        present = [one for one, kept in zip(present, keep, strict=True) if kept]
    return _merge(_without_backward_parts(_frame(train, table, path, present), train))


def _labels_of_paths(train: TrainSet, paths: list[str]) -> list[list[str]]:
    """Return the label in the folder or name of each file: a list of one, or of none."""
    return [
        [label] if label else [] for label in field_values(train.label, pl.DataFrame(), paths, train, "label")
    ]


def _without_backward_parts(frame: pl.DataFrame, train: TrainSet) -> pl.DataFrame:
    """Drop, count and name the parts that end before they start.

    Raises:
        ConfigError: all of them do.
    """
    backward = frame.filter(pl.col("start") >= pl.col("end"))
    if not len(backward):
        return frame
    path, start, end = backward.select("path", "start", "end").row(0)
    what = f"{path} from {start:g} s to {end:g} s"
    if len(backward) == len(frame):
        raise ConfigError(
            f"{train.table}: each annotated part ends before it starts, such as {what}",
            hint="check start and end of data.train, the columns with the times",
        )
    count = plural(len(backward), "annotated part")
    console.note(f"{train.table}: leaving out {count} with an end before its start: {what}")
    return frame.filter(pl.col("start").is_null() | (pl.col("start") < pl.col("end")))


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
        "fold": list(map(fold_name, field_values(train.fold, table, path, train, "fold"))),
        "weight": weights(table, train, path),
        "judged": [train.judged] * len(path),
        "domain": [train.domain] * len(path),
        "external": [train.external is not None] * len(path),
        "low": numbers(table, train.low, train, len(path)),
        "high": numbers(table, train.high, train, len(path)),
    }
    return pl.DataFrame(columns, schema=SCHEMA)


_SETTLED = ("soft_target", "group", "fold", "weight", "domain")
"""Columns of which a part of a recording has one value."""


def _say_differing(annotations: pl.DataFrame, part: list[str]) -> None:
    """Count and name the parts whose rows differ in what only one of them can say."""
    for column in _SETTLED:
        values = annotations.group_by(part, maintain_order=True).agg(
            pl.col(column).drop_nulls().unique(maintain_order=True)
        )
        several = values.filter(pl.col(column).list.len() > 1)
        if len(several):
            path, differing = several.select("path", column).row(0)
            shown = " and ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in differing[:2])
            console.note(
                f"{plural(len(several), 'recording')} with rows of another {column}, such as {path} "
                f"({shown}): the first counts"
            )


def _merge(annotations: pl.DataFrame) -> pl.DataFrame:
    """Join rows of the same part of the same recording: labels are united, and what is unsure stays so."""
    part = ["path", "start", "end"]
    if not annotations.select(part).is_duplicated().any():
        return annotations
    united = [
        pl.col(name).explode().drop_nulls().unique(maintain_order=True)
        for name in ("present", "absent", "masked", "soft")
    ]
    others = [*_SETTLED, "low", "high"]
    _say_differing(annotations, part)
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
