"""The prediction table: the same at fold, run and blend level, out of fold (oof.parquet) and on the test.

Columns: clip_id, the row's id; fold, whose model predicted it (OOF alone); label and part (OOF alone);
logits, an array with a number for each class, in the order of the task's classes: log-odds where a row may
be of several classes, else log-probabilities up to a constant.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kagglekit.errors import MissingError
from kagglekit.files import tables

ROW_ID, FOLD, LOGITS = "clip_id", "fold", "logits"
KNOWN = {ROW_ID: pl.String, FOLD: pl.Int32, "label": pl.String, "part": pl.String}
"""The columns beside the logits, with their types."""


def predictions(rows: pl.DataFrame, logits: NDArray[np.floating]) -> pl.DataFrame:
    """A prediction table.

    Args:
        rows: rows of the clips table, or of another prediction table; which columns they have of KNOWN stays.
        logits: (rows, classes).
    """
    kept = [name for name in KNOWN if name in rows.columns]
    values = pl.Series(np.asarray(logits, np.float32), dtype=pl.Array(pl.Float32, logits.shape[1]))
    return rows.select(kept).with_columns(values.alias(LOGITS))


def logits_of(table: pl.DataFrame) -> NDArray[np.float32]:
    """(rows, classes) of a prediction table."""
    return table[LOGITS].to_numpy()


def write_predictions(table: pl.DataFrame, path: Path) -> None:
    """Write a prediction table whole or not at all."""
    tables.write(table, path)


def read_predictions(path: Path, hint: str, classes: int | None = None) -> pl.DataFrame:
    """Read a prediction table, and see that it is one.

    Args:
        path: oof.parquet or test.parquet of a fold, a run or a blend.
        hint: what makes it again.
        classes: how many logits a row must have; None: any number.

    Raises:
        MissingError: it is absent, damaged, or has other columns or types; ids are missing or repeated.
    """
    table = tables.read(path, hint)
    if problem := _problem(table, classes):
        raise MissingError(f"{path} cannot be read: {problem}", hint=hint)
    return table


def _problem(table: pl.DataFrame, classes: int | None) -> str:
    """What makes it no prediction table, or nothing."""
    schema = table.schema
    if lacking := [name for name in (ROW_ID, LOGITS) if name not in schema]:
        return f"it has no column {' and no column '.join(lacking)}"
    for name, kind in KNOWN.items():
        if name in schema and schema[name] != kind:
            return f"its column {name} is {schema[name]}, not {kind}"
    logits = schema[LOGITS]
    if not isinstance(logits, pl.Array) or logits.inner != pl.Float32:
        return f"its column {LOGITS} is {logits}, not an array of Float32"
    if classes is not None and logits.shape != (classes,):
        return f"a row has {logits.shape[0]} logits, and there are {classes} classes"
    ids = table[ROW_ID]
    if ids.null_count() or table[LOGITS].null_count():
        return "it has empty cells"
    return "it has an id twice" if ids.n_unique() != len(ids) else ""
