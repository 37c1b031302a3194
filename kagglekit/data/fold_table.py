"""Take folds from a table of your own, as people share them in a competition's forum."""

from typing import Any

import polars as pl

from kagglekit.config.validation import FoldTable
from kagglekit.data.fields import fold_name
from kagglekit.errors import ConfigError, close_match, listed, plural
from kagglekit.files.ids import match
from kagglekit.files.tables import read_table_file, say
from kagglekit.terminal import console


def with_fold_table(annotations: pl.DataFrame, given: FoldTable) -> pl.DataFrame:
    """Return the annotations with the folds of a table, in which each recording is named by its id.

    Recordings without a fold are trained on in every fold. What is not validated on needs none.

    Raises:
        TableError: it is no table; or an id fits several recordings, or several ids fit one.
        ConfigError: it lacks a column, gives a recording two folds, or names no recording.
    """
    name, hint = given.table.name, "correct the table, or validation.given"
    table = read_table_file(given.table, hint="validation.given names a CSV of ids and folds", name=name)
    say(name, table)
    frame = table.frame
    file = given.file or next((column for column in frame.columns if column != given.fold), "")
    for column in (given.fold, file):
        if column not in frame.columns:
            what = f"{name} has no column {column!r}" if column else f"{name} has no column of ids"
            raise ConfigError(what, hint=f"{close_match(column, frame.columns)}; set validation.given")
    rows = frame.select(file, given.fold).unique(maintain_order=True).drop_nulls(file)
    folds: dict[str, str | None] = {}
    for one, cell in rows.iter_rows():
        if folds.setdefault(one, fold_name(cell)) != fold_name(cell):
            folds_of = f"'{folds[one]}' and '{fold_name(cell)}'"
            raise ConfigError(f"{name}: {one!r} has two folds, {folds_of}", hint=hint)
    paths = annotations.filter(pl.col("judged"))["path"].unique(maintain_order=True).to_list()
    matched = match(folds, paths, name)
    if not matched.path_of:
        examples = f"its ids look like {next(iter(folds), '')!r}, files like {next(iter(paths), '')!r}"
        raise ConfigError(
            f"{name} gives no recording a fold: {examples}",
            hint="name its column of ids: validation.given.file",
        )
    if matched.unmatched_ids:
        count = plural(len(matched.unmatched_ids), "id")
        console.note(
            f"{name}: {count} of no recording that is validated on: {listed(matched.unmatched_ids, 3)}"
        )
    of_path: dict[Any, str | None] = {paths[place]: folds[one] for one, place in matched.path_of.items()}
    return annotations.with_columns(
        fold=pl.col("path").replace_strict(of_path, default=None, return_dtype=pl.String)
    )
